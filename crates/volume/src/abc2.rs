//! The bedside estimate of a hematoma's volume.

use crate::{Components, Geometry};

/// ABC/2 in mL, summed over the connected parts of a lesion (Kothari et al., Stroke 27, 1996, 1304–1305).
///
/// Of each part, on its axial slice with the largest area: A is the largest diameter, B the largest width
/// across A. C counts slices by their area against that one's: from 75 % as one, from 25 % as half, less not
/// at all; times the distance of slices. Diameters run between the outer corners of pixels.
pub(crate) fn sum_ml(components: &Components) -> f64 {
    let geometry = components.geometry();
    let shape = geometry.shape();
    let axial = axial_axis(geometry);
    let n_components = components.n_components();
    let n_slices = shape[axial];
    let mut areas = vec![0_usize; n_components * n_slices];
    let inside = || components.voxels().iter().enumerate().filter(|(_, c)| **c > 0);
    let index = |place: usize| {
        [place / (shape[1] * shape[2]), place / shape[2] % shape[1], place % shape[2]]
    };
    for (place, component) in inside() {
        areas[(*component as usize - 1) * n_slices + index(place)[axial]] += 1;
    }
    let largest: Vec<usize> = areas.chunks_exact(n_slices).map(largest_slice).collect();
    let mut pixels: Vec<Vec<[usize; 3]>> = vec![Vec::new(); n_components];
    for (place, component) in inside() {
        let (at, of) = (index(place), *component as usize - 1);
        if at[axial] == largest[of] {
            pixels[of].push(at);
        }
    }
    let parts = areas.chunks_exact(n_slices).zip(&pixels);
    parts
        .map(|(areas, pixels)| {
            let [a_mm, b_mm] = diameters_mm(pixels, geometry, axial);
            a_mm * b_mm * weighted_slices(areas) * geometry.spacing_mm()[axial] / 2000.0
        })
        .sum()
}

/// The axis that runs closest to the body's.
fn axial_axis(geometry: &Geometry) -> usize {
    let (axes, spacing) = (geometry.affine().axes_mm(), geometry.spacing_mm());
    let steepness = |axis: usize| axes[axis][2].abs() / spacing[axis];
    [0, 1, 2].into_iter().max_by(|a, b| steepness(*a).total_cmp(&steepness(*b))).unwrap_or(0)
}

/// The first of the largest.
fn largest_slice(areas: &[usize]) -> usize {
    let largest = areas.iter().max().copied().unwrap_or(0);
    areas.iter().position(|area| *area == largest).unwrap_or(0)
}

fn weighted_slices(areas: &[usize]) -> f64 {
    let largest = areas.iter().max().copied().unwrap_or(0);
    let weight = |area: usize| match area * 4 {
        share if share >= largest * 3 => 1.0,
        share if share >= largest => 0.5,
        _ => 0.0,
    };
    areas.iter().map(|area| weight(*area)).sum()
}

/// The largest diameter of a slice's pixels and the largest width across it, mm.
fn diameters_mm(pixels: &[[usize; 3]], geometry: &Geometry, axial: usize) -> [f64; 2] {
    let (u, v) = ((axial + 1) % 3, (axial + 2) % 3);
    let axes = geometry.affine().axes_mm();
    // The plane's own coordinates, mm: along u, and across it.
    let step_u = crate::vector::norm(axes[u]);
    let along = crate::vector::dot(axes[v], axes[u]) / step_u;
    let across = (crate::vector::dot(axes[v], axes[v]) - along * along).max(0.0).sqrt();
    let corners = pixels.iter().flat_map(|pixel| {
        [(-0.5, -0.5), (-0.5, 0.5), (0.5, -0.5), (0.5, 0.5)].map(|(du, dv)| {
            let (iu, iv) = (pixel[u] as f64 + du, pixel[v] as f64 + dv);
            [iu * step_u + iv * along, iv * across]
        })
    });
    let hull = convex_hull(corners.collect());
    let (mut a_mm, mut direction) = (0.0, [1.0, 0.0]);
    for (i, p) in hull.iter().enumerate() {
        for q in &hull[i + 1..] {
            let step = [q[0] - p[0], q[1] - p[1]];
            let length = step[0].hypot(step[1]);
            if length > a_mm {
                (a_mm, direction) = (length, step.map(|s| s / length));
            }
        }
    }
    let widths = hull.iter().map(|p| p[1] * direction[0] - p[0] * direction[1]);
    let (low, high) = widths.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), width| {
        (low.min(width), high.max(width))
    });
    [a_mm, (high - low).max(0.0)]
}

/// The corners of the smallest convex polygon around points (Andrew, Information Processing Letters 9, 1979,
/// 216–219).
fn convex_hull(mut points: Vec<[f64; 2]>) -> Vec<[f64; 2]> {
    points.sort_by(|p, q| p[0].total_cmp(&q[0]).then(p[1].total_cmp(&q[1])));
    points.dedup();
    let mut hull = half_hull(points.iter());
    hull.extend(half_hull(points.iter().rev()));
    hull
}

fn half_hull<'a>(points: impl Iterator<Item = &'a [f64; 2]>) -> Vec<[f64; 2]> {
    let mut hull: Vec<[f64; 2]> = Vec::new();
    for p in points {
        while let [.., o, q] = hull[..] {
            if (q[0] - o[0]) * (p[1] - o[1]) - (q[1] - o[1]) * (p[0] - o[0]) > 0.0 {
                break;
            }
            hull.pop();
        }
        hull.push(*p);
    }
    hull.pop();
    hull
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;
    use crate::{Affine, Connectivity, LabelMap};

    fn sum(shape: [usize; 3], rows: [[f64; 4]; 3], inside: impl Fn([usize; 3]) -> bool) -> f64 {
        let geometry = Geometry::new(shape, Affine::new(rows).unwrap()).unwrap();
        let index =
            |place| [place / (shape[1] * shape[2]), place / shape[2] % shape[1], place % shape[2]];
        let voxels = (0..geometry.n_voxels()).map(|place| u8::from(inside(index(place)))).collect();
        let mask = LabelMap::new(geometry, voxels).unwrap();
        sum_ml(&mask.components(&[1], Connectivity::TwentySix))
    }

    const AXIAL: [[f64; 4]; 3] = [[2.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 5.0, 0.0]];

    #[test]
    fn slices_count_by_their_share_of_the_largest() {
        // Rows of pixels: 8, 6 (75 %), 5, 2 (25 %) and 1 wide, 5 mm apart: C is 1 + 1 + ½ + ½ slices.
        let widths = [1, 6, 8, 5, 2];
        let found = sum([5, 3, 10], AXIAL, |[d, h, w]| h == 1 && w < widths[d]);
        // The largest slice is 16 mm by 1 mm. A is its diagonal, B the width across that.
        let a = 257f64.sqrt();
        let b = 2.0 * 16.0 / a;
        assert!((found - a * b * 15.0 / 2000.0).abs() < 1e-9, "{found}");
    }

    #[test]
    fn parts_are_summed_whatever_the_order_of_the_axes() {
        let inside = |[d, h, w]: [usize; 3]| d == 1 && (h < 2 && w < 2 || h > 4 && w > 5);
        let both = sum([3, 8, 10], AXIAL, inside);
        let one = sum([3, 8, 10], AXIAL, |[d, h, w]| d == 1 && h < 2 && w < 2);
        let other = sum([3, 8, 10], AXIAL, |[d, h, w]| d == 1 && h > 4 && w > 5);
        assert!((both - one - other).abs() < 1e-12 && one > 0.0 && other > one);
        // The body's axis last.
        let sagittal = [[0.0, 0.0, 2.0, 0.0], [0.0, -1.0, 0.0, 0.0], [5.0, 0.0, 0.0, 0.0]];
        let turned = sum([10, 8, 3], sagittal, |[w, h, d]| inside([d, h, w]));
        assert!((turned - both).abs() < 1e-12, "{turned} for {both}");
        assert_eq!(sum([2, 2, 2], AXIAL, |_| false), 0.0);
    }
}
