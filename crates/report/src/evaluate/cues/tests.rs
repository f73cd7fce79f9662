use hemex_metrics::Bootstrap;

use super::*;
use crate::evaluate::calibration::tests::row;

/// Eight cases: the first half on the first side; growth in every other one.
fn cohort(score: fn(bool, bool, usize) -> f64) -> Vec<CaseResult> {
    (0..8)
        .map(|i| {
            let (second, growth) = (i >= 4, i % 2 == 1);
            let probability = score(second, growth, i);
            row(&format!("c{i}"), 1, Some(probability), growth)
        })
        .collect()
}

fn shares(rows: &[CaseResult]) -> [Option<f64>; 2] {
    let rows: Vec<&CaseResult> = rows.iter().collect();
    let resampling = Resampling::new(&rows, Bootstrap { n_draws: 100, seed: 1 });
    let side = |row: &CaseResult| Some(row.case_id.as_str() >= "c4");
    let found = figures("arm", &rows, &side, &resampling).ok();
    [found.as_ref().and_then(|f| f.told.value), found.as_ref().and_then(|f| f.within.value)]
}

#[test]
fn a_head_without_hematoma_that_tells_growth_is_seen() {
    let mut rows = cohort(|_, growth, _| if growth { 0.8 } else { 0.2 });
    let told = |rows: &[CaseResult]| {
        let rows: Vec<&CaseResult> = rows.iter().collect();
        let resampling = Resampling::new(&rows, Bootstrap { n_draws: 100, seed: 1 });
        twins(&[("arm", rows)], |case_id| case_id != "c7", &resampling).ok()
    };
    assert_eq!(told(&rows), Some(Vec::new()));
    // Of one growing and one stable head something is said, each above those of which nothing is.
    rows[1].twin_logit = Some(0.5);
    rows[2].twin_logit = Some(-0.5);
    // Nothing was read of a case that was refused, and of one that has no twin.
    rows[5].status = Status::Refused;
    let found = told(&rows).and_then(|found| found.into_iter().next());
    let found = found.map(|f| (f.told.value, f.n_told, f.n, f.n_not_read));
    // 8 pairs: 4 of the first, above all, 3 · ½ of the other growing one, below the second.
    let expected = (4.0 + 3.0 * 0.5) / 8.0;
    assert_eq!(found, Some((Some(expected), 2, 6, 2)));
}

#[test]
fn filled_heads_count_where_an_arm_has_masks_and_found_something_to_fill() {
    let mut rows = cohort(|_, growth, _| if growth { 0.8 } else { 0.2 });
    // Nothing was found in the first; of the filled second the arm says nothing.
    rows[0].status = Status::NoLesion;
    for (i, row) in rows.iter_mut().enumerate().skip(2) {
        row.inpainted_logit = Some(i as f64);
    }
    let of = |rows: &[CaseResult], has_masks: bool, tells_from_masks: bool| {
        let rows: Vec<&CaseResult> = rows.iter().collect();
        let resampling = Resampling::new(&rows, Bootstrap { n_draws: 100, seed: 1 });
        inpainted(&[("arm", rows)], |_| has_masks, |_| tells_from_masks, &resampling).ok()
    };
    assert_eq!(of(&rows, false, true), Some(Vec::new()));
    let found = |tells_from_masks| {
        let found = of(&rows, true, tells_from_masks)?.into_iter().next()?;
        Some((found.told.value?, found.n_told, found.n, found.n_not_read))
    };
    // Growing are 1, 3, 5, 7 at −∞, 3, 5, 7, stable 2, 4, 6: 0 + 1 + 2 + 3 of 12 pairs.
    assert_eq!(found(true), Some((6.0 / 12.0, 6, 7, 1)));
    // Of a network nothing is said where nothing was filled: the second is left out.
    assert_eq!(found(false), Some((6.0 / 9.0, 6, 6, 2)));
}

#[test]
fn a_score_of_the_cue_and_one_of_growth_are_told_apart() {
    let of_cue = cohort(|second, _, _| if second { 0.8 } else { 0.2 });
    assert_eq!(shares(&of_cue), [Some(1.0), Some(0.5)]);
    let of_growth = cohort(|_, growth, _| if growth { 0.8 } else { 0.2 });
    assert_eq!(shares(&of_growth), [Some(0.5), Some(1.0)]);
    // By hand: 6 of the 8 pairs of one outcome, 6 of the 8 of one side.
    let of_both = cohort(|_, _, i| [0.1, 0.5, 0.3, 0.2, 0.4, 0.6, 0.15, 0.35][i]);
    assert_eq!(shares(&of_both), [Some(6.0 / 8.0), Some(6.0 / 8.0)]);
}
