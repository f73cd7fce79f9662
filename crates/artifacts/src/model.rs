//! `model/1`: a trained network with all that is needed to apply it.

use serde::{Deserialize, Serialize};

use crate::{Preparation, Regime, Role};

/// `model.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelCard {
    /// Always [`ModelCard::FORMAT`]; a foreign model says something else and is refused by name.
    pub format: String,
    /// Name of the arm it was trained as.
    pub arm: String,
    /// The network's config, as the crate `model` reads it.
    pub architecture: serde_json::Value,
    /// How its output becomes a statement on a case, as the crate `model` reads it.
    pub decision: serde_json::Value,
    /// How its images were prepared.
    pub preparation: Preparation,
    /// How the cohort was split.
    pub regime: Regime,
    /// Index of the fold.
    pub fold: usize,
    /// Seed of the training.
    pub seed: u64,
    /// Added to the growth logit: log(Σ₁w / Σ₀w) undoes the class-balanced sampling.
    pub prior_logit_offset: f64,
    /// How the network's growth logit, prior offset added, becomes that of a probability.
    pub calibration: LogitCalibration,
    /// Log-odds of growth where its probabilities hold; missing in a model that no other prior can be told of.
    #[serde(default)]
    pub prior_logit: Option<f64>,
    /// Mean probability that it gave stable and growing cases which it was not fitted to; missing with one class.
    #[serde(default)]
    pub mean_probabilities: Option<[f64; 2]>,
    /// Training cases, and those that grew.
    pub n_train: usize,
    /// Training cases that grew.
    pub n_train_growth: usize,
    /// Epoch of the stored weights, from 0.
    pub best_epoch: usize,
    /// Number of trained values.
    pub n_parameters: usize,
    /// Vector instructions it was trained with; results differ in bits between levels.
    pub simd: String,
    /// Where growth is told by a regression on the mask's features and not by the network: the regression, as the
    /// crate `model` reads it. The prior offset is then not added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub growth_regression: Option<serde_json::Value>,
}

/// A line that makes a logit that of a probability.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LogitCalibration {
    /// Where the logit is 0.
    pub intercept: f64,
    /// Below 1 for a network that is too sure.
    pub slope: f64,
}

impl Default for LogitCalibration {
    /// The logit as it is.
    fn default() -> Self {
        Self { intercept: 0.0, slope: 1.0 }
    }
}

impl LogitCalibration {
    /// The logit of the probability.
    pub fn apply(&self, logit: f64) -> f64 {
        self.intercept + self.slope * logit
    }
}

impl ModelCard {
    /// The format that the crate `predict` reads.
    pub const FORMAT: &'static str = "hemex-model/1";
}

/// A row of `patients.csv`: a patient whose label or mask has shaped the model, or one that it began with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelPatientRow {
    /// Pseudonym of the patient.
    pub patient_id: String,
    /// `train`, or `val` where it has chosen the epoch and no more.
    pub role: Role,
}

impl ModelPatientRow {
    /// The columns, in order.
    pub const COLUMNS: [&str; 2] = ["patient_id", "role"];
}

/// A row of `history.csv`: one epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistoryRow {
    /// Index of the epoch.
    pub epoch: usize,
    /// Learning rate of its last step.
    pub learning_rate: f64,
    /// Mean training loss.
    pub train_loss: f64,
    /// Its part for the mask, unweighted; empty for a network without masks.
    pub train_loss_mask: Option<f64>,
    /// Its part for the label, unweighted.
    pub train_loss_label: f64,
    /// Mean validation loss.
    pub val_loss: f64,
    /// Mean Dice over validation cases with a reference lesion.
    pub val_dice: Option<f64>,
    /// AUROC over validation cases; empty with one class.
    pub val_auroc: Option<f64>,
    /// Validation cases.
    pub n_val: usize,
}

impl HistoryRow {
    /// The columns, in order.
    pub const COLUMNS: [&str; 9] = [
        "epoch",
        "learning_rate",
        "train_loss",
        "train_loss_mask",
        "train_loss_label",
        "val_loss",
        "val_dice",
        "val_auroc",
        "n_val",
    ];
}
