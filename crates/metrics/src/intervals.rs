use crate::special::beta_quantile;
use crate::{MetricError, normal};

/// A confidence level strictly between 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Confidence(f64);

impl Confidence {
    /// 95 %.
    pub const P95: Self = Self(0.95);

    /// The level `value`, 0.95 for 95 %.
    ///
    /// # Errors
    /// [`MetricError::BadConfidence`] outside (0, 1).
    pub fn new(value: f64) -> Result<Self, MetricError> {
        if value > 0.0 && value < 1.0 {
            return Ok(Self(value));
        }
        Err(MetricError::BadConfidence { value })
    }

    /// The level as a fraction.
    pub fn value(self) -> f64 {
        self.0
    }

    /// Half-width of the interval in standard errors, 1.96 at 95 %.
    pub fn z(self) -> f64 {
        normal::quantile(0.5 + 0.5 * self.0)
    }
}

/// A two-sided interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Interval {
    /// Whether `value` lies in it, ends included.
    pub fn contains(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }
}

/// Wilson's score interval of a proportion (Wilson, JASA 1927).
///
/// It stays inside [0, 1] and keeps its coverage at small counts and at 0 of n.
///
/// # Errors
/// [`MetricError::TooFew`] without a trial, [`MetricError::BadProportion`] if `n_successes > n`.
pub fn wilson(
    n_successes: usize,
    n: usize,
    confidence: Confidence,
) -> Result<Interval, MetricError> {
    check_proportion(n_successes, n)?;
    let (z, trials) = (confidence.z(), n as f64);
    let p = n_successes as f64 / trials;
    let scale = 1.0 + z * z / trials;
    let centre = (p + z * z / (2.0 * trials)) / scale;
    let half = z * (p * (1.0 - p) / trials + z * z / (4.0 * trials * trials)).sqrt() / scale;
    // Exactly 0 and 1 at the ends, where rounding would leave 1e-17.
    let low = if n_successes == 0 { 0.0 } else { centre - half };
    let high = if n_successes == n { 1.0 } else { centre + half };
    Ok(Interval { low, high })
}

/// The exact interval of a proportion (Clopper & Pearson, Biometrika 1934), from quantiles of the beta
/// distribution.
///
/// Its coverage is never below the level asked for, often well above: wider than [`wilson`].
///
/// # Errors
/// As [`wilson`].
pub fn clopper_pearson(
    n_successes: usize,
    n: usize,
    confidence: Confidence,
) -> Result<Interval, MetricError> {
    check_proportion(n_successes, n)?;
    let tail = 0.5 * (1.0 - confidence.value());
    let (k, rest) = (n_successes as f64, (n - n_successes) as f64);
    let low = if n_successes == 0 { 0.0 } else { beta_quantile(tail, k, rest + 1.0) };
    let high = if n_successes == n { 1.0 } else { beta_quantile(1.0 - tail, k + 1.0, rest) };
    Ok(Interval { low, high })
}

fn check_proportion(n_successes: usize, n: usize) -> Result<(), MetricError> {
    if n == 0 {
        return Err(MetricError::TooFew { what: "trials", needed: 1, found: 0 });
    }
    if n_successes > n {
        return Err(MetricError::BadProportion { n_successes, n });
    }
    Ok(())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    // tests/reference/metrics.py, "wilson".
    #[test]
    fn agrees_with_scipy() {
        let p90 = Confidence::new(0.9).unwrap();
        let expected = [
            (0, 10, Confidence::P95, 0.0, 0.27753279986288926),
            (3, 10, Confidence::P95, 0.10779126740630102, 0.6032218525388546),
            (10, 10, Confidence::P95, 0.7224672001371109, 1.0),
            (57, 212, Confidence::P95, 0.21368955884280216, 0.33227348025335457),
            (3, 10, p90, 0.1268765839031979, 0.5583002041301649),
        ];
        for (k, n, confidence, low, high) in expected {
            let interval = wilson(k, n, confidence).unwrap();
            assert!((interval.low - low).abs() < 1e-12, "{k}/{n}: {interval:?}");
            assert!((interval.high - high).abs() < 1e-12, "{k}/{n}: {interval:?}");
        }
    }

    // tests/reference/metrics.py, part `intervals`.
    #[test]
    fn clopper_pearson_agrees_with_scipy() {
        for (k, n, low, high) in [
            (0, 10, 0.0, 0.30849710781876294),
            (3, 10, 0.06673951117773447, 0.652452850060008),
            (57, 212, 0.21044346982797732, 0.3338808386850674),
        ] {
            let interval = clopper_pearson(k, n, Confidence::P95).unwrap();
            assert!((interval.low - low).abs() < 1e-12, "{k}/{n}: {interval:?}");
            assert!((interval.high - high).abs() < 1e-12, "{k}/{n}: {interval:?}");
        }
    }

    #[test]
    fn refuses_impossible_counts_and_levels() {
        assert!(matches!(wilson(0, 0, Confidence::P95), Err(MetricError::TooFew { .. })));
        assert!(matches!(wilson(3, 2, Confidence::P95), Err(MetricError::BadProportion { .. })));
        let exact = |k, n| clopper_pearson(k, n, Confidence::P95);
        assert!(matches!(exact(0, 0), Err(MetricError::TooFew { .. })));
        assert!(matches!(exact(3, 2), Err(MetricError::BadProportion { .. })));
        assert_eq!(exact(0, 5).map(|interval| interval.low), Ok(0.0));
        assert_eq!(exact(5, 5).map(|interval| interval.high), Ok(1.0));
        for level in [0.0, 1.0, 95.0, f64::NAN] {
            assert!(Confidence::new(level).is_err(), "{level}");
        }
    }
}
