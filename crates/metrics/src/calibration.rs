use crate::error::check_parallel;
use crate::{Confidence, Interval, MetricError, wilson};

/// Brier score: mean squared distance between probability and outcome (0 or 1). 0 is best; a
/// constant forecast at the prevalence `p` has `p (1 − p)`.
///
/// # Errors
/// [`MetricError::TooFew`] without a case, [`MetricError::OutOfRange`] for a value outside [0, 1],
/// [`MetricError::LengthMismatch`], [`MetricError::NotANumber`].
pub fn brier(probabilities: &[f64], labels: &[bool]) -> Result<f64, MetricError> {
    check_probabilities(probabilities, labels)?;
    let sum: f64 = probabilities
        .iter()
        .zip(labels)
        .map(|(p, label)| (p - f64::from(u8::from(*label))).powi(2))
        .sum();
    Ok(sum / labels.len() as f64)
}

/// Mean negative log-likelihood of the outcomes, natural logarithm.
///
/// Infinite if a probability of exactly 0 or 1 was wrong: nothing is clipped.
///
/// # Errors
/// As [`brier`].
pub fn log_loss(probabilities: &[f64], labels: &[bool]) -> Result<f64, MetricError> {
    check_probabilities(probabilities, labels)?;
    let sum: f64 = probabilities
        .iter()
        .zip(labels)
        .map(|(p, label)| if *label { -p.ln() } else { -(-p).ln_1p() })
        .sum();
    Ok(sum / labels.len() as f64)
}

/// Cases of neighbouring probability, and how often they were positive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CalibrationBin {
    /// Cases in the bin.
    pub n: usize,
    /// Positive cases in the bin.
    pub n_positive: usize,
    /// Mean of their probabilities.
    pub mean_probability: f64,
    /// Share of positive cases.
    pub observed: f64,
    /// Wilson interval of that share.
    pub interval: Interval,
}

/// Divides the cases by probability into `n_bins` of equal number (as nearly as possible), the
/// lowest first. Cases of one probability stay in one bin, so that there may be fewer bins.
///
/// # Errors
/// [`MetricError::TooFew`] for 0 bins or no case, else as [`brier`].
pub fn equal_mass_bins(
    probabilities: &[f64],
    labels: &[bool],
    n_bins: usize,
    confidence: Confidence,
) -> Result<Vec<CalibrationBin>, MetricError> {
    check_bins(probabilities, labels, n_bins)?;
    let n = labels.len();
    let order = by_probability(probabilities);
    let mut bins = Vec::with_capacity(n_bins);
    let mut start = 0;
    for k in 1..=n_bins {
        let mut end = (k * n).div_ceil(n_bins).max(start);
        while end > 0
            && end < n
            && end > start
            && probabilities[order[end]] == probabilities[order[end - 1]]
        {
            end += 1;
        }
        if end == start {
            continue;
        }
        bins.push(bin(&order[start..end], probabilities, labels, confidence)?);
        start = end;
    }
    Ok(bins)
}

/// Divides [0, 1] into `n_bins` of equal width, each with its lower limit (the last with both), and
/// returns those with a case, the lowest first (Guo et al., ICML 2017).
///
/// # Errors
/// As [`equal_mass_bins`].
pub fn equal_width_bins(
    probabilities: &[f64],
    labels: &[bool],
    n_bins: usize,
    confidence: Confidence,
) -> Result<Vec<CalibrationBin>, MetricError> {
    check_bins(probabilities, labels, n_bins)?;
    let place = |case: usize| ((probabilities[case] * n_bins as f64) as usize).min(n_bins - 1);
    by_probability(probabilities)
        .chunk_by(|a, b| place(*a) == place(*b))
        .map(|members| bin(members, probabilities, labels, confidence))
        .collect()
}

/// The cases by rising probability.
fn by_probability(probabilities: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    order.sort_by(|a, b| probabilities[*a].total_cmp(&probabilities[*b]));
    order
}

fn bin(
    members: &[usize],
    probabilities: &[f64],
    labels: &[bool],
    confidence: Confidence,
) -> Result<CalibrationBin, MetricError> {
    let n_positive = members.iter().filter(|i| labels[**i]).count();
    let sum: f64 = members.iter().map(|i| probabilities[*i]).sum();
    Ok(CalibrationBin {
        n: members.len(),
        n_positive,
        mean_probability: sum / members.len() as f64,
        observed: n_positive as f64 / members.len() as f64,
        interval: wilson(n_positive, members.len(), confidence)?,
    })
}

fn check_bins(probabilities: &[f64], labels: &[bool], n_bins: usize) -> Result<(), MetricError> {
    check_probabilities(probabilities, labels)?;
    if n_bins == 0 {
        return Err(MetricError::TooFew { what: "bins", needed: 1, found: 0 });
    }
    Ok(())
}

/// Expected calibration error: mean distance between probability and observed share over the bins,
/// weighted by their cases. Depends on the bins chosen; 0 for no bins.
pub fn expected_calibration_error(bins: &[CalibrationBin]) -> f64 {
    let n: usize = bins.iter().map(|bin| bin.n).sum();
    bins.iter()
        .map(|bin| bin.n as f64 / n as f64 * (bin.mean_probability - bin.observed).abs())
        .sum()
}

/// Checks that there is a case and that every value is a probability.
pub(crate) fn check_probabilities(
    probabilities: &[f64],
    labels: &[bool],
) -> Result<(), MetricError> {
    check_parallel(probabilities, labels.len())?;
    if labels.is_empty() {
        return Err(MetricError::TooFew { what: "cases", needed: 1, found: 0 });
    }
    match probabilities.iter().position(|p| !(0.0..=1.0).contains(p)) {
        Some(index) => {
            Err(MetricError::OutOfRange { index, value: probabilities[index], range: "[0, 1]" })
        }
        None => Ok(()),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;
    use crate::roc::tests::{FIRST, labels};

    #[test]
    fn scores_agree_with_scikit_learn() {
        assert!((brier(&FIRST, &labels()).unwrap() - 0.13534500000000002).abs() < 1e-15);
        assert!((log_loss(&FIRST, &labels()).unwrap() - 0.42870424160150283).abs() < 1e-14);
        assert_eq!(log_loss(&[0.0, 1.0], &[true, true]), Ok(f64::INFINITY));
        assert!(matches!(
            brier(&[0.2, 1.5], &[true, false]),
            Err(MetricError::OutOfRange { index: 1, .. })
        ));
        assert!(brier(&[], &[]).is_err());
    }

    #[test]
    fn bins_agree_with_the_reference() {
        let bins = equal_mass_bins(&FIRST, &labels(), 4, Confidence::P95).unwrap();
        let expected = [
            (0.124, 0.0, 0.0, 0.43448246478317476),
            (0.32, 0.2, 0.036224108632430196, 0.6244653702374747),
            (0.46, 0.4, 0.11762077423264794, 0.769275718723987),
            (0.73, 0.8, 0.3755346297625253, 0.9637758913675698),
        ];
        assert_eq!(bins.len(), 4);
        for (bin, (mean, observed, low, high)) in bins.iter().zip(expected) {
            assert_eq!(bin.n, 5);
            assert!((bin.mean_probability - mean).abs() < 1e-14);
            assert!((bin.observed - observed).abs() < 1e-14);
            assert!((bin.interval.low - low).abs() < 1e-12);
            assert!((bin.interval.high - high).abs() < 1e-12);
        }
        assert!((expected_calibration_error(&bins) - 0.0935).abs() < 1e-14);
    }

    #[test]
    fn bins_of_equal_width_hold_their_lower_limit() {
        let p = [0.0, 0.25, 0.5, 0.49, 1.0, 0.9];
        let y = [false, true, false, true, true, true];
        let bins = equal_width_bins(&p, &y, 4, Confidence::P95).unwrap();
        let found: Vec<_> = bins.iter().map(|b| (b.n, b.n_positive)).collect();
        assert_eq!(found, [(1, 0), (2, 2), (1, 0), (2, 2)]);
        assert!((bins[1].mean_probability - 0.37).abs() < 1e-15);
        // Bins without a case are left out.
        assert_eq!(equal_width_bins(&p, &y, 100, Confidence::P95).unwrap().len(), 6);
        assert!(equal_width_bins(&p, &y, 0, Confidence::P95).is_err());
    }

    #[test]
    fn equal_probabilities_share_a_bin() {
        let p = [0.1, 0.5, 0.5, 0.5, 0.5, 0.9];
        let y = [false, true, false, true, false, true];
        let sizes: Vec<usize> =
            equal_mass_bins(&p, &y, 3, Confidence::P95).unwrap().iter().map(|bin| bin.n).collect();
        assert_eq!(sizes, [5, 1]);
        assert_eq!(equal_mass_bins(&[0.5; 6], &y, 10, Confidence::P95).unwrap().len(), 1);
        assert_eq!(equal_mass_bins(&p, &y, 10, Confidence::P95).unwrap().len(), 3);
    }
}
