//! Skull base and upper face: orbits, sinuses, petrous bone.

use super::is_cell_wall;
use crate::shape::{Capsule, Ellipsoid, Point, to_right};
use crate::texture::{Texture, TextureUse};

/// Above this height (template mm) there is nothing of all this.
pub(super) const TOP_MM: f32 = 4.0;

const FRONTAL_SINUS: Ellipsoid = Ellipsoid::new([7.0, 78.0, -12.0], [9.0, 5.0, 11.0]);
const FRONTAL_SINUS_WALL: Ellipsoid = Ellipsoid::new([6.0, 77.5, -12.0], [13.0, 8.5, 14.0]);
const ORBIT: Capsule = Capsule::new([33.0, 72.0, -28.0], [13.0, 38.0, -26.0], [16.0, 4.0]);
const ORBIT_WALL_MM: f32 = 2.2;
const GLOBE: Ellipsoid = Ellipsoid::new([32.0, 75.0, -28.0], [12.0; 3]);
const LENS: Ellipsoid = Ellipsoid::new([32.0, 83.5, -28.0], [4.5, 2.2, 4.5]);
const OPTIC_NERVE: Capsule = Capsule::new([31.0, 64.0, -28.0], [14.0, 42.0, -25.0], [2.2, 2.0]);
const MEDIAL_RECTUS: Capsule = Capsule::new([21.0, 76.0, -28.0], [15.0, 46.0, -26.0], [1.6, 2.0]);
const LATERAL_RECTUS: Capsule = Capsule::new([44.0, 76.0, -28.0], [24.0, 44.0, -26.0], [1.6, 2.0]);
const ETHMOID: Ellipsoid = Ellipsoid::new([0.0, 64.0, -32.0], [12.0, 25.0, 14.0]);
const SPHENOID: Ellipsoid = Ellipsoid::new([8.0, 33.0, -36.0], [8.0, 11.0, 8.0]);
const MAXILLA: Ellipsoid = Ellipsoid::new([29.0, 60.0, -60.0], [15.0, 18.0, 15.0]);
const MAXILLA_WALL: Ellipsoid = Ellipsoid::new([29.0, 60.0, -60.0], [17.0, 20.0, 17.0]);
const NASAL: Ellipsoid = Ellipsoid::new([0.0, 66.0, -58.0], [13.0, 30.0, 16.0]);
const MASTOID: Ellipsoid = Ellipsoid::new([55.0, -30.0, -42.0], [12.0, 18.0, 20.0]);
const PETROUS: Capsule = Capsule::new([58.0, -24.0, -34.0], [14.0, 8.0, -32.0], [8.0, 5.0]);
const EAR_CANAL: Capsule = Capsule::new([74.0, -12.0, -36.0], [48.0, -16.0, -36.0], [3.0, 2.5]);
const CLIVUS: Capsule = Capsule::new([0.0, 22.0, -34.0], [0.0, -4.0, -60.0], [7.0, 5.0]);
const SPHENOID_BODY: Ellipsoid = Ellipsoid::new([0.0, 30.0, -36.0], [20.0, 16.0, 11.0]);
const LESSER_WING: Capsule = Capsule::new([14.0, 25.0, -24.0], [58.0, 39.0, -22.0], [2.2, 3.0]);

/// Bone that stands into the inside of the skull: petrous ridges, clivus, wings of the sphenoid.
pub(super) fn is_ridge(t: Point) -> bool {
    let right = to_right(t);
    t[2] < -10.0
        && (-34.0..44.0).contains(&t[1])
        && (PETROUS.contains(right) || CLIVUS.contains(right) || LESSER_WING.contains(right))
}

/// HU of the structures of the base, or `None` where none of them is.
pub(super) fn hu(grain: &TextureUse, texture: &Texture, t: Point) -> Option<f32> {
    let right = to_right(t);
    if t[1] < 18.0 {
        return temporal_bone_hu(grain, texture, right);
    }
    if FRONTAL_SINUS_WALL.contains(right) {
        return Some(if FRONTAL_SINUS.contains(right) { -950.0 } else { 900.0 });
    }
    if ETHMOID.contains(t) {
        return Some(if is_cell_wall(t, 6.5) { 250.0 } else { -900.0 });
    }
    if let Some(hu) = orbit_hu(right) {
        return Some(hu);
    }
    if SPHENOID_BODY.contains(t) {
        return Some(if SPHENOID.contains(right) { -900.0 } else { 700.0 });
    }
    if NASAL.contains(t) {
        let turbinate = t[0].abs() > 4.0 && grain.at(texture, t.map(|v| 0.4 * v)) > 0.1;
        let septum = t[0].abs() < 1.0;
        return Some(if turbinate || septum { 30.0 } else { -950.0 });
    }
    if MAXILLA_WALL.contains(right) {
        return Some(if MAXILLA.contains(right) { -950.0 } else { 500.0 });
    }
    is_ridge(t).then_some(1000.0)
}

fn temporal_bone_hu(grain: &TextureUse, texture: &Texture, right: Point) -> Option<f32> {
    if EAR_CANAL.contains(right) {
        return Some(-900.0);
    }
    if MASTOID.contains(right) {
        let cells = grain.at(texture, right.map(|v| 0.9 * v)) > -0.2;
        return Some(if cells && !is_cell_wall(right, 5.0) { -700.0 } else { 850.0 });
    }
    is_ridge(right).then_some(1100.0)
}

/// Fat, globe with lens, optic nerve and two muscles within a bony cone that is open in front.
fn orbit_hu(right: Point) -> Option<f32> {
    if GLOBE.contains(right) {
        let wall = GLOBE.distance_mm(right) > -1.2;
        return Some(if LENS.contains(right) {
            85.0
        } else if wall {
            45.0
        } else {
            10.0
        });
    }
    let orbit_mm = ORBIT.distance_mm(right, 1.0);
    if orbit_mm < 0.0 {
        let muscle = MEDIAL_RECTUS.contains(right) || LATERAL_RECTUS.contains(right);
        let nerve = OPTIC_NERVE.contains(right);
        // The lids close the orbit in front.
        return Some(if muscle || nerve {
            45.0
        } else if right[1] > 82.0 {
            30.0
        } else {
            -85.0
        });
    }
    (right[1] < 78.0 && orbit_mm < ORBIT_WALL_MM).then_some(750.0)
}
