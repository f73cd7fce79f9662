//! The figures within groups of test cases.

use std::collections::BTreeSet;

use hemex_artifacts::{CaseRow, LabelRow, Sex};
use serde::Serialize;

use super::agreement::{MaskAgreement, mask_agreement};
use super::discrimination::{Arm, RankedModels};
use super::estimate::Estimate;
use super::resampling::Resampling;
use crate::{CaseResult, Evaluation, ReportError};

/// A group of test cases and the figures of each arm within it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Subgroup {
    /// What cases are grouped by.
    pub by: &'static str,
    /// The group.
    pub name: String,
    /// Test cases in it, each once a fold.
    pub n: usize,
    /// Of these, cases that grew.
    pub n_growth: usize,
    /// Figures by arm, in the order of the arms.
    pub arms: Vec<SubgroupFigures>,
}

/// The figures of an arm within a group.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SubgroupFigures {
    /// The arm.
    pub arm: String,
    /// AUROC, averaged over folds and seeds as that of all cases.
    pub auroc: Estimate,
    /// Dice over the cases.
    pub dice: MaskAgreement,
}

/// A case as groups see it.
type Known<'a> = (&'a CaseRow, Option<&'a LabelRow>);

/// Two groups by a yes or no that may be unknown: then the case is in neither.
struct Halves {
    by: &'static str,
    names: [&'static str; 2],
    is_second: fn(Known<'_>) -> Option<bool>,
}

const HALVES: [Halves; 6] = [
    Halves {
        by: "sex",
        names: ["women", "men"],
        is_second: |(case, _)| case.sex.map(|sex| sex == Sex::M),
    },
    Halves {
        by: "age",
        names: ["under 65 years", "65 years and over"],
        is_second: |(case, _)| case.age_years.map(|years| years >= 65.0),
    },
    Halves {
        by: "onset to CT",
        names: ["within 3 h", "later"],
        is_second: |(case, _)| case.onset_to_ct_h.map(|hours| hours > 3.0),
    },
    Halves {
        by: "volume",
        names: ["under 30 mL", "30 mL and more"],
        is_second: |(_, label)| label?.baseline_volume_ml.map(|ml| ml >= 30.0),
    },
    Halves {
        by: "anticoagulants",
        names: ["no", "yes"],
        is_second: |(case, _)| case.anticoagulation,
    },
    Halves { by: "ventricular blood", names: ["no", "yes"], is_second: |(case, _)| case.ivh },
];

/// The figures within every group that holds a test case.
pub(super) fn subgroups(
    evaluation: &Evaluation,
    arms: &[Arm<'_>],
    has_masks: impl Fn(&str) -> bool,
    resampling: &Resampling<'_>,
) -> Result<Vec<Subgroup>, ReportError> {
    let mut groups: Vec<(&'static str, String, BTreeSet<&str>)> = Vec::new();
    let sites: BTreeSet<&str> = evaluation.cases.rows.iter().map(|row| row.site.as_str()).collect();
    let cases = || evaluation.cases.rows.iter();
    for site in sites {
        let ids = cases().filter(|row| row.site == site).map(|row| row.case_id.as_str());
        groups.push(("site", site.to_owned(), ids.collect()));
    }
    for half in &HALVES {
        for (second, name) in half.names.iter().enumerate() {
            let is_in = |row: &&CaseRow| {
                let known = (*row, evaluation.labels.get(&row.case_id));
                (half.is_second)(known) == Some(second == 1)
            };
            let ids = cases().filter(is_in).map(|row| row.case_id.as_str());
            groups.push((half.by, (*name).to_owned(), ids.collect()));
        }
    }
    let of_group = |(by, name, ids): (&'static str, String, BTreeSet<&str>)| {
        subgroup((by, name), &ids, arms, &has_masks, resampling)
    };
    let found = groups.into_iter().map(of_group).collect::<Result<Vec<_>, _>>()?;
    Ok(found.into_iter().filter(|group| group.n > 0).collect())
}

fn subgroup(
    (by, name): (&'static str, String),
    ids: &BTreeSet<&str>,
    arms: &[Arm<'_>],
    has_masks: &impl Fn(&str) -> bool,
    resampling: &Resampling<'_>,
) -> Result<Subgroup, ReportError> {
    let mut tested = BTreeSet::new();
    let mut figures = Vec::new();
    for (arm, rows) in arms {
        let rows: Vec<&CaseResult> =
            rows.iter().filter(|row| ids.contains(row.case_id.as_str())).copied().collect();
        tested.extend(rows.iter().map(|row| (row.fold, &row.case_id, row.growth)));
        let ranked = RankedModels::new(&rows, &CaseResult::score, resampling)?;
        figures.push(SubgroupFigures {
            arm: (*arm).to_owned(),
            auroc: ranked.auroc(resampling),
            dice: mask_agreement(&rows, has_masks(arm), resampling, |row| row.dice)?,
        });
    }
    let n_growth = tested.iter().filter(|(_, _, growth)| *growth == Some(true)).count();
    Ok(Subgroup { by, name, n: tested.len(), n_growth, arms: figures })
}
