use serde::{Deserialize, Serialize};

use crate::{Geometry, VolumeError};

/// How many points between neighbouring control points are looked at for [`FieldExtremes`].
const POINTS_PER_INTERVAL: usize = 8;

/// A smooth displacement of space: a coarse lattice of control displacements between which cubic
/// B-splines run.
///
/// The lattice spans whatever grid it is used on: its outermost control points lie on the outermost
/// voxel centres, and are repeated beyond. Displacements are in mm along the grid's own axes, in the
/// order `[D, H, W]`. A cubic B-spline approximates its control values: nowhere is the displacement
/// along an axis larger than the largest control displacement along it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Lattice")]
pub struct DisplacementField {
    n_control: [usize; 3],
    displacements_mm: Vec<[f64; 3]>,
}

/// A [`DisplacementField`] as it is read, not yet checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Lattice {
    n_control: [usize; 3],
    displacements_mm: Vec<[f64; 3]>,
}

impl TryFrom<Lattice> for DisplacementField {
    type Error = VolumeError;

    fn try_from(read: Lattice) -> Result<Self, VolumeError> {
        Self::new(read.n_control, read.displacements_mm)
    }
}

/// How far a [`DisplacementField`] moves and squeezes a grid.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldExtremes {
    /// Length of the longest displacement, mm.
    pub max_displacement_mm: f64,
    /// Smallest determinant of the Jacobian of `point ↦ point + u(point)`: 1 where nothing is
    /// squeezed, at most 0 where space is folded.
    pub min_jacobian: f64,
    /// Largest determinant of the same Jacobian.
    pub max_jacobian: f64,
}

impl DisplacementField {
    /// A lattice of `n_control` (`[D, H, W]`) points, their displacements with the last axis fastest.
    ///
    /// # Errors
    /// [`VolumeError::EmptyAxis`] if an axis has no control point, [`VolumeError::LengthMismatch`] if
    /// the number of displacements is not that of the lattice.
    pub fn new(
        n_control: [usize; 3],
        displacements_mm: Vec<[f64; 3]>,
    ) -> Result<Self, VolumeError> {
        if n_control.contains(&0) {
            return Err(VolumeError::EmptyAxis { shape: n_control });
        }
        if displacements_mm.len() != n_control.iter().product::<usize>() {
            let n_values = displacements_mm.len();
            return Err(VolumeError::LengthMismatch { shape: n_control, n_values });
        }
        Ok(Self { n_control, displacements_mm })
    }

    /// How many control points lie along `[D, H, W]`.
    pub fn n_control(&self) -> [usize; 3] {
        self.n_control
    }

    /// The control displacements (`[D, H, W]`, last axis fastest), each along `[D, H, W]` in mm.
    pub fn displacements_mm(&self) -> &[[f64; 3]] {
        &self.displacements_mm
    }

    /// The same field, `factor` times as strong.
    pub fn scaled(&self, factor: f64) -> Self {
        let displacements_mm =
            self.displacements_mm.iter().map(|u| u.map(|v| v * factor)).collect();
        Self { n_control: self.n_control, displacements_mm }
    }

    /// The displacement (mm, along `[D, H, W]`) at the index `[d, h, w]` of a grid, which need not be
    /// whole. Along an axis with one voxel it is 0.
    pub fn at(&self, geometry: &Geometry, index: [f64; 3]) -> [f64; 3] {
        let shape = geometry.shape();
        let bases: [Basis; 3] =
            std::array::from_fn(|a| Basis::at(index[a], shape[a], self.n_control[a]));
        let u = self.weighted([&bases[0].weights, &bases[1].weights, &bases[2].weights], &bases);
        std::array::from_fn(|a| if shape[a] == 1 { 0.0 } else { u[a] })
    }

    /// The determinant of the Jacobian of `point ↦ point + u(point)` at the index `[d, h, w]` of a grid, which
    /// need not be whole: by what factor the volume there differs from that of its source. Along an axis with
    /// one voxel nothing changes.
    pub fn jacobian(&self, geometry: &Geometry, index: [f64; 3]) -> f64 {
        let (shape, spacing) = (geometry.shape(), geometry.spacing_mm());
        let bases: [Basis; 3] =
            std::array::from_fn(|a| Basis::at(index[a], shape[a], self.n_control[a]));
        // Column b holds ∂u/∂index_b.
        let slopes: [[f64; 3]; 3] = std::array::from_fn(|b| {
            let weights =
                std::array::from_fn(|a| if a == b { &bases[a].slopes } else { &bases[a].weights });
            self.weighted(weights, &bases)
        });
        let moves = |a: usize, b: usize| shape[a] > 1 && shape[b] > 1;
        determinant(std::array::from_fn(|a| {
            std::array::from_fn(|b| {
                let slope = if moves(a, b) { slopes[b][a] / spacing[b] } else { 0.0 };
                f64::from(u8::from(a == b)) + slope
            })
        }))
    }

    /// How far the field moves a grid, and whether it folds it.
    ///
    /// Looked at on the voxel centres, or on eight points between neighbouring control points where
    /// voxels lie closer: between those a cubic B-spline hardly changes.
    pub fn extremes(&self, geometry: &Geometry) -> FieldExtremes {
        let (shape, spacing) = (geometry.shape(), geometry.spacing_mm());
        let points: [Vec<Basis>; 3] = std::array::from_fn(|a| {
            let n = shape[a].min((self.n_control[a] - 1) * POINTS_PER_INTERVAL + 1);
            let step = if n > 1 { (shape[a] - 1) as f64 / (n - 1) as f64 } else { 0.0 };
            (0..n).map(|i| Basis::at(i as f64 * step, shape[a], self.n_control[a])).collect()
        });
        let mut extremes = FieldExtremes {
            max_displacement_mm: 0.0,
            min_jacobian: f64::INFINITY,
            max_jacobian: f64::NEG_INFINITY,
        };
        let (mut plane, mut row) = (Vec::new(), Vec::new());
        for d in &points[0] {
            self.along_d(d, &mut plane);
            for h in &points[1] {
                along_h(&plane, self.n_control[2], h, &mut row);
                for w in &points[2] {
                    let (length, jacobian) = length_and_jacobian(&row, w, shape, spacing);
                    extremes.max_displacement_mm = extremes.max_displacement_mm.max(length);
                    extremes.min_jacobian = extremes.min_jacobian.min(jacobian);
                    extremes.max_jacobian = extremes.max_jacobian.max(jacobian);
                }
            }
        }
        extremes
    }

    /// Control displacements and their slopes along `D` at a place on it: a plane of control points.
    fn along_d(&self, at: &Basis, plane: &mut Vec<[[f64; 3]; 2]>) {
        let [_, n_h, n_w] = self.n_control;
        plane.clear();
        plane.extend((0..n_h * n_w).map(|place| {
            let mut sums = [[0.0; 3]; 2];
            for k in 0..4 {
                let u = self.displacements_mm[at.control[k] * n_h * n_w + place];
                for a in 0..3 {
                    sums[0][a] += at.weights[k] * u[a];
                    sums[1][a] += at.slopes[k] * u[a];
                }
            }
            sums
        }));
    }

    /// The control displacements summed with weights per axis.
    fn weighted(&self, weights: [&[f64; 4]; 3], at: &[Basis; 3]) -> [f64; 3] {
        let [_, n_h, n_w] = self.n_control;
        let mut sum = [0.0; 3];
        for (d, weight_d) in at[0].control.into_iter().zip(weights[0]) {
            for (h, weight_h) in at[1].control.into_iter().zip(weights[1]) {
                for (w, weight_w) in at[2].control.into_iter().zip(weights[2]) {
                    let u = self.displacements_mm[(d * n_h + h) * n_w + w];
                    let weight = weight_d * weight_h * weight_w;
                    sum.iter_mut().zip(u).for_each(|(s, u)| *s += weight * u);
                }
            }
        }
        sum
    }
}

/// Displacements and their slopes along `D` and `H` at a place on both: a row of control points.
fn along_h(plane: &[[[f64; 3]; 2]], n_w: usize, at: &Basis, row: &mut Vec<[[f64; 3]; 3]>) {
    row.clear();
    row.extend((0..n_w).map(|w| {
        let mut sums = [[0.0; 3]; 3];
        for k in 0..4 {
            let [value, slope_d] = plane[at.control[k] * n_w + w];
            for a in 0..3 {
                sums[0][a] += at.weights[k] * value[a];
                sums[1][a] += at.weights[k] * slope_d[a];
                sums[2][a] += at.slopes[k] * value[a];
            }
        }
        sums
    }));
}

/// Length of the displacement and determinant of the Jacobian at a place of a row.
fn length_and_jacobian(
    row: &[[[f64; 3]; 3]],
    at: &Basis,
    shape: [usize; 3],
    spacing: [f64; 3],
) -> (f64, f64) {
    let mut u = [0.0; 3];
    // slopes[b] = ∂u/∂index_b.
    let mut slopes = [[0.0; 3]; 3];
    for k in 0..4 {
        let [value, slope_d, slope_h] = row[at.control[k]];
        for a in 0..3 {
            u[a] += at.weights[k] * value[a];
            slopes[0][a] += at.weights[k] * slope_d[a];
            slopes[1][a] += at.weights[k] * slope_h[a];
            slopes[2][a] += at.slopes[k] * value[a];
        }
    }
    // An axis with one voxel neither moves nor is moved along.
    let moves = |a: usize| shape[a] > 1;
    let length = (0..3).filter(|a| moves(*a)).map(|a| u[a] * u[a]).sum::<f64>().sqrt();
    let entry = |a: usize, b: usize| {
        let slope = if moves(a) && moves(b) { slopes[b][a] / spacing[b] } else { 0.0 };
        f64::from(u8::from(a == b)) + slope
    };
    (length, determinant(std::array::from_fn(|a| std::array::from_fn(|b| entry(a, b)))))
}

/// The four cubic B-splines that are not 0 at a point of one axis.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Basis {
    /// Which control points.
    pub(crate) control: [usize; 4],
    /// Their weights, which sum to 1.
    pub(crate) weights: [f64; 4],
    /// How far between the second and the third, 0 to 1.
    pub(crate) between: f64,
    /// Derivatives of the weights by the voxel index.
    slopes: [f64; 4],
}

impl Basis {
    /// At the voxel index `index` (need not be whole) of an axis with `n_voxels`, which `n_control`
    /// points span; an axis with one voxel lies in their middle.
    pub(crate) fn at(index: f64, n_voxels: usize, n_control: usize) -> Self {
        let intervals = (n_control - 1) as f64;
        let per_voxel = if n_voxels > 1 { intervals / (n_voxels - 1) as f64 } else { 0.0 };
        let place = if n_voxels > 1 { index * per_voxel } else { intervals / 2.0 };
        let place = place.clamp(0.0, intervals);
        let first = (place as usize).min(n_control.saturating_sub(2));
        let t = place - first as f64;
        let s = 1.0 - t;
        Self {
            control: std::array::from_fn(|k| (first + k).saturating_sub(1).min(n_control - 1)),
            between: t,
            weights: [
                s * s * s / 6.0,
                (4.0 - 6.0 * t * t + 3.0 * t * t * t) / 6.0,
                (4.0 - 6.0 * s * s + 3.0 * s * s * s) / 6.0,
                t * t * t / 6.0,
            ],
            slopes: [
                -s * s / 2.0,
                (3.0 * t * t - 4.0 * t) / 2.0,
                (4.0 * s - 3.0 * s * s) / 2.0,
                t * t / 2.0,
            ]
            .map(|slope| slope * per_voxel),
        }
    }
}

/// Determinant of a 3×3 matrix.
pub(crate) fn determinant([a, b, c]: [[f64; 3]; 3]) -> f64 {
    a[0] * (b[1] * c[2] - b[2] * c[1]) - a[1] * (b[0] * c[2] - b[2] * c[0])
        + a[2] * (b[0] * c[1] - b[1] * c[0])
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;
    use crate::Affine;

    fn grid(shape: [usize; 3], spacing: [f64; 3]) -> Geometry {
        Geometry::new(shape, Affine::from_spacing(spacing, [0.0; 3]).unwrap()).unwrap()
    }

    /// A lattice that displaces along H by `slope` times the place along H.
    fn stretch(n_control: [usize; 3], extent_mm: f64, slope: f64) -> DisplacementField {
        let [n_d, n_h, n_w] = n_control;
        let step = extent_mm / (n_h - 1) as f64;
        let mut u = Vec::new();
        for i in 0..n_d * n_h * n_w {
            u.push([0.0, slope * step * ((i / n_w) % n_h) as f64, 0.0]);
        }
        DisplacementField::new(n_control, u).unwrap()
    }

    #[test]
    fn constant_control_displaces_everywhere_alike() {
        let geometry = grid([3, 20, 30], [5.0, 1.0, 2.0]);
        let field = DisplacementField::new([2, 4, 3], vec![[1.0, -2.0, 3.0]; 24]).unwrap();
        for index in [[0.0, 0.0, 0.0], [1.3, 10.7, 29.0], [2.0, 19.0, 0.0]] {
            let u = field.at(&geometry, index);
            for (value, expected) in u.into_iter().zip([1.0, -2.0, 3.0]) {
                assert!((value - expected).abs() < 1e-12);
            }
        }
        let extremes = field.extremes(&geometry);
        assert!((extremes.max_displacement_mm - 14f64.sqrt()).abs() < 1e-12);
        assert!((extremes.min_jacobian - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_linear_lattice_is_a_linear_field_inside() {
        // B-splines reproduce linear functions; at the ends control points are repeated.
        let geometry = grid([4, 61, 10], [1.0, 0.5, 1.0]);
        let field = stretch([1, 7, 1], 30.0, -0.2);
        let u = field.at(&geometry, [0.0, 24.0, 3.0]);
        assert!((u[1] + 0.2 * 12.0).abs() < 1e-12, "{u:?}");
        assert_eq!([u[0], u[2]], [0.0, 0.0]);
        // The slope is full inside and less at the ends: the minimum is the slope inside.
        let extremes = field.extremes(&geometry);
        assert!((extremes.min_jacobian - 0.8).abs() < 1e-9, "{extremes:?}");
    }

    #[test]
    fn a_folding_field_is_seen() {
        let geometry = grid([4, 61, 10], [1.0, 0.5, 1.0]);
        assert!(stretch([1, 7, 1], 30.0, -1.1).extremes(&geometry).min_jacobian < 0.0);
        assert!(stretch([1, 7, 1], 30.0, -0.9).extremes(&geometry).min_jacobian > 0.0);
    }

    #[test]
    fn slopes_are_the_derivative_of_the_weights() {
        for index in [0.1, 3.3, 7.9, 11.0] {
            let (step, n) = (1e-6, 5);
            let at = Basis::at(index, 14, n);
            let [before, after] = [Basis::at(index - step, 14, n), Basis::at(index + step, 14, n)];
            assert!((at.weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            for k in 0..4 {
                let slope = (after.weights[k] - before.weights[k]) / (2.0 * step);
                assert!((slope - at.slopes[k]).abs() < 1e-6, "{index} {k}");
            }
        }
    }

    #[test]
    fn the_jacobian_at_a_point_is_that_of_its_slopes() {
        let geometry = grid([6, 31, 21], [5.0, 1.0, 2.0]);
        let control = (0..3 * 4 * 5)
            .map(|i| [1.5, 6.0, 6.0].map(|mm| mm * ((i * 29 % 13) as f64 / 6.5 - 1.0)));
        let field = DisplacementField::new([3, 4, 5], control.collect()).unwrap();
        let (step, spacing) = (1e-5, geometry.spacing_mm());
        let mut found = Vec::new();
        for index in [[0.7, 3.3, 4.1], [2.0, 15.0, 10.0], [4.9, 29.2, 18.8]] {
            let columns: [[f64; 3]; 3] = std::array::from_fn(|b| {
                let moved = |by: f64| {
                    let mut at = index;
                    at[b] += by;
                    field.at(&geometry, at)
                };
                let (up, down) = (moved(step), moved(-step));
                std::array::from_fn(|a| {
                    f64::from(u8::from(a == b)) + (up[a] - down[a]) / (2.0 * step * spacing[b])
                })
            });
            let jacobian = field.jacobian(&geometry, index);
            assert!((jacobian / determinant(columns) - 1.0).abs() < 1e-6, "{index:?}");
            found.push(jacobian);
        }
        assert!(found.iter().any(|j| (j - 1.0).abs() > 0.1), "{found:?}");
        let extremes = field.extremes(&geometry);
        assert!(found.iter().all(|j| *j > extremes.min_jacobian - 0.05), "{found:?} {extremes:?}");
        let slice = grid([1, 31, 21], [5.0, 1.0, 2.0]);
        let along_d = DisplacementField::new([2, 1, 1], vec![[9.0; 3], [0.0; 3]]).unwrap();
        assert_eq!(along_d.jacobian(&slice, [0.0; 3]), 1.0);
    }

    #[test]
    fn one_voxel_axes_do_not_move() {
        let geometry = grid([1, 20, 20], [5.0, 1.0, 1.0]);
        let field = DisplacementField::new([3, 3, 3], vec![[9.0, 1.0, 1.0]; 27]).unwrap();
        assert_eq!(field.at(&geometry, [0.0, 4.0, 4.0])[0], 0.0);
        assert!((field.extremes(&geometry).max_displacement_mm - 2f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn wrong_sizes_are_errors() {
        assert!(DisplacementField::new([0, 1, 1], vec![]).is_err());
        assert!(DisplacementField::new([2, 2, 2], vec![[0.0; 3]; 7]).is_err());
    }
}
