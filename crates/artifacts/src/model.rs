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
    /// What sets of labels rest on; missing without calibration cases, and no coverage is claimed then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conformal: Option<ConformalCalibration>,
}

/// What makes a logit that of a probability.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum LogitCalibration {
    /// A line.
    Line {
        /// Where the logit is 0.
        intercept: f64,
        /// Below 1 for a network that is too sure.
        slope: f64,
    },
    /// Straight pieces between logits, both rising, and the probability that each has; beyond the ends it stays.
    Knots {
        /// Logit and probability.
        knots: Vec<[f64; 2]>,
    },
}

impl Default for LogitCalibration {
    /// The logit as it is.
    fn default() -> Self {
        Self::Line { intercept: 0.0, slope: 1.0 }
    }
}

impl LogitCalibration {
    /// The logit of the probability.
    pub fn apply(&self, logit: f64) -> f64 {
        match self {
            Self::Line { intercept, slope } => intercept + slope * logit,
            Self::Knots { knots } => {
                let after = knots.partition_point(|[at, _]| *at < logit);
                let before = after.checked_sub(1).and_then(|place| knots.get(place));
                let probability = match (before, knots.get(after)) {
                    (Some([x0, y0]), Some([x1, y1])) => y0 + (y1 - y0) * (logit - x0) / (x1 - x0),
                    (Some([_, end]), None) | (None, Some([_, end])) => *end,
                    (None, None) => return logit,
                };
                (probability / (1.0 - probability)).ln()
            }
        }
    }
}

/// How a model spoke of the calibration cases in which it found a hematoma.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConformalCalibration {
    /// Of those that stayed stable: calibrated logit and weight.
    pub stable: Vec<[f64; 2]>,
    /// Of those that grew.
    pub growth: Vec<[f64; 2]>,
    /// The most that a case in question can weigh.
    pub most_weight: f64,
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
    /// What the domains cost in it, unweighted: CORAL's distance or the cross-entropy of the domains; empty where they are
    /// not aligned.
    pub train_loss_align: Option<f64>,
    /// The loss of the mask at follow-up, unweighted, over batches in which any is known; empty where none is told.
    #[serde(default)]
    pub train_loss_followup: Option<f64>,
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
    pub const COLUMNS: [&str; 11] = [
        "epoch",
        "learning_rate",
        "train_loss",
        "train_loss_mask",
        "train_loss_label",
        "train_loss_align",
        "train_loss_followup",
        "val_loss",
        "val_dice",
        "val_auroc",
        "n_val",
    ];
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    #[test]
    fn knots_are_joined_by_lines_and_hold_beyond_their_ends() {
        let knots = vec![[-1.0, 0.2], [1.0, 0.4], [3.0, 0.9]];
        let calibration = LogitCalibration::Knots { knots };
        for (logit, expected) in
            [(-9.0, 0.2), (-1.0, 0.2), (0.0, 0.3), (1.0, 0.4), (2.0, 0.65), (9.0, 0.9)]
        {
            let probability = 1.0 / (1.0 + (-calibration.apply(logit)).exp());
            assert!((probability - expected).abs() < 1e-12, "{probability} at {logit}");
        }
    }

    #[test]
    fn both_calibrations_are_read_as_they_are_written() {
        let line = LogitCalibration::Line { intercept: 0.5, slope: 0.8 };
        let knots = LogitCalibration::Knots { knots: vec![[0.0, 0.5]] };
        assert_eq!(serde_json::to_string(&line).unwrap(), r#"{"intercept":0.5,"slope":0.8}"#);
        for calibration in [line, knots] {
            let text = serde_json::to_string(&calibration).unwrap();
            assert_eq!(serde_json::from_str::<LogitCalibration>(&text).unwrap(), calibration);
        }
    }
}
