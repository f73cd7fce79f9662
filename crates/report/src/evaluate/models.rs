use std::collections::BTreeSet;

use hemex_artifacts::{LabelShiftEstimate, PredictionCard};
use hemex_metrics::{Confidence, DeLong, auroc, average_precision};
use serde::Serialize;

use super::discrimination::by_model;
use crate::{CaseResult, Evaluation, ReportError};

/// The figures of one model (fold and seed), or of several that speak as one, on its own test cases.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelFindings {
    /// The fold.
    pub fold: usize,
    /// The seed.
    pub seed: u64,
    /// How many models speak as one.
    pub n_models: usize,
    /// What label shift adds to the logits of its test cases, and by what; missing where nothing is added.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_shift: Option<LabelShiftEstimate>,
    /// The sites of its test cases.
    pub sites: Vec<String>,
    /// Labelled test cases with a rank.
    pub n: usize,
    /// Of these, cases that grew.
    pub n_positive: usize,
    /// AUROC; `None` with one class.
    pub auroc: Option<f64>,
    /// Its 95 % interval by DeLong on the logit scale; `None` where a patient has several cases, a
    /// class has fewer than two, or the AUROC is 0 or 1.
    pub auroc_ci95: Option<[f64; 2]>,
    /// Average precision; `None` with one class.
    pub auprc: Option<f64>,
    /// Mean probability over labelled test cases that have one, to hold against…
    pub mean_probability: Option<f64>,
    /// … the share of the same cases that grew.
    pub observed_share: Option<f64>,
    /// Mean Dice over test cases in which it is defined.
    pub mean_dice: Option<f64>,
    /// Test cases in which it is defined.
    pub n_dice: usize,
}

pub(super) fn models(
    evaluation: &Evaluation,
    arm: &str,
    rows: &[&CaseResult],
) -> Result<Vec<ModelFindings>, ReportError> {
    let models = by_model(rows).into_iter();
    models
        .map(|((fold, seed), rows)| model(evaluation.card(arm, fold, seed), fold, seed, &rows))
        .collect()
}

fn model(
    card: Option<&PredictionCard>,
    fold: usize,
    seed: u64,
    rows: &[&CaseResult],
) -> Result<ModelFindings, ReportError> {
    let ranked: Vec<(f64, bool)> =
        rows.iter().filter_map(|row| row.score().zip(row.growth)).collect();
    let (scores, labels): (Vec<f64>, Vec<bool>) = ranked.into_iter().unzip();
    let patients: BTreeSet<&str> = rows.iter().map(|row| row.patient_id.as_str()).collect();
    let delong = (patients.len() == rows.len()).then(|| DeLong::new(&scores, &labels).ok());
    let interval = delong.flatten().and_then(|delong| delong.interval(Confidence::P95));
    let said: Vec<(f64, bool)> =
        rows.iter().filter_map(|row| row.probability.zip(row.growth)).collect();
    let dice: Vec<f64> = rows.iter().filter_map(|row| row.dice).collect();
    let sites: BTreeSet<&String> = rows.iter().map(|row| &row.site).collect();
    Ok(ModelFindings {
        fold,
        seed,
        n_models: card.map_or(1, |card| card.n_models),
        label_shift: card.and_then(|card| card.label_shift),
        sites: sites.into_iter().cloned().collect(),
        n: labels.len(),
        n_positive: labels.iter().filter(|label| **label).count(),
        auroc: auroc(&scores, &labels).ok(),
        auroc_ci95: interval.map(|interval| [interval.low, interval.high]),
        auprc: average_precision(&scores, &labels).ok(),
        mean_probability: mean(said.iter().map(|(p, _)| *p)),
        observed_share: mean(said.iter().map(|(_, growth)| f64::from(u8::from(*growth)))),
        mean_dice: mean(dice.iter().copied()),
        n_dice: dice.len(),
    })
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> Option<f64> {
    let n = values.len();
    (n > 0).then(|| values.sum::<f64>() / n as f64)
}
