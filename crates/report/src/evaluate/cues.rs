//! Whether predictions follow how a scan was made instead of what it shows.
//!
//! A property of the scan (a cue) parts the test cases of a fold in two. Two questions, each the share of pairs of cases
//! that a score ranks one way (an AUROC), over pairs of one model and of one stratum, every pair counting alike:
//! among cases of the same outcome, does the score tell one side of the cue from the other (0.5: not at all)? And
//! among cases of the same side, does it still tell growth? A network that lives on the cue answers yes and no.

use std::collections::BTreeMap;

use hemex_artifacts::CaseRow;
use hemex_metrics::Ranking;
use serde::Serialize;

use super::agreement::median_of_sorted;
use super::discrimination::{Arm, by_model};
use super::estimate::{interval, no_spread};
use super::resampling::Resampling;
use crate::{CaseResult, Evaluation, ReportError, Status};

/// A property of the scan and how the arms stand to it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cue {
    /// What cases are parted by.
    pub name: &'static str,
    /// The two sides.
    pub sides: [String; 2],
    /// Test cases on either side, each once a fold.
    pub n: [usize; 2],
    /// Of those with a label, the share that grew; `None` without any.
    pub growth: [Option<f64>; 2],
    /// Figures by arm, in the order of the arms.
    pub arms: Vec<CueFigures>,
}

/// How an arm stands to a cue.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CueFigures {
    /// The arm.
    pub arm: String,
    /// Share of pairs of one outcome and different sides in which the second side has the higher score.
    pub told: PairShare,
    /// Share of pairs of one side and different outcomes in which the case that grew has the higher score.
    pub within: PairShare,
    /// The same over pairs of the same side or not: what `within` is held against.
    pub over_all: PairShare,
}

/// What an arm says of heads without their hematoma.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TwinFigures {
    /// The arm.
    pub arm: String,
    /// Share of pairs of test patients in which the one that grew has the higher logit without its hematoma (0.5:
    /// nothing but the hematoma speaks). An arm that says nothing of such a head, though it read it, ranks it below all
    /// of which it says something.
    pub told: PairShare,
    /// Of how many heads it says something.
    pub n_told: usize,
    /// Of how many that it read.
    pub n: usize,
    /// Test cases, each once a model, of which no such head was read: left out.
    pub n_not_read: usize,
}

/// The arms on the lesion-free twins of test cases; empty where no arm has read one. Refused and missing cases are left
/// out, and those without a twin.
pub(super) fn twins(
    arms: &[Arm<'_>],
    has_twin: impl Fn(&str) -> bool,
    resampling: &Resampling<'_>,
) -> Result<Vec<TwinFigures>, ReportError> {
    // Whatever could be read was, and its twin with it.
    let is_silent = |row: &CaseResult| {
        matches!(row.status, Status::Ok | Status::NoLesion) && has_twin(&row.case_id)
    };
    without_hematoma(arms, |row| row.twin_logit, &is_silent, resampling)
}

/// The arms on the heads in which the hematoma that they found is filled in; empty where no arm has read one. Arms
/// without masks have no part in it, nor cases without a found hematoma, nor those in which nothing was filled.
pub(super) fn inpainted(
    arms: &[Arm<'_>],
    has_masks: impl Fn(&str) -> bool,
    tells_from_masks: impl Fn(&str) -> bool,
    resampling: &Resampling<'_>,
) -> Result<Vec<TwinFigures>, ReportError> {
    let with_masks: Vec<Arm<'_>> = arms.iter().filter(|(arm, _)| has_masks(arm)).cloned().collect();
    // A network's own logit there is of every head, found or not.
    let is_silent = |row: &CaseResult| row.status == Status::Ok && tells_from_masks(&row.arm);
    without_hematoma(&with_masks, |row| row.inpainted_logit, &is_silent, resampling)
}

/// What the arms say of heads without their hematoma. `is_silent` tells where a head without a logit was read, and
/// nothing was found in it to tell growth from.
fn without_hematoma(
    arms: &[Arm<'_>],
    logit: fn(&CaseResult) -> Option<f64>,
    is_silent: &dyn Fn(&CaseResult) -> bool,
    resampling: &Resampling<'_>,
) -> Result<Vec<TwinFigures>, ReportError> {
    if !arms.iter().flat_map(|(_, rows)| rows).any(|row| logit(row).is_some()) {
        return Ok(Vec::new());
    }
    let figures = |(arm, rows): &Arm<'_>| {
        let growth = |row: &CaseResult| row.growth;
        let score =
            |row: &CaseResult| logit(row).or_else(|| is_silent(row).then_some(f64::NEG_INFINITY));
        let told = pair_share_by(rows, &score, &growth, &|_| Some(true), resampling)?;
        let n_told = rows.iter().filter(|row| logit(row).is_some()).count();
        let n = rows.iter().filter(|row| score(row).is_some()).count();
        Ok(TwinFigures { arm: (*arm).to_owned(), told, n_told, n, n_not_read: rows.len() - n })
    };
    arms.iter().map(figures).collect()
}

/// A share of pairs with its interval.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PairShare {
    /// The share; `None` where there is no such pair.
    pub value: Option<f64>,
    /// Its 95 % interval over draws of patients.
    pub ci95: Option<[f64; 2]>,
    /// Pairs behind it, those of each seed counted.
    pub n_pairs: u64,
    /// Why there is none, or no interval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What a scan can betray of how it was made.
pub(super) enum Property {
    /// Parted at the median of each fold's test cases, where it varies enough for that.
    Number(fn(&CaseRow) -> Option<f64>),
    /// The most frequent value of all test cases against all others.
    Name(fn(&CaseRow) -> Option<String>),
}

/// A number whose quartiles lie nearer than this share of its median does not part a fold: what is measured so is
/// how it is measured.
const LEAST_SPREAD: f64 = 0.05;

pub(super) const PROPERTIES: [(&str, Property); 8] = [
    ("site", Property::Name(|case| Some(case.site.clone()))),
    ("convolution kernel", Property::Name(|case| case.convolution_kernel.clone())),
    ("manufacturer", Property::Name(|case| case.manufacturer.clone())),
    ("file format", Property::Name(|case| Some(case.source_format.clone()))),
    ("tube voltage", Property::Number(|case| case.tube_voltage_kvp)),
    ("noise", Property::Number(|case| case.noise_hu)),
    ("slice distance", Property::Number(|case| Some(case.native_spacing_d_mm))),
    ("pixel size", Property::Number(|case| Some(case.native_spacing_w_mm))),
];

/// The cues that part the test cases.
pub(super) fn cues(
    evaluation: &Evaluation,
    tested: &[&CaseResult],
    arms: &[Arm<'_>],
    resampling: &Resampling<'_>,
) -> Result<Vec<Cue>, ReportError> {
    let mut found = Vec::new();
    for (name, property) in &PROPERTIES {
        if let Some((sides, side_of)) = parted(evaluation, tested, property) {
            let side = |row: &CaseResult| side_of.get(&(row.fold, row.case_id.as_str())).copied();
            let figures = |(arm, rows): &Arm<'_>| figures(arm, rows, &side, resampling);
            let arms = arms.iter().map(figures).collect::<Result<Vec<_>, _>>()?;
            let [first, second] = [false, true].map(|which| counts(tested, &side, which));
            let (n, growth) = ([first.0, second.0], [first.1, second.1]);
            found.push(Cue { name, sides, n, growth, arms });
        }
    }
    Ok(found)
}

/// The names of the two sides, and whether a fold's test case is on the second.
pub(super) type Parted<'a> = ([String; 2], BTreeMap<(usize, &'a str), bool>);

/// `None` where no fold has cases on both sides. A case whose value is not known is on neither.
pub(super) fn parted<'a>(
    evaluation: &Evaluation,
    tested: &[&'a CaseResult],
    property: &Property,
) -> Option<Parted<'a>> {
    let mut folds: BTreeMap<usize, BTreeMap<&str, &CaseRow>> = BTreeMap::new();
    for row in tested {
        let case = evaluation.case(&row.case_id);
        folds.entry(row.fold).or_default().extend(case.map(|case| (row.case_id.as_str(), case)));
    }
    let (names, sides) = match property {
        Property::Number(of) => {
            let mut sides = BTreeMap::new();
            for (fold, cases) in folds {
                let of = |case: &CaseRow| of(case);
                let Some(median) = median_that_parts(cases.values().filter_map(|case| of(case)))
                else {
                    continue;
                };
                let side = |(id, case): (&'a str, &CaseRow)| Some(((fold, id), of(case)? > median));
                sides.extend(cases.into_iter().filter_map(side));
            }
            (["lower half of the fold".to_owned(), "upper half".to_owned()], sides)
        }
        Property::Name(of) => {
            let mut counts: BTreeMap<String, usize> = BTreeMap::new();
            for name in folds.values().flat_map(BTreeMap::values).filter_map(|case| of(case)) {
                *counts.entry(name).or_default() += 1;
            }
            // Of equally frequent names the first in the alphabet.
            let most = counts.iter().max_by(|a, b| a.1.cmp(b.1).then(b.0.cmp(a.0)))?.0.clone();
            let mut sides = BTreeMap::new();
            for (fold, cases) in folds {
                let side = |(id, case): (&'a str, &CaseRow)| Some(((fold, id), of(case)? == most));
                sides.extend(cases.into_iter().filter_map(side));
            }
            let others: Vec<String> = counts.into_keys().filter(|name| *name != most).collect();
            ([others.join(", "), most], sides)
        }
    };
    let n_second = sides.values().filter(|second| **second).count();
    (n_second > 0 && n_second < sides.len()).then_some((names, sides))
}

/// The median of values that vary enough.
fn median_that_parts(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let median = median_of_sorted(&values)?;
    let quartile = |share: f64| values[(share * (values.len() - 1) as f64).round() as usize];
    let spread = quartile(0.75) - quartile(0.25);
    (spread > LEAST_SPREAD * median.abs()).then_some(median)
}

/// Test cases on a side, each once a fold, and the share that grew.
fn counts(
    tested: &[&CaseResult],
    side: &dyn Fn(&CaseResult) -> Option<bool>,
    which: bool,
) -> (usize, Option<f64>) {
    let on_it = tested.iter().filter(|row| side(row) == Some(which));
    let once: BTreeMap<_, _> = on_it.map(|row| ((row.fold, &row.case_id), row.growth)).collect();
    let labels: Vec<bool> = once.values().flatten().copied().collect();
    let n_growth = labels.iter().filter(|growth| **growth).count();
    (once.len(), (!labels.is_empty()).then(|| n_growth as f64 / labels.len() as f64))
}

fn figures(
    arm: &str,
    rows: &[&CaseResult],
    side: &dyn Fn(&CaseResult) -> Option<bool>,
    resampling: &Resampling<'_>,
) -> Result<CueFigures, ReportError> {
    let growth = |row: &CaseResult| row.growth;
    // One stratum: every case that is on a side.
    let parted = |row: &CaseResult| side(row).map(|_| true);
    Ok(CueFigures {
        arm: arm.to_owned(),
        told: pair_share(rows, side, &growth, resampling)?,
        within: pair_share(rows, &growth, side, resampling)?,
        over_all: pair_share(rows, &growth, &parted, resampling)?,
    })
}

type Flag<'a> = &'a dyn Fn(&CaseResult) -> Option<bool>;

/// How often the case with the label has the higher score, over pairs of one model within one stratum.
fn pair_share(
    rows: &[&CaseResult],
    label: Flag<'_>,
    stratum: Flag<'_>,
    resampling: &Resampling<'_>,
) -> Result<PairShare, ReportError> {
    pair_share_by(rows, &CaseResult::score, label, stratum, resampling)
}

/// The same by another score.
fn pair_share_by(
    rows: &[&CaseResult],
    score: &dyn Fn(&CaseResult) -> Option<f64>,
    label: Flag<'_>,
    stratum: Flag<'_>,
    resampling: &Resampling<'_>,
) -> Result<PairShare, ReportError> {
    let mut strata: Vec<(u64, Ranking)> = Vec::new();
    for (rows, which) in
        by_model(rows).into_values().flat_map(|rows| [(rows.clone(), false), (rows, true)])
    {
        let (mut scores, mut labels, mut patients) = (Vec::new(), Vec::new(), Vec::new());
        for row in rows.iter().filter(|row| stratum(row) == Some(which)) {
            if let (Some(label), Some(score), Some(patient)) =
                (label(row), score(row), resampling.patient_idx(row))
            {
                scores.push(score);
                labels.push(label);
                patients.push(patient);
            }
        }
        let n_with = labels.iter().filter(|label| **label).count();
        let n_pairs = (n_with * (labels.len() - n_with)) as u64;
        if n_pairs > 0 {
            let n_patients = resampling.n_patients();
            strata.push((n_pairs, Ranking::of_patients(&scores, &labels, &patients, n_patients)?));
        }
    }
    let n_pairs = strata.iter().map(|(n, _)| n).sum();
    let value = mean_over(&strata, &resampling.undrawn());
    let distribution =
        value.map(|_| resampling.distribution(|n_drawn| mean_over(&strata, n_drawn)));
    let ci95 = distribution.as_ref().and_then(interval);
    let reason = match value {
        Some(_) => no_spread(value, ci95),
        None => Some("no pair of test cases differs in this alone".to_owned()),
    };
    Ok(PairShare { value, ci95, n_pairs, reason })
}

/// The mean over strata, each with the weight of its pairs; one without a pair in this draw does without.
fn mean_over(strata: &[(u64, Ranking)], n_drawn: &[u32]) -> Option<f64> {
    let (mut sum, mut weights) = (0.0, 0.0);
    for (n_pairs, ranking) in strata {
        if let Some(auroc) = ranking.auroc(n_drawn) {
            sum += *n_pairs as f64 * auroc;
            weights += *n_pairs as f64;
        }
    }
    (weights > 0.0).then(|| sum / weights)
}

#[cfg(test)]
mod tests;
