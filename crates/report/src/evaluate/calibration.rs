use std::collections::BTreeMap;

use hemex_metrics::{
    CalibrationBin, Confidence, MetricError, Recalibration, brier as brier_score, equal_mass_bins,
    expected_calibration_error,
};
use serde::Serialize;

use super::estimate::{MeanEstimate, interval, no_spread};
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
    /// Bins of equal number, lowest probability first. A case counts once a fold, with the mean of its
    /// probabilities over the seeds of the fold, if each of them gives one.
    pub bins: Vec<Bin>,
    /// Why slope and intercept, or their intervals, are not defined.
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

/// Each labelled case once a fold, with its mean probability, or whatever is said, over the fold's seeds. A case to
/// which a seed gives none has no mean, since one over the rest would hide that.
pub(super) fn over_seeds<'a>(
    rows: &[&'a CaseResult],
    said: impl Fn(&CaseResult) -> Option<f64>,
) -> Vec<(&'a CaseResult, f64)> {
    let mut cases: BTreeMap<(usize, &str), Vec<&'a CaseResult>> = BTreeMap::new();
    for row in rows {
        cases.entry((row.fold, &row.case_id)).or_default().push(row);
    }
    let mean = |rows: &Vec<&'a CaseResult>| {
        let all: Option<Vec<f64>> = rows.iter().map(|row| said(row)).collect();
        let first = *rows.first()?;
        let all = all.filter(|_| first.growth.is_some())?;
        Some((first, all.iter().sum::<f64>() / all.len() as f64))
    };
    cases.values().filter_map(mean).collect()
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
    result.reason = no_spread(result.value, result.ci95);
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
    let cases = over_seeds(rows, |row| row.probability);
    let (probabilities, labels): (Vec<f64>, Vec<bool>) =
        cases.iter().map(|(row, p)| (*p, row.growth == Some(true))).unzip();
    let bins = if labels.is_empty() {
        Vec::new()
    } else {
        equal_mass_bins(&probabilities, &labels, n_bins, Confidence::P95)?
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
        result.reason = no_spread(result.slope, result.slope_ci95.and(result.intercept_ci95));
    }
    Ok(result)
}

#[cfg(test)]
pub(super) mod tests {
    use hemex_artifacts::{Regime, Role};

    use super::*;
    use crate::Status;

    /// A test case of arm `joint`.
    pub(crate) fn row(
        case_id: &str,
        seed: u64,
        probability: Option<f64>,
        growth: bool,
    ) -> CaseResult {
        CaseResult {
            case_id: case_id.to_owned(),
            patient_id: case_id.to_owned(),
            site: "A".to_owned(),
            regime: Regime::Patient,
            fold: 0,
            seed,
            arm: "joint".to_owned(),
            role: Role::Test,
            status: probability.map_or(Status::NoLesion, |_| Status::Ok),
            reason: None,
            growth: Some(growth),
            probability,
            logit: None,
            uncertainty: None,
            twin_logit: None,
            p_value_stable: None,
            p_value_growth: None,
            inpainted_logit: None,
            entropy_nats: None,
            mutual_information_nats: None,
            true_probability: None,
            true_probability_image_signs: None,
            dice: None,
            mask_sensitivity: None,
            mask_precision: None,
            hd95_mm: None,
            surface_dice: None,
            lesion_f1: None,
            saliency_lesion: None,
            saliency_rim: None,
            saliency_brain: None,
            lesion_share: None,
            volume_ml: None,
            reference_volume_ml: None,
            predicted_followup_ml: None,
            followup_volume_ml: None,
        }
    }

    #[test]
    fn in_bins_a_case_counts_once_whatever_the_number_of_seeds() {
        let rows = [
            row("a", 1, Some(0.2), false),
            row("b", 1, Some(0.5), true),
            row("c", 1, Some(0.9), true),
            row("a", 2, Some(0.4), false),
            row("b", 2, Some(1.0), true),
            // A seed that finds no lesion: the mean over the other would hide that.
            row("c", 2, None, true),
        ];
        let rows: Vec<&CaseResult> = rows.iter().collect();
        let (probabilities, labels): (Vec<f64>, Vec<Option<bool>>) =
            over_seeds(&rows, |row| row.probability)
                .iter()
                .map(|(row, p)| (*p, row.growth))
                .unzip();
        assert_eq!(labels, [Some(false), Some(true)]);
        for (found, expected) in probabilities.iter().zip([0.3, 0.75]) {
            assert!((found - expected).abs() < 1e-12, "{probabilities:?}");
        }
    }
}
