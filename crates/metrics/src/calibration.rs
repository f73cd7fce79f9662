use crate::error::{check_classes, check_parallel};
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

/// Logistic recalibration (Cox 1958): `logit P(positive) = intercept + slope · logit(probability)`.
///
/// Perfect calibration has slope 1 and both intercepts 0; a slope below 1 means that probabilities
/// are too extreme.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recalibration {
    /// Intercept fitted together with the slope.
    pub intercept: f64,
    /// Slope of the logits.
    pub slope: f64,
    /// Intercept with the slope held at 1, "calibration in the large": below 0 means that risks are
    /// overestimated on average.
    pub intercept_at_unit_slope: f64,
}

impl Recalibration {
    /// Fits by maximum likelihood (Newton).
    ///
    /// # Errors
    /// [`MetricError::OneClass`]; [`MetricError::OutOfRange`] for a probability that is not strictly
    /// between 0 and 1; [`MetricError::NoSpread`] if all probabilities are the same;
    /// [`MetricError::Separated`] if they separate the classes; [`MetricError::LengthMismatch`],
    /// [`MetricError::NotANumber`], [`MetricError::NotConverged`].
    pub fn fit(probabilities: &[f64], labels: &[bool]) -> Result<Self, MetricError> {
        Self::fit_drawn(probabilities, labels, &vec![1; labels.len()])
    }

    /// As [`Recalibration::fit`], case `i` counted `n_drawn[i]` times.
    ///
    /// # Errors
    /// As [`Recalibration::fit`], of the cases that were drawn.
    pub fn fit_drawn(
        probabilities: &[f64],
        labels: &[bool],
        n_drawn: &[u32],
    ) -> Result<Self, MetricError> {
        check_parallel(probabilities, labels.len())?;
        check_parallel(probabilities, n_drawn.len())?;
        let mut sample = Vec::with_capacity(labels.len());
        for (index, ((&value, &label), &n)) in
            probabilities.iter().zip(labels).zip(n_drawn).enumerate()
        {
            if !(value > 0.0 && value < 1.0) {
                return Err(MetricError::OutOfRange { index, value, range: "(0, 1)" });
            }
            if n > 0 {
                let logit = value.ln() - (-value).ln_1p();
                sample.push(Case { logit, label, weight: f64::from(n) });
            }
        }
        check_overlap(&sample)?;
        let [intercept_at_unit_slope, _] = newton(&sample, false)?;
        let [intercept, slope] = newton(&sample, true)?;
        Ok(Self { intercept, slope, intercept_at_unit_slope })
    }
}

struct Case {
    logit: f64,
    label: bool,
    weight: f64,
}

/// A finite slope exists if and only if the logits of the two classes overlap.
fn check_overlap(sample: &[Case]) -> Result<(), MetricError> {
    let labels: Vec<bool> = sample.iter().map(|case| case.label).collect();
    check_classes(&labels)?;
    let range = |class: bool| {
        sample
            .iter()
            .filter(|case| case.label == class)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), case| {
                (low.min(case.logit), high.max(case.logit))
            })
    };
    let ((low_0, high_0), (low_1, high_1)) = (range(false), range(true));
    if low_0.min(low_1) == high_0.max(high_1) {
        return Err(MetricError::NoSpread { what: "probabilities" });
    }
    if high_0 <= low_1 || high_1 <= low_0 {
        return Err(MetricError::Separated);
    }
    Ok(())
}

/// Maximum likelihood of `[intercept, slope]`, the slope held at 1 unless `fit_slope`.
fn newton(sample: &[Case], fit_slope: bool) -> Result<[f64; 2], MetricError> {
    const N_ITERATIONS: usize = 100;
    let total: f64 = sample.iter().map(|case| case.weight).sum();
    let mut at = [0.0, 1.0];
    let mut loss = negative_log_likelihood(sample, at);
    for _ in 0..N_ITERATIONS {
        let ([g0, g1], [h00, h01, h11]) = derivatives(sample, at);
        let gradient = if fit_slope { g0.abs().max(g1.abs()) } else { g0.abs() };
        if gradient <= 1e-12 * total {
            return Ok(at);
        }
        let mut step = if fit_slope {
            let det = h00 * h11 - h01 * h01;
            [(h11 * g0 - h01 * g1) / det, (h00 * g1 - h01 * g0) / det]
        } else {
            [g0 / h00, 0.0]
        };
        // Halve an overshooting step: the likelihood is concave, so some fraction of it improves.
        let mut moved = false;
        for _ in 0..60 {
            let candidate = [at[0] - step[0], at[1] - step[1]];
            let candidate_loss = negative_log_likelihood(sample, candidate);
            if candidate_loss <= loss {
                moved = candidate != at;
                (at, loss) = (candidate, candidate_loss);
                break;
            }
            step = step.map(|s| s / 2.0);
        }
        if !moved {
            // No representable improvement: the optimum to rounding, if the slope of the loss agrees.
            return if gradient <= 1e-6 * total {
                Ok(at)
            } else {
                Err(MetricError::NotConverged { n_iterations: N_ITERATIONS })
            };
        }
    }
    Err(MetricError::NotConverged { n_iterations: N_ITERATIONS })
}

fn negative_log_likelihood(sample: &[Case], at: [f64; 2]) -> f64 {
    sample
        .iter()
        .map(|case| {
            let linear = at[0] + at[1] * case.logit;
            let signed = if case.label { -linear } else { linear };
            // ln(1 + e^x) without overflow.
            case.weight * (signed.max(0.0) + (-signed.abs()).exp().ln_1p())
        })
        .sum()
}

/// Gradient and Hessian `[h00, h01, h11]` of the negative log-likelihood.
fn derivatives(sample: &[Case], at: [f64; 2]) -> ([f64; 2], [f64; 3]) {
    let (mut gradient, mut hessian) = ([0.0; 2], [0.0; 3]);
    for case in sample {
        let p = 1.0 / (1.0 + (-(at[0] + at[1] * case.logit)).exp());
        let residual = case.weight * (p - f64::from(u8::from(case.label)));
        let curvature = case.weight * p * (1.0 - p);
        gradient[0] += residual;
        gradient[1] += residual * case.logit;
        hessian[0] += curvature;
        hessian[1] += curvature * case.logit;
        hessian[2] += curvature * case.logit * case.logit;
    }
    (gradient, hessian)
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
    check_probabilities(probabilities, labels)?;
    if n_bins == 0 {
        return Err(MetricError::TooFew { what: "bins", needed: 1, found: 0 });
    }
    let n = labels.len();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|a, b| probabilities[*a].total_cmp(&probabilities[*b]));
    let mut bins = Vec::with_capacity(n_bins);
    let mut start = 0;
    for bin in 1..=n_bins {
        let mut end = (bin * n).div_ceil(n_bins).max(start);
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
        let members = &order[start..end];
        start = end;
        let n_positive = members.iter().filter(|i| labels[**i]).count();
        let sum: f64 = members.iter().map(|i| probabilities[*i]).sum();
        bins.push(CalibrationBin {
            n: members.len(),
            n_positive,
            mean_probability: sum / members.len() as f64,
            observed: n_positive as f64 / members.len() as f64,
            interval: wilson(n_positive, members.len(), confidence)?,
        });
    }
    Ok(bins)
}

/// Expected calibration error: mean distance between probability and observed share over the bins,
/// weighted by their cases. Depends on the bins chosen; 0 for no bins.
pub fn expected_calibration_error(bins: &[CalibrationBin]) -> f64 {
    let n: usize = bins.iter().map(|bin| bin.n).sum();
    bins.iter()
        .map(|bin| bin.n as f64 / n as f64 * (bin.mean_probability - bin.observed).abs())
        .sum()
}

fn check_probabilities(probabilities: &[f64], labels: &[bool]) -> Result<(), MetricError> {
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

    // tests/reference/metrics.py, "intercept, slope": a search without derivatives.
    #[test]
    fn recalibration_agrees_with_scipy() {
        let fit = Recalibration::fit(&FIRST, &labels()).unwrap();
        assert!((fit.intercept + 0.1183348587286813).abs() < 1e-7, "{fit:?}");
        assert!((fit.slope - 2.290743365468187).abs() < 1e-7, "{fit:?}");
        assert!((fit.intercept_at_unit_slope + 0.3188379850681935).abs() < 1e-10, "{fit:?}");
    }

    #[test]
    fn recalibration_undoes_a_known_distortion() {
        // Four cells whose observed shares are exact: logits ±1 and ±3, true slope 1/2.
        let share = |logit: f64| 1.0 / (1.0 + (-logit).exp());
        let logits: [f64; 4] = [-3.0, -1.0, 1.0, 3.0];
        let (mut p, mut y, mut n) = (Vec::new(), Vec::new(), Vec::new());
        for logit in logits {
            let positive = (share(0.5 * logit) * 1e6).round() as u32;
            p.extend([share(logit); 2]);
            y.extend([true, false]);
            n.extend([positive, 1_000_000 - positive]);
        }
        let fit = Recalibration::fit_drawn(&p, &y, &n).unwrap();
        assert!((fit.slope - 0.5).abs() < 1e-5 && fit.intercept.abs() < 1e-5, "{fit:?}");
        assert!(fit.intercept_at_unit_slope.abs() < 1e-5, "{fit:?}");
    }

    #[test]
    fn recalibration_says_why_there_is_none() {
        let fit = |p: &[f64], y: &[bool]| Recalibration::fit(p, y).unwrap_err();
        assert_eq!(fit(&[0.2, 0.3, 0.3, 0.9], &[false, false, true, true]), MetricError::Separated);
        assert_eq!(fit(&[0.9, 0.8, 0.2], &[false, false, true]), MetricError::Separated);
        assert!(matches!(fit(&[0.4, 0.4], &[false, true]), MetricError::NoSpread { .. }));
        assert!(matches!(fit(&[0.4, 1.0], &[false, true]), MetricError::OutOfRange { .. }));
        assert!(matches!(fit(&[0.4, 0.6], &[true, true]), MetricError::OneClass { .. }));
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
