use hemex_metrics::{
    CalibrationBin, Confidence, MetricError, Recalibration, brier as brier_score, equal_mass_bins,
    expected_calibration_error,
};
use serde::Serialize;

use super::estimate::{MeanEstimate, interval};
use super::resampling::Resampling;
use crate::{CaseResult, ReportError};

/// How far an arm's probabilities can be taken at their word.
///
/// Over the test cases of all folds and seeds together: a probability means the same whichever model
/// says it, while a rank among cases of another model would not. Opposite errors of two folds can
/// cancel here; the figures of each model stand beside.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Calibration {
    /// Cases with a probability and a label; with several seeds a case counts once a seed.
    pub n: usize,
    /// Test cases without a probability or a label.
    pub n_undefined: usize,
    /// Slope of the outcome's logit over the predicted one; 1 is right, below 1 is too extreme.
    pub slope: Option<f64>,
    /// Its 95 % interval.
    pub slope_ci95: Option<[f64; 2]>,
    /// Intercept at slope 1: below 0 means that risks are overestimated on average.
    pub intercept: Option<f64>,
    /// Its 95 % interval.
    pub intercept_ci95: Option<[f64; 2]>,
    /// Bootstrap draws in which the slope was not defined.
    pub n_draws_undefined: usize,
    /// Expected calibration error over the bins.
    pub expected_calibration_error: Option<f64>,
    /// Bins of equal number, lowest probability first.
    pub bins: Vec<Bin>,
    /// Why slope and intercept are not defined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Cases of neighbouring probability, and how often they grew.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bin {
    /// Cases in the bin.
    pub n: usize,
    /// Cases that grew.
    pub n_positive: usize,
    /// Mean of their probabilities.
    pub mean_probability: f64,
    /// Share that grew.
    pub observed: f64,
    /// Wilson's 95 % interval of that share.
    pub ci95: [f64; 2],
}

impl From<CalibrationBin> for Bin {
    fn from(bin: CalibrationBin) -> Self {
        Self {
            n: bin.n,
            n_positive: bin.n_positive,
            mean_probability: bin.mean_probability,
            observed: bin.observed,
            ci95: [bin.interval.low, bin.interval.high],
        }
    }
}

/// The cases with a probability and a label.
struct Sample {
    probabilities: Vec<f64>,
    labels: Vec<bool>,
    patients: Vec<usize>,
    n_undefined: usize,
}

impl Sample {
    fn new(rows: &[&CaseResult], resampling: &Resampling) -> Self {
        let mut sample =
            Self { probabilities: vec![], labels: vec![], patients: vec![], n_undefined: 0 };
        for row in rows {
            match (row.probability, row.growth, resampling.patient_idx(row)) {
                (Some(probability), Some(growth), Some(patient)) => {
                    sample.probabilities.push(probability);
                    sample.labels.push(growth);
                    sample.patients.push(patient);
                }
                _ => sample.n_undefined += 1,
            }
        }
        sample
    }

    fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    fn recalibration(&self, n_drawn: &[u32]) -> Result<Recalibration, MetricError> {
        let n_drawn: Vec<u32> = self.patients.iter().map(|patient| n_drawn[*patient]).collect();
        Recalibration::fit_drawn(&self.probabilities, &self.labels, &n_drawn)
    }
}

/// Brier score over all test cases with a probability and a label.
pub(super) fn brier(
    rows: &[&CaseResult],
    resampling: &Resampling,
) -> Result<MeanEstimate, ReportError> {
    let sample = Sample::new(rows, resampling);
    let none = "no test case has both a probability and a label";
    let mut result = MeanEstimate {
        value: None,
        ci95: None,
        n: sample.labels.len(),
        n_undefined: sample.n_undefined,
        reason: sample.is_empty().then(|| none.to_owned()),
    };
    if sample.is_empty() {
        return Ok(result);
    }
    result.value = Some(brier_score(&sample.probabilities, &sample.labels)?);
    let squares: Vec<(usize, f64)> = sample
        .probabilities
        .iter()
        .zip(&sample.labels)
        .zip(&sample.patients)
        .map(|((p, label), patient)| (*patient, (p - f64::from(u8::from(*label))).powi(2)))
        .collect();
    result.ci95 = interval(&resampling.distribution(|n_drawn| mean_of_drawn(&squares, n_drawn)));
    Ok(result)
}

/// The mean of values that belong to patients, each counted as often as its patient was drawn.
pub(super) fn mean_of_drawn(values: &[(usize, f64)], n_drawn: &[u32]) -> Option<f64> {
    let (mut sum, mut n) = (0.0, 0.0);
    for (patient, value) in values {
        let weight = f64::from(n_drawn[*patient]);
        sum += weight * value;
        n += weight;
    }
    (n > 0.0).then(|| sum / n)
}

/// Slope, intercept and bins over all test cases.
pub(super) fn calibration(
    rows: &[&CaseResult],
    resampling: &Resampling,
    n_bins: usize,
) -> Result<Calibration, ReportError> {
    let sample = Sample::new(rows, resampling);
    let bins = if sample.is_empty() {
        Vec::new()
    } else {
        equal_mass_bins(&sample.probabilities, &sample.labels, n_bins, Confidence::P95)?
    };
    let fit = sample.recalibration(&resampling.undrawn());
    let mut result = Calibration {
        n: sample.labels.len(),
        n_undefined: sample.n_undefined,
        slope: None,
        slope_ci95: None,
        intercept: None,
        intercept_ci95: None,
        n_draws_undefined: 0,
        expected_calibration_error: (!bins.is_empty()).then(|| expected_calibration_error(&bins)),
        bins: bins.into_iter().map(Bin::from).collect(),
        reason: fit.as_ref().err().map(ToString::to_string),
    };
    if let Ok(fit) = fit {
        result.slope = Some(fit.slope);
        result.intercept = Some(fit.intercept_at_unit_slope);
        let slopes = resampling
            .distribution(|n_drawn| sample.recalibration(n_drawn).ok().map(|fit| fit.slope));
        result.slope_ci95 = interval(&slopes);
        result.n_draws_undefined = slopes.n_undefined();
        result.intercept_ci95 = interval(&resampling.distribution(|n_drawn| {
            sample.recalibration(n_drawn).ok().map(|fit| fit.intercept_at_unit_slope)
        }));
    }
    Ok(result)
}
