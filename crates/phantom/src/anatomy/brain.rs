//! What lies inside the skull.

use super::{Head, ventricles};
use crate::shape::{Capsule, Ellipsoid, Point, ramp, to_right, wave};
use crate::texture::Texture;

const CSF_HU: f32 = 5.0;
// Grey and white matter lie 5 to 7 HU apart.
const GREY_HU: f32 = 35.0;
const WHITE_HU: f32 = 28.5;
/// Falx, tentorium and the blood of the sinuses.
const DURA_HU: f32 = 55.0;
/// Where the falx fades: some fluid, some cortex.
const FALX_SIDE_HU: f32 = 22.0;

const CAUDATE: Ellipsoid = Ellipsoid::new([13.5, 19.0, 9.0], [5.0, 9.0, 8.0]);
const LENTIFORM: Ellipsoid = Ellipsoid::new([24.0, 4.0, 3.0], [7.0, 16.0, 9.0]);
const THALAMUS: Ellipsoid = Ellipsoid::new([10.5, -12.0, 7.0], [8.0, 13.0, 9.0]);
const INSULAR_CISTERN: Ellipsoid = Ellipsoid::new([39.0, 6.0, 3.0], [1.9, 17.0, 11.0]);
const INSULA: Ellipsoid = Ellipsoid::new([39.0, 6.0, 3.0], [5.5, 21.0, 14.0]);
const SUPRASELLAR: Ellipsoid = Ellipsoid::new([0.0, 8.0, -16.0], [12.0, 11.0, 5.5]);
const SYLVIAN_STEM: Capsule = Capsule::new([10.0, 10.0, -15.0], [34.0, 14.0, -9.0], [2.2, 1.8]);
const QUADRIGEMINAL: Ellipsoid = Ellipsoid::new([0.0, -33.0, 0.0], [10.0, 4.0, 6.0]);
const AMBIENT: Capsule = Capsule::new([9.0, -33.0, -1.0], [18.0, -17.0, -8.0], [2.2, 1.8]);
const BRAINSTEM: Ellipsoid = Ellipsoid::new([0.0, -16.0, -26.0], [14.5, 13.5, 32.0]);
const DEEP_CEREBELLUM: Ellipsoid = Ellipsoid::new([20.0, -44.0, -34.0], [13.0, 11.0, 7.0]);

/// Spaces that blood can fill, or that it must not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Space {
    /// Tissue.
    Parenchyma,
    /// A lateral or the third ventricle.
    Ventricle,
    /// Cerebrospinal fluid of cisterns, fissures and sulci.
    Subarachnoid,
    /// Dura, bone, calcifications, the fourth ventricle.
    Other,
}

/// What is found at a point inside the skull.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tissue {
    pub(crate) hu: f32,
    pub(crate) space: Space,
}

impl Tissue {
    pub(super) fn other(hu: f32) -> Self {
        Self { hu, space: Space::Other }
    }

    fn subarachnoid(hu: f32) -> Self {
        Self { hu, space: Space::Subarachnoid }
    }

    fn parenchyma(hu: f32) -> Self {
        Self { hu, space: Space::Parenchyma }
    }
}

/// Whether the point lies below the tentorium: behind the petrous ridges, under a roof that rises
/// toward the midline.
pub(super) fn is_infratentorial(t: Point) -> bool {
    t[2] < tentorium_mm(t) && t[1] < ridge_mm(t)
}

/// Whether the point lies in the cerebellum, clear of the tentorium.
pub(super) fn is_cerebellum(t: Point) -> bool {
    t[2] < tentorium_mm(t) - 3.0
        && t[1] < ridge_mm(t) - 3.0
        && !BRAINSTEM.contains(t)
        && !ventricles::is_fourth(t)
}

fn tentorium_mm([x, y, _]: Point) -> f32 {
    -1.0 - 0.4 * x.abs() + 0.1 * (y + 30.0)
}

fn ridge_mm([x, _, _]: Point) -> f32 {
    9.0 - 0.62 * x.abs()
}

/// Whether the point lies in one of the cisterns of the base.
pub(super) fn is_basal_cistern(t: Point) -> bool {
    let right = to_right(t);
    t[2] > -24.0
        && t[2] < 16.0
        && (SUPRASELLAR.contains(t)
            || SYLVIAN_STEM.contains(right)
            || QUADRIGEMINAL.contains(t)
            || AMBIENT.contains(right))
}

/// Whether the point lies in the Sylvian fissure or over the insula; a hematoma presses this flat.
fn is_sylvian_fissure(t: Point) -> bool {
    let right = to_right(t);
    t[2] > -10.0 && t[2] < 16.0 && (INSULAR_CISTERN.contains(insular(right)) || is_sylvian(right))
}

/// The insula is flat in this frame: it bends around the deep nuclei.
fn insular([x, y, z]: Point) -> Point {
    [x + 0.012 * (y - 6.0) * (y - 6.0), y, z]
}

/// The cleft from the insula out to the surface, so steep that each slice shows it as a line.
fn is_sylvian([x, y, z]: Point) -> bool {
    let from_cleft_mm = 0.6 * (y - 8.0) - 0.8 * (z - 3.0) + 1.5 * wave(x / 24.0);
    x > 38.0 && from_cleft_mm.abs() < 1.1 && (-9.0..14.0).contains(&z)
}

/// The tissue `depth_mm` inside the skull.
pub(super) fn tissue(head: &Head, texture: &Texture, t: Point, depth_mm: f32) -> Tissue {
    if let Some(hu) = head.calcification(t) {
        return Tissue::other(hu);
    }
    if let Some(dura) = dura(head, t, depth_mm) {
        return dura;
    }
    if is_infratentorial(t) {
        return infratentorial(texture, head, t, depth_mm);
    }
    let ventricle_mm = head.lateral_ventricle_mm(t);
    if ventricle_mm < 0.0 || ventricles::is_third(t, head.atrophy) {
        return Tissue { hu: CSF_HU, space: Space::Ventricle };
    }
    if is_basal_cistern(t) || is_sylvian_fissure(t) {
        return Tissue::subarachnoid(CSF_HU);
    }
    let fissure_mm = interhemispheric_mm(head, t);
    // Open in places, closed in others.
    let gap_mm = 0.1 + 0.9 * head.atrophy + 1.1 * head.fold_width.at(texture, t);
    if fissure_mm < gap_mm {
        return Tissue::subarachnoid(CSF_HU + 3.0);
    }
    cerebrum(head, texture, t, depth_mm, fissure_mm, ventricle_mm)
}

/// Distance to the midline where the hemispheres are apart; far elsewhere (corpus callosum and below).
fn interhemispheric_mm(head: &Head, t: Point) -> f32 {
    let [_, y, z] = t;
    let joined =
        (y + 4.0) * (y + 4.0) / (38.0 * 38.0) + (z - 4.0) * (z - 4.0) / (24.0 * 24.0) < 1.0;
    if joined { 50.0 } else { (t[0] + midline_shift_mm(head, t)).abs() }
}

fn midline_shift_mm(head: &Head, [_, y, z]: Point) -> f32 {
    0.7 * wave((y + 0.3 * z) / 63.0 + head.midline_phase)
}

/// Falx, tentorium, sagittal and transverse sinus.
fn dura(head: &Head, t: Point, depth_mm: f32) -> Option<Tissue> {
    let [_, y, z] = t;
    let x = (t[0] + midline_shift_mm(head, t)).abs();
    let beyond =
        (y + 4.0) * (y + 4.0) / (54.0 * 54.0) + (z - 2.0) * (z - 2.0) / (40.0 * 40.0) > 1.0;
    let sagittal = x < 4.5 - 0.7 * depth_mm && z > -8.0 && (y < 30.0 || z > 50.0);
    let behind_ridge = y < ridge_mm(t);
    let from_roof = z - tentorium_mm(t);
    let transverse = depth_mm < 5.0 && from_roof.abs() < 4.0 && y < -42.0;
    if sagittal || transverse {
        return Some(Tissue::other(DURA_HU));
    }
    // Sheets thinner than a pixel fade at their faces: hard edges would alias into beads.
    let falx = 1.0 - ramp(0.2, 1.4, x);
    if falx > 0.0 && z > -12.0 && beyond {
        return Some(Tissue::other(FALX_SIDE_HU + falx * (DURA_HU - FALX_SIDE_HU)));
    }
    let tentorium = (1.0 - ramp(0.2, 1.8, from_roof.abs())) * ramp(-8.0, -22.0, y);
    (tentorium > 0.0 && behind_ridge)
        .then(|| Tissue::other(GREY_HU + 0.6 * tentorium * (DURA_HU - GREY_HU)))
}

fn infratentorial(texture: &Texture, head: &Head, t: Point, depth_mm: f32) -> Tissue {
    if ventricles::is_fourth(t) {
        return Tissue::other(CSF_HU);
    }
    if BRAINSTEM.contains(t) {
        return Tissue::parenchyma(32.0);
    }
    let prepontine = t[1] > -15.0 && t[0].abs() < 16.0;
    if depth_mm < 1.5 + 1.5 * head.atrophy || prepontine {
        return Tissue::subarachnoid(CSF_HU + 4.0);
    }
    if DEEP_CEREBELLUM.contains(to_right(t)) {
        return Tissue::parenchyma(33.0);
    }
    // Folia: layers along the surface.
    let layers =
        wave((depth_mm + 0.3 * t[2] + 1.5 * head.grain.at(texture, t.map(|v| 0.3 * v))) / 5.5);
    Tissue::parenchyma(37.0 + 3.0 * layers)
}

/// Cortex with folds, white matter and deep nuclei.
fn cerebrum(
    head: &Head,
    texture: &Texture,
    t: Point,
    depth_mm: f32,
    fissure_mm: f32,
    ventricle_mm: f32,
) -> Tissue {
    let right = to_right(t);
    let deep = right[0] < 46.0 && (-30.0..32.0).contains(&t[1]) && (-16.0..20.0).contains(&t[2]);
    if deep {
        let nucleus =
            CAUDATE.contains(right) || LENTIFORM.contains(right) || THALAMUS.contains(right);
        if nucleus || INSULA.contains(insular(right)) {
            return Tissue::parenchyma(GREY_HU - 1.0);
        }
    }
    if depth_mm < 24.0 {
        // Sulci are the zeros of smooth noise; its slope turns distances into values.
        let slope_per_mm = 0.27;
        let from_sulcus_mm = head.folds.at(texture, Head::on_sphere(t)).abs() / slope_per_mm;
        let width = head.fold_width.at(texture, t);
        let open_mm = (0.35 + 0.9 * head.atrophy + 0.5 * width).max(0.0);
        let rim_mm = 0.3 + (1.6 * head.atrophy + 0.5 * width).max(0.0);
        let bottom_mm = 16.0 + 4.5 * width;
        let taper = 1.0 - ramp(3.0, bottom_mm, depth_mm);
        if depth_mm < rim_mm || from_sulcus_mm < open_mm * taper {
            return Tissue::subarachnoid(CSF_HU + 3.0);
        }
        let cortex_mm = 3.0;
        let beside_sulcus =
            depth_mm < bottom_mm + cortex_mm && from_sulcus_mm < cortex_mm + open_mm;
        if depth_mm < rim_mm + cortex_mm || beside_sulcus {
            return Tissue::parenchyma(GREY_HU);
        }
    }
    if fissure_mm < 4.0 + head.atrophy {
        return Tissue::parenchyma(GREY_HU);
    }
    // Ageing shows around the ventricles first.
    let caps = 4.0 * head.atrophy * (1.0 - ramp(1.0, 9.0, ventricle_mm));
    Tissue::parenchyma(WHITE_HU - caps)
}
