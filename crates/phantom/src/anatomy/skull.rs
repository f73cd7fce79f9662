//! Calvarium and scalp.

use super::{AIR_HU, Head};
use crate::shape::{Ellipsoid, Point, ramp, smooth_union, to_right, wave};
use crate::texture::Texture;

/// Face and neck below the calvarium.
const FACE: Ellipsoid = Ellipsoid::new([0.0, 6.0, -60.0], [70.0, 96.0, 72.0]);
const NOSE: Ellipsoid = Ellipsoid::new([0.0, 92.0, -50.0], [11.0, 18.0, 24.0]);
const EAR: Ellipsoid = Ellipsoid::new([76.0, -16.0, -28.0], [7.0, 14.0, 24.0]);
const TEMPORAL_MUSCLE: Ellipsoid = Ellipsoid::new([66.0, 28.0, -8.0], [16.0, 34.0, 40.0]);

/// Whether a point lies clear of scalp and face. Orbits and frontal sinus stand out of the
/// face a little.
pub(super) fn is_air(t: Point, from_cavity_mm: f32) -> bool {
    from_cavity_mm > 24.0
        && (t[2] >= 14.0
            || FACE.distance_mm(t) > 16.0 && !NOSE.contains(t) && !EAR.contains(to_right(t)))
}

/// HU from the inner table of the skull outwards, `from_cavity_mm` from it.
pub(super) fn hu(head: &Head, texture: &Texture, t: Point, from_cavity_mm: f32) -> f32 {
    let low = t[2] < 14.0;
    let right = to_right(t);
    let bone_mm = bone_mm(head, texture, t);
    if from_cavity_mm < bone_mm {
        return bone_hu(head, texture, t, from_cavity_mm / bone_mm);
    }
    let muscle = if t[2] < 32.0 { TEMPORAL_MUSCLE.distance_mm(right) } else { f32::MAX };
    let mut from_skin = from_cavity_mm - bone_mm - head.scalp_mm;
    if low {
        from_skin = smooth_union(from_skin, FACE.distance_mm(t), 10.0);
        from_skin = from_skin.min(NOSE.distance_mm(t)).min(EAR.distance_mm(right));
    }
    if muscle < 6.0 {
        // The muscle lifts the skin, without an edge.
        let lifted = muscle.max(from_cavity_mm - bone_mm - head.scalp_mm - 3.0);
        from_skin = smooth_union(from_skin, lifted, 6.0);
    }
    if from_skin > 0.0 {
        return AIR_HU;
    }
    soft_hu(head, texture, t, from_skin, from_cavity_mm - bone_mm, muscle)
}

/// Thickness of the skull, mm: uneven, thicker in front and behind.
fn bone_mm(head: &Head, texture: &Texture, t: Point) -> f32 {
    let ends = (t[1] / 85.0) * (t[1] / 85.0);
    let uneven = 1.0 + 0.1 * head.thickness.at(texture, t) + 0.3 * ends;
    (head.skull_mm * uneven).max(2.5)
}

/// Two tables with the spongy diploe between them; `level` runs from 0 (inside) to 1 (outside).
fn bone_hu(head: &Head, texture: &Texture, t: Point, level: f32) -> f32 {
    if is_suture(t) {
        return 350.0;
    }
    if (0.3..0.7).contains(&level) {
        return 780.0 + 150.0 * head.grain.at(texture, t);
    }
    1400.0
}

/// Coronal, lambdoid and sagittal suture of the calvarium.
fn is_suture(t: Point) -> bool {
    let [x, y, z] = t;
    let coronal = y - 16.0 + 0.3 * (z - 40.0) + 1.5 * wave(x / 8.0);
    let lambdoid = y + 62.0 - 0.5 * (z - 25.0) + 0.25 * x.abs() + 1.5 * wave(x / 7.0);
    let sagittal = x + 1.2 * wave(y / 7.0);
    z > 0.0
        && (coronal.abs() < 0.5
            || lambdoid.abs() < 0.5
            || (sagittal.abs() < 0.5 && z > 40.0 && y < 14.0 && y > -55.0))
}

/// Skin, subcutaneous fat and galea; muscle at the temples and in the neck.
fn soft_hu(
    head: &Head,
    texture: &Texture,
    t: Point,
    from_skin: f32,
    from_bone: f32,
    muscle: f32,
) -> f32 {
    if from_skin > -2.2 {
        return 60.0;
    }
    if muscle < 0.0 && from_bone < 9.0 {
        return 55.0 + 4.0 * head.grain.at(texture, t);
    }
    if t[2] < -14.0 && from_bone > 2.0 {
        // Fat in strands between the muscles of neck and face.
        let strands = head.thickness.at(texture, t.map(|v| 2.2 * v));
        return 55.0 - 135.0 * ramp(0.3, 0.7, strands);
    }
    // Galea and periosteum.
    if from_bone < 1.2 { 45.0 } else { -75.0 }
}
