//! Whether sets of labels hold the true one as often as they promise, and how often they decide.

use serde::Serialize;

use super::calibration::mean_of_drawn;
use super::estimate::interval;
use super::resampling::Resampling;
use crate::CaseResult;

/// Sets of labels over the labelled test cases with p-values, folds and seeds together; with several seeds a case counts
/// once a seed. A set holds every label whose p-value is above what may be missed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Conformal {
    /// Share of the cases of each class whose set may miss their label.
    pub miss: f64,
    /// Stable cases whose set holds their label; at least `1 − miss` of them if the promise holds.
    pub stable_held: SetShare,
    /// Cases that grew whose set holds their label; likewise.
    pub growth_held: SetShare,
    /// Cases whose set has one label: those that need not be referred.
    pub decided: SetShare,
    /// Of these, those whose label it is.
    pub decided_right: SetShare,
    /// Of the cases that are said to be stable, those that grew.
    pub grew_though_stable: SetShare,
    /// Cases whose set is empty: strange to both classes.
    pub empty: SetShare,
}

/// A share of cases with its 95 % interval over draws of patients.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SetShare {
    /// The share; `None` without a case.
    pub value: Option<f64>,
    /// Its interval; `None` where the draws do not differ.
    pub ci95: Option<[f64; 2]>,
    /// Cases behind it.
    pub n: usize,
}

/// A case and its set.
struct SetOfCase {
    patient: usize,
    grew: bool,
    holds_stable: bool,
    holds_growth: bool,
}

impl SetOfCase {
    fn is_decided(&self) -> bool {
        self.holds_stable != self.holds_growth
    }

    fn is_right(&self) -> bool {
        if self.grew { self.holds_growth } else { self.holds_stable }
    }
}

/// The figures of an arm; `None` where no model of it has calibration cases.
pub(super) fn conformal(
    rows: &[&CaseResult],
    resampling: &Resampling<'_>,
    miss: f64,
) -> Option<Conformal> {
    let set_of = |row: &&CaseResult| {
        Some(SetOfCase {
            patient: resampling.patient_idx(row)?,
            grew: row.growth?,
            holds_stable: row.p_value_stable? > miss,
            holds_growth: row.p_value_growth? > miss,
        })
    };
    let sets: Vec<SetOfCase> = rows.iter().filter_map(set_of).collect();
    if sets.is_empty() {
        return None;
    }
    let share = |of: &dyn Fn(&SetOfCase) -> bool, that: &dyn Fn(&SetOfCase) -> bool| {
        let counted = sets.iter().filter(|set| of(set));
        let counted = counted.map(|set| (set.patient, f64::from(u8::from(that(set)))));
        share_of(&counted.collect::<Vec<_>>(), resampling)
    };
    Some(Conformal {
        miss,
        stable_held: share(&|set| !set.grew, &SetOfCase::is_right),
        growth_held: share(&|set| set.grew, &SetOfCase::is_right),
        decided: share(&|_| true, &SetOfCase::is_decided),
        decided_right: share(&SetOfCase::is_decided, &SetOfCase::is_right),
        grew_though_stable: share(&|set| set.is_decided() && set.holds_stable, &|set| set.grew),
        empty: share(&|_| true, &|set| !set.holds_stable && !set.holds_growth),
    })
}

/// Of cases, each with its patient and 0 or 1.
fn share_of(cases: &[(usize, f64)], resampling: &Resampling<'_>) -> SetShare {
    let draws = resampling.distribution(|n_drawn| mean_of_drawn(cases, n_drawn));
    let value = mean_of_drawn(cases, &resampling.undrawn());
    SetShare { value, ci95: value.and_then(|_| interval(&draws)), n: cases.len() }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use hemex_metrics::Bootstrap;

    use super::*;
    use crate::evaluate::calibration::tests::row;

    #[test]
    fn sets_are_counted_by_what_they_hold() {
        let with = |case_id: &str, growth: bool, [stable, grew]: [f64; 2]| CaseResult {
            p_value_stable: Some(stable),
            p_value_growth: Some(grew),
            ..row(case_id, 1, Some(0.5), growth)
        };
        let rows = [
            with("a", false, [0.9, 0.05]),
            with("b", false, [0.1, 0.6]),
            with("c", false, [0.4, 0.3]),
            with("d", true, [0.05, 0.1]),
            with("e", true, [0.5, 0.1]),
            with("f", true, [0.02, 0.7]),
            // Neither counts: no calibration cases, no label.
            row("g", 1, Some(0.5), true),
            CaseResult { growth: None, ..with("h", true, [0.9, 0.9]) },
        ];
        let rows: Vec<&CaseResult> = rows.iter().collect();
        let resampling = Resampling::new(&rows, Bootstrap { n_draws: 200, seed: 1 });
        let found = conformal(&rows, &resampling, 0.1).unwrap();
        // A p-value at the limit is not above it.
        let share =
            |share: SetShare| (share.n, (share.value.unwrap() * share.n as f64).round() as usize);
        assert_eq!(share(found.stable_held), (3, 2));
        assert_eq!(share(found.growth_held), (3, 1));
        assert_eq!(share(found.decided), (6, 4));
        assert_eq!(share(found.decided_right), (4, 2));
        assert_eq!(share(found.grew_though_stable), (2, 1));
        assert_eq!(share(found.empty), (6, 1));
        assert!(found.decided.ci95.is_some_and(|[low, high]| low < 4.0 / 6.0 && 4.0 / 6.0 < high));
        assert_eq!(conformal(&[&row("a", 1, None, true)], &resampling, 0.1), None);
    }
}
