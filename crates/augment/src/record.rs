//! What an example says of how it was made: a row of `draws.csv`, a file of `draws/`.

use hemex_volume::{LabelMap, Lesion};
use serde::{Deserialize, Serialize};

use crate::{Drawn, TransplantProvenance};

/// Blood, whose volume a draw's effect is reported on.
pub(crate) const BLOOD: [u8; 3] =
    [Lesion::Intraparenchymal as u8, Lesion::Intraventricular as u8, Lesion::ExtraAxial as u8];

/// All that makes an example out of its case, as in `draws/<example>.json`: first the hematoma of another
/// patient, if one was planted, then the transform.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExampleRecord {
    /// The example.
    pub case_id: String,
    /// The case it was made from.
    pub source_case_id: String,
    /// The planted hematoma.
    pub transplant: Option<TransplantProvenance>,
    /// The transform.
    pub drawn: Drawn,
}

/// A row of `draws.csv`. Triples are a column an axis.
#[derive(Serialize)]
pub(crate) struct DrawRow {
    case_id: String,
    source_case_id: String,
    flip: u8,
    rotation_d_deg: f64,
    rotation_h_deg: f64,
    rotation_w_deg: f64,
    magnification: f64,
    translation_d_mm: f64,
    translation_h_mm: f64,
    translation_w_mm: f64,
    elastic_strength: Option<f64>,
    elastic_max_displacement_mm: Option<f64>,
    elastic_min_jacobian: Option<f64>,
    elastic_max_jacobian: Option<f64>,
    lesion_strength: Option<f64>,
    lesion_volume_factor: Option<f64>,
    blur_mm: f64,
    gain: f64,
    offset_hu: f64,
    noise_hu: f64,
    volume_factor: f64,
    /// With the planted hematoma.
    blood_before_ml: f64,
    blood_after_ml: f64,
    gamma: f64,
    slice_thickness_mm: Option<f64>,
    pixel_mm: Option<f64>,
    streak_amplitude_hu: Option<f64>,
    noise_fwhm_mm: f64,
    noise_edge_enhancement: f64,
    site: Option<String>,
    donor_case_id: Option<String>,
    donor_patient_id: Option<String>,
}

impl DrawRow {
    pub(crate) const COLUMNS: [&str; 32] = [
        "case_id",
        "source_case_id",
        "flip",
        "rotation_d_deg",
        "rotation_h_deg",
        "rotation_w_deg",
        "magnification",
        "translation_d_mm",
        "translation_h_mm",
        "translation_w_mm",
        "elastic_strength",
        "elastic_max_displacement_mm",
        "elastic_min_jacobian",
        "elastic_max_jacobian",
        "lesion_strength",
        "lesion_volume_factor",
        "blur_mm",
        "gain",
        "offset_hu",
        "noise_hu",
        "volume_factor",
        "blood_before_ml",
        "blood_after_ml",
        "gamma",
        "slice_thickness_mm",
        "pixel_mm",
        "streak_amplitude_hu",
        "noise_fwhm_mm",
        "noise_edge_enhancement",
        "site",
        "donor_case_id",
        "donor_patient_id",
    ];

    /// The row of an example, given the mask before and after the transform.
    pub(crate) fn of(record: &ExampleRecord, before: &LabelMap, after: &LabelMap) -> Self {
        let ExampleRecord { case_id, source_case_id, transplant, drawn } = record;
        let (elastic, lesion) = (drawn.elastic.as_ref(), drawn.lesion.as_ref());
        let (scanner, donor) = (&drawn.scanner, transplant.as_ref());
        Self {
            case_id: case_id.clone(),
            source_case_id: source_case_id.clone(),
            flip: u8::from(drawn.flip),
            rotation_d_deg: drawn.rotation_deg[0],
            rotation_h_deg: drawn.rotation_deg[1],
            rotation_w_deg: drawn.rotation_deg[2],
            magnification: drawn.magnification,
            translation_d_mm: drawn.translation_mm[0],
            translation_h_mm: drawn.translation_mm[1],
            translation_w_mm: drawn.translation_mm[2],
            elastic_strength: elastic.map(|e| e.strength),
            elastic_max_displacement_mm: elastic.map(|e| e.extremes.max_displacement_mm),
            elastic_min_jacobian: elastic.map(|e| e.extremes.min_jacobian),
            elastic_max_jacobian: elastic.map(|e| e.extremes.max_jacobian),
            lesion_strength: lesion.map(|lesion| lesion.strength),
            lesion_volume_factor: lesion.map(|lesion| lesion.volume_factor),
            blur_mm: drawn.blur_mm,
            gain: drawn.gain,
            offset_hu: drawn.offset_hu,
            noise_hu: drawn.noise_hu,
            volume_factor: drawn.volume_factor(),
            blood_before_ml: before.volume_ml(&BLOOD),
            blood_after_ml: after.volume_ml(&BLOOD),
            gamma: scanner.gamma,
            slice_thickness_mm: scanner.slice_thickness_mm,
            pixel_mm: scanner.pixel_mm,
            streak_amplitude_hu: scanner.streaks.map(|streaks| streaks.amplitude_hu),
            noise_fwhm_mm: scanner.noise_kernel.fwhm_mm,
            noise_edge_enhancement: scanner.noise_kernel.edge_enhancement,
            site: drawn.site.clone(),
            donor_case_id: donor.map(|t| t.drawn.donor_case_id.clone()),
            donor_patient_id: donor.map(|t| t.donor_patient_id.clone()),
        }
    }
}
