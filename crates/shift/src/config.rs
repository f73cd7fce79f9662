use hemex_stage::suggest::did_you_mean;
use hemex_stage::{ConfigError, check_fraction, check_positive, check_range};
use serde::Deserialize;

use crate::{Estimator, FEATURES, Method};

/// The config as it is written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawConfig {
    /// What the domains are told apart by; names of [`FEATURES`].
    pub features: Vec<String>,
    /// A feature that alone, or whose absence, reaches this AUROC (in either direction) is reported, not used.
    pub max_feature_auroc: f64,
    /// What estimates the ratio of densities.
    pub method: Method,
    /// Strength of the penalty on the squared coefficients of standardised features, a case, of the regression that
    /// tells the domains apart.
    pub l2: f64,
    /// Of RuLSIF: share of the target domain in the denominator of the ratio, from 0 to below 1.
    pub relative_alpha: f64,
    /// Folds of the cross-fitted AUROC of the domains, and of the choice of a kernel's width.
    pub n_folds: usize,
    /// Permutations of the two-sample test.
    pub n_permutations: usize,
    /// Largest weight before the weights are scaled to mean 1.
    pub max_weight: f64,
    /// The clipped weights are raised to this power, above 0 to 1: 1 leaves them, a lower one flattens them, which
    /// trades bias for effective sample size (Shimodaira, J Stat Plan Inference 90, 2000, 227–244).
    pub power: f64,
    /// A warning is given where the effective sample size is below this share of the cases.
    pub min_effective_share: f64,
}

/// The config, checked.
#[derive(Debug, Clone)]
pub struct Config {
    pub(crate) features: Vec<String>,
    pub(crate) max_feature_auroc: f64,
    pub(crate) estimator: Estimator,
    pub(crate) n_permutations: usize,
    pub(crate) max_weight: f64,
    pub(crate) power: f64,
    pub(crate) min_effective_share: f64,
}

impl TryFrom<RawConfig> for Config {
    type Error = ConfigError;

    fn try_from(raw: RawConfig) -> Result<Self, ConfigError> {
        if raw.features.is_empty() {
            return Err(ConfigError::new("features", "at least one feature", "none"));
        }
        if let Some(name) = raw.features.iter().find(|name| !FEATURES.contains(&name.as_str())) {
            let expected = format!("a known feature{}", did_you_mean(name, FEATURES));
            return Err(ConfigError::new("features", &expected, format_args!("`{name}`")));
        }
        if !(2..=20).contains(&raw.n_folds) {
            return Err(ConfigError::new("n_folds", "a whole number from 2 to 20", raw.n_folds));
        }
        if !(1..=100_000).contains(&raw.n_permutations) {
            let expected = "a whole number from 1 to 100000";
            return Err(ConfigError::new("n_permutations", expected, raw.n_permutations));
        }
        let max_weight = check_range("max_weight", raw.max_weight, 1.0..=1e6)?;
        let estimator = Estimator {
            method: raw.method,
            l2: check_positive("l2", raw.l2)?,
            alpha: check_range("relative_alpha", raw.relative_alpha, 0.0..=0.99)?,
            max_ratio: max_weight,
            n_folds: raw.n_folds,
        };
        Ok(Self {
            features: raw.features,
            max_feature_auroc: check_range("max_feature_auroc", raw.max_feature_auroc, 0.5..=1.0)?,
            estimator,
            n_permutations: raw.n_permutations,
            max_weight,
            power: check_range("power", check_positive("power", raw.power)?, 0.0..=1.0)?,
            min_effective_share: check_fraction("min_effective_share", raw.min_effective_share)?,
        })
    }
}

impl Config {
    pub(crate) fn l2(&self) -> f64 {
        self.estimator.l2
    }

    pub(crate) fn n_folds(&self) -> usize {
        self.estimator.n_folds
    }
}
