use crate::MetricError;
use crate::error::check_parallel;

/// The share of positives in another domain in which only their share has changed, by the probabilities that a model
/// calibrated under the log-odds `prior_logit` gives there: the share under which its outputs are likeliest, which is
/// where expectation maximisation comes to rest (Saerens et al., Neural Computation 14, 2002, 21–41).
///
/// The likelihood is concave in the share, so the one zero of its slope is found by bisection; 0 or 1 where every
/// output speaks for one class.
///
/// # Errors
/// [`MetricError::NotANumber`]; [`MetricError::TooFew`] without outputs.
pub fn prior_by_likelihood(logits: &[f64], prior_logit: f64) -> Result<f64, MetricError> {
    check_parallel(logits, logits.len())?;
    check_any(logits)?;
    // The ratio of the classes' densities at an output, positive over negative.
    let ratios: Vec<f64> = logits.iter().map(|z| (z - prior_logit).exp()).collect();
    let slope = |share: f64| {
        let term = |ratio: &f64| match ratio.is_finite() {
            true => (ratio - 1.0) / (share * ratio + 1.0 - share),
            false => 1.0 / share,
        };
        ratios.iter().map(term).sum::<f64>()
    };
    let (mut least, mut most) = (0.0, 1.0);
    for _ in 0..60 {
        let middle = 0.5 * (least + most);
        if slope(middle) > 0.0 {
            least = middle;
        } else {
            most = middle;
        }
    }
    Ok(0.5 * (least + most))
}

/// The same share by what the model says on average, hard calls (0 or 1) or probabilities: the share under which
/// negatives and positives with the mean outputs that cases of the source domain had, which the model was not fitted
/// to, give the target's mean. For two classes this is black box shift estimation (Lipton et al., ICML 2018, eq. 4), known to epidemiology as the estimator of
/// Rogan and Gladen (Am J Epidemiol 107, 1978, 71–76). Beyond 0 and 1 it is cut off there.
///
/// # Errors
/// [`MetricError::TooFew`] without target outputs; [`MetricError::NotANumber`]; [`MetricError::NoSpread`] where both
/// classes have one mean, which no share could tell apart.
pub fn prior_by_confusion(
    [negative, positive]: [f64; 2],
    target: &[f64],
) -> Result<f64, MetricError> {
    check_parallel(target, target.len())?;
    check_any(target)?;
    if (positive - negative).abs() < 1e-9 {
        return Err(MetricError::NoSpread { what: "model's mean outputs of the two classes" });
    }
    let mean = target.iter().sum::<f64>() / target.len() as f64;
    Ok(((mean - negative) / (positive - negative)).clamp(0.0, 1.0))
}

fn check_any(outputs: &[f64]) -> Result<(), MetricError> {
    match outputs.len() {
        0 => Err(MetricError::TooFew { what: "outputs", needed: 1, found: 0 }),
        _ => Ok(()),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    /// Expectation maximisation as Saerens et al. write it.
    fn by_steps(logits: &[f64], prior_logit: f64) -> f64 {
        let sigmoid = |z: f64| 1.0 / (1.0 + (-z).exp());
        let mut share = sigmoid(prior_logit);
        for _ in 0..20_000 {
            let shift = (share / (1.0 - share)).ln() - prior_logit;
            let posteriors = logits.iter().map(|z| sigmoid(z + shift));
            share = posteriors.sum::<f64>() / logits.len() as f64;
        }
        share
    }

    #[test]
    fn the_likeliest_share_is_where_expectation_maximisation_rests() {
        let logits = [0.4, -1.7, 2.3, -0.2, 1.1, -3.0, 0.8, -0.9, 1.9, 0.1];
        for prior_logit in [-1.2, 0.0, 0.6] {
            let found = prior_by_likelihood(&logits, prior_logit).unwrap();
            assert!((found - by_steps(&logits, prior_logit)).abs() < 1e-6, "{found}");
        }
    }

    #[test]
    fn a_known_change_of_the_share_is_found() {
        // Outputs of two kinds, met by positives with 0.8 and by negatives with 0.3; a fifth is positive in training.
        let prior_logit = (0.2f64 / 0.8).ln();
        let high = prior_logit + (0.8f64 / 0.3).ln();
        let low = prior_logit + (0.2f64 / 0.7).ln();
        // Half positive in the target: 0.55 of the outputs are high.
        let target: Vec<f64> = (0..100).map(|i| if i < 55 { high } else { low }).collect();
        assert!((prior_by_likelihood(&target, prior_logit).unwrap() - 0.5).abs() < 1e-9);
        let calls: Vec<f64> = (0..100).map(|i| f64::from(u8::from(i < 55))).collect();
        let found = prior_by_confusion([0.3, 0.8], &calls).unwrap();
        assert!((found - 0.5).abs() < 1e-12, "{found}");
    }

    #[test]
    fn outputs_of_one_class_give_a_limit_and_none_an_error() {
        assert!(prior_by_likelihood(&[3.0, 900.0], 0.0).unwrap() > 0.999_999);
        assert!(prior_by_likelihood(&[-3.0, -900.0], 0.0).unwrap() < 1e-6);
        assert!(prior_by_likelihood(&[], 0.0).is_err());
        assert!(prior_by_likelihood(&[f64::NAN], 0.0).is_err());
        let alike = prior_by_confusion([0.5, 0.5], &[0.4]);
        assert!(matches!(alike, Err(MetricError::NoSpread { .. })));
        assert_eq!(prior_by_confusion([0.2, 1.0], &[0.1]).unwrap(), 0.0);
        assert!(prior_by_confusion([0.2, 1.0], &[]).is_err());
    }
}
