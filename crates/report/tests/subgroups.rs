//! Figures within groups of test cases, on a cohort whose figures are known by hand.

#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

#[expect(dead_code, reason = "shared with the other tests of the crate")]
mod fixture;

use fixture::{Cohort, close, report};

#[test]
fn subgroups_hold_their_own_cases() {
    let report = report(&Cohort::known(), |_| {}).unwrap();
    let groups = report.metrics["subgroups"].as_array().unwrap();
    let group = |by: &str, name: &str| {
        groups.iter().find(|group| group["by"] == by && group["name"] == name).unwrap()
    };
    let site = group("site", "A");
    assert_eq!((site["n"].as_u64(), site["n_growth"].as_u64()), (Some(6), Some(2)));
    // As the model of fold 0, which tests site A.
    close(&site["arms"][0]["auroc"]["value"], 5.0 / 6.0);
    close(&group("site", "B")["arms"][0]["auroc"]["value"], 1.5 / 4.0);
    // All are 70 years old, and scanned within 3 h; sex is unknown, so there is no such group.
    assert_eq!(group("age", "65 years and over")["n"], 12);
    close(&group("onset to CT", "within 3 h")["arms"][1]["auroc"]["value"], 0.75);
    assert!(groups.iter().all(|group| group["by"] != "sex" && group["name"] != "later"));
    assert!(report.page.contains("<h2>Subgroups and sites</h2>"));
}

#[test]
fn a_patient_in_two_roles_is_counted() {
    let leaks = |change: fn(&std::path::Path)| {
        let report = report(&Cohort::known(), change).unwrap();
        let folds = report.metrics["cohort"]["folds"].as_array().unwrap().clone();
        (folds[0]["n_test_patients_elsewhere"].as_u64(), report.page)
    };
    let (n, page) = leaks(|_| {});
    assert_eq!(n, Some(0));
    assert!(page.contains("No patient that tests a model"));
    // Case b0, which trains in fold 0, now is of the patient of a0, which tests there.
    let (n, page) = leaks(|root| {
        let path = root.join("cases/cases.csv");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("b0,p-b0", "b0,p-a0")).unwrap();
    });
    assert_eq!(n, Some(1));
    assert!(page.contains("not to be trusted"));
}

#[test]
fn other_definitions_of_growth_are_other_labels() {
    // 0.08 mL grow to 0.105 mL in a0 (31 %) and to 8 mL in b1; the others stay, or have no follow-up.
    let report = report(&Cohort::known(), |root| {
        let path = root.join("labels/labels.csv");
        let text = std::fs::read_to_string(&path).unwrap();
        let with = |line: &str| match line.split(',').next().unwrap() {
            "a0" => line.replace(",0.08,,", ",0.08,0.105,"),
            "b1" => line.replace(",0.08,,", ",0.08,8.0,"),
            "a2" | "a3" | "b3" => line.replace(",0.08,,", ",0.08,0.08,"),
            _ => line.to_owned(),
        };
        let lines: Vec<String> = text.lines().map(with).collect();
        std::fs::write(&path, lines.join("\n") + "\n").unwrap();
    })
    .unwrap();
    let definitions = &report.metrics["definitions"];
    let joint = &definitions["over 26 %"]["joint"];
    assert_eq!((joint["n"].as_u64(), joint["n_positive"].as_u64()), (Some(5), Some(2)));
    // a0 0.9 beats 0.5 and 0.2; b1 0.7 beats 0.1.
    close(&joint["value"], 1.0);
    let strict = &definitions["over 6 mL"]["joint"];
    assert_eq!(strict["n_positive"], 1);
    assert!(strict["reason"].as_str().unwrap().contains("in fold 0, 0 of 3"), "{strict}");
    assert!(report.page.contains("Other definitions of growth"));
}

#[test]
fn a_case_with_two_rows_of_clinical_columns_is_named() {
    let twice = |root: &std::path::Path| {
        let path = root.join("cases/clinical.csv");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{text}a0,,,,,,1\n")).unwrap();
    };
    let error = report(&Cohort::known(), twice).err().unwrap().to_string();
    assert!(error.contains("clinical.csv: the case `a0` has two rows"), "{error}");
}
