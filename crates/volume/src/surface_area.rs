//! The area of a mask's surface.

use crate::vector::{cross, norm};
use crate::{Geometry, VolumeError};

/// Area in mm² of the surface of `mask` (`[D, H, W]`); 0 for an empty one. What lies beyond the grid is
/// outside.
///
/// The surface of marching cubes (Lorensen & Cline, Computer Graphics 21, 1987, 163–169) whose corners
/// lie midway between voxels in and out: exact for planes along the axes, about 9 % too large for a ball.
/// Where two voxels in touch two out crosswise in a face, those in are kept apart.
///
/// # Errors
/// [`VolumeError::LengthMismatch`] if `mask` does not fill the grid.
pub fn surface_area_mm2(mask: &[bool], geometry: &Geometry) -> Result<f64, VolumeError> {
    let shape = geometry.shape();
    if mask.len() != geometry.n_voxels() {
        return Err(VolumeError::LengthMismatch { shape, n_values: mask.len() });
    }
    let [n_d, n_h, n_w] = shape;
    let areas = cell_areas_mm2(geometry.affine().axes_mm());
    let inside = |d: usize, h: usize, w: usize| {
        // Indices are one up, so that cells over the border exist.
        let within = (1..=n_d).contains(&d) && (1..=n_h).contains(&h) && (1..=n_w).contains(&w);
        within && mask[((d - 1) * n_h + h - 1) * n_w + w - 1]
    };
    let column = |d: usize, h: usize, w: usize| {
        [(0, 0), (0, 1), (1, 0), (1, 1)]
            .iter()
            .enumerate()
            .map(|(bit, (i, j))| usize::from(inside(d + i, h + j, w)) << bit)
            .sum::<usize>()
    };
    let mut n_cells = [0_usize; 256];
    for d in 0..=n_d {
        for h in 0..=n_h {
            let mut before = 0;
            for w in 1..=n_w + 1 {
                let after = column(d, h, w);
                n_cells[before | after << 4] += 1;
                before = after;
            }
        }
    }
    Ok(n_cells.iter().zip(areas).map(|(n, area)| *n as f64 * area).sum())
}

/// The area within a cell of 2 × 2 × 2 voxels for each set of voxels inside: bit `d·2 + h + w·4`.
fn cell_areas_mm2(axes_mm: [[f64; 3]; 3]) -> [f64; 256] {
    std::array::from_fn(|code| {
        loops(code).iter().map(|corners| polygon_mm2(&axes_mm, corners)).sum()
    })
}

/// A place in a cell in half voxels `[D, H, W]`, 0 to 2.
type Place = [u8; 3];

/// The outlines of the surface in a cell: closed chains of midpoints of its edges.
fn loops(code: usize) -> Vec<Vec<Place>> {
    let mut segments: Vec<[Place; 2]> = (0..6).flat_map(|face| face_segments(code, face)).collect();
    let mut loops = Vec::new();
    while let Some([first, mut last]) = segments.pop() {
        let mut chain = vec![first];
        // Every midpoint lies in two faces and ends a segment in each.
        while last != first {
            chain.push(last);
            let Some(next) = segments.iter().position(|segment| segment.contains(&last)) else {
                break;
            };
            let [a, b] = segments.swap_remove(next);
            last = if a == last { b } else { a };
        }
        loops.push(chain);
    }
    loops
}

/// Where the surface crosses a face of the cell: around each voxel inside that both its neighbours leave
/// alone, or along two that are neighbours.
fn face_segments(code: usize, face: usize) -> Vec<[Place; 2]> {
    let (axis, side) = (face / 2, (face % 2) as u8 * 2);
    let (a, b) = ((axis + 1) % 3, (axis + 2) % 3);
    let corner = |k: usize| {
        let mut place = [0; 3];
        place[axis] = side;
        [place[a], place[b]] = [[0, 0], [2, 0], [2, 2], [0, 2]][k % 4];
        place
    };
    let inside = |k: usize| {
        let [d, h, w] = corner(k).map(|at| usize::from(at / 2));
        code >> (d * 2 + h + w * 4) & 1 == 1
    };
    let midpoint = |k: usize| -> Place {
        let (from, to) = (corner(k), corner(k + 1));
        std::array::from_fn(|i| (from[i] + to[i]) / 2)
    };
    let crossed: Vec<usize> = (0..4).filter(|k| inside(*k) != inside(k + 1)).collect();
    match crossed[..] {
        [k, l] => vec![[midpoint(k), midpoint(l)]],
        // Crosswise: edges k − 1 and k meet in corner k.
        [_, _, _, _] => {
            (0..4).filter(|k| inside(*k)).map(|k| [midpoint(k + 3), midpoint(k)]).collect()
        }
        _ => Vec::new(),
    }
}

/// The area of the triangles between a polygon's sides and the mean of its corners.
fn polygon_mm2(axes_mm: &[[f64; 3]; 3], corners: &[Place]) -> f64 {
    let point = |place: [f64; 3]| -> [f64; 3] {
        std::array::from_fn(|i| (0..3).map(|a| axes_mm[a][i] * place[a] / 2.0).sum())
    };
    let points: Vec<[f64; 3]> = corners.iter().map(|place| point(place.map(f64::from))).collect();
    let n = points.len();
    let middle: [f64; 3] =
        std::array::from_fn(|i| points.iter().map(|p| p[i]).sum::<f64>() / n as f64);
    let arm = |k: usize| -> [f64; 3] { std::array::from_fn(|i| points[k % n][i] - middle[i]) };
    (0..n).map(|k| norm(cross(arm(k), arm(k + 1))) / 2.0).sum()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;
    use crate::Affine;

    fn area(shape: [usize; 3], spacing_mm: [f64; 3], inside: impl Fn(usize) -> bool) -> f64 {
        let affine = Affine::from_spacing(spacing_mm, [0.0; 3]).unwrap();
        let geometry = Geometry::new(shape, affine).unwrap();
        let mask: Vec<bool> = (0..geometry.n_voxels()).map(inside).collect();
        surface_area_mm2(&mask, &geometry).unwrap()
    }

    #[test]
    fn a_voxel_is_an_octahedron() {
        assert!((area([1, 1, 1], [1.0; 3], |_| true) - 3f64.sqrt()).abs() < 1e-12);
        // Eight triangles with half axes of 2.5, 1 and 0.5 mm.
        let triangle = ((2.5 * 1.0_f64).powi(2) + (2.5 * 0.5_f64).powi(2) + 0.25).sqrt() / 2.0;
        let found = area([1, 1, 1], [5.0, 2.0, 1.0], |_| true);
        assert!((found - 8.0 * triangle).abs() < 1e-12, "{found}");
        assert_eq!(area([2, 2, 2], [1.0; 3], |_| false), 0.0);
    }

    #[test]
    fn a_block_has_flat_sides_with_chamfered_edges() {
        // Each side reaches from centre to centre of its outer voxels, each edge is a strip of √2 / 2, each
        // corner an eighth of an octahedron.
        let found = area([4, 5, 6], [1.0; 3], |_| true);
        let (sides, edges) = (2.0 * (3.0 * 4.0 + 4.0 * 5.0 + 3.0 * 5.0), 4.0 * (3.0 + 4.0 + 5.0));
        let exact = sides + edges * 0.5_f64.sqrt() + 3f64.sqrt();
        assert!((found - exact).abs() < 1e-9, "{found} for {exact}");
    }

    #[test]
    fn voxels_that_touch_crosswise_stay_apart() {
        let two = area([1, 2, 2], [1.0; 3], |i| i == 0 || i == 3);
        assert!((two - 2.0 * 3f64.sqrt()).abs() < 1e-12, "{two}");
    }

    #[test]
    fn every_cell_closes_its_outlines() {
        for code in 0..256 {
            let crossed: usize = (0..6).map(|face| face_segments(code, face).len()).sum();
            let corners: usize = loops(code).iter().map(Vec::len).sum();
            assert_eq!(corners, crossed, "{code:08b}");
            assert!(loops(code).iter().all(|corners| corners.len() >= 3), "{code:08b}");
        }
    }
}
