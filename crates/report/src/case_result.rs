use hemex_artifacts::{PredictionStatus, Regime, Role, flag};
use serde::{Deserialize, Serialize};

/// A row of the report's `cases.csv`: what one model said of one case, beside the truth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaseResult {
    /// Pseudonym of the scan.
    pub case_id: String,
    /// Pseudonym of the patient.
    pub patient_id: String,
    /// Where it was scanned.
    pub site: String,
    /// How the cohort was split.
    pub regime: Regime,
    /// The model's fold.
    pub fold: usize,
    /// The model's seed.
    pub seed: u64,
    /// The model's arm.
    pub arm: String,
    /// The case's role in that fold.
    pub role: Role,
    /// Whether there is a prediction.
    pub status: Status,
    /// Why not.
    pub reason: Option<String>,
    /// Whether the hematoma grew.
    #[serde(with = "flag")]
    pub growth: Option<bool>,
    /// Predicted probability of growth.
    pub probability: Option<f64>,
    /// Its logit.
    pub logit: Option<f64>,
    /// Standard deviation of the logit over the windows of the case.
    pub uncertainty: Option<f64>,
    /// Logit of growth of the same head without its hematoma (phantom alone).
    #[serde(default)]
    pub twin_logit: Option<f64>,
    /// P-value of staying stable, by a model's calibration cases.
    #[serde(default)]
    pub p_value_stable: Option<f64>,
    /// P-value of growing.
    #[serde(default)]
    pub p_value_growth: Option<f64>,
    /// The same of the head with the hematoma that the network found filled in.
    #[serde(default)]
    pub inpainted_logit: Option<f64>,
    /// Entropy of growth or not, nats; of several models that of the mean of their probabilities.
    #[serde(default)]
    pub entropy_nats: Option<f64>,
    /// The part of it that comes from models that contradict each other, nats.
    #[serde(default)]
    pub mutual_information_nats: Option<f64>,
    /// True probability of growth, all inputs known (phantom alone).
    pub true_probability: Option<f64>,
    /// True probability of growth given the image signs alone (phantom alone).
    pub true_probability_image_signs: Option<f64>,
    /// Dice of the predicted mask with the reference, canonical grid.
    pub dice: Option<f64>,
    /// Share of the reference that was found.
    pub mask_sensitivity: Option<f64>,
    /// Share of the predicted mask that is right.
    pub mask_precision: Option<f64>,
    /// 95th percentile of the Hausdorff distance, mm.
    pub hd95_mm: Option<f64>,
    /// Share of both surfaces' area within the tolerance of the config of the other.
    pub surface_dice: Option<f64>,
    /// F1 of finding connected lesions, one voxel in common being enough.
    pub lesion_f1: Option<f64>,
    /// Share of what the logit rests on that lies in the reference lesion.
    #[serde(default)]
    pub saliency_lesion: Option<f64>,
    /// Share of it that lies within 5 mm around.
    #[serde(default)]
    pub saliency_rim: Option<f64>,
    /// Share of it that lies elsewhere in the brain; what is left of 1 lies outside.
    #[serde(default)]
    pub saliency_brain: Option<f64>,
    /// Share of the voxels of brain and lesion that the lesion holds: what a map that favours none has in it.
    #[serde(default)]
    pub lesion_share: Option<f64>,
    /// Predicted volume, mL.
    pub volume_ml: Option<f64>,
    /// Reference volume, mL.
    pub reference_volume_ml: Option<f64>,
    /// Volume as it was foretold for the follow-up scan, mL.
    #[serde(default)]
    pub predicted_followup_ml: Option<f64>,
    /// Volume of the follow-up scan, mL.
    #[serde(default)]
    pub followup_volume_ml: Option<f64>,
}

impl CaseResult {
    /// The columns, in order.
    pub const COLUMNS: [&str; 36] = [
        "case_id",
        "patient_id",
        "site",
        "regime",
        "fold",
        "seed",
        "arm",
        "role",
        "status",
        "reason",
        "growth",
        "probability",
        "logit",
        "uncertainty",
        "twin_logit",
        "p_value_stable",
        "p_value_growth",
        "inpainted_logit",
        "entropy_nats",
        "mutual_information_nats",
        "true_probability",
        "true_probability_image_signs",
        "dice",
        "mask_sensitivity",
        "mask_precision",
        "hd95_mm",
        "surface_dice",
        "lesion_f1",
        "saliency_lesion",
        "saliency_rim",
        "saliency_brain",
        "lesion_share",
        "volume_ml",
        "reference_volume_ml",
        "predicted_followup_ml",
        "followup_volume_ml",
    ];

    /// What the case is ranked by for AUROC and AUPRC: its probability, below all others if no
    /// lesion was found, and nothing if the case was refused or never predicted.
    pub fn score(&self) -> Option<f64> {
        match self.status {
            Status::Ok => self.probability,
            Status::NoLesion => Some(f64::NEG_INFINITY),
            Status::Refused | Status::Missing => None,
        }
    }
}

/// Whether a model gave a prediction for a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// A probability is given.
    Ok,
    /// No hematoma was found.
    NoLesion,
    /// The case could not be predicted.
    Refused,
    /// A test case that the predictions lack.
    Missing,
}

impl Status {
    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::NoLesion => "no_lesion",
            Status::Refused => "refused",
            Status::Missing => "missing",
        }
    }
}

impl From<PredictionStatus> for Status {
    fn from(status: PredictionStatus) -> Self {
        match status {
            PredictionStatus::Ok => Status::Ok,
            PredictionStatus::NoLesion => Status::NoLesion,
            PredictionStatus::Refused => Status::Refused,
        }
    }
}
