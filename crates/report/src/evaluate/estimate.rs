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
    /// Why the mean or its interval is not defined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Why a figure that is defined has no interval.
pub(super) const NO_SPREAD: &str = "too few patients or no spread: the draws do not differ";

/// The 95 % interval of a bootstrap; `None` if the statistic was defined in no draw, or if its ends
/// fall together: draws that do not differ say nothing of other patients, not that there is no doubt.
pub(super) fn interval(distribution: &Distribution) -> Option<[f64; 2]> {
    // What rounding alone parts.
    const ROUNDING: f64 = 1e-12;
    let interval = distribution.interval(Confidence::P95).ok()?;
    let (low, high) = (interval.low, interval.high);
    (high - low > ROUNDING * high.abs().max(1.0)).then_some([low, high])
}

/// The reason for a defined figure without an interval.
pub(super) fn no_spread(value: Option<f64>, interval: Option<[f64; 2]>) -> Option<String> {
    (value.is_some() && interval.is_none()).then(|| NO_SPREAD.to_owned())
}

#[cfg(test)]
mod tests {
    use hemex_metrics::{Bootstrap, Strata};

    use super::*;

    #[test]
    fn draws_that_do_not_differ_give_no_interval() {
        let bootstrap = Bootstrap { n_draws: 100, seed: 1 };
        let strata = Strata::new(&[0; 8]);
        let of = |statistic: fn(&[u32]) -> Option<f64>| {
            interval(&bootstrap.distribution(&strata, statistic))
        };
        assert_eq!(of(|_| Some(1.0)), None);
        // The sum over what was drawn is always 0.8, however it is rounded on the way.
        assert_eq!(of(|n| Some(n.iter().map(|n| f64::from(*n) * 0.1).sum::<f64>())), None);
        assert_eq!(of(|_| None), None);
        assert!(of(|n| Some(f64::from(n[0]))).is_some_and(|[low, high]| low < high));
    }
}
