//! Whom a model has learnt from, so that nobody who shaped it tests it.

use std::collections::{BTreeMap, BTreeSet};

use hemex_artifacts::{ModelPatientRow, Role, SplitRow};

use crate::TrainError;
use crate::cohort::Cohort;

/// The patients of a cohort and those of the model that the training began with, by pseudonym. Who has trained either
/// counts as one who trains.
pub(crate) fn learnt_from(cohort: &Cohort, before: &[ModelPatientRow]) -> Vec<ModelPatientRow> {
    let train = cohort.train.iter().map(|case| (&case.clinical.case.patient_id, Role::Train));
    let val = cohort.val.iter().map(|case| (&case.clinical.case.patient_id, Role::Val));
    let before = before.iter().map(|row| (&row.patient_id, row.role));
    let mut roles: BTreeMap<&String, Role> = BTreeMap::new();
    for (patient_id, role) in train.chain(val).chain(before) {
        let kept = roles.entry(patient_id).or_insert(role);
        if role == Role::Train {
            *kept = role;
        }
    }
    let row = |(patient_id, role): (&String, Role)| ModelPatientRow {
        patient_id: patient_id.clone(),
        role,
    };
    roles.into_iter().map(row).collect()
}

/// Fails if a patient from whom a model has learnt has another role than to train in these splits, those of one fold.
/// Who has chosen its epoch may do so again.
///
/// Patients are told by their pseudonyms, which depend on the ingest's seed: one who was ingested under another is not
/// recognised.
pub(crate) fn check_leak(
    learnt_from: &[ModelPatientRow],
    splits: &[SplitRow],
) -> Result<(), TrainError> {
    let before: BTreeMap<&str, Role> =
        learnt_from.iter().map(|row| (row.patient_id.as_str(), row.role)).collect();
    let leaks = |row: &&SplitRow| match (before.get(row.patient_id.as_str()), row.role) {
        (None, _) | (_, Role::Train) | (Some(Role::Val), Role::Val) => false,
        (Some(_), Role::Val | Role::Calibration | Role::Test | Role::Target) => true,
    };
    let Some(first) = splits.iter().find(leaks) else { return Ok(()) };
    let leaked = splits.iter().filter(leaks).map(|row| row.patient_id.as_str());
    Err(TrainError::PretrainedLeak {
        patient_id: first.patient_id.clone(),
        role: first.role.name(),
        n_more: leaked.collect::<BTreeSet<_>>().len() - 1,
        regime: first.regime.name(),
        fold: first.fold,
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use hemex_artifacts::Regime;

    use super::*;

    fn split(patient_id: &str, role: Role) -> SplitRow {
        SplitRow {
            case_id: format!("c{patient_id}"),
            slice_idx: None,
            patient_id: patient_id.to_owned(),
            site: "A".to_owned(),
            regime: Regime::Patient,
            fold: 2,
            role,
        }
    }

    fn patient(patient_id: &str, role: Role) -> ModelPatientRow {
        ModelPatientRow { patient_id: patient_id.to_owned(), role }
    }

    #[test]
    fn who_shaped_a_model_may_train_and_choose_but_not_test() {
        use Role::{Calibration, Target, Test, Train, Val};
        for (before, own, leaks) in [
            (Train, Train, false),
            (Train, Val, true),
            (Train, Test, true),
            (Train, Target, true),
            (Val, Train, false),
            (Val, Val, false),
            (Val, Calibration, true),
            (Val, Test, true),
            (Val, Target, true),
        ] {
            let splits = [split("a", own), split("b", Test)];
            let found = check_leak(&[patient("a", before), patient("z", Train)], &splits);
            assert_eq!(found.is_err(), leaks, "{before:?} {own:?}");
        }
    }

    #[test]
    fn a_leak_is_told_by_name_and_number() {
        let splits = ["a", "b", "c", "c", "d"].map(|id| split(id, Role::Test));
        let before = ["b", "c", "d"].map(|id| patient(id, Role::Train));
        let error = check_leak(&before, &splits).unwrap_err().to_string();
        for part in ["patient `b`", "`test`", "regime `patient`, fold 2", "2 more"] {
            assert!(error.contains(part), "{error}");
        }
    }
}
