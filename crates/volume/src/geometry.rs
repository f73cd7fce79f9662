use crate::vector::{cross, dot};
use crate::{Affine, RigidMotion, VolumeError};

/// A voxel grid in space: its shape `[D, H, W]` and the [`Affine`] that places it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Geometry {
    shape: [usize; 3],
    affine: Affine,
}

impl Geometry {
    /// A grid of this shape (`[D, H, W]`) placed by the affine.
    ///
    /// # Errors
    /// [`VolumeError::EmptyAxis`] if an axis has no voxel.
    pub fn new(shape: [usize; 3], affine: Affine) -> Result<Self, VolumeError> {
        if shape.contains(&0) {
            return Err(VolumeError::EmptyAxis { shape });
        }
        Ok(Self { shape, affine })
    }

    /// Shape `[D, H, W]`.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The map from indices to space.
    pub fn affine(&self) -> Affine {
        self.affine
    }

    /// How many voxels the grid has.
    pub fn n_voxels(&self) -> usize {
        self.shape.iter().product()
    }

    /// Length of one step along `[D, H, W]`, mm.
    pub fn spacing_mm(&self) -> [f64; 3] {
        self.affine.spacing_mm()
    }

    /// Volume of one voxel in mL: the determinant of the affine, so that a sheared grid is right too.
    pub fn voxel_ml(&self) -> f64 {
        let [a, b, c] = self.affine.axes_mm();
        dot(a, cross(b, c)).abs() / 1000.0
    }

    /// The place of the index `[d, h, w]` in the voxel array.
    pub fn offset(&self, index: [usize; 3]) -> usize {
        (index[0] * self.shape[1] + index[1]) * self.shape[2] + index[2]
    }

    /// The point in mm of the index `[d, h, w]`.
    pub fn point_mm(&self, index: [f64; 3]) -> [f64; 3] {
        self.affine.point_mm(index)
    }

    /// The same voxels with axes permuted and flipped so that they run closest to RAS+.
    ///
    /// Only the description changes; resampling onto the result moves the voxels.
    pub fn to_ras(&self) -> Geometry {
        let axes = self.affine.axes_mm();
        let order = closest_axes(&axes);
        let mut corner = [0.0; 3];
        let mut columns = [[0.0; 3]; 3];
        let mut shape = [0; 3];
        // Target axes D, H, W run along z, y, x.
        for (target, source) in order.into_iter().enumerate() {
            let world = 2 - target;
            let sign = if axes[source][world] < 0.0 { -1.0 } else { 1.0 };
            if sign < 0.0 {
                corner[source] = (self.shape[source] - 1) as f64;
            }
            shape[target] = self.shape[source];
            columns[world] = axes[source].map(|v| v * sign);
        }
        let origin = self.point_mm(corner);
        let rows = [0, 1, 2].map(|r| [columns[0][r], columns[1][r], columns[2][r], origin[r]]);
        // A permutation of a valid affine with flips is valid.
        Geometry { shape, affine: Affine::new(rows).unwrap_or(self.affine) }
    }

    /// The same field of view, directions kept, sampled at another spacing (`[D, H, W]`, mm).
    ///
    /// The extent along an axis is `n · spacing`; the new grid has the nearest whole number of voxels
    /// (at least 1) and the same centre.
    ///
    /// # Errors
    /// [`VolumeError::BadSpacing`] if a spacing is not positive and finite.
    pub fn with_spacing(&self, spacing_mm: [f64; 3]) -> Result<Geometry, VolumeError> {
        if spacing_mm.iter().any(|s| !s.is_finite() || *s <= 0.0) {
            return Err(VolumeError::BadSpacing { spacing_mm });
        }
        let old = self.spacing_mm();
        let shape: [usize; 3] = std::array::from_fn(|a| {
            ((self.shape[a] as f64 * old[a] / spacing_mm[a]).round() as usize).max(1)
        });
        let scale: [f64; 3] = std::array::from_fn(|a| spacing_mm[a] / old[a]);
        let first: [f64; 3] = std::array::from_fn(|a| {
            ((self.shape[a] as f64 - 1.0) - (shape[a] as f64 - 1.0) * scale[a]) / 2.0
        });
        Geometry::new(shape, self.affine_from(first, scale)?)
    }

    /// The part of the grid that starts at the index `start` (which may lie outside) with `shape`.
    ///
    /// # Errors
    /// [`VolumeError::EmptyAxis`] if an axis of `shape` is 0.
    pub fn window(&self, start: [i64; 3], shape: [usize; 3]) -> Result<Geometry, VolumeError> {
        Geometry::new(shape, self.affine_from(start.map(|s| s as f64), [1.0; 3])?)
    }

    /// The grid carried along by the motion: its shape, each voxel where the motion takes it.
    pub fn moved(&self, motion: &RigidMotion) -> Geometry {
        Geometry { shape: self.shape, affine: self.affine.moved(motion) }
    }

    /// Whether both grids hold the same voxels at the same places, to 1e-3 of a voxel.
    pub fn is_same_grid(&self, other: &Geometry) -> bool {
        if self.shape != other.shape {
            return false;
        }
        let inverse = self.affine.inverse();
        let corners = [[0.0; 3], self.shape.map(|n| (n - 1) as f64)];
        let mut indices = corners.to_vec();
        indices.extend((0..3).map(|axis| {
            let mut index = [0.0; 3];
            index[axis] = corners[1][axis];
            index
        }));
        indices.into_iter().all(|index| {
            let back = inverse.index(other.point_mm(index));
            (0..3).all(|a| (back[a] - index[a]).abs() < 1e-3)
        })
    }

    /// The affine whose first voxel is at `first` of this grid, with steps scaled by `scale`.
    fn affine_from(&self, first: [f64; 3], scale: [f64; 3]) -> Result<Affine, VolumeError> {
        let [d, h, w] = self.affine.axes_mm();
        let origin = self.point_mm(first);
        Affine::new(
            [0, 1, 2].map(|r| [w[r] * scale[2], h[r] * scale[1], d[r] * scale[0], origin[r]]),
        )
    }
}

/// For the target axes D (z), H (y), W (x): which source axis runs closest to it.
///
/// Of the six permutations the one with the largest sum of direction cosines, so that an oblique
/// grid never uses one axis twice.
fn closest_axes(axes: &[[f64; 3]; 3]) -> [usize; 3] {
    const PERMUTATIONS: [[usize; 3]; 6] =
        [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    let cosine = |source: usize, world: usize| {
        let norm = axes[source].iter().map(|v| v * v).sum::<f64>().sqrt();
        (axes[source][world] / norm).abs()
    };
    let score = |p: &[usize; 3]| (0..3).map(|target| cosine(p[target], 2 - target)).sum::<f64>();
    let mut best = PERMUTATIONS[0];
    for candidate in &PERMUTATIONS[1..] {
        if score(candidate) > score(&best) + 1e-12 {
            best = *candidate;
        }
    }
    best
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn geometry(shape: [usize; 3], rows: [[f64; 4]; 3]) -> Geometry {
        Geometry::new(shape, Affine::new(rows).unwrap()).unwrap()
    }

    fn aligned(shape: [usize; 3], spacing: [f64; 3]) -> Geometry {
        Geometry::new(shape, Affine::from_spacing(spacing, [3.0, -7.0, 11.0]).unwrap()).unwrap()
    }

    #[test]
    fn voxel_volume_of_a_sheared_grid_is_its_determinant() {
        // Gantry tilt: D leans 2 mm to the front; the area of a slice and the rise are unchanged.
        let tilted = [[0.5, 0.0, 0.0, 0.0], [0.0, 0.5, 2.0, 0.0], [0.0, 0.0, 5.0, 0.0]];
        let tilted = geometry([10, 20, 20], tilted);
        assert!((tilted.voxel_ml() - 0.5 * 0.5 * 5.0 / 1000.0).abs() < 1e-15);
        assert!((tilted.spacing_mm()[0] - 29f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn axes_need_voxels() {
        let affine = Affine::from_spacing([1.0; 3], [0.0; 3]).unwrap();
        assert!(matches!(Geometry::new([3, 0, 3], affine), Err(VolumeError::EmptyAxis { .. })));
    }

    #[test]
    fn offsets_run_along_w_fastest() {
        let grid = aligned([2, 3, 4], [1.0; 3]);
        assert_eq!([[0, 0, 1], [0, 1, 0], [1, 0, 0]].map(|i| grid.offset(i)), [1, 4, 12]);
    }

    #[test]
    fn lps_becomes_ras() {
        // W to the left, H to the back, D down, as in many a DICOM series read naively.
        let rows = [[-0.5, 0.0, 0.0, 100.0], [0.0, -0.5, 0.0, 90.0], [0.0, 0.0, -5.0, 80.0]];
        let ras = geometry([4, 20, 30], rows).to_ras();
        assert_eq!(ras.shape(), [4, 20, 30]);
        assert_eq!(ras.affine().axes_mm(), [[0.0, 0.0, 5.0], [0.0, 0.5, 0.0], [0.5, 0.0, 0.0]]);
        assert_eq!(ras.point_mm([0.0; 3]), [100.0 - 29.0 * 0.5, 90.0 - 19.0 * 0.5, 80.0 - 15.0]);
        assert_eq!(ras.to_ras(), ras);
    }

    #[test]
    fn sagittal_becomes_axial() {
        // D runs to the right, H down, W to the front.
        let rows = [[0.0, 0.0, 3.0, 1.0], [1.0, 0.0, 0.0, 2.0], [0.0, -2.0, 0.0, 3.0]];
        let sagittal = geometry([5, 6, 7], rows);
        let ras = sagittal.to_ras();
        assert_eq!(ras.shape(), [6, 7, 5]);
        assert_eq!(ras.spacing_mm(), [2.0, 1.0, 3.0]);
        assert_eq!(ras.voxel_ml(), sagittal.voxel_ml());
        // The lowest slice of the result is the last row of the source.
        assert_eq!(ras.point_mm([0.0; 3]), sagittal.point_mm([0.0, 5.0, 0.0]));
    }

    #[test]
    fn a_tilted_grid_keeps_its_axes_apart() {
        // 44° and 46° are nearly alike: no axis may be taken twice.
        let (c, s) = (0.72, 0.69);
        let rows = [[c, -s, 0.0, 0.0], [s, c, 0.0, 0.0], [0.0, 0.0, -1.0, 0.0]];
        let ras = geometry([3, 4, 5], rows).to_ras();
        assert_eq!(ras.shape(), [3, 4, 5]);
        assert_eq!(ras.point_mm([0.0; 3]), [0.0, 0.0, -2.0]);
    }

    #[test]
    fn spacing_changes_about_the_centre() {
        let grid = aligned([10, 512, 511], [5.0, 0.45, 0.45]);
        let coarse = grid.with_spacing([5.0, 1.0, 1.0]).unwrap();
        assert_eq!(coarse.shape(), [10, 230, 230]);
        let centre = |g: &Geometry| g.point_mm(g.shape().map(|n| (n - 1) as f64 / 2.0));
        for (a, b) in centre(&grid).into_iter().zip(centre(&coarse)) {
            assert!((a - b).abs() < 1e-9);
        }
        assert_eq!(grid.with_spacing([500.0; 3]).unwrap().shape(), [1, 1, 1]);
        assert!(grid.with_spacing([5.0, 0.0, 1.0]).is_err());
    }

    #[test]
    fn windows_shift_the_first_voxel() {
        let grid = aligned([4, 5, 6], [5.0, 1.0, 2.0]);
        let window = grid.window([1, -2, 3], [2, 2, 2]).unwrap();
        assert_eq!(window.point_mm([0.0; 3]), grid.point_mm([1.0, -2.0, 3.0]));
        assert!(grid.window([0; 3], [1, 0, 1]).is_err());
    }

    #[test]
    fn the_same_grid_is_recognised_through_rounding() {
        let grid = aligned([20, 200, 200], [5.0, 0.45, 0.45]);
        let nudged = |rows: [[f64; 4]; 3]| geometry([20, 200, 200], rows);
        let mut rows = grid.affine().rows();
        rows[0][3] += 1e-5;
        assert!(grid.is_same_grid(&nudged(rows)));
        rows[0][3] += 1e-2;
        assert!(!grid.is_same_grid(&nudged(rows)));
        // A spacing off by little is a voxel off at the far end.
        let mut rows = grid.affine().rows();
        rows[1][1] *= 1.0001;
        assert!(!grid.is_same_grid(&nudged(rows)));
        assert!(!grid.is_same_grid(&aligned([20, 200, 199], [5.0, 0.45, 0.45])));
    }

    proptest! {
        /// Canonical orientation is a relabelling: the same points, each once.
        #[test]
        fn to_ras_keeps_the_voxels(
            rows in prop::array::uniform3(prop::array::uniform4(-3.0f64..3.0)),
            shape in prop::array::uniform3(1usize..4),
        ) {
            let affine = Affine::new(rows);
            prop_assume!(affine.is_ok());
            let grid = Geometry::new(shape, affine.unwrap()).unwrap();
            let ras = grid.to_ras();
            prop_assert_eq!(grid.n_voxels(), ras.n_voxels());
            prop_assert!((ras.voxel_ml() - grid.voxel_ml()).abs() < 1e-9);
            let points = |g: &Geometry| {
                let [n_d, n_h, n_w] = g.shape();
                let mut points = Vec::new();
                for i in 0..n_d * n_h * n_w {
                    let idx = [i / (n_h * n_w), i / n_w % n_h, i % n_w].map(|v| v as f64);
                    points.push(g.point_mm(idx));
                }
                points
            };
            for p in points(&ras) {
                let near = |q: &[f64; 3]| (0..3).all(|a| (p[a] - q[a]).abs() < 1e-9);
                prop_assert!(points(&grid).iter().any(near));
            }
        }
    }
}
