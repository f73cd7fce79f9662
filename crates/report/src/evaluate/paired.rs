//! One arm in two runs, on the same test cases.

use hemex_metrics::{Bootstrap, Ranking};

use super::calibration::mean_of_drawn;
use super::discrimination::{Difference, RankedModels, difference};
use super::estimate::interval;
use super::resampling::Resampling;
use crate::{CaseResult, ReportError};

/// A mean over cases in two runs.
#[derive(Debug, Clone, PartialEq)]
pub struct PairedMean {
    /// Cases in which both runs have a value.
    pub n: usize,
    /// The mean of each run over them; `None` without any.
    pub means: [Option<f64>; 2],
    /// The second minus the first.
    pub difference: Option<f64>,
    /// Its 95 % interval over draws of patients.
    pub ci95: Option<[f64; 2]>,
}

/// The figures of an arm in two runs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RunFigures {
    pub(crate) auroc: [Option<f64>; 2],
    pub(crate) difference: Difference,
    pub(crate) dice: PairedMean,
    pub(crate) volume_error_ml: PairedMean,
}

/// Compares the rows of two runs, the same cases in the same order.
pub(crate) fn paired_runs(
    pairs: [Vec<&CaseResult>; 2],
    bootstrap: Bootstrap,
) -> Result<RunFigures, ReportError> {
    let [first, second] = &pairs;
    let resampling = Resampling::new(first, bootstrap);
    let volume_error = |row: &CaseResult| Some((row.volume_ml? - row.reference_volume_ml?).abs());
    let dice = paired_mean(&pairs, |row| row.dice, &resampling);
    let volume_error_ml = paired_mean(&pairs, volume_error, &resampling);
    let difference =
        difference(&("second", second.clone()), &("first", first.clone()), &resampling)?;
    // Over the cases that both rank, as the difference is.
    let mut auroc = [None; 2];
    for (value, (own, other)) in auroc.iter_mut().zip([(first, second), (second, first)]) {
        let both = own.iter().zip(other).filter(|(_, other)| other.score().is_some());
        let rows: Vec<&CaseResult> = both.map(|(row, _)| *row).collect();
        let ranked = RankedModels::new(&rows, &CaseResult::score, &resampling)?;
        *value = ranked.undrawn(&resampling, Ranking::auroc);
    }
    Ok(RunFigures { auroc, difference, dice, volume_error_ml })
}

fn paired_mean(
    [first, second]: &[Vec<&CaseResult>; 2],
    value: impl Fn(&CaseResult) -> Option<f64>,
    resampling: &Resampling<'_>,
) -> PairedMean {
    let pairs: Vec<(usize, [f64; 2])> = first
        .iter()
        .zip(second)
        .filter_map(|(a, b)| Some((resampling.patient_idx(a)?, [value(a)?, value(b)?])))
        .collect();
    let of = |pick: fn(&[f64; 2]) -> f64| -> Vec<(usize, f64)> {
        pairs.iter().map(|(patient, values)| (*patient, pick(values))).collect()
    };
    let undrawn = resampling.undrawn();
    let means = [of(|v| v[0]), of(|v| v[1])].map(|values| mean_of_drawn(&values, &undrawn));
    let differences = of(|v| v[1] - v[0]);
    let ci95 = (!pairs.is_empty())
        .then(|| resampling.distribution(|n_drawn| mean_of_drawn(&differences, n_drawn)))
        .and_then(|distribution| interval(&distribution));
    PairedMean { n: pairs.len(), means, difference: mean_of_drawn(&differences, &undrawn), ci95 }
}
