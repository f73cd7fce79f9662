//! Clinical scores on the same patients as the arms.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::discrimination::{Arm, Difference, RankedModels, difference};
use super::estimate::Estimate;
use super::resampling::Resampling;
use crate::scores::{ClinicalScore, SCORES, ScoreInputs};
use crate::{CaseResult, Evaluation, ReportError, Status};

/// What a clinical score reaches, and each arm beside it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparator {
    /// Its name.
    pub name: &'static str,
    /// Its source.
    pub source: &'static str,
    /// AUROC over the labelled test cases whose inputs are known, averaged over folds as the arms' figures are.
    pub auroc: Estimate,
    /// Labelled test cases without the score: an input is not known.
    pub n_without_score: usize,
    /// Each arm minus the score, over the cases that both rank.
    pub differences: Vec<Difference>,
}

/// The scores on the test cases.
pub(super) fn comparators(
    evaluation: &Evaluation,
    tested: &[&CaseResult],
    arms: &[Arm<'_>],
    resampling: &Resampling<'_>,
) -> Result<Vec<Comparator>, ReportError> {
    SCORES.iter().map(|score| comparator(score, evaluation, tested, arms, resampling)).collect()
}

fn comparator(
    score: &ClinicalScore,
    evaluation: &Evaluation,
    tested: &[&CaseResult],
    arms: &[Arm<'_>],
    resampling: &Resampling<'_>,
) -> Result<Comparator, ReportError> {
    let of_case: BTreeMap<&str, f64> = evaluation
        .cases
        .rows
        .iter()
        .filter_map(|case| {
            let inputs = ScoreInputs {
                case,
                clinical: evaluation.clinical.get(&case.case_id),
                volume_ml: evaluation.labels.get(&case.case_id)?.baseline_volume_ml,
            };
            Some((case.case_id.as_str(), (score.of)(&inputs)?))
        })
        .collect();
    // As an arm that says the score where a network says a probability: each test case of each fold once.
    let mut seen = BTreeSet::new();
    let once = tested.iter().filter(|row| seen.insert((row.fold, &row.case_id)));
    let rows: Vec<CaseResult> = once
        .map(|row| {
            let value = of_case.get(row.case_id.as_str()).copied();
            let status = if value.is_some() { Status::Ok } else { Status::Missing };
            CaseResult { seed: 0, status, probability: value, ..(*row).clone() }
        })
        .collect();
    let rows: Vec<&CaseResult> = rows.iter().collect();
    let ranked = RankedModels::new(&rows, &CaseResult::score, resampling)?;
    let n_without_score =
        rows.iter().filter(|row| row.growth.is_some() && row.score().is_none()).count();
    let own: Arm<'_> = (score.name, rows);
    let differences = arms.iter().map(|arm| difference(arm, &own, resampling));
    Ok(Comparator {
        name: score.name,
        source: score.source,
        auroc: ranked.auroc(resampling),
        n_without_score,
        differences: differences.collect::<Result<_, _>>()?,
    })
}
