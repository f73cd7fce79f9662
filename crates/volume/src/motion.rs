//! Rigid motions between two scans of one head.

use crate::vector::norm;
use crate::{Geometry, Image, LabelMap};

/// A turn about a point, then a shift: `p ↦ R · (p − centre) + centre + translation`, points `[x, y, z]` in mm, RAS+.
///
/// Between two scans it maps a point of the fixed one to where the moving one shows the same tissue. A
/// [`Deformation`](crate::Deformation) cannot say that: it moves voxels within one grid, along that grid's axes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RigidMotion {
    rotation: [[f64; 3]; 3],
    centre_mm: [f64; 3],
    translation_mm: [f64; 3],
}

impl RigidMotion {
    /// The motion that leaves everything in place.
    pub fn identity() -> Self {
        Self::about([0.0; 3], [0.0; 3], [0.0; 3])
    }

    /// A turn about the axis through `centre_mm` along `turn_deg`, by as many degrees as that is long and
    /// right-handed, then a shift.
    pub fn about(centre_mm: [f64; 3], turn_deg: [f64; 3], translation_mm: [f64; 3]) -> Self {
        let rotation = rotation(turn_deg.map(f64::to_radians));
        Self { rotation, centre_mm, translation_mm }
    }

    /// The matrix of the turn; its rows and columns are x, y, z.
    pub fn rotation(&self) -> [[f64; 3]; 3] {
        self.rotation
    }

    /// By how much it turns, 0 to 180 degrees.
    pub fn angle_deg(&self) -> f64 {
        let r = self.rotation;
        let twice_sine = norm([r[2][1] - r[1][2], r[0][2] - r[2][0], r[1][0] - r[0][1]]);
        twice_sine.atan2(r[0][0] + r[1][1] + r[2][2] - 1.0).to_degrees()
    }

    /// The point that it turns about, mm.
    pub fn centre_mm(&self) -> [f64; 3] {
        self.centre_mm
    }

    /// How far it shifts that point, mm.
    pub fn translation_mm(&self) -> [f64; 3] {
        self.translation_mm
    }

    /// Where a point goes, mm.
    pub fn point_mm(&self, point_mm: [f64; 3]) -> [f64; 3] {
        let turned = self.direction(std::array::from_fn(|i| point_mm[i] - self.centre_mm[i]));
        std::array::from_fn(|i| turned[i] + self.centre_mm[i] + self.translation_mm[i])
    }

    /// Where a direction goes.
    pub fn direction(&self, direction: [f64; 3]) -> [f64; 3] {
        times(&self.rotation, direction)
    }

    /// The motion back.
    #[must_use]
    pub fn inverse(&self) -> Self {
        let r = self.rotation;
        let rotation = [0, 1, 2].map(|i| [r[0][i], r[1][i], r[2][i]]);
        let translation_mm = times(&rotation, self.translation_mm).map(|mm| 0.0 - mm);
        Self { rotation, translation_mm, ..*self }
    }

    /// This motion, then a further turn (a vector along its axis, as long as the angle in radians) about where the
    /// centre has gone, and a further shift.
    pub(crate) fn then(&self, turn_rad: [f64; 3], shift_mm: [f64; 3]) -> Self {
        let (further, own) = (rotation(turn_rad), self.rotation);
        let column = |j: usize| times(&further, own.map(|row| row[j]));
        let columns = [0, 1, 2].map(column);
        let rotation = [0, 1, 2].map(|i| columns.map(|column| column[i]));
        let translation_mm = std::array::from_fn(|i| self.translation_mm[i] + shift_mm[i]);
        Self { rotation, translation_mm, ..*self }
    }
}

/// Rodrigues' formula: the turn about a vector by its length in radians.
fn rotation(turn_rad: [f64; 3]) -> [[f64; 3]; 3] {
    let angle = norm(turn_rad);
    let [x, y, z] = turn_rad;
    let cross = [[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]];
    // sin(a)/a and (1 − cos(a))/a², whose limits at no angle are 1 and ½.
    let half = (angle / 2.0).sin();
    let (by_cross, by_square) = match angle < 1e-9 {
        true => (1.0, 0.5),
        false => (angle.sin() / angle, 2.0 * half * half / (angle * angle)),
    };
    std::array::from_fn(|i| {
        std::array::from_fn(|j| {
            let square: f64 = (0..3).map(|k| cross[i][k] * cross[k][j]).sum();
            f64::from(u8::from(i == j)) + by_cross * cross[i][j] + by_square * square
        })
    })
}

fn times(matrix: &[[f64; 3]; 3], v: [f64; 3]) -> [f64; 3] {
    matrix.map(|row| row.iter().zip(v).map(|(m, v)| m * v).sum())
}

impl Image {
    /// The image on the grid `target` of a scan that `motion` leads here from: as [`Image::resample`] onto the grid
    /// carried along.
    pub fn resample_moved(
        &self,
        motion: &RigidMotion,
        target: &Geometry,
        background: f32,
    ) -> Image {
        Image::on(*target, self.resample(&target.moved(motion), background).into_voxels())
    }
}

impl LabelMap {
    /// The labels on the grid `target` of a scan that `motion` leads here from: as [`LabelMap::resample`] onto the
    /// grid carried along.
    pub fn resample_moved(&self, motion: &RigidMotion, target: &Geometry) -> LabelMap {
        LabelMap::on(*target, self.resample(&target.moved(motion)).into_voxels())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Affine;
    use crate::vector::{cross, dot};

    #[test]
    fn a_quarter_turn_about_a_point() {
        // Seen from above, from the right to the front.
        let motion = RigidMotion::about([10.0, 0.0, 5.0], [0.0, 0.0, 90.0], [1.0, 2.0, 3.0]);
        let moved = motion.point_mm([12.0, 0.0, 7.0]);
        let expected = [11.0, 4.0, 10.0];
        assert!((0..3).all(|i| (moved[i] - expected[i]).abs() < 1e-12), "{moved:?}");
        assert!((motion.angle_deg() - 90.0).abs() < 1e-12);
        assert_eq!(RigidMotion::identity().point_mm([1.5, -2.0, 3.0]), [1.5, -2.0, 3.0]);
    }

    #[test]
    fn voxels_are_where_the_motion_takes_them() {
        let affine = Affine::from_spacing([5.0, 1.0, 1.0], [3.0, -2.0, 7.0]).unwrap();
        let geometry = Geometry::new([4, 6, 8], affine).unwrap();
        let motion = RigidMotion::about([1.0, 2.0, 3.0], [4.0, -9.0, 7.0], [6.0, -5.0, 4.0]);
        let moved = geometry.moved(&motion);
        for index in [[0.0; 3], [3.0, 5.0, 7.0], [1.5, 0.0, 2.0]] {
            let (found, expected) =
                (moved.point_mm(index), motion.point_mm(geometry.point_mm(index)));
            assert!((0..3).all(|i| (found[i] - expected[i]).abs() < 1e-9), "{index:?}");
        }
        // A head that has gone 5 mm up is seen a slice higher, by image and labels alike.
        let up = RigidMotion::about([0.0; 3], [0.0; 3], [0.0, 0.0, 5.0]);
        let image = Image::new(geometry, (0..192).map(|v| v as f32).collect()).unwrap();
        let labels = LabelMap::new(geometry, (0..192).map(|v| v as u8).collect()).unwrap();
        let seen = image.resample_moved(&up, &geometry, -1.0);
        assert_eq!(
            (seen.geometry(), seen.slice(0), seen.slice(3)[0]),
            (&geometry, image.slice(1), -1.0)
        );
        let seen = labels.resample_moved(&up, &geometry);
        assert_eq!((seen.slice(0), seen.slice(3)[0]), (labels.slice(1), 0));
    }

    proptest! {
        #[test]
        fn a_motion_keeps_distances_and_hands_and_has_a_way_back(
            centre in prop::array::uniform3(-50.0f64..50.0),
            turn in prop::array::uniform3(-90.0f64..90.0),
            shift in prop::array::uniform3(-50.0f64..50.0),
            point in prop::array::uniform3(-50.0f64..50.0),
        ) {
            let motion = RigidMotion::about(centre, turn, shift);
            let back = motion.inverse().point_mm(motion.point_mm(point));
            prop_assert!((0..3).all(|i| (back[i] - point[i]).abs() < 1e-9));
            prop_assert!((motion.angle_deg() - norm(turn).min(360.0 - norm(turn))).abs() < 1e-6);
            let [x, y, z] = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
                .map(|axis| motion.direction(axis));
            let hand = cross(x, y);
            prop_assert!((0..3).all(|i| (hand[i] - z[i]).abs() < 1e-12));
            prop_assert!(dot(x, y).abs() < 1e-12 && (norm(x) - 1.0).abs() < 1e-12);
        }

        /// A small further step adds to the point what its derivative says: ω × (p − c) + t.
        #[test]
        fn a_further_turn_is_about_where_the_centre_has_gone(
            turn in prop::array::uniform3(-1e-4f64..1e-4),
            shift in prop::array::uniform3(-1e-2f64..1e-2),
            point in prop::array::uniform3(-50.0f64..50.0),
        ) {
            let motion = RigidMotion::about([5.0, 6.0, 7.0], [10.0, -20.0, 30.0], [9.0, 8.0, -7.0]);
            let (before, after) =
                (motion.point_mm(point), motion.then(turn, shift).point_mm(point));
            let arm = motion.direction(std::array::from_fn(|i| point[i] - [5.0, 6.0, 7.0][i]));
            let turned = cross(turn, arm);
            let off = |i: usize| (after[i] - before[i] - turned[i] - shift[i]).abs();
            prop_assert!((0..3).all(|i| off(i) < 1e-5));
        }
    }
}
