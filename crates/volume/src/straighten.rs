//! Leaning grids made upright.

use crate::vector::{cross, dot, norm};
use crate::{Affine, Geometry, VolumeError};

/// Cosines up to it are rounding.
const PERPENDICULAR: f64 = 1e-4;

/// Cosine between the axes of a plane above which a grid leans in more ways than one.
const PLANE: f64 = 0.01;

/// How far in voxels the field of view may pass a voxel's face by rounding.
const SLACK: f64 = 1e-6;

impl Geometry {
    /// A grid with perpendicular axes that covers this one: the axis that leans, as the slices of a scan
    /// with gantry tilt do, is replaced by the normal of the other two, with the slices' distance as its
    /// spacing; the planes grow by what they are shifted. A grid that does not lean is returned as it is.
    ///
    /// # Errors
    /// [`VolumeError::Sheared`] if no two axes are perpendicular.
    pub fn straightened(&self) -> Result<Geometry, VolumeError> {
        let axes = self.affine().axes_mm();
        // For each axis, the cosine between the other two.
        let cosines = [0, 1, 2].map(|k| cosine(axes[(k + 1) % 3], axes[(k + 2) % 3]).abs());
        if cosines.iter().all(|c| *c < PERPENDICULAR) {
            return Ok(*self);
        }
        // Of gantry tilt two planes are straight but for rounding: it is the slices that lean, the first axis.
        let leans = |k: usize| if cosines[k] > PLANE { cosines[k] } else { 0.0 };
        let leaning = (0..3).min_by(|a, b| leans(*a).total_cmp(&leans(*b))).unwrap_or(0);
        if cosines[leaning] > PLANE {
            let degrees = 90.0 - cosines[leaning].acos().to_degrees();
            return Err(VolumeError::Sheared { degrees });
        }
        let others = [(leaning + 1) % 3, (leaning + 2) % 3];
        let normal = unit(cross(axes[others[0]], axes[others[1]]));
        let upright = normal.map(|v| v * dot(axes[leaning], normal));
        let mut shape = self.shape();
        let n_steps = (shape[leaning] - 1) as f64;
        let mut first = [0.0; 3];
        for other in others {
            // Voxels of this axis that a step along the leaning one shifts by.
            let shift = dot(axes[leaning], axes[other]) / dot(axes[other], axes[other]);
            let whole = shift * n_steps;
            let before = (-whole.min(0.0) - SLACK).ceil().max(0.0);
            let after = (whole.max(0.0) - SLACK).ceil().max(0.0);
            first[other] = -before;
            shape[other] += (before + after) as usize;
        }
        let mut columns = axes;
        columns[leaning] = upright;
        let origin = self.point_mm(first);
        // The affine's columns are W, H, D.
        let [d, h, w] = columns;
        let rows = [0, 1, 2].map(|r| [w[r], h[r], d[r], origin[r]]);
        Geometry::new(shape, Affine::new(rows)?)
    }
}

fn unit(v: [f64; 3]) -> [f64; 3] {
    v.map(|x| x / norm(v))
}

fn cosine(a: [f64; 3], b: [f64; 3]) -> f64 {
    dot(unit(a), unit(b))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;
    use crate::Image;

    /// Slices of 4 mm whose stack leans by `per_step` mm along H a slice.
    fn leaning(per_step: f64) -> Geometry {
        let rows = [[0.5, 0.0, 0.0, 1.0], [0.0, 0.5, per_step, 2.0], [0.0, 0.0, 4.0, 3.0]];
        Geometry::new([6, 10, 12], Affine::new(rows).unwrap()).unwrap()
    }

    #[test]
    fn it_is_the_slices_that_lean_whatever_rounding_says() {
        // A head turned by 5° under a gantry tilted by 15°, directions of six digits as DICOM has them.
        let (w, h) = ([0.996_195, 0.087_156, 0.0], [-0.084_186, 0.962_250, 0.258_819]);
        let rows = [0, 1, 2].map(|r| [0.5 * w[r], 0.5 * h[r], if r == 2 { 5.0 } else { 0.0 }, 0.0]);
        let native = Geometry::new([6, 10, 12], Affine::new(rows).unwrap()).unwrap();
        let spacing = native.straightened().unwrap().spacing_mm();
        let expected = [5.0 * 15f64.to_radians().cos(), 0.5, 0.5];
        for (found, expected) in spacing.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-5, "{spacing:?}");
        }
    }

    #[test]
    fn the_voxel_keeps_its_volume_and_the_field_of_view_is_covered() {
        for per_step in [1.3, -1.3, 0.2] {
            let native = leaning(per_step);
            let upright = native.straightened().unwrap();
            assert_eq!(upright.spacing_mm(), [4.0, 0.5, 0.5]);
            assert!((upright.voxel_ml() - native.voxel_ml()).abs() < 1e-12);
            let inverse = upright.affine().inverse();
            for corner in 0..8 {
                let index = [0, 1, 2].map(|a| {
                    if corner >> a & 1 == 1 { (native.shape()[a] - 1) as f64 } else { 0.0 }
                });
                let found = inverse.index(native.point_mm(index));
                let inside = (0..3)
                    .all(|a| found[a] > -1e-5 && found[a] < upright.shape()[a] as f64 - 1.0 + 1e-5);
                assert!(inside, "{found:?} in {:?}", upright.shape());
            }
            // Not a voxel more than the shift needs.
            let n_shifted = (5.0 * per_step.abs() / 0.5 - 1e-6).ceil() as usize;
            assert_eq!(upright.shape(), [6, 10 + n_shifted, 12]);
        }
    }

    #[test]
    fn upright_grids_stay_and_doubly_sheared_ones_are_refused() {
        assert_eq!(leaning(0.0).straightened().unwrap(), leaning(0.0));
        let rows = [[1.0, 0.3, 0.3, 0.0], [0.0, 1.0, 0.3, 0.0], [0.0, 0.0, 1.0, 0.0]];
        let sheared = Geometry::new([2, 2, 2], Affine::new(rows).unwrap()).unwrap();
        assert!(matches!(sheared.straightened(), Err(VolumeError::Sheared { .. })));
    }

    /// A plane of HU stays where it is in space.
    #[test]
    fn a_tilted_volume_is_resampled_in_place() {
        let native = leaning(1.3);
        let ramp = |g: &Geometry, at: usize| {
            let [_, n_h, n_w] = g.shape();
            let [x, y, z] =
                g.point_mm([at / (n_h * n_w), at / n_w % n_h, at % n_w].map(|i| i as f64));
            (3.0 * x - 2.0 * y + z) as f32
        };
        let voxels = (0..native.n_voxels()).map(|at| ramp(&native, at)).collect();
        let image = Image::new(native, voxels).unwrap();
        let upright = native.straightened().unwrap();
        let found = image.resample(&upright, f32::NAN);
        let inverse = native.affine().inverse();
        let [_, n_h, n_w] = upright.shape();
        let mut n = 0;
        for (at, value) in found.voxels().iter().enumerate() {
            let index = [at / (n_h * n_w), at / n_w % n_h, at % n_w].map(|i| i as f64);
            let source = inverse.index(upright.point_mm(index));
            // Half a voxel outside the edge is repeated.
            let inside = |a: usize| (0.0..=native.shape()[a] as f64 - 1.0).contains(&source[a]);
            if (0..3).all(inside) {
                n += 1;
                assert!((value - ramp(&upright, at)).abs() < 1e-3, "{at}: {value}");
            }
        }
        assert!(n > native.n_voxels() * 9 / 10);
    }
}
