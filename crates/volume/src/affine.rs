use crate::{RigidMotion, VolumeError};

/// A map from voxel indices to space: `[x, y, z]` in mm (RAS+) of the index `(w, h, d)`.
///
/// The columns follow NIfTI: the first belongs to the fastest axis `W`, the third to `D`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Affine {
    rows: [[f64; 4]; 3],
}

impl Affine {
    /// The affine with these rows (NIfTI's `srow_x`, `srow_y`, `srow_z`).
    ///
    /// # Errors
    /// [`VolumeError::SingularAffine`] if a value is not finite or the voxel axes do not span space.
    pub fn new(rows: [[f64; 4]; 3]) -> Result<Self, VolumeError> {
        let affine = Self { rows };
        let finite = rows.iter().flatten().all(|value| value.is_finite());
        // Relative to the spacing, so that fine grids are not mistaken for flat ones.
        let scale: f64 = affine.column_norms().iter().product();
        if !finite || scale <= 0.0 || affine.determinant().abs() < 1e-6 * scale {
            return Err(VolumeError::SingularAffine { matrix: Box::new(rows) });
        }
        Ok(affine)
    }

    /// Axis-aligned RAS+ with this spacing (`[D, H, W]`, mm) and the first voxel at `origin_mm`.
    ///
    /// # Errors
    /// [`VolumeError::BadSpacing`] if a spacing is not positive and finite.
    pub fn from_spacing(spacing_mm: [f64; 3], origin_mm: [f64; 3]) -> Result<Self, VolumeError> {
        if spacing_mm.iter().any(|s| !s.is_finite() || *s <= 0.0) {
            return Err(VolumeError::BadSpacing { spacing_mm });
        }
        let [d, h, w] = spacing_mm;
        let [x, y, z] = origin_mm;
        Self::new([[w, 0.0, 0.0, x], [0.0, h, 0.0, y], [0.0, 0.0, d, z]])
    }

    /// The three rows: `srow_x`, `srow_y`, `srow_z`.
    pub fn rows(&self) -> [[f64; 4]; 3] {
        self.rows
    }

    /// The point in mm of the index `[d, h, w]`, which need not be whole.
    pub fn point_mm(&self, index: [f64; 3]) -> [f64; 3] {
        let [d, h, w] = index;
        self.rows.map(|r| r[0] * w + r[1] * h + r[2] * d + r[3])
    }

    /// The direction in mm of one step along the axes `D`, `H`, `W` (in this order).
    pub fn axes_mm(&self) -> [[f64; 3]; 3] {
        [2, 1, 0].map(|column| self.rows.map(|row| row[column]))
    }

    /// Length of one step along `[D, H, W]`, mm.
    pub fn spacing_mm(&self) -> [f64; 3] {
        let [w, h, d] = self.column_norms();
        [d, h, w]
    }

    /// The affine that leads each index to where the motion takes its point.
    pub fn moved(&self, motion: &RigidMotion) -> Affine {
        let [d, h, w] = self.axes_mm().map(|axis| motion.direction(axis));
        let origin = motion.point_mm(self.point_mm([0.0; 3]));
        // Axes that span space do so when they are turned.
        Self { rows: [0, 1, 2].map(|r| [w[r], h[r], d[r], origin[r]]) }
    }

    /// The map from a point in mm to an index `[d, h, w]`.
    pub fn inverse(&self) -> InverseAffine {
        let m = self.rows;
        let det = self.determinant();
        let cofactor = |r: usize, c: usize| {
            let (r1, r2, c1, c2) = ((r + 1) % 3, (r + 2) % 3, (c + 1) % 3, (c + 2) % 3);
            m[r1][c1] * m[r2][c2] - m[r1][c2] * m[r2][c1]
        };
        let linear: [[f64; 3]; 3] =
            std::array::from_fn(|i| std::array::from_fn(|j| cofactor(j, i) / det));
        InverseAffine { linear, origin_mm: m.map(|row| row[3]) }
    }

    fn column_norms(&self) -> [f64; 3] {
        [0, 1, 2].map(|c| self.rows.iter().map(|row| row[c] * row[c]).sum::<f64>().sqrt())
    }

    fn determinant(&self) -> f64 {
        let [a, b, c] = self.rows;
        a[0] * (b[1] * c[2] - b[2] * c[1]) - a[1] * (b[0] * c[2] - b[2] * c[0])
            + a[2] * (b[0] * c[1] - b[1] * c[0])
    }
}

/// The inverse of an [`Affine`]: from points in mm to indices.
#[derive(Debug, Clone, Copy)]
pub struct InverseAffine {
    linear: [[f64; 3]; 3],
    origin_mm: [f64; 3],
}

impl InverseAffine {
    /// The index `[d, h, w]` of a point `[x, y, z]` in mm, not rounded.
    pub fn index(&self, point_mm: [f64; 3]) -> [f64; 3] {
        let offset: [f64; 3] = std::array::from_fn(|i| point_mm[i] - self.origin_mm[i]);
        let [w, h, d] =
            self.linear.map(|row| row.iter().zip(offset).map(|(a, b)| a * b).sum::<f64>());
        [d, h, w]
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn columns_are_w_h_d() {
        let affine = Affine::from_spacing([5.0, 0.5, 2.0], [-10.0, 20.0, 30.0]).unwrap();
        assert_eq!(affine.rows()[0], [2.0, 0.0, 0.0, -10.0]);
        assert_eq!(affine.point_mm([1.0, 2.0, 3.0]), [-4.0, 21.0, 35.0]);
        assert_eq!(affine.axes_mm()[0], [0.0, 0.0, 5.0]);
        assert_eq!(affine.spacing_mm(), [5.0, 0.5, 2.0]);
    }

    #[test]
    fn what_does_not_span_space_is_refused() {
        let flat = [[1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0]];
        assert!(matches!(Affine::new(flat), Err(VolumeError::SingularAffine { .. })));
        let mut infinite = [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]];
        infinite[1][3] = f64::NAN;
        assert!(Affine::new(infinite).is_err());
        // A thousandth of a millimetre is fine, not flat.
        assert!(Affine::from_spacing([1e-3; 3], [0.0; 3]).is_ok());
        for spacing in [[0.0, 1.0, 1.0], [1.0, -1.0, 1.0], [1.0, 1.0, f64::INFINITY]] {
            assert!(Affine::from_spacing(spacing, [0.0; 3]).is_err());
        }
    }

    proptest! {
        #[test]
        fn inverse_undoes_any_affine(
            rows in prop::array::uniform3(prop::array::uniform4(-3.0f64..3.0)),
            index in prop::array::uniform3(-50.0f64..50.0),
        ) {
            let affine = Affine::new(rows);
            prop_assume!(affine.is_ok());
            let affine = affine.unwrap();
            // Nearly flat affines lose digits; they are not the point here.
            let scale: f64 = affine.spacing_mm().iter().product();
            prop_assume!(affine.determinant().abs() > 1e-2 * scale);
            let back = affine.inverse().index(affine.point_mm(index));
            for axis in 0..3 {
                prop_assert!((back[axis] - index[axis]).abs() < 1e-7);
            }
        }
    }
}
