//! Ventricles and the calcified choroid plexus in them.

use super::Head;
use crate::shape::{Capsule, Ellipsoid, Point, to_right};

/// The right lateral ventricle from the frontal horn over body and trigone to the occipital and the
/// temporal horn.
const LATERAL: [Capsule; 7] = [
    Capsule::new([13.0, 31.0, 5.0], [7.5, 16.0, 12.0], [3.4, 5.0]),
    Capsule::new([7.5, 16.0, 12.0], [9.0, -8.0, 20.0], [5.0, 5.2]),
    Capsule::new([9.0, -8.0, 20.0], [17.0, -28.0, 18.0], [5.2, 5.6]),
    Capsule::new([17.0, -28.0, 18.0], [24.0, -38.0, 8.0], [5.6, 6.2]),
    Capsule::new([24.0, -38.0, 8.0], [24.0, -58.0, 6.0], [6.2, 2.8]),
    Capsule::new([24.0, -38.0, 8.0], [32.0, -22.0, -12.0], [5.5, 2.4]),
    Capsule::new([32.0, -22.0, -12.0], [29.0, -2.0, -18.0], [2.4, 1.8]),
];
const PLEXUS: Ellipsoid = Ellipsoid::new([23.0, -38.0, 9.0], [2.6, 5.0, 3.4]);
const PINEAL: Ellipsoid = Ellipsoid::new([0.0, -31.0, 5.0], [2.2, 2.6, 2.2]);
const FOURTH: Ellipsoid = Ellipsoid::new([0.0, -34.0, -32.0], [6.0, 6.0, 9.0]);

/// Far outside the ventricles, mm.
const FAR_MM: f32 = 20.0;

impl Head {
    /// Distance to the wall of the lateral ventricle of the point's side, mm; 20 where that is far.
    pub(crate) fn lateral_ventricle_mm(&self, t: Point) -> f32 {
        let right = to_right(t);
        let [x, y, z] = right;
        if x > 46.0 || !(-70.0..44.0).contains(&y) || !(-28.0..34.0).contains(&z) {
            return FAR_MM;
        }
        let scale = self.ventricle_scale[usize::from(t[0] < 0.0)];
        LATERAL.iter().fold(FAR_MM, |least, tube| least.min(tube.distance_mm(right, scale)))
    }

    /// HU of a calcified choroid plexus or pineal gland at this point, if there is one.
    pub(super) fn calcification(&self, t: Point) -> Option<f32> {
        let [right_hu, left_hu, pineal_hu] = self.calcification_hu;
        let plexus_hu = if t[0] < 0.0 { left_hu } else { right_hu };
        if plexus_hu > 0.0 && PLEXUS.contains(to_right(t)) {
            return Some(plexus_hu);
        }
        (pineal_hu > 0.0 && PINEAL.contains(t)).then_some(pineal_hu)
    }
}

/// Whether the point lies in the third ventricle; it widens with atrophy.
pub(super) fn is_third(t: Point, atrophy: f32) -> bool {
    Ellipsoid::new([0.0, -6.0, 0.0], [1.8 + 2.2 * atrophy, 15.0, 9.0]).contains(t)
}

/// Whether the point lies in the fourth ventricle.
pub(super) fn is_fourth(t: Point) -> bool {
    FOURTH.contains(t)
}
