//! Whether a model is as right in every group of patients as it is on the whole.
//!
//! Groups are what a cue makes together with the outcome: those who grew on either side of it, and those who did not
//! (Sagawa et al., ICLR 2020). A network that lives on the cue is right where cue and outcome go together as they did
//! in training, and wrong in the groups where they part, which a mean over all cases hides.

use std::collections::{BTreeMap, BTreeSet};

use hemex_artifacts::Role;
use hemex_metrics::{Confidence, MetricError, RocCurve, RocPoint, wilson};
use serde::Serialize;

use super::cues::{PROPERTIES, parted};
use super::discrimination::by_model;
use crate::{CaseResult, Evaluation, ReportError, Status};

/// Cases below which a group is shown, but not taken for the worst.
pub(crate) const LEAST_CASES: usize = 10;

/// What a probability loses when a label shift is put on its logit and taken off, and more.
const ROUNDING: f64 = 1e-9;

/// How right an arm is in the groups that one property of the scan makes with the outcome.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GroupAccuracies {
    /// The property.
    pub by: &'static str,
    /// The arm.
    pub arm: String,
    /// Mean of sensitivity and specificity over the cases of all groups together; `None` if one class has no case.
    pub balanced_accuracy: Option<f64>,
    /// The least accuracy of a group of 10 cases or more; `None` without such a group.
    pub worst: Option<f64>,
    /// Wilson's 95 % interval of that, as if it had been the one group looked at.
    pub worst_ci95: Option<[f64; 2]>,
    /// All groups with a case, in the order of their names, those that did not grow first.
    pub groups: Vec<GroupAccuracy>,
    /// Why there is no worst group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How right an arm is in one group.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GroupAccuracy {
    /// The value of the property.
    pub side: String,
    /// Whether the hematomas of the group grew.
    pub growth: bool,
    /// Cases, each once a fold.
    pub n: usize,
    /// Share of them that the arm is right about; over several seeds a case's mean.
    pub value: f64,
    /// Wilson's 95 % interval of that share.
    pub ci95: [f64; 2],
}

impl GroupAccuracies {
    /// The worst group.
    pub fn worst_group(&self) -> Option<&GroupAccuracy> {
        let eligible = self.groups.iter().filter(|group| group.n >= LEAST_CASES);
        eligible.min_by(|a, b| a.value.total_cmp(&b.value))
    }
}

/// The accuracies of each arm in the groups of each property that parts the test cases, sites first.
///
/// A case is called growing from its model's threshold on ([`threshold`]), a label shift taken off; one without a
/// detected lesion is called stable. Refused and missing cases, and those of models without a threshold, are in no
/// group.
pub(super) fn groups(
    evaluation: &Evaluation,
    results: &[CaseResult],
    arms: &[&str],
) -> Result<Vec<GroupAccuracies>, ReportError> {
    let calls = arms.iter().map(|arm| {
        let rows: Vec<&CaseResult> = results.iter().filter(|row| row.arm == *arm).collect();
        let offset = |fold, seed| {
            let label_shift = evaluation.card(arm, fold, seed)?.label_shift?;
            Some(label_shift.logit_offset)
        };
        Ok((*arm, calls(&rows, &offset)?))
    });
    let calls = calls.collect::<Result<Vec<_>, ReportError>>()?;
    let tested: Vec<&CaseResult> = results.iter().filter(|row| row.role == Role::Test).collect();
    let mut found = Vec::new();
    let by_site = |row: &CaseResult| Some(row.site.clone());
    for (arm, calls) in &calls {
        found.push(accuracies("site", arm, calls, &by_site)?);
    }
    for (name, property) in PROPERTIES.iter().filter(|(name, _)| *name != "site") {
        let Some((sides, side_of)) = parted(evaluation, &tested, property) else { continue };
        let side = |row: &CaseResult| {
            let second = side_of.get(&(row.fold, row.case_id.as_str()))?;
            Some(sides[usize::from(*second)].clone())
        };
        for (arm, calls) in &calls {
            found.push(accuracies(name, arm, calls, &side)?);
        }
    }
    Ok(found)
}

/// The labelled test cases of an arm, and whether its model is right about each. `offset` is what the label shift of a
/// fold and seed added to the logits of its test cases.
fn calls<'a>(
    rows: &[&'a CaseResult],
    offset: &dyn Fn(usize, u64) -> Option<f64>,
) -> Result<Vec<(&'a CaseResult, bool)>, ReportError> {
    let mut calls = Vec::new();
    for ((fold, seed), rows) in by_model(rows) {
        let Some(threshold) = threshold(&rows)? else { continue };
        let offset = offset(fold, seed);
        for row in rows.into_iter().filter(|row| row.role == Role::Test) {
            let (Some(growth), Some(score)) = (row.growth, row.score()) else { continue };
            let is_called = match (row.status, offset) {
                (Status::NoLesion, _) => false,
                // Validation cases, which set the threshold, are not shifted.
                (_, Some(offset)) => without_offset(score, offset) >= threshold * (1.0 - ROUNDING),
                (_, None) => score >= threshold,
            };
            calls.push((row, is_called == growth));
        }
    }
    Ok(calls)
}

/// The probability before this was added to its logit.
fn without_offset(probability: f64, offset: f64) -> f64 {
    probability / (probability + (1.0 - probability) * offset.exp())
}

/// The probability from which on a model's cases are called growing: where sensitivity and specificity over its own
/// validation cases have the greatest sum (Youden, Cancer 1950), of equal ones the highest. `None` unless it has
/// validation cases of both classes, and one with a probability: test cases are never asked.
fn threshold(rows: &[&CaseResult]) -> Result<Option<f64>, ReportError> {
    let validation = rows.iter().filter(|row| row.role == Role::Val);
    let ranked = validation.filter_map(|row| Some((row.score()?, row.growth?)));
    let (scores, labels): (Vec<f64>, Vec<bool>) = ranked.unzip();
    let curve = match RocCurve::new(&scores, &labels) {
        Ok(curve) => curve,
        Err(MetricError::OneClass { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let sum = |point: &RocPoint| point.sensitivity + point.specificity();
    // The first point calls no case at all, and none calls one without a detected lesion.
    let called = curve.points().iter().filter(|point| point.threshold.is_finite());
    let best = called.reduce(|best, point| if sum(point) > sum(best) { point } else { best });
    Ok(best.map(|point| point.threshold))
}

fn accuracies(
    by: &'static str,
    arm: &str,
    calls: &[(&CaseResult, bool)],
    side: &dyn Fn(&CaseResult) -> Option<String>,
) -> Result<GroupAccuracies, ReportError> {
    let mut members: BTreeMap<(String, bool), Vec<(&CaseResult, bool)>> = BTreeMap::new();
    for (row, is_right) in calls {
        if let (Some(side), Some(growth)) = (side(row), row.growth) {
            members.entry((side, growth)).or_default().push((row, *is_right));
        }
    }
    let of_class = |class: bool| {
        share(members.iter().filter(|((_, growth), _)| *growth == class).flat_map(|(_, m)| m))
    };
    let balanced_accuracy = of_class(true).zip(of_class(false)).map(|(a, b)| (a + b) / 2.0);
    let mut groups = Vec::new();
    for ((side, growth), members) in &members {
        groups.extend(group(side, *growth, members)?);
    }
    let mut found = GroupAccuracies {
        by,
        arm: arm.to_owned(),
        balanced_accuracy,
        worst: None,
        worst_ci95: None,
        groups,
        reason: None,
    };
    let worst = found.worst_group().map(|group| (group.value, group.ci95));
    (found.worst, found.worst_ci95) = worst.unzip();
    if worst.is_none() {
        let none = "no model has validation cases of both classes, one with a probability, to set a threshold by";
        found.reason = Some(match found.groups.is_empty() {
            true => none.to_owned(),
            false => format!("no group has {LEAST_CASES} cases"),
        });
    }
    Ok(found)
}

fn group(
    side: &str,
    growth: bool,
    members: &[(&CaseResult, bool)],
) -> Result<Option<GroupAccuracy>, ReportError> {
    let Some(value) = share(members.iter()) else { return Ok(None) };
    let cases: BTreeSet<_> = members.iter().map(|(row, _)| (row.fold, &row.case_id)).collect();
    let n = cases.len();
    // Of several seeds as many whole cases as come nearest to the share.
    let ends = wilson((value * n as f64).round() as usize, n, Confidence::P95)?;
    let ci95 = [ends.low, ends.high];
    Ok(Some(GroupAccuracy { side: side.to_owned(), growth, n, value, ci95 }))
}

/// The share of calls that are right; `None` without one.
fn share<'a>(calls: impl Iterator<Item = &'a (&'a CaseResult, bool)>) -> Option<f64> {
    let (mut n, mut n_right) = (0_usize, 0_usize);
    for (_, is_right) in calls {
        n += 1;
        n_right += usize::from(*is_right);
    }
    (n > 0).then(|| n_right as f64 / n as f64)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;
    use crate::Status;
    use crate::evaluate::calibration::tests::row;

    fn of(role: Role, site: &str, i: usize, probability: f64, growth: bool) -> CaseResult {
        let case_id = format!("{site}{role:?}{growth}{i}");
        CaseResult { role, site: site.to_owned(), ..row(&case_id, 1, Some(probability), growth) }
    }

    /// Validation cases that are told apart at 0.6, and test cases at two sites: at A all are called rightly, at B
    /// `n_right` of twelve that grew and none of the nine that did not.
    fn cohort(n_right: usize) -> Vec<CaseResult> {
        let mut rows = Vec::new();
        for i in 0..4 {
            rows.push(of(Role::Val, "A", i, 0.6 + 0.05 * i as f64, true));
            rows.push(of(Role::Val, "A", i, 0.1 * i as f64, false));
        }
        for i in 0..12 {
            rows.push(of(Role::Test, "A", i, 0.9, true));
            rows.push(of(Role::Test, "A", i, 0.2, false));
            rows.push(of(Role::Test, "B", i, if i < n_right { 0.6 } else { 0.59 }, true));
        }
        rows.extend((0..9).map(|i| of(Role::Test, "B", i, 0.8, false)));
        rows
    }

    fn by_site(rows: &[CaseResult]) -> GroupAccuracies {
        by_site_of_shifted(rows, None)
    }

    fn by_site_of_shifted(rows: &[CaseResult], offset: Option<f64>) -> GroupAccuracies {
        let rows: Vec<&CaseResult> = rows.iter().collect();
        let side = |row: &CaseResult| Some(row.site.clone());
        accuracies("site", "joint", &calls(&rows, &|_, _| offset).unwrap(), &side).unwrap()
    }

    #[test]
    fn the_worst_group_is_found_that_a_mean_hides() {
        let found = by_site(&cohort(3));
        let shares: Vec<_> =
            found.groups.iter().map(|g| (g.side.as_str(), g.growth, g.n, g.value)).collect();
        let expected = [
            ("A", false, 12, 1.0),
            ("A", true, 12, 1.0),
            ("B", false, 9, 0.0),
            ("B", true, 12, 0.25),
        ];
        assert_eq!(shares, expected);
        // Sensitivity (12 + 3) / 24, specificity 12 / 21.
        let balanced = (15.0 / 24.0 + 12.0 / 21.0) / 2.0;
        assert!((found.balanced_accuracy.unwrap() - balanced).abs() < 1e-12);
        // Nine cases are too few to be the worst. statsmodels: proportion_confint(3, 12, method="wilson")
        assert_eq!(found.worst, Some(0.25));
        let [low, high] = found.worst_ci95.unwrap();
        assert!(
            (low - 0.088_941_668_394_054_71).abs() < 1e-9
                && (high - 0.532_305_334_933_565_7).abs() < 1e-9,
            "{low} {high}"
        );
    }

    #[test]
    fn a_case_without_a_lesion_is_called_stable_and_refused_ones_are_left_out() {
        let mut rows = cohort(12);
        for row in rows.iter_mut().filter(|row| row.site == "B" && row.growth == Some(true)) {
            (row.status, row.probability) = (Status::NoLesion, None);
        }
        assert_eq!(by_site(&rows).worst, Some(0.0));
        for row in rows.iter_mut().filter(|row| row.site == "B") {
            row.status = Status::Refused;
        }
        assert_eq!((by_site(&rows).groups.len(), by_site(&rows).worst), (2, Some(1.0)));
    }

    #[test]
    fn a_model_worse_than_chance_calls_no_case_without_a_lesion_growing() {
        let mut rows = cohort(12);
        // Those that grew have the lowest probabilities, and in another one no lesion is found.
        for row in rows.iter_mut().filter(|row| row.role == Role::Val) {
            row.probability = row.probability.map(|p| 1.0 - p);
        }
        let grew = of(Role::Val, "A", 9, 0.0, true);
        rows.push(CaseResult { status: Status::NoLesion, probability: None, ..grew });
        for row in rows.iter_mut().filter(|row| row.site == "B" && row.role == Role::Test) {
            (row.status, row.probability) = (Status::NoLesion, None);
        }
        let found = by_site(&rows);
        let shares: Vec<_> =
            found.groups.iter().map(|g| (g.side.as_str(), g.growth, g.value)).collect();
        // The best of bad thresholds is 0.25, from which on all of them that have a probability are called.
        let expected = [("A", false, 1.0), ("A", true, 1.0), ("B", false, 1.0), ("B", true, 0.0)];
        assert_eq!(shares, expected);
    }

    #[test]
    fn a_label_shift_moves_no_case_over_the_threshold() {
        let plain = cohort(3);
        let offset = 1.5;
        let shifted = |row: &CaseResult| {
            let is_test = row.role == Role::Test;
            let move_on = |p: f64| 1.0 / (1.0 + (1.0 - p) / p * f64::exp(-offset));
            let probability = row.probability.map(|p| if is_test { move_on(p) } else { p });
            CaseResult { probability, ..row.clone() }
        };
        let rows: Vec<CaseResult> = plain.iter().map(shifted).collect();
        let found = by_site_of_shifted(&rows, Some(offset));
        assert_eq!(found, by_site(&plain));
        assert_ne!(found, by_site(&rows), "0.59 would pass");
    }

    #[test]
    fn seeds_of_a_case_are_averaged_and_the_case_counts_once() {
        let mut rows = cohort(12);
        let second = cohort(0).into_iter().map(|row| CaseResult { seed: 2, ..row });
        rows.extend(second);
        let found = by_site(&rows);
        assert_eq!((found.worst, found.worst_group().unwrap().n), (Some(0.5), 12));
    }

    #[test]
    fn without_validation_cases_of_both_classes_there_is_no_threshold() {
        let mut rows = cohort(3);
        rows.retain(|row| row.role == Role::Test || row.growth == Some(true));
        let found = by_site(&rows);
        assert_eq!((found.worst, found.groups.len()), (None, 0));
        assert!(found.reason.unwrap().contains("validation cases of both classes"));
        let few: Vec<CaseResult> = cohort(3)
            .into_iter()
            .filter(|row| row.role == Role::Val || row.case_id.ends_with('1'))
            .collect();
        assert!(by_site(&few).reason.unwrap().contains("no group has 10 cases"));
    }
}
