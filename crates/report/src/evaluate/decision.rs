//! Whether acting on a probability does more good than acting on none.

use std::collections::BTreeSet;

use hemex_metrics::decision_curve;
use serde::Serialize;

use super::calibration::{mean_of_drawn, over_seeds};
use super::estimate::interval;
use super::resampling::Resampling;
use crate::{CaseResult, ReportError, Status};

/// Thresholds of the table, and how many of the curve lie up to [`MOST`].
const SHOWN: [f64; 4] = [0.1, 0.2, 0.3, 0.4];
const N_CURVE: usize = 60;
const MOST: f64 = 0.6;

/// Net benefit over all labelled test cases, folds together, each case once a fold with its mean probability over the
/// seeds. One without a detected lesion is treated by nobody: its probability counts as 0.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Decision {
    /// Cases behind it.
    pub n: usize,
    /// Test cases that a seed refused or does not have, or whose label is undefined.
    pub n_undefined: usize,
    /// At a few thresholds, with intervals; empty without a case.
    pub thresholds: Vec<ThresholdBenefit>,
    /// `[threshold, net benefit, net benefit of treating all]` from 1 % on.
    #[serde(skip)]
    pub curve: Vec<[f64; 3]>,
}

/// Net benefit at a threshold.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ThresholdBenefit {
    /// The probability from which on a case is treated as one that will grow.
    pub threshold: f64,
    /// True minus false positives a case, a false positive weighing the odds of the threshold.
    pub net_benefit: f64,
    /// Its 95 % interval over draws of patients.
    pub ci95: Option<[f64; 2]>,
    /// The net benefit of treating all; of treating none it is 0.
    pub treat_all: f64,
}

/// The net benefit of an arm.
pub(super) fn decision(
    rows: &[&CaseResult],
    resampling: &Resampling<'_>,
) -> Result<Decision, ReportError> {
    let cases = over_seeds(rows, acted_on);
    let tested: BTreeSet<_> = rows.iter().map(|row| (row.fold, &row.case_id)).collect();
    let n_undefined = tested.len() - cases.len();
    let probabilities: Vec<f64> = cases.iter().map(|(_, probability)| *probability).collect();
    let labels: Vec<bool> = cases.iter().map(|(row, _)| row.growth == Some(true)).collect();
    if cases.is_empty() {
        return Ok(Decision { n: 0, n_undefined, thresholds: Vec::new(), curve: Vec::new() });
    }
    let grid: Vec<f64> = (1..=N_CURVE).map(|i| MOST * i as f64 / N_CURVE as f64).collect();
    let curve = decision_curve(&probabilities, &labels, &grid)?;
    let shown = decision_curve(&probabilities, &labels, &SHOWN)?;
    let thresholds = shown.into_iter().map(|at| {
        // The net benefit is a mean over cases, so that it can be drawn like one.
        let of_case = |(row, probability): &(&CaseResult, f64)| {
            let value = match (*probability >= at.threshold, row.growth == Some(true)) {
                (false, _) => 0.0,
                (true, true) => 1.0,
                (true, false) => -at.threshold / (1.0 - at.threshold),
            };
            Some((resampling.patient_idx(row)?, value))
        };
        let values: Vec<(usize, f64)> = cases.iter().filter_map(of_case).collect();
        let draws = resampling.distribution(|n_drawn| mean_of_drawn(&values, n_drawn));
        ThresholdBenefit {
            threshold: at.threshold,
            net_benefit: at.model,
            ci95: interval(&draws),
            treat_all: at.all,
        }
    });
    Ok(Decision {
        n: cases.len(),
        n_undefined,
        thresholds: thresholds.collect(),
        curve: curve.iter().map(|at| [at.threshold, at.model, at.all]).collect(),
    })
}

/// The probability that decides: where no lesion was found nobody is treated, as low as the threshold may be.
fn acted_on(row: &CaseResult) -> Option<f64> {
    match row.status {
        Status::NoLesion => Some(0.0),
        Status::Ok | Status::Refused | Status::Missing => row.probability,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use hemex_metrics::Bootstrap;

    use super::*;
    use crate::evaluate::calibration::tests::row;

    #[test]
    fn a_missed_hematoma_costs_its_benefit_and_a_refused_case_is_counted() {
        let refused = CaseResult { status: Status::Refused, ..row("d", 1, None, true) };
        let rows = [
            row("a", 1, Some(0.9), true),
            row("a", 2, Some(0.7), true),
            row("b", 1, Some(0.3), false),
            row("b", 2, Some(0.3), false),
            // Found by one seed alone: 0.25 in the mean.
            row("c", 1, Some(0.5), true),
            row("c", 2, None, true),
            refused,
            row("e", 1, None, true),
            CaseResult { growth: None, ..row("f", 1, Some(0.5), true) },
        ];
        let rows: Vec<&CaseResult> = rows.iter().collect();
        let resampling = Resampling::new(&rows, Bootstrap { n_draws: 100, seed: 1 });
        let found = decision(&rows, &resampling).unwrap();
        assert_eq!((found.n, found.n_undefined), (4, 2));
        let expected = [
            // a and c are treated, and b in vain; of four.
            (0.2, (2.0 - 0.25) / 4.0, (3.0 - 0.25) / 4.0),
            (0.4, 1.0 / 4.0, (3.0 - 0.4 / 0.6) / 4.0),
        ];
        for (threshold, net_benefit, treat_all) in expected {
            let at = found.thresholds.iter().find(|at| at.threshold == threshold).unwrap();
            assert!((at.net_benefit - net_benefit).abs() < 1e-12, "{at:?}");
            assert!((at.treat_all - treat_all).abs() < 1e-12, "{at:?}");
        }
    }
}
