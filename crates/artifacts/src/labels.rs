//! `labels/1`: growth labels, volumes, reference masks.

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
}

impl LabelRow {
    /// The columns, in order.
    pub const COLUMNS: [&str; 9] = [
        "case_id",
        "growth",
        "growth_undefined_reason",
        "baseline_volume_ml",
        "followup_volume_ml",
        "followup_interval_h",
        "mask",
        "true_probability",
        "true_probability_image_signs",
    ];
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
    /// What the best possible predictor reaches (phantom alone).
    pub oracle: Option<Oracle>,
}

/// AUROC of the true probabilities in the population that a phantom is drawn from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Oracle {
    /// All inputs known.
    pub auroc_population: f64,
    /// The image signs alone known.
    pub auroc_population_image_signs: f64,
}
