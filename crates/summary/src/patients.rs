use std::collections::BTreeMap;

use crate::cohort::CaseLine;

/// The patients of some cases with a known outcome, numbered in the order in which they come. All cases of a patient
/// are drawn together, since they tell less than as many patients would.
#[derive(Debug, Clone, Default)]
pub(crate) struct Patients {
    idx: BTreeMap<String, usize>,
    classes: Vec<[bool; 2]>,
}

impl Patients {
    pub(crate) fn of<'a>(cases: impl Iterator<Item = &'a CaseLine>) -> Self {
        let mut patients = Self::default();
        for case in cases {
            let Some(growth) = case.growth else { continue };
            let next = patients.classes.len();
            let idx = *patients.idx.entry(case.patient_id.clone()).or_insert(next);
            if idx == next {
                patients.classes.push([false; 2]);
            }
            patients.classes[idx][usize::from(growth)] = true;
        }
        patients
    }

    /// The number of the case's patient; `None` where no case of theirs has a known outcome.
    pub(crate) fn idx_of(&self, case: &CaseLine) -> Option<usize> {
        self.idx.get(&case.patient_id).copied()
    }

    /// Of each patient whether a hematoma did not grow, and whether one grew.
    pub(crate) fn classes(&self) -> &[[bool; 2]] {
        &self.classes
    }

    pub(crate) fn n_patients(&self) -> usize {
        self.classes.len()
    }

    pub(crate) fn n_growth(&self) -> usize {
        self.classes.iter().filter(|[_, grew]| *grew).count()
    }
}
