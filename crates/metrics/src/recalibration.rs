use crate::MetricError;
use crate::error::{check_classes, check_lengths, check_parallel};

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
        let weights: Vec<f64> = n_drawn.iter().copied().map(f64::from).collect();
        Self::fit_weighted(probabilities, labels, &weights)
    }

    /// As [`Recalibration::fit`], case `i` with the weight `weights[i]`.
    ///
    /// # Errors
    /// As [`Recalibration::fit`], of the cases with weight; [`MetricError::OutOfRange`] for a weight
    /// that is negative or not finite.
    pub fn fit_weighted(
        probabilities: &[f64],
        labels: &[bool],
        weights: &[f64],
    ) -> Result<Self, MetricError> {
        check_parallel(probabilities, labels.len())?;
        check_lengths(labels.len(), weights.len())?;
        let mut sample = Vec::with_capacity(labels.len());
        for (index, ((&value, &label), &weight)) in
            probabilities.iter().zip(labels).zip(weights).enumerate()
        {
            if !(value > 0.0 && value < 1.0) {
                return Err(MetricError::OutOfRange { index, value, range: "(0, 1)" });
            }
            if !(weight >= 0.0 && weight.is_finite()) {
                return Err(MetricError::OutOfRange { index, value: weight, range: "[0, ∞)" });
            }
            if weight > 0.0 {
                let logit = value.ln() - (-value).ln_1p();
                sample.push(Case { logit, label, weight });
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
        let mut step = newton_step([g0, g1], [h00, h01, h11], fit_slope);
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
            break;
        }
    }
    // No improvement that the loss can show: the optimum to rounding, if its slope agrees.
    let ([g0, g1], _) = derivatives(sample, at);
    let gradient = if fit_slope { g0.abs().max(g1.abs()) } else { g0.abs() };
    if gradient <= 1e-6 * total {
        return Ok(polished(sample, at, fit_slope));
    }
    Err(MetricError::NotConverged { n_iterations: N_ITERATIONS })
}

fn newton_step([g0, g1]: [f64; 2], [h00, h01, h11]: [f64; 3], fit_slope: bool) -> [f64; 2] {
    if !fit_slope {
        return [g0 / h00, 0.0];
    }
    let det = h00 * h11 - h01 * h01;
    [(h11 * g0 - h01 * g1) / det, (h00 * g1 - h01 * g0) / det]
}

/// The last digits. The likelihood is flat at its top, so that by its values alone an optimum is known
/// to half the digits; the slope tells the rest.
fn polished(sample: &[Case], mut at: [f64; 2], fit_slope: bool) -> [f64; 2] {
    let size = |[g0, g1]: [f64; 2]| if fit_slope { g0.abs().max(g1.abs()) } else { g0.abs() };
    let (mut gradient, mut curvature) = derivatives(sample, at);
    for _ in 0..4 {
        let step = newton_step(gradient, curvature, fit_slope);
        let candidate = [at[0] - step[0], at[1] - step[1]];
        let (next, next_curvature) = derivatives(sample, candidate);
        if size(next) >= size(gradient) {
            break;
        }
        (at, gradient, curvature) = (candidate, next, next_curvature);
    }
    at
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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;
    use crate::roc::tests::{FIRST, labels};

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
    fn a_score_that_knows_nothing_has_slope_zero() {
        // As many of either class at each of three probabilities: the likelihood is flat about 0.
        let p: Vec<f64> = (0..22).map(|i| [0.75, 0.5, 0.25][i / 2 % 3]).collect();
        let y: Vec<bool> = (0..22).map(|i| i % 2 == 0).collect();
        let fit = Recalibration::fit(&p, &y).unwrap();
        assert!(fit.slope.abs() < 1e-12 && fit.intercept.abs() < 1e-12, "{fit:?}");
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
}
