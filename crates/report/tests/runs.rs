//! Two runs beside each other, on cohorts whose figures are known by hand.

#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

#[expect(dead_code, reason = "shared with the other tests of the crate")]
mod fixture;

use fixture::{Cohort, Report, Said, report};
use hemex_report::runs::{Comparison, markdown, page};

fn changed(change: impl FnOnce(&mut Cohort)) -> Report {
    let mut cohort = Cohort::known();
    change(&mut cohort);
    report(&cohort, |_| {}).unwrap()
}

fn compared(first: &Report, second: &Report) -> Comparison {
    Comparison::read(&first.folder, &second.folder).unwrap()
}

#[test]
fn differences_are_those_of_the_shared_cases() {
    let first = changed(|_| {});
    // Case a1 now ranks above all that are stable; a2 is labelled otherwise, b2 is refused.
    let second = changed(|cohort| {
        cohort.folds[0][1].joint = Said::Probability(0.95);
        cohort.folds[0][2].growth = Some(true);
        cohort.folds[1][2].joint = Said::Refused;
    });
    let comparison = compared(&first, &second);
    let joint = &comparison.arms[0];
    assert_eq!((joint.arm.as_str(), joint.n_both, joint.n_label_changed), ("joint", 11, 1));
    // Without a2 and b2: fold 0 has every pair right in both runs; in fold 1 of b0 (below all) and b1 against b3,
    // one of two.
    assert_eq!(joint.auroc, [Some(0.75), Some(0.75)]);
    assert_eq!(joint.difference.auroc, Some(0.0));
    assert_eq!(joint.difference.n, 7);
    assert_eq!(joint.n_no_longer_ranked, 1);
    for text in [markdown(&comparison), page(&comparison)] {
        assert!(text.contains("joint: 1 test cases ranked in A alone, left out"), "{text}");
        assert!(text.contains("joint: 1 test cases with a Dice in A alone, left out"), "{text}");
    }
    let worse = comparison.worse(0.9);
    assert!(
        worse.contains(&"joint: 1 of 11 test cases are no longer ranked".to_owned()),
        "{worse:?}"
    );

    assert!(worse.contains(&"joint: 1 test cases have another label".to_owned()), "{worse:?}");
    assert!(worse.contains(&"joint: 1 test cases no longer have a Dice".to_owned()), "{worse:?}");

    let second = changed(|cohort| cohort.folds[0][1].joint = Said::Probability(0.95));
    let joint = &compared(&first, &second).arms[0];
    let close = |found: Option<f64>, expected: f64| {
        assert!((found.unwrap() - expected).abs() < 1e-12, "{found:?}, expected {expected}");
    };
    close(joint.auroc[0], (5.0 / 6.0 + 1.5 / 4.0) / 2.0);
    close(joint.auroc[1], (1.0 + 1.5 / 4.0) / 2.0);
    close(joint.difference.auroc, 1.0 / 12.0);
    assert_eq!((joint.n_unpaired, joint.dice.difference), ([0, 0], Some(0.0)));
    assert!(!markdown(&compared(&first, &second)).contains("left out"));
    let backwards = &compared(&second, &first).arms[0];
    close(backwards.difference.auroc, -1.0 / 12.0);
}

#[test]
fn what_cannot_be_compared_is_said() {
    let first = changed(|_| {});
    let second = changed(|cohort| cohort.arms = vec!["joint", "other"]);
    let comparison = compared(&first, &second);
    assert_eq!(comparison.unpaired_arms, [vec!["vgg".to_owned()], vec!["other".to_owned()]]);
    let text = markdown(&comparison);
    assert!(
        text.contains("| joint | AUROC | 0.604 | 0.604 | +0.000") && text.contains("only A has"),
        "{text}"
    );

    let third = changed(|cohort| cohort.arms = vec!["<script>alert(1)</script>|"]);
    let error = Comparison::read(&first.folder, &third.folder).unwrap_err().to_string();
    assert!(error.starts_with("the runs share no arm"), "{error}");
    let hostile = compared(&third, &third);
    for text in [page(&hostile), markdown(&hostile)] {
        assert!(!text.contains("<script>"), "{text}");
    }
    let error = Comparison::read(&first.folder, std::path::Path::new("/nowhere/at/all"));
    assert!(error.unwrap_err().to_string().contains("/nowhere/at/all: no report"));
}

#[test]
fn a_run_is_found_by_its_folder_its_report_or_a_file() {
    let first = changed(|_| {});
    let run = first.folder.parent().unwrap();
    for path in [run.to_owned(), first.folder.clone(), first.folder.join("report.html")] {
        let found = Comparison::read(&path, &first.folder).unwrap();
        assert_eq!(found.folders, [first.folder.clone(), first.folder.clone()]);
    }
}

#[test]
fn a_planted_drop_fails_and_is_named() {
    let first = changed(|_| {});
    assert_eq!(compared(&first, &first).worse(0.05), Vec::<String>::new());
    // One growing case is ranked below all, beside a stable one: fold 0 of the joint network falls from 5 of 6
    // pairs to 2.5.
    let worse = changed(|cohort| cohort.folds[0][0].joint = Said::NoLesion);
    let lines = compared(&first, &worse).worse(0.05);
    assert!(
        lines[0].starts_with("joint: AUROC -0.208") && lines[0].contains("margin 0.05"),
        "{lines:?}"
    );
    assert!(lines.iter().all(|line| !line.starts_with("vgg")), "{lines:?}");
    // The lost lesion costs Dice as well.
    assert!(lines[1].starts_with("joint: mean Dice -0."), "{lines:?}");
    let without = changed(|cohort| cohort.arms = vec!["joint"]);
    assert_eq!(compared(&first, &without).worse(0.05), ["vgg: not in the second run"]);
}
