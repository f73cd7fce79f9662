//! `predictions/1`: what a model says of each case.
//!
//! Beside the tables lie `masks/CASE.nii.gz`, the hematoma in the geometry of the scan, of a network that foretells it
//! `followup_masks/CASE.nii.gz`, the hematoma at follow-up in that geometry, and on request
//! `saliency/CASE.nii.gz`, on the canonical grid: what each voxel has to do with the logit, nowhere negative.

use serde::{Deserialize, Serialize};

use crate::Regime;

/// A row of `predictions.csv`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PredictionRow {
    /// Pseudonym of the scan.
    pub case_id: String,
    /// Whether there is a prediction.
    pub status: PredictionStatus,
    /// Why not, for `refused`; empty otherwise.
    pub reason: Option<String>,
    /// Probability of growth; empty unless the status is `ok`.
    pub probability: Option<f64>,
    /// Its logit, the prior offset included.
    pub logit: Option<f64>,
    /// Predicted hematoma volume, mL; empty for a network without masks.
    pub volume_ml: Option<f64>,
    /// Standard deviation of the logit over the windows of the case; over the models where several speak.
    pub uncertainty: Option<f64>,
    /// Logit of growth of the same head without its hematoma, for cases that have such a scan: what else than the
    /// hematoma makes the model say. A network's logit counts whether or not it finds a hematoma there; empty for a
    /// model that tells growth from a hematoma it does not find.
    #[serde(default)]
    pub twin_logit: Option<f64>,
    /// How well the case conforms to those that stayed stable, 0 to 1: the set of all labels with a p-value above ε
    /// misses the true one at most so often. Empty of a model without calibration cases.
    #[serde(default)]
    pub p_value_stable: Option<f64>,
    /// The same of those that grew.
    #[serde(default)]
    pub p_value_growth: Option<f64>,
    /// The same of the head with the hematoma that the network found filled in like the brain around it: for cases
    /// without such a scan. Empty where none was found, and for a network without masks, which finds no outline.
    #[serde(default)]
    pub inpainted_logit: Option<f64>,
    /// Shannon entropy of growth or not, nats, 0 to ln 2: how far the case is from being told. Of a single model that
    /// of its probability, of several that of the mean of their probabilities; empty unless the status is `ok`.
    #[serde(default)]
    pub entropy_nats: Option<f64>,
    /// The part of it that comes from models that contradict each other; empty where one model speaks.
    #[serde(default)]
    pub mutual_information_nats: Option<f64>,
    /// Volume of the hematoma as it is foretold for the follow-up scan, mL; empty where none was found, and of a network
    /// that does not foretell it.
    #[serde(default)]
    pub predicted_followup_ml: Option<f64>,
}

impl PredictionRow {
    /// The columns, in order.
    pub const COLUMNS: [&str; 14] = [
        "case_id",
        "status",
        "reason",
        "probability",
        "logit",
        "volume_ml",
        "uncertainty",
        "twin_logit",
        "p_value_stable",
        "p_value_growth",
        "inpainted_logit",
        "entropy_nats",
        "mutual_information_nats",
        "predicted_followup_ml",
    ];
}

/// Whether there is a prediction for a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PredictionStatus {
    /// A probability is given.
    Ok,
    /// No hematoma was found: there is nothing that could grow.
    NoLesion,
    /// The case could not be predicted; the reason says why.
    Refused,
}

/// `predictions.json`: which model spoke.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PredictionCard {
    /// The model's arm.
    pub arm: String,
    /// How the cohort was split.
    pub regime: Regime,
    /// Index of the fold.
    pub fold: usize,
    /// Seed of the training; of several models that speak as one, of the first.
    pub seed: u64,
    /// How many models speak as one.
    #[serde(default = "one")]
    pub n_models: usize,
    /// Probability above which a voxel counts as lesion.
    pub mask_threshold: f64,
    /// Whether `masks/` holds a mask for each case with status `ok`.
    pub has_masks: bool,
    /// How frequent growth was taken to be among test cases; missing where as frequent as in training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_shift: Option<LabelShiftEstimate>,
}

fn one() -> usize {
    1
}

/// How frequent growth is among test cases, told from unlabelled ones.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LabelShiftEstimate {
    /// Unlabelled cases with a probability.
    pub n_target: usize,
    /// Share that grew in training, weights counted.
    pub training_share: f64,
    /// Share that is expected to grow.
    pub target_share: f64,
    /// Its 95 % interval over draws of those cases; missing in tables of before.
    #[serde(default)]
    pub target_share_ci95: Option<[f64; 2]>,
    /// What that adds to each test case's logit.
    pub logit_offset: f64,
}
