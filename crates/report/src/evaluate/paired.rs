//! One arm in two runs, on the same test cases.

use hemex_metrics::{Bootstrap, Ranking};

use super::calibration::mean_of_drawn;
use super::discrimination::{Difference, RankedByBoth, RankedModels, difference};
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
    // Over the cases that every model of both ranks, as the difference is.
    let both = RankedByBoth::new(first, second);
    let score = |row: &CaseResult| both.score(row);
    let mut auroc = [None; 2];
    for (value, rows) in auroc.iter_mut().zip([first, second]) {
        let ranked = RankedModels::new(rows, &score, &resampling)?;
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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;
    use crate::Status;
    use crate::evaluate::calibration::tests::row;

    #[test]
    fn a_case_that_one_seed_of_one_run_refuses_is_in_no_figure() {
        let of_seed = |seed| {
            [
                row("a", seed, Some(0.9), true),
                row("b", seed, Some(0.4), true),
                row("c", seed, Some(0.5), false),
                row("d", seed, Some(0.1), false),
            ]
        };
        let first = [of_seed(1), of_seed(2)].concat();
        let mut second = first.clone();
        // The one that is ranked wrongly.
        (second[5].status, second[5].probability) = (Status::Refused, None);
        let pairs = [first.iter().collect(), second.iter().collect()];
        let found = paired_runs(pairs, Bootstrap { n_draws: 100, seed: 1 }).unwrap();
        assert_eq!((found.auroc, found.difference.auroc), ([Some(1.0); 2], Some(0.0)));
        assert_eq!((found.difference.n, found.difference.n_ranked_by_one_arm), (3, 1));
    }
}
