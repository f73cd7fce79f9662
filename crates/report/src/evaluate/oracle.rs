use std::collections::BTreeSet;

use hemex_artifacts::Oracle;
use serde::Serialize;

use super::discrimination::{MeanRoc, RankedModels};
use super::resampling::Resampling;
use crate::{CaseResult, Evaluation, ReportError};

/// What the true probabilities reach: no predictor can be expected to rank better.
///
/// Computed as the arms' figures are, on the same folds and patients; every labelled test case with a
/// known truth counts, refused or not.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OracleFindings {
    /// AUROC of the true probabilities, all inputs known.
    pub auroc: Option<f64>,
    /// Its 95 % interval over draws of patients.
    pub ci95: Option<[f64; 2]>,
    /// Cases behind it.
    pub n: usize,
    /// Cases behind it that grew.
    pub n_positive: usize,
    /// AUROC of the true probabilities given the image signs alone.
    pub auroc_image_signs: Option<f64>,
    /// Its 95 % interval.
    pub auroc_image_signs_ci95: Option<[f64; 2]>,
    /// AUROC in the population that the phantom is drawn from.
    pub auroc_population: Option<f64>,
    /// The same given the image signs alone.
    pub auroc_population_image_signs: Option<f64>,
    /// Why the AUROC or its interval is not defined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The mean ROC curve.
    #[serde(skip)]
    pub roc: Option<MeanRoc>,
}

/// The oracle's figures, `None` where no test case has a true probability.
pub(super) fn oracle(
    evaluation: &Evaluation,
    tested: &[&CaseResult],
    resampling: &Resampling,
) -> Result<Option<OracleFindings>, ReportError> {
    // Each test case of each fold once, whichever model spoke of it.
    let mut seen = BTreeSet::new();
    let cases: Vec<&CaseResult> = tested
        .iter()
        .filter(|row| row.true_probability.is_some() && seen.insert((row.fold, &row.case_id)))
        .copied()
        .collect();
    if cases.is_empty() {
        return Ok(None);
    }
    // One ranking a fold: rows of one case under several seeds were dropped above, the rest may name
    // different seeds.
    let owned: Vec<CaseResult> =
        cases.iter().map(|row| CaseResult { seed: 0, ..(*row).clone() }).collect();
    let rows: Vec<&CaseResult> = owned.iter().collect();
    let truth = |row: &CaseResult| row.true_probability;
    let auroc = RankedModels::new(&rows, &truth, resampling)?.auroc(resampling);
    let signs = |row: &CaseResult| row.true_probability_image_signs;
    let signs = RankedModels::new(&rows, &signs, resampling)?.auroc(resampling);
    let population = evaluation.oracle_population;
    Ok(Some(OracleFindings {
        auroc: auroc.value,
        ci95: auroc.ci95,
        n: auroc.n,
        n_positive: auroc.n_positive,
        auroc_image_signs: signs.value,
        auroc_image_signs_ci95: signs.ci95,
        auroc_population: population.map(|o: Oracle| o.auroc_population),
        auroc_population_image_signs: population.map(|o| o.auroc_population_image_signs),
        reason: auroc.reason,
        roc: MeanRoc::new(&rows, &truth)?,
    }))
}
