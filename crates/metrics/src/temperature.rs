use crate::MetricError;
use crate::error::check_parallel;

/// Limits of a temperature; beyond them a sample says no more than that logits are far too weak or too strong.
pub const TEMPERATURES: [f64; 2] = [0.05, 20.0];

/// The temperature `T` under which `σ(prior + (logit − prior) / T)` has the least mean cross-entropy, within
/// [`TEMPERATURES`]: the temperature of Guo et al., ICML 2017, section 4.2, for two classes, about the log-odds of the
/// prior. About 0, where theirs lies, a model that knows nothing would be drawn to one half instead of the share that
/// grows.
///
/// Above 1 the logits are too extreme. The highest temperature is given where logits rank the classes the wrong way
/// round or not at all, the lowest where they tell them apart without error.
///
/// # Errors
/// [`MetricError::OneClass`], [`MetricError::LengthMismatch`], [`MetricError::NotANumber`].
pub fn temperature(logits: &[f64], prior_logit: f64, labels: &[bool]) -> Result<f64, MetricError> {
    check_parallel(logits, labels.len())?;
    crate::error::check_classes(labels)?;
    // The cross-entropy is convex in a = 1 / T: its slope rises and has one zero.
    let slope = |a: f64| {
        let terms = logits.iter().zip(labels).map(|(z, label)| {
            let above = z - prior_logit;
            (sigmoid(prior_logit + a * above) - f64::from(u8::from(*label))) * above
        });
        terms.sum::<f64>()
    };
    let [low, high] = TEMPERATURES;
    let (mut least, mut most) = (1.0 / high, 1.0 / low);
    if slope(least) >= 0.0 {
        return Ok(high);
    }
    if slope(most) <= 0.0 {
        return Ok(low);
    }
    for _ in 0..60 {
        let middle = 0.5 * (least + most);
        if slope(middle) < 0.0 {
            least = middle;
        } else {
            most = middle;
        }
    }
    Ok(2.0 / (least + most))
}

fn sigmoid(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    /// Of logits ±z, three in four with the right label: σ(z / T) = 3/4.
    #[test]
    fn a_share_that_is_right_gives_the_temperature() {
        for z in [0.5, 1.0, 4.0] {
            let logits = [z, z, z, z, -z, -z, -z, -z];
            let labels = [true, true, true, false, false, false, false, true];
            let found = temperature(&logits, 0.0, &labels).unwrap();
            assert!((found - z / 3f64.ln()).abs() < 1e-9, "{found} for {z}");
        }
    }

    const LOGITS: [f64; 8] = [2.1, -0.3, 3.4, -1.8, 0.4, -2.6, 1.2, -0.9];
    const LABELS: [bool; 8] = [true, true, true, false, false, false, false, true];
    /// `temperature` of `tests/reference/metrics.py`.
    const EXPECTED: f64 = 1.6666969850755684;

    /// The same about a prior of log-odds −1.2.
    const EXPECTED_ABOUT_PRIOR: f64 = 1.3857624379678666;

    #[test]
    fn agrees_with_scipy() {
        let found = temperature(&LOGITS, 0.0, &LABELS).unwrap();
        assert!((found - EXPECTED).abs() < 1e-6, "{found}");
        let found = temperature(&LOGITS, -1.2, &LABELS).unwrap();
        assert!((found - EXPECTED_ABOUT_PRIOR).abs() < 1e-6, "{found}");
        // Twice the logits, twice the temperature.
        let doubled = temperature(&LOGITS.map(|z| 2.0 * z), 0.0, &LABELS).unwrap();
        assert!((doubled - 2.0 * EXPECTED).abs() < 1e-6, "{doubled}");
    }

    #[test]
    fn samples_without_an_answer_give_the_limits() {
        assert_eq!(temperature(&[1.0, -1.0], 0.0, &[false, true]).unwrap(), 20.0);
        assert_eq!(temperature(&[1.0, -1.0], 0.0, &[true, false]).unwrap(), 0.05);
        assert!(matches!(temperature(&[1.0], 0.0, &[true]), Err(MetricError::OneClass { .. })));
        assert!(temperature(&[f64::NAN, 1.0], 0.0, &[true, false]).is_err());
        assert!(temperature(&[1.0], 0.0, &[true, false]).is_err());
    }
}
