use std::collections::{BTreeMap, BTreeSet};

use hemex_artifacts::{CaseRow, Regime, Role};
use serde::Serialize;

use super::agreement::median_of_sorted;
use crate::{CaseResult, Evaluation};

/// Who is in the cohort, who was tested, who was left out and why.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cohort {
    /// Scans in the cohort.
    pub n_cases: usize,
    /// Their patients.
    pub n_patients: usize,
    /// Patients tested in at least one fold.
    pub n_patients_tested: usize,
    /// Cases tested in at least one fold.
    pub n_cases_tested: usize,
    /// Sites of the tested cases.
    pub sites_tested: Vec<String>,
    /// Scans that could not be used.
    pub n_excluded: usize,
    /// How many for each reason.
    pub exclusion_reasons: BTreeMap<String, usize>,
    /// Cases whose growth label is undefined, for each reason.
    pub label_undefined_reasons: BTreeMap<String, usize>,
    /// Counts of each site.
    pub sites: Vec<SiteCounts>,
    /// Counts of each fold that has a model.
    pub folds: Vec<FoldCounts>,
    /// Folds of the split that have no model.
    pub n_folds_without_model: usize,
}

/// What a site contributes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SiteCounts {
    /// Name of the site.
    pub site: String,
    /// Its patients.
    pub n_patients: usize,
    /// Its scans.
    pub n_cases: usize,
    /// Cases that grew.
    pub n_growth: usize,
    /// Cases that did not.
    pub n_stable: usize,
    /// Cases whose label is undefined.
    pub n_undefined: usize,
    /// Formats its scans came in.
    pub source_formats: Vec<String>,
    /// Median distance of native slices, mm.
    pub median_slice_distance_mm: Option<f64>,
    /// Median age in years, of those known.
    pub median_age_years: Option<f64>,
    /// Median hours from onset to the scan, of those known.
    pub median_onset_to_ct_h: Option<f64>,
}

/// Cases by role in one fold.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FoldCounts {
    /// The fold.
    pub fold: usize,
    /// Sites of its test cases.
    pub test_sites: Vec<String>,
    /// Cases that train.
    pub n_train: usize,
    /// Cases that choose the checkpoint.
    pub n_val: usize,
    /// Cases on which sets of labels rest.
    pub n_calibration: usize,
    /// Cases that test.
    pub n_test: usize,
    /// Test cases that grew.
    pub n_test_growth: usize,
    /// Unlabelled cases of the target domain.
    pub n_target: usize,
    /// Patients that test and have a case in another role too: 0 without a leak. `None` where slices of one
    /// patient are split, as the regime `same_patient` does.
    pub n_test_patients_elsewhere: Option<usize>,
}

pub(super) fn cohort(evaluation: &Evaluation, tested: &[&CaseResult]) -> Cohort {
    let rows = &evaluation.cases.rows;
    let with_model: BTreeSet<usize> =
        evaluation.predictions.iter().map(|predictions| predictions.card.fold).collect();
    let unique = |key: fn(&CaseResult) -> &String| -> BTreeSet<&String> {
        tested.iter().map(|row| key(row)).collect()
    };
    let growth = |row: &CaseRow| evaluation.labels.get(&row.case_id).and_then(|l| l.growth);
    let undefined = rows.iter().filter(|row| growth(row).is_none()).map(|row| {
        evaluation
            .labels
            .get(&row.case_id)
            .and_then(|label| label.growth_undefined_reason.clone())
            .unwrap_or_else(|| "no label given".to_owned())
    });
    Cohort {
        n_cases: rows.len(),
        n_patients: rows.iter().map(|row| &row.patient_id).collect::<BTreeSet<_>>().len(),
        n_patients_tested: unique(|row| &row.patient_id).len(),
        n_cases_tested: unique(|row| &row.case_id).len(),
        sites_tested: unique(|row| &row.site).into_iter().cloned().collect(),
        n_excluded: evaluation.exclusions.len(),
        exclusion_reasons: tally(evaluation.exclusions.iter().map(|row| row.reason.clone())),
        label_undefined_reasons: tally(undefined),
        sites: sites(rows, &growth),
        folds: with_model.iter().map(|fold| fold_counts(evaluation, *fold)).collect(),
        n_folds_without_model: evaluation.folds.keys().filter(|f| !with_model.contains(f)).count(),
    }
}

fn tally(reasons: impl Iterator<Item = String>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for reason in reasons {
        *counts.entry(reason).or_default() += 1;
    }
    counts
}

fn sites(rows: &[CaseRow], growth: &dyn Fn(&CaseRow) -> Option<bool>) -> Vec<SiteCounts> {
    let mut by_site: BTreeMap<&str, Vec<&CaseRow>> = BTreeMap::new();
    for row in rows {
        by_site.entry(&row.site).or_default().push(row);
    }
    let of_site = |(site, rows): (&str, Vec<&CaseRow>)| {
        let labelled = |label| rows.iter().filter(|row| growth(row) == label).count();
        let formats: BTreeSet<&String> = rows.iter().map(|row| &row.source_format).collect();
        SiteCounts {
            site: site.to_owned(),
            n_patients: rows.iter().map(|row| &row.patient_id).collect::<BTreeSet<_>>().len(),
            n_cases: rows.len(),
            n_growth: labelled(Some(true)),
            n_stable: labelled(Some(false)),
            n_undefined: labelled(None),
            source_formats: formats.into_iter().cloned().collect(),
            median_slice_distance_mm: median(rows.iter().map(|row| Some(row.native_spacing_d_mm))),
            median_age_years: median(rows.iter().map(|row| row.age_years)),
            median_onset_to_ct_h: median(rows.iter().map(|row| row.onset_to_ct_h)),
        }
    };
    by_site.into_iter().map(of_site).collect()
}

fn median(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let mut known: Vec<f64> = values.flatten().collect();
    known.sort_by(f64::total_cmp);
    median_of_sorted(&known)
}

fn fold_counts(evaluation: &Evaluation, fold: usize) -> FoldCounts {
    let none = BTreeMap::new();
    let roles = evaluation.folds.get(&fold).unwrap_or(&none);
    let n_of = |role| roles.values().filter(|other| **other == role).count();
    let test = || roles.iter().filter(|(_, role)| **role == Role::Test).map(|(case, _)| case);
    let grew =
        |case: &&String| evaluation.labels.get(*case).and_then(|label| label.growth) == Some(true);
    let sites: BTreeSet<&String> =
        test().filter_map(|case| evaluation.case(case)).map(|row| &row.site).collect();
    FoldCounts {
        fold,
        test_sites: sites.into_iter().cloned().collect(),
        n_train: n_of(Role::Train),
        n_val: n_of(Role::Val),
        n_calibration: n_of(Role::Calibration),
        n_test: n_of(Role::Test),
        n_test_growth: test().filter(grew).count(),
        n_target: n_of(Role::Target),
        n_test_patients_elsewhere: (evaluation.regime != Regime::SamePatient)
            .then(|| tested_elsewhere(evaluation, roles)),
    }
}

/// How many patients have a test case and one of another role.
fn tested_elsewhere(evaluation: &Evaluation, roles: &BTreeMap<String, Role>) -> usize {
    let patients = |is_test: bool| -> BTreeSet<&String> {
        let cases = roles.iter().filter(|(_, role)| (**role == Role::Test) == is_test);
        let rows = cases.filter_map(|(case, _)| evaluation.case(case));
        rows.map(|row| &row.patient_id).collect()
    };
    patients(true).intersection(&patients(false)).count()
}
