//! Clinical scores beside the arms, on a cohort whose figures are known by hand.

#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

#[expect(dead_code, reason = "shared with the other tests of the crate")]
mod fixture;

use fixture::{Cohort, close, report};

#[test]
fn scores_are_ranked_on_the_cases_whose_inputs_are_known() {
    let report = report(&Cohort::known(), |_| {}).unwrap();
    let scores = &report.metrics["comparators"];
    // The spot sign alone differs: in fold 0 both growing cases have it; in fold 1 one of two, which beats two,
    // while the other ties with two.
    let nine = &scores["9-point"];
    close(&nine["auroc"]["value"], (1.0 + 3.0 / 4.0) / 2.0);
    assert_eq!(nine["auroc"]["n"], 9);
    assert_eq!(nine["n_without_score"], 1, "case b4 is not in clinical.csv");
    // The joint network over the same nine cases: 5 of 6 pairs, 1.5 of 4.
    let minus = (5.0 / 6.0 + 1.5 / 4.0) / 2.0 - (1.0 + 3.0 / 4.0) / 2.0;
    close(&nine["differences"]["joint"]["auroc"], minus);
    // All hematomas are as large.
    close(&scores["volume"]["auroc"]["value"], 0.5);
    // Nobody knows of blood in the ventricles, so BRAIN cannot be computed, and says so.
    assert!(scores["BRAIN"]["auroc"]["value"].is_null());
    assert_eq!(scores["BRAIN"]["n_without_score"], 10);
    let reason = scores["BRAIN"]["auroc"]["reason"].as_str().unwrap();
    assert!(reason.contains("there is no test case") || reason.contains("0 of 0"), "{reason}");
    assert!(report.page.contains("<h2>Clinical scores and signs</h2>"));
    assert!(report.page.contains("Brouwers et al., JAMA Neurol 2014"));
}
