//! Net benefit on a cohort whose figures are known by hand.

#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

#[expect(dead_code, reason = "shared with the other tests of the crate")]
mod fixture;

use fixture::{Cohort, Said, close, report};

#[test]
fn net_benefit_counts_true_and_weighs_false_positives() {
    let report = report(&Cohort::known(), |_| {}).unwrap();
    let decision = &report.metrics["arms"]["joint"]["decision"];
    // Labelled cases with a probability: a0 0.9, a1 0.4, b1 0.7 grew; a2 0.5, a3 0.2, b2 0.7, b3 0.1 did not. No lesion
    // was found in b0, which grew, and a4, which did not; a5 and b5 have no label, and b4 was refused.
    assert_eq!((&decision["n"], &decision["n_undefined"]), (&9.into(), &3.into()));
    let at = |threshold: f64| {
        let all = decision["thresholds"].as_array().unwrap();
        all.iter().find(|at| at["threshold"] == threshold).unwrap()
    };
    close(&at(0.4)["net_benefit"], (3.0 - 2.0 * 0.4 / 0.6) / 9.0);
    close(&at(0.2)["net_benefit"], (3.0 - 3.0 * 0.25) / 9.0);
    close(&at(0.2)["treat_all"], (4.0 - 5.0 * 0.25) / 9.0);
    let [low, high] = [0, 1].map(|end| at(0.2)["ci95"][end].as_f64().unwrap());
    let value = at(0.2)["net_benefit"].as_f64().unwrap();
    assert!(low < value && value < high, "{low} {value} {high}");
    assert!(report.page.contains("Decision curve"));
}

#[test]
fn treating_all_has_a_line_an_arm_where_arms_leave_out_other_cases() {
    let mut cohort = Cohort::known();
    let page = report(&cohort, |_| {}).unwrap().page;
    assert!(page.contains("Dashed: treat all cases of the arm."));
    assert!(!page.contains("treat all (dashed)"));
    cohort.folds[1][4].joint = Said::NoLesion;
    let page = report(&cohort, |_| {}).unwrap().page;
    assert!(page.contains("treat all (dashed)"));
    assert!(!page.contains("Dashed: treat all cases of the arm."));
}
