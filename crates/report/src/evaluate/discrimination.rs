use std::collections::{BTreeMap, BTreeSet};

use hemex_metrics::{Distribution, MetricError, Ranking, RocCurve};
use serde::Serialize;

use super::estimate::{Estimate, interval, no_spread};
use super::resampling::Resampling;
use crate::{CaseResult, ReportError};

/// What a case is ranked by; `None` leaves it out.
pub(super) type Score<'a> = &'a dyn Fn(&CaseResult) -> Option<f64>;

/// The labelled test cases of each model, ranked. Scores of different models are never put into one
/// ranking: a figure is computed for each and averaged, over the seeds of a fold and then over folds.
pub(super) struct RankedModels {
    // Fold → its models (one a seed).
    folds: BTreeMap<usize, Vec<RankedModel>>,
    n: usize,
    n_positive: usize,
}

struct RankedModel {
    ranking: Ranking,
    n: usize,
    n_positive: usize,
}

impl RankedModels {
    pub(super) fn new(
        rows: &[&CaseResult],
        score: Score<'_>,
        resampling: &Resampling,
    ) -> Result<Self, ReportError> {
        let mut folds: BTreeMap<usize, Vec<RankedModel>> = BTreeMap::new();
        for ((fold, _), rows) in by_model(rows) {
            let model = ranked_model(&rows, score, resampling)?;
            folds.entry(fold).or_default().push(model);
        }
        let ranked = || rows.iter().filter(|row| row.growth.is_some() && score(row).is_some());
        let cases = |keep: &dyn Fn(&CaseResult) -> bool| {
            let unique: BTreeSet<_> =
                ranked().filter(|row| keep(row)).map(|row| (row.fold, &row.case_id)).collect();
            unique.len()
        };
        Ok(Self { folds, n: cases(&|_| true), n_positive: cases(&|row| row.growth == Some(true)) })
    }

    pub(super) fn auroc(&self, resampling: &Resampling) -> Estimate {
        self.estimate(resampling, Ranking::auroc)
    }

    pub(super) fn average_precision(&self, resampling: &Resampling) -> Estimate {
        self.estimate(resampling, Ranking::average_precision)
    }

    /// The share that grew, averaged over seeds and folds as the figures are: the average precision of
    /// a ranking that knows nothing. `None` if a model ranks no case.
    pub(super) fn prevalence(&self) -> Option<f64> {
        self.mean(|model| (model.n > 0).then(|| model.n_positive as f64 / model.n as f64))
    }

    /// A figure over the cases as they are, without an interval.
    pub(super) fn undrawn(&self, resampling: &Resampling, figure: Figure) -> Option<f64> {
        self.average(&resampling.undrawn(), figure)
    }

    fn estimate(&self, resampling: &Resampling, figure: Figure) -> Estimate {
        let value = self.average(&resampling.undrawn(), figure);
        // Without a value no draw has one: the strata keep each fold's classes as they are.
        let distribution = value.map(|_| self.distribution(resampling, figure));
        let ci95 = distribution.as_ref().and_then(interval);
        let reason = match value {
            Some(_) => no_spread(value, ci95),
            None => Some(self.why_undefined()),
        };
        Estimate {
            value,
            ci95,
            n: self.n,
            n_positive: self.n_positive,
            n_draws_undefined: distribution.map_or(0, |d| d.n_undefined()),
            reason,
        }
    }

    fn distribution(&self, resampling: &Resampling, figure: Figure) -> Distribution {
        resampling.distribution(|n_drawn| self.average(n_drawn, figure))
    }

    fn average(&self, n_drawn: &[u32], figure: Figure) -> Option<f64> {
        self.mean(|model| figure(&model.ranking, n_drawn))
    }

    /// The mean over folds of the mean over seeds; `None` if it is undefined for any model, since a
    /// mean over the rest would hide it.
    fn mean(&self, of_model: impl Fn(&RankedModel) -> Option<f64>) -> Option<f64> {
        let mean_over = |values: Vec<f64>| -> Option<f64> {
            (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
        };
        let folds: Option<Vec<f64>> = self
            .folds
            .values()
            .map(|models| {
                let seeds: Option<Vec<f64>> = models.iter().map(&of_model).collect();
                seeds.and_then(mean_over)
            })
            .collect();
        folds.and_then(mean_over)
    }

    fn why_undefined(&self) -> String {
        let mut reasons: Vec<String> = Vec::new();
        for (fold, models) in &self.folds {
            if let Some(model) = models.iter().find(|m| m.n_positive == 0 || m.n_positive == m.n) {
                let RankedModel { n, n_positive, .. } = model;
                reasons.push(format!("in fold {fold}, {n_positive} of {n} ranked cases grew"));
            }
        }
        if reasons.is_empty() {
            return "there is no test case with a label and a rank".to_owned();
        }
        format!("needs cases of both classes in every fold: {}", reasons.join("; "))
    }
}

pub(super) type Figure = fn(&Ranking, &[u32]) -> Option<f64>;

fn ranked_model(
    rows: &[&CaseResult],
    score: Score<'_>,
    resampling: &Resampling,
) -> Result<RankedModel, ReportError> {
    let (mut scores, mut labels, mut patients) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        if let (Some(growth), Some(score), Some(patient)) =
            (row.growth, score(row), resampling.patient_idx(row))
        {
            scores.push(score);
            labels.push(growth);
            patients.push(patient);
        }
    }
    let ranking = Ranking::of_patients(&scores, &labels, &patients, resampling.n_patients())?;
    let n_positive = labels.iter().filter(|label| **label).count();
    Ok(RankedModel { ranking, n: labels.len(), n_positive })
}

/// The rows of each model (fold, seed).
pub(super) fn by_model<'a>(rows: &[&'a CaseResult]) -> BTreeMap<(usize, u64), Vec<&'a CaseResult>> {
    let mut models: BTreeMap<(usize, u64), Vec<&CaseResult>> = BTreeMap::new();
    for row in rows {
        models.entry((row.fold, row.seed)).or_default().push(row);
    }
    models
}

/// Two arms compared on the cases that both rank, and on the same draws of patients.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// The arm from which the other is taken.
    #[serde(skip)]
    pub first: String,
    /// The arm that is taken from it.
    #[serde(skip)]
    pub second: String,
    /// Labelled test cases that every model of both arms ranks: those that are compared.
    pub n: usize,
    /// Of these, cases that grew.
    pub n_positive: usize,
    /// First AUROC minus second over these cases; `None` where it is not defined.
    pub auroc: Option<f64>,
    /// Its 95 % interval, paired over patients.
    pub ci95: Option<[f64; 2]>,
    /// Two-sided bootstrap p-value of no difference; `None` without an interval.
    pub p: Option<f64>,
    /// First average precision minus second.
    pub auprc: Option<f64>,
    /// Its 95 % interval, paired over patients.
    pub auprc_ci95: Option<[f64; 2]>,
    /// Bootstrap draws in which the AUROC difference was not defined.
    pub n_draws_undefined: usize,
    /// Labelled test cases that a model of one arm ranks and another model does not: left out.
    pub n_ranked_by_one_arm: usize,
    /// Why there is no difference, or no interval of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Difference {
    /// `first-second`, the key in `metrics.json`.
    pub fn name(&self) -> String {
        format!("{}-{}", self.first, self.second)
    }
}

/// An arm: its name and its test rows.
pub(super) type Arm<'a> = (&'a str, Vec<&'a CaseResult>);

/// Which labelled test cases the models of two arms rank.
pub(super) struct RankedByBoth<'a> {
    /// Whether each is ranked by any model and by all.
    cases: BTreeMap<(usize, &'a str), [bool; 2]>,
}

impl<'a> RankedByBoth<'a> {
    pub(super) fn new(first: &[&'a CaseResult], second: &[&'a CaseResult]) -> Self {
        let mut cases: BTreeMap<(usize, &str), [bool; 2]> = BTreeMap::new();
        for row in first.iter().chain(second).filter(|row| row.growth.is_some()) {
            let [any, all] = cases.entry((row.fold, &row.case_id)).or_insert([false, true]);
            *any |= row.score().is_some();
            *all &= row.score().is_some();
        }
        Self { cases }
    }

    /// What a case is ranked by if every model ranks it.
    pub(super) fn score(&self, row: &CaseResult) -> Option<f64> {
        let ranked = self.cases.get(&(row.fold, row.case_id.as_str()));
        row.score().filter(|_| ranked == Some(&[true; 2]))
    }

    /// Cases that a model ranks and another does not.
    fn n_by_some(&self) -> usize {
        self.cases.values().filter(|ranked| **ranked == [true, false]).count()
    }
}

/// The first arm minus the second.
pub(super) fn difference(
    (first_name, first_rows): &Arm,
    (second_name, second_rows): &Arm,
    resampling: &Resampling,
) -> Result<Difference, ReportError> {
    let ranked = RankedByBoth::new(first_rows, second_rows);
    let score = |row: &CaseResult| ranked.score(row);
    let first = RankedModels::new(first_rows, &score, resampling)?;
    let second = RankedModels::new(second_rows, &score, resampling)?;
    let mut result = Difference {
        first: (*first_name).to_owned(),
        second: (*second_name).to_owned(),
        n: first.n,
        n_positive: first.n_positive,
        auroc: None,
        ci95: None,
        p: None,
        auprc: None,
        auprc_ci95: None,
        n_draws_undefined: 0,
        n_ranked_by_one_arm: ranked.n_by_some(),
        reason: None,
    };
    if !first.folds.keys().eq(second.folds.keys()) {
        (result.n, result.n_positive) = (0, 0);
        result.reason = Some("the arms were not tested on the same folds".to_owned());
        return Ok(result);
    }
    let undrawn = resampling.undrawn();
    let minus =
        |figure: Figure| Some(first.average(&undrawn, figure)? - second.average(&undrawn, figure)?);
    result.auroc = minus(Ranking::auroc);
    result.auprc = minus(Ranking::average_precision);
    if result.auroc.is_none() {
        result.reason = Some(first.why_undefined());
        return Ok(result);
    }
    let draws = |figure: Figure| {
        first.distribution(resampling, figure).minus(&second.distribution(resampling, figure))
    };
    let auroc = draws(Ranking::auroc)?;
    result.ci95 = interval(&auroc);
    result.reason = no_spread(result.auroc, result.ci95);
    result.p = result.ci95.and_then(|_| auroc.p_value_of_zero().ok());
    result.n_draws_undefined = auroc.n_undefined();
    result.auprc_ci95 = interval(&draws(Ranking::average_precision)?);
    Ok(result)
}

/// ROC curves of each model and their vertical mean.
#[derive(Debug, Clone, PartialEq)]
pub struct MeanRoc {
    /// The curve of each model as (false-positive rate, sensitivity).
    pub models: Vec<Vec<[f64; 2]>>,
    /// Mean sensitivity over seeds and folds at a grid of false-positive rates, from (0, 0).
    pub mean: Vec<[f64; 2]>,
}

impl MeanRoc {
    /// Points of the grid.
    const N_POINTS: usize = 200;

    /// The curves of these test cases; `None` unless every model has both classes.
    pub(super) fn new(rows: &[&CaseResult], score: Score<'_>) -> Result<Option<Self>, ReportError> {
        let mut folds: BTreeMap<usize, Vec<RocCurve>> = BTreeMap::new();
        for ((fold, _), rows) in by_model(rows) {
            let (mut scores, mut labels) = (Vec::new(), Vec::new());
            for row in rows {
                if let (Some(growth), Some(score)) = (row.growth, score(row)) {
                    scores.push(score);
                    labels.push(growth);
                }
            }
            match RocCurve::new(&scores, &labels) {
                Ok(curve) => folds.entry(fold).or_default().push(curve),
                Err(MetricError::OneClass { .. }) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
        if folds.is_empty() {
            return Ok(None);
        }
        let points = |curve: &RocCurve| {
            curve.points().iter().map(|p| [p.false_positive_rate, p.sensitivity]).collect()
        };
        let mut mean = vec![[0.0, 0.0]];
        for i in 0..=Self::N_POINTS {
            let rate = i as f64 / Self::N_POINTS as f64;
            let of_fold = |curves: &Vec<RocCurve>| {
                curves.iter().map(|c| c.sensitivity_at(rate)).sum::<f64>() / curves.len() as f64
            };
            mean.push([rate, folds.values().map(of_fold).sum::<f64>() / folds.len() as f64]);
        }
        Ok(Some(Self { models: folds.values().flatten().map(points).collect(), mean }))
    }
}
