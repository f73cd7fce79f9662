use std::collections::BTreeMap;

use hemex_metrics::{Confidence, Interval, bland_altman, concordance, pearson};
use serde::Serialize;

use super::calibration::mean_of_drawn;
use super::estimate::{interval, no_spread};
use super::resampling::Resampling;
use crate::{CaseResult, ReportError, Status};

/// The mean of a mask figure over test cases.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MaskAgreement {
    /// Mean over the cases in which it is defined; `None` where there are none.
    pub mean: Option<f64>,
    /// Its 95 % interval over draws of patients.
    pub ci95: Option<[f64; 2]>,
    /// Median over the same cases.
    pub median: Option<f64>,
    /// Cases behind it; with several seeds a case counts once a seed.
    pub n: usize,
    /// Test cases without a value, for one of the reasons that follow.
    pub n_undefined: usize,
    /// … because the case was refused or never predicted.
    pub n_refused: usize,
    /// … because there is no reference mask.
    pub n_without_reference: usize,
    /// … because a mask is empty (for Dice: both are).
    pub n_empty: usize,
    /// Why there is no mean, or no interval of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The mean of `value` over the test cases.
pub(super) fn mask_agreement(
    rows: &[&CaseResult],
    has_masks: bool,
    resampling: &Resampling,
    value: fn(&CaseResult) -> Option<f64>,
) -> Result<MaskAgreement, ReportError> {
    let mut values: Vec<(usize, f64)> = Vec::new();
    let (mut n_refused, mut n_without_reference, mut n_empty) = (0, 0, 0);
    for row in rows {
        match (value(row), resampling.patient_idx(row)) {
            (Some(value), Some(patient)) => values.push((patient, value)),
            _ if matches!(row.status, Status::Refused | Status::Missing) => n_refused += 1,
            _ if row.reference_volume_ml.is_none() => n_without_reference += 1,
            _ => n_empty += 1,
        }
    }
    let reason = match (has_masks, values.is_empty()) {
        (false, _) => Some("the arm writes no masks"),
        (true, true) => Some("no test case has both a predicted and a reference mask"),
        (true, false) => None,
    };
    if !has_masks {
        (n_refused, n_without_reference, n_empty) = (0, 0, 0);
    }
    let distribution = (!values.is_empty())
        .then(|| resampling.distribution(|n_drawn| mean_of_drawn(&values, n_drawn)));
    let mut sorted: Vec<f64> = values.iter().map(|(_, value)| *value).collect();
    sorted.sort_by(f64::total_cmp);
    let mean = (!values.is_empty()).then(|| sorted.iter().sum::<f64>() / sorted.len() as f64);
    let ci95 = distribution.as_ref().and_then(interval);
    Ok(MaskAgreement {
        mean,
        ci95,
        median: median_of_sorted(&sorted),
        n: values.len(),
        n_undefined: rows.len() - values.len(),
        n_refused,
        n_without_reference,
        n_empty,
        reason: reason.map(str::to_owned).or_else(|| no_spread(mean, ci95)),
    })
}

/// The middle value, or the mean of the two; `None` without values.
pub(crate) fn median_of_sorted(sorted: &[f64]) -> Option<f64> {
    let (low, high) = (sorted.len().checked_sub(1)? / 2, sorted.len() / 2);
    Some(0.5 * (sorted[low] + sorted[high]))
}

/// Predicted against reference volume over test cases.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VolumeAgreement {
    /// Cases with both volumes, each once: over seeds and folds its differences are averaged.
    pub n: usize,
    /// Test cases without one of them, each once.
    pub n_undefined: usize,
    /// Mean of predicted minus reference, mL.
    pub mean_difference_ml: Option<f64>,
    /// Where about 95 % of the differences lie (mean ± 1.96 standard deviations), mL.
    pub limits_of_agreement_ml: Option<[f64; 2]>,
    /// 95 % interval of the mean difference (Student's t), mL.
    pub mean_difference_ml_ci95: Option<[f64; 2]>,
    /// 95 % intervals of the lower and of the upper limit, mL (Carkeet 2015, exact for normal differences).
    pub limits_of_agreement_ml_ci95: Option<[[f64; 2]; 2]>,
    /// Pearson's correlation.
    pub pearson: Option<f64>,
    /// Lin's concordance correlation.
    pub concordance: Option<f64>,
    /// Why there is no agreement to state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

pub(super) fn volume_agreement(rows: &[&CaseResult]) -> Result<VolumeAgreement, ReportError> {
    let mut of_case: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
    for row in rows {
        let volumes = of_case.entry(&row.case_id).or_default();
        volumes.extend(row.volume_ml.zip(row.reference_volume_ml));
    }
    let mean = |values: &[(f64, f64)], of: fn(&(f64, f64)) -> f64| {
        values.iter().map(of).sum::<f64>() / values.len() as f64
    };
    let known = of_case.values().filter(|volumes| !volumes.is_empty());
    let (measured, reference): (Vec<f64>, Vec<f64>) =
        known.map(|volumes| (mean(volumes, |v| v.0), mean(volumes, |v| v.1))).unzip();
    let mut result = VolumeAgreement {
        n: measured.len(),
        n_undefined: of_case.len() - measured.len(),
        mean_difference_ml: None,
        limits_of_agreement_ml: None,
        mean_difference_ml_ci95: None,
        limits_of_agreement_ml_ci95: None,
        pearson: None,
        concordance: None,
        reason: None,
    };
    if measured.len() < 2 {
        let reason = "fewer than two test cases have a predicted and a reference volume";
        result.reason = Some(reason.to_owned());
        return Ok(result);
    }
    let agreement = bland_altman(&measured, &reference)?;
    let limits = agreement.limits_of_agreement;
    result.mean_difference_ml = Some(agreement.mean_difference);
    result.limits_of_agreement_ml = Some([limits.low, limits.high]);
    let intervals = agreement.exact_intervals(Confidence::P95);
    let ends = |interval: Interval| [interval.low, interval.high];
    result.mean_difference_ml_ci95 = Some(ends(intervals.mean_difference));
    result.limits_of_agreement_ml_ci95 =
        Some([ends(intervals.lower_limit), ends(intervals.upper_limit)]);
    // Undefined where all volumes are the same: then the differences above say it all.
    result.pearson = pearson(&measured, &reference).ok();
    result.concordance = concordance(&measured, &reference).ok();
    Ok(result)
}
