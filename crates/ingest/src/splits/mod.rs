//! Who trains, who validates, who tests.
//!
//! - `patient`: patients dealt to k folds; a fold tests its own patients, the others train, but for
//!   a part that validates. Strata: label, and site within it. Repeated, patients are dealt anew; nested,
//!   what is not tested is dealt to inner folds that validate in turn. Folds are numbered through:
//!   (repeat · k + fold) · inner folds + inner fold.
//! - `site`: fold i holds out the i-th site by name. Its patients are parted at random, labels unseen,
//!   into `target` (their images alone shape the weights) and `test`; the other sites train and
//!   validate. Left out, with a warning, if there is but one site.
//! - `same_patient`: the slices of every case dealt to the k folds, so that one patient trains and
//!   tests. Optimistic; every page that shows it says so.
//! - `time`: one fold; the patients scanned last test, the others train and validate. A patient's scan
//!   is its latest. Left out where no date is known; who has none is left out too, with a warning.
//! - `given`: as `splits.csv` (or `.tsv`) at the dataset's root says, a row a case and fold: `case`, `fold`
//!   from 0, `role` (train, val, calibration, test, target). Left out where there is none. Names that are no case's, and
//!   cases without a row, are counted in a warning.
//!
//! Where a part calibrates sets of labels, it is drawn from what is not tested before that trains and validates; not in
//! `same_patient`.
//!
//! A patient has one role a fold in all but `same_patient`. A case whose label is undefined can neither train
//! nor test: it is `target` where its patient is drawn so, else it has no row. One without a reference mask tests or is
//! `target`, and has no other role. A patient seen at the held-out site and at another gives to that fold what lies at
//! the held-out site alone.

mod deal;
mod regimes;

use std::collections::BTreeMap;

use hemex_artifacts::{Regime, Role, SplitRow};

use crate::{IngestError, SplitSettings};

/// A case that can be used.
#[derive(Debug, Clone, PartialEq)]
pub struct Unit {
    /// Pseudonym of the case.
    pub case_id: String,
    /// Pseudonym of the patient.
    pub patient_id: String,
    /// Where it was scanned.
    pub site: String,
    /// Its label, `None` where undefined.
    pub growth: Option<bool>,
    /// Whether it has a reference mask.
    pub has_mask: bool,
    /// Slices of its canonical grid.
    pub n_slices: usize,
    /// When it was scanned, as digits from the year on; `None` if that is not known.
    pub scanned: Option<String>,
    /// Its folds and roles as the dataset gives them.
    pub given: Vec<(usize, Role)>,
}

impl Unit {
    /// Whether its label and its mask suffice for the role: a target needs neither, a test the label alone.
    fn can_be(&self, role: Role) -> bool {
        match role {
            Role::Target => true,
            Role::Test => self.growth.is_some(),
            Role::Train | Role::Val | Role::Calibration => self.growth.is_some() && self.has_mask,
        }
    }
}

/// The table of splits and what the user must hear about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Splits {
    /// Sorted by regime, fold, case, slice.
    pub rows: Vec<SplitRow>,
    /// Regimes left out, cases without a role, folds that test little.
    pub warnings: Vec<String>,
}

/// Splits a cohort in all regimes; the same units and seed give the same rows, in whatever order the
/// units come.
///
/// A fold of `site`, `time` or `given` whose training cases lack a class is left out, with a warning; one without any
/// tests alone.
///
/// # Errors
/// [`IngestError::Split`] for a fold of `patient` or `same_patient` whose training cases lack a class, for more folds
/// than patients, or for a given split that gives a patient two roles.
pub fn split(units: &[Unit], settings: &SplitSettings, seed: u64) -> Result<Splits, IngestError> {
    let mut units: Vec<&Unit> = units.iter().collect();
    units.sort_by(|a, b| a.case_id.cmp(&b.case_id));
    let mut warnings = Vec::new();
    let n_undefined = units.iter().filter(|unit| unit.growth.is_none()).count();
    if n_undefined > 0 {
        warnings.push(format!(
            "{n_undefined} of {} cases have an undefined label: they neither train nor test",
            units.len()
        ));
    }
    let n_unmasked = units.iter().filter(|unit| unit.growth.is_some() && !unit.has_mask).count();
    if n_unmasked > 0 {
        warnings.push(format!(
            "{n_unmasked} of {} labelled cases have no reference mask: they test, and neither train, validate nor \
             calibrate",
            units.len() - n_undefined
        ));
    }
    let mut rows = regimes::by_patient(&units, settings, seed)?;
    rows.extend(regimes::by_site(&units, settings, seed, &mut warnings)?);
    rows.extend(regimes::by_slice(&units, settings, seed));
    rows.extend(regimes::by_time(&units, settings, seed, &mut warnings));
    rows.extend(regimes::as_given(&units)?);
    rows.sort_by(|a, b| {
        let key = |row: &SplitRow| (row.regime, row.fold);
        key(a).cmp(&key(b)).then(a.case_id.cmp(&b.case_id)).then(a.slice_idx.cmp(&b.slice_idx))
    });
    check_classes(&units, &mut rows, &mut warnings)?;
    Ok(Splits { rows, warnings })
}

/// Leaves out folds in which one class alone trains: of a site all of whose hematomas are stable nobody may have asked.
/// Each fold of `patient` and `same_patient` is needed, so that every case is tested: there it is an error.
fn check_classes(
    units: &[&Unit],
    rows: &mut Vec<SplitRow>,
    warnings: &mut Vec<String>,
) -> Result<(), IngestError> {
    let growth: BTreeMap<&str, Option<bool>> =
        units.iter().map(|unit| (unit.case_id.as_str(), unit.growth)).collect();
    // Cases that train: stable, grown.
    let mut n_train: BTreeMap<(Regime, usize), [usize; 2]> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.role == Role::Train) {
        if let Some(Some(grew)) = growth.get(row.case_id.as_str()) {
            n_train.entry((row.regime, row.fold)).or_default()[usize::from(*grew)] += 1;
        }
    }
    n_train.retain(|_, counts| counts.contains(&0));
    for ((regime, fold), [n_stable, n_growth]) in n_train {
        let problem = format!(
            "training needs cases of both classes with a reference mask, found {n_stable} stable and {n_growth} grown"
        );
        match regime {
            Regime::Patient | Regime::SamePatient => {
                return Err(IngestError::Split { regime, fold, problem });
            }
            Regime::Site | Regime::Time | Regime::Given => {
                let name = regime.name();
                warnings.push(format!("regime `{name}`, fold {fold} is left out: {problem}"));
                rows.retain(|row| (row.regime, row.fold) != (regime, fold));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests;
