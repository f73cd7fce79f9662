//! `weights/1`: weights of training and calibration cases toward a target domain.

use serde::{Deserialize, Serialize};

use crate::Regime;

/// A row of `weights.csv`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WeightRow {
    /// How the cohort is split.
    pub regime: Regime,
    /// Index of the fold.
    pub fold: usize,
    /// A training or calibration case of that fold.
    pub case_id: String,
    /// Its weight; mean 1 over the fold.
    pub weight: f64,
}

impl WeightRow {
    /// The columns, in order.
    pub const COLUMNS: [&str; 4] = ["regime", "fold", "case_id", "weight"];
}

/// An entry of `weights.json`: how far the weights of a fold can be trusted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WeightSummary {
    /// How the cohort is split.
    pub regime: Regime,
    /// Index of the fold.
    pub fold: usize,
    /// Training cases, calibration cases among them where there are some.
    pub n_train: usize,
    /// Cases of the target domain; 0 where the regime has none, all weights are 1 then.
    pub n_target: usize,
    /// (Σw)² / Σw².
    pub effective_sample_size: f64,
    /// Cross-validated AUROC with which the features tell the domains apart; 0.5: not at all.
    pub domain_auroc: Option<f64>,
    /// Share of target cases within the range of the training cases' domain scores.
    pub overlap: Option<f64>,
    /// Squared maximum mean discrepancy of the domains by their features, and its permutation p-value.
    pub mean_discrepancy: Option<(f64, f64)>,
    /// Features the weights rest on.
    pub features: Vec<FeatureBalance>,
    /// Features that tell the domains apart without overlap, or cannot be used: reported, not used.
    pub features_reported_only: Vec<ReportedFeature>,
    /// How many weights were clipped.
    pub n_clipped: usize,
    /// The most that a case can weigh, since larger ratios are clipped; missing where none are.
    #[serde(default)]
    pub most_weight: Option<f64>,
}

/// How far apart the domains' means of a feature lie.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeatureBalance {
    /// Its name.
    pub name: String,
    /// Standardised difference of the means, target less training cases; missing for a constant.
    pub difference: Option<f64>,
    /// The same with the weights.
    pub weighted_difference: Option<f64>,
}

/// A feature that is reported and not used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportedFeature {
    /// Its name.
    pub name: String,
    /// Why it is not used.
    pub reason: String,
}
