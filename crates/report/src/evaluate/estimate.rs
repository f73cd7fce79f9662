use hemex_metrics::{Confidence, Distribution};
use serde::Serialize;

/// A rank figure with its interval, or the reason why there is none.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Estimate {
    /// The figure; `None` where it is not defined.
    pub value: Option<f64>,
    /// Its 95 % interval.
    pub ci95: Option<[f64; 2]>,
    /// Cases behind it.
    pub n: usize,
    /// Cases behind it that grew.
    pub n_positive: usize,
    /// Bootstrap draws in which it was not defined: they are no part of the interval.
    pub n_draws_undefined: usize,
    /// Why the figure or its interval is not defined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A mean over cases with its interval, or the reason why there is none.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MeanEstimate {
    /// The mean; `None` where it is not defined.
    pub value: Option<f64>,
    /// Its 95 % interval.
    pub ci95: Option<[f64; 2]>,
    /// Cases behind it; with several seeds a case counts once a seed.
    pub n: usize,
    /// Test cases without a value.
    pub n_undefined: usize,
    /// Why the mean is not defined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The 95 % interval of a bootstrap, `None` if the statistic was defined in no draw.
pub(super) fn interval(distribution: &Distribution) -> Option<[f64; 2]> {
    distribution.interval(Confidence::P95).ok().map(|interval| [interval.low, interval.high])
}
