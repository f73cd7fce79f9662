//! How far the volume that is foretold for the follow-up scan is off.

use std::collections::BTreeMap;

use serde::Serialize;

use super::agreement::median_of_sorted;
use super::estimate::interval;
use super::resampling::Resampling;
use crate::CaseResult;

/// The volume at follow-up as it was foretold against that of `labels.csv`, over test cases, each once a fold: over seeds
/// what is foretold is averaged.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FollowupVolume {
    /// Median of the absolute difference, mL; `None` without a case.
    pub median_absolute_error_ml: Option<f64>,
    /// Its 95 % interval over draws of patients; `None` where the draws do not differ.
    pub median_absolute_error_ml_ci95: Option<[f64; 2]>,
    /// The same of the volume that is found on the baseline scan, as if no hematoma grew, on the same cases.
    pub median_absolute_error_ml_unchanged: Option<f64>,
    /// Cases with both volumes.
    pub n: usize,
    /// Test cases without one of them: no hematoma was found, or no volume at follow-up is known.
    pub n_undefined: usize,
}

/// What is foretold and found of a case, and what came, mL.
struct Case {
    patient: usize,
    foretold: Vec<f64>,
    found: Vec<f64>,
    followup_ml: f64,
}

/// The figures of an arm; `None` where it foretells no volume.
pub(super) fn followup_volume(
    rows: &[&CaseResult],
    resampling: &Resampling<'_>,
) -> Option<FollowupVolume> {
    if rows.iter().all(|row| row.predicted_followup_ml.is_none()) {
        return None;
    }
    let mut cases: BTreeMap<(usize, &str), Option<Case>> = BTreeMap::new();
    for row in rows {
        let case = cases.entry((row.fold, &row.case_id)).or_default();
        let volumes = row.predicted_followup_ml.zip(row.volume_ml).zip(row.followup_volume_ml);
        let patient = resampling.patient_idx(row);
        let Some((((foretold, found), followup_ml), patient)) = volumes.zip(patient) else {
            continue;
        };
        let (foretold_ml, found_ml) = (Vec::new(), Vec::new());
        let case = case.get_or_insert(Case {
            patient,
            foretold: foretold_ml,
            found: found_ml,
            followup_ml,
        });
        case.foretold.push(foretold);
        case.found.push(found);
    }
    let known: Vec<&Case> = cases.values().flatten().collect();
    let errors = |said: fn(&Case) -> &Vec<f64>| {
        let error = |case: &&Case| {
            let mean = said(case).iter().sum::<f64>() / said(case).len() as f64;
            (case.patient, (mean - case.followup_ml).abs())
        };
        let mut errors: Vec<(usize, f64)> = known.iter().map(error).collect();
        errors.sort_by(|a, b| a.1.total_cmp(&b.1));
        errors
    };
    let (foretold, unchanged) = (errors(|case| &case.foretold), errors(|case| &case.found));
    let median = median_of_drawn(&foretold, &resampling.undrawn());
    let draws = resampling.distribution(|n_drawn| median_of_drawn(&foretold, n_drawn));
    Some(FollowupVolume {
        median_absolute_error_ml: median,
        median_absolute_error_ml_ci95: median.and_then(|_| interval(&draws)),
        median_absolute_error_ml_unchanged: median_of_drawn(&unchanged, &resampling.undrawn()),
        n: known.len(),
        n_undefined: cases.len() - known.len(),
    })
}

/// The median of rising values that belong to patients, each counted as often as its patient was drawn.
fn median_of_drawn(sorted: &[(usize, f64)], n_drawn: &[u32]) -> Option<f64> {
    let times =
        |(patient, value): &(usize, f64)| std::iter::repeat_n(*value, n_drawn[*patient] as usize);
    median_of_sorted(&sorted.iter().flat_map(times).collect::<Vec<f64>>())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use hemex_metrics::Bootstrap;

    use super::*;
    use crate::evaluate::calibration::tests::row;

    fn case(case_id: &str, seed: u64, said: Option<[f64; 2]>, came: Option<f64>) -> CaseResult {
        CaseResult {
            predicted_followup_ml: said.map(|[foretold, _]| foretold),
            volume_ml: said.map(|[_, found]| found),
            followup_volume_ml: came,
            ..row(case_id, seed, said.map(|_| 0.5), true)
        }
    }

    fn figures(cases: &[CaseResult]) -> Option<FollowupVolume> {
        let rows: Vec<&CaseResult> = cases.iter().collect();
        followup_volume(&rows, &Resampling::new(&rows, Bootstrap { n_draws: 100, seed: 1 }))
    }

    #[test]
    fn the_median_is_over_cases_whatever_the_number_of_seeds() {
        let found = figures(&[
            // Foretold 12 in the mean, 10 found and 15 come: off by 3 and 5.
            case("a", 1, Some([10.0, 9.0]), Some(15.0)),
            case("a", 2, Some([14.0, 11.0]), Some(15.0)),
            // 8 and 2.
            case("b", 1, Some([28.0, 22.0]), Some(20.0)),
            // 1 and 2.
            case("c", 1, Some([4.0, 3.0]), Some(5.0)),
            // Nothing found, nothing known.
            case("d", 1, None, Some(7.0)),
            case("e", 1, Some([4.0, 4.0]), None),
        ])
        .unwrap();
        assert_eq!((found.n, found.n_undefined), (3, 2));
        assert_eq!(found.median_absolute_error_ml, Some(3.0));
        assert_eq!(found.median_absolute_error_ml_unchanged, Some(2.0));
        // Of three patients some draws have one alone.
        assert_eq!(found.median_absolute_error_ml_ci95, Some([1.0, 8.0]));
    }

    #[test]
    fn an_arm_that_foretells_nothing_has_no_figure() {
        let silent = CaseResult { volume_ml: Some(3.0), ..case("a", 1, None, Some(4.0)) };
        assert_eq!(figures(&[silent]), None);
        let unknown = figures(&[case("a", 1, Some([4.0, 4.0]), None)]).unwrap();
        assert_eq!(
            (unknown.median_absolute_error_ml, unknown.n, unknown.n_undefined),
            (None, 0, 1)
        );
        assert_eq!(unknown.median_absolute_error_ml_ci95, None);
    }
}
