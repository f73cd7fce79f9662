//! Clinical scores on the same patients as the arms.

use std::collections::{BTreeMap, BTreeSet};

use hemex_artifacts::CaseRow;
use serde::Serialize;

use super::discrimination::{Arm, Difference, RankedModels, difference};
use super::estimate::Estimate;
use super::resampling::Resampling;
use crate::scores::{ClinicalScore, SCORES, ScoreInputs};
use crate::signs::{BLEND, HYPODENSITY, Signs};
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
    signs: &Signs,
    arms: &[Arm<'_>],
    resampling: &Resampling<'_>,
) -> Result<Vec<Comparator>, ReportError> {
    let scored = |score| {
        let of_case = of_case(score, evaluation, signs);
        comparator(score, &of_case, tested, arms, resampling)
    };
    SCORES.iter().map(scored).collect()
}

/// The score of each case whose inputs are known.
fn of_case<'a>(
    score: &ClinicalScore,
    evaluation: &'a Evaluation,
    signs: &Signs,
) -> BTreeMap<&'a str, f64> {
    let of = |case: &'a CaseRow| {
        let id = case.case_id.as_str();
        let inputs = ScoreInputs {
            case,
            clinical: evaluation.clinical.get(id),
            volume_ml: evaluation.labels.get(id).and_then(|label| label.baseline_volume_ml),
            blend: signs.of_case(id, &BLEND),
            hypodensity: signs.of_case(id, &HYPODENSITY),
        };
        Some((id, (score.of)(&inputs)?))
    };
    evaluation.cases.rows.iter().filter_map(of).collect()
}

fn comparator(
    score: &ClinicalScore,
    of_case: &BTreeMap<&str, f64>,
    tested: &[&CaseResult],
    arms: &[Arm<'_>],
    resampling: &Resampling<'_>,
) -> Result<Comparator, ReportError> {
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
