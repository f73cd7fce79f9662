//! `labels/1`: growth labels, volumes, reference masks.

use hemex_volume::LesionDescriptors;
use serde::{Deserialize, Serialize};

use crate::flag;

/// A row of `labels.csv`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabelRow {
    /// Pseudonym of the scan.
    pub case_id: String,
    /// Whether the hematoma grew; `None` where that is undefined or unknown.
    #[serde(with = "flag")]
    pub growth: Option<bool>,
    /// Why the label is undefined, empty where it is not.
    pub growth_undefined_reason: Option<String>,
    /// Hematoma volume of the baseline scan, mL.
    pub baseline_volume_ml: Option<f64>,
    /// Hematoma volume of the follow-up scan, mL.
    pub followup_volume_ml: Option<f64>,
    /// Hours between the scans.
    pub followup_interval_h: Option<f64>,
    /// Reference mask relative to the artifact (`masks/<case_id>.nii`), if there is one.
    pub mask: Option<String>,
    /// True probability of growth (phantom alone), all inputs known.
    pub true_probability: Option<f64>,
    /// True probability of growth (phantom alone) given the image signs alone.
    pub true_probability_image_signs: Option<f64>,
    /// Mask of the follow-up scan on the grid of the case's image, relative to the artifact
    /// (`followup_masks/<case_id>.nii`), if there is one; labels as in `mask`. Tables without the column have none.
    #[serde(default)]
    pub followup_mask: Option<String>,
}

impl LabelRow {
    /// The columns, in order.
    pub const COLUMNS: [&str; 10] = [
        "case_id",
        "growth",
        "growth_undefined_reason",
        "baseline_volume_ml",
        "followup_volume_ml",
        "followup_interval_h",
        "mask",
        "true_probability",
        "true_probability_image_signs",
        "followup_mask",
    ];
}

/// A row of `lesions.csv`: a hematoma as its baseline mask shows it, those labels alone whose volume
/// decides growth. Cases without a mask or with an empty one have no row; the table may be missing.
/// Definitions: [`LesionDescriptors`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LesionRow {
    /// Pseudonym of the scan.
    pub case_id: String,
    /// Volume, mL.
    pub volume_ml: f64,
    /// Connected parts.
    pub n_components: usize,
    /// Volume by ABC/2, mL.
    pub abc2_ml: f64,
    /// Surface, mm².
    pub surface_mm2: f64,
    /// Area of a ball of that volume over the surface.
    pub sphericity: f64,
    /// Mean, HU.
    pub mean_hu: f64,
    /// Standard deviation, HU.
    pub sd_hu: f64,
    /// How far its centre of mass lies to the patient's right of the brain's, mm; negative: left.
    pub right_mm: f64,
    /// How far its centre of mass lies in front of the brain's, mm.
    pub anterior_mm: f64,
    /// How far its centre of mass lies above the brain's, mm.
    pub superior_mm: f64,
}

impl LesionRow {
    /// The columns, in order.
    pub const COLUMNS: [&str; 11] = [
        "case_id",
        "volume_ml",
        "n_components",
        "abc2_ml",
        "surface_mm2",
        "sphericity",
        "mean_hu",
        "sd_hu",
        "right_mm",
        "anterior_mm",
        "superior_mm",
    ];

    /// The row of a case; the centre of mass of its brain as `[x, y, z]`, mm, RAS+.
    pub fn new(case_id: &str, lesion: &LesionDescriptors, brain_mm: [f64; 3]) -> Self {
        let [right_mm, anterior_mm, superior_mm] =
            std::array::from_fn(|axis| lesion.centroid_mm[axis] - brain_mm[axis]);
        Self {
            case_id: case_id.to_owned(),
            volume_ml: lesion.volume_ml,
            n_components: lesion.n_components,
            abc2_ml: lesion.abc2_ml,
            surface_mm2: lesion.surface_mm2,
            sphericity: lesion.sphericity,
            mean_hu: lesion.mean_hu,
            sd_hu: lesion.sd_hu,
            right_mm,
            anterior_mm,
            superior_mm,
        }
    }
}

/// `labels.json`: the rule and its outcome.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabelSummary {
    /// The rule, as configured.
    pub rule: serde_json::Value,
    /// Cases that grew.
    pub n_growth: usize,
    /// Cases that did not.
    pub n_stable: usize,
    /// Cases whose label is undefined.
    pub n_undefined: usize,
    /// What became of the follow-up masks, where they were wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub followup_masks: Option<FollowupSummary>,
    /// What the best possible predictor reaches (phantom alone).
    pub oracle: Option<Oracle>,
}

/// Cases with a follow-up mask, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowupSummary {
    /// It lies on the grid of the case's image.
    pub n_carried: usize,
    /// It could not be carried over for want of a follow-up CT.
    pub n_without_image: usize,
    /// It could not be carried over since a file is of no use or the two scans do not agree.
    pub n_refused: usize,
}

/// AUROC of the true probabilities in the population that a phantom is drawn from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Oracle {
    /// All inputs known.
    pub auroc_population: f64,
    /// The image signs alone known.
    pub auroc_population_image_signs: f64,
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;
    use crate::table;

    #[test]
    fn a_table_from_before_follow_up_masks_reads_as_one_without() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("labels.csv");
        let header = LabelRow::COLUMNS[..9].join(",");
        std::fs::write(&path, format!("{header}\na,1,,4,9,24,masks/a.nii,,\n")).unwrap();
        let mut rows: Vec<LabelRow> = table::read_rows(&path).unwrap();
        assert_eq!((rows[0].mask.as_deref(), &rows[0].followup_mask), (Some("masks/a.nii"), &None));
        rows[0].followup_mask = Some("followup_masks/a.nii".to_owned());
        rows.push(LabelRow { case_id: "b".to_owned(), followup_mask: None, ..rows[0].clone() });
        table::write_rows(&path, &LabelRow::COLUMNS, &rows).unwrap();
        assert_eq!(table::read_rows::<LabelRow>(&path).unwrap(), rows);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.lines().next().unwrap().ends_with(",followup_mask"), "{text}");
    }
}
