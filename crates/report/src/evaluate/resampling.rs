use std::collections::BTreeMap;

use hemex_metrics::{Bootstrap, Distribution, Strata};

use crate::CaseResult;

/// How test patients are redrawn for every interval.
///
/// A unit is a patient within a fold; it is drawn with all its cases, of every arm and seed, so that
/// arms are compared on the same draws. Patients are redrawn within their fold and within those that
/// have the same classes of label, so that no draw loses a class that the fold has.
pub(super) struct Resampling<'a> {
    patient_idx: BTreeMap<(usize, &'a str), usize>,
    strata: Strata,
    bootstrap: Bootstrap,
}

impl<'a> Resampling<'a> {
    /// Over the patients of these test cases.
    pub(super) fn new(tested: &[&'a CaseResult], bootstrap: Bootstrap) -> Self {
        let mut classes: BTreeMap<(usize, &str), [bool; 2]> = BTreeMap::new();
        for row in tested {
            let seen = classes.entry((row.fold, &row.patient_id)).or_default();
            if let Some(growth) = row.growth {
                seen[usize::from(growth)] = true;
            }
        }
        let keys: Vec<(usize, [bool; 2])> =
            classes.iter().map(|((fold, _), classes)| (*fold, *classes)).collect();
        let patient_idx = classes.into_keys().enumerate().map(|(idx, key)| (key, idx)).collect();
        Self { patient_idx, strata: Strata::new(&keys), bootstrap }
    }

    /// The number of the case's patient, or `None` for a case that is not tested.
    pub(super) fn patient_idx(&self, row: &CaseResult) -> Option<usize> {
        self.patient_idx.get(&(row.fold, row.patient_id.as_str())).copied()
    }

    /// How many patients there are; one tested in several folds counts in each.
    pub(super) fn n_patients(&self) -> usize {
        self.strata.n_patients()
    }

    /// Each patient once: the cohort as it is.
    pub(super) fn undrawn(&self) -> Vec<u32> {
        vec![1; self.n_patients()]
    }

    /// The statistic over the draws; it is given how often each patient was drawn.
    pub(super) fn distribution<S>(&self, statistic: S) -> Distribution
    where
        S: Fn(&[u32]) -> Option<f64> + Sync,
    {
        self.bootstrap.distribution(&self.strata, statistic)
    }
}
