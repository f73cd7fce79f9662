//! Cohorts that lack something: a page each that says what cannot be estimated.

#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

mod fixture;

use std::path::Path;

use fixture::{Cohort, Report, close, report};

/// The report; no figure of it may be a number that is none.
fn made(cohort: &Cohort, change: impl FnOnce(&Path)) -> Report {
    let report = report(cohort, change).unwrap();
    for word in ["NaN", ">inf", ">-inf", "undefined%"] {
        assert!(!report.page.contains(word), "{word}");
    }
    let text = std::fs::read_to_string(report.folder.join("metrics.json")).unwrap();
    assert!(!text.contains("NaN") && !text.contains("inf,"));
    report
}

fn edit(path: &Path, change: impl FnOnce(String) -> String) {
    let text = std::fs::read_to_string(path).unwrap();
    std::fs::write(path, change(text)).unwrap();
}

#[test]
fn one_class() {
    let mut cohort = Cohort::known();
    cohort.folds.iter_mut().flatten().for_each(|case| case.growth = Some(false));
    let report = made(&cohort, |_| {});
    let joint = &report.metrics["arms"]["joint"];
    assert!(joint["auroc"]["value"].is_null());
    let reason = joint["auroc"]["reason"].as_str().unwrap();
    assert!(reason.starts_with("needs cases of both classes"), "{reason}");
    assert!(report.page.contains("there is no curve to draw"));
    // Treating anyone costs; that is defined.
    close(&joint["decision"]["thresholds"][1]["treat_all"], -0.25);
    assert!(report.metrics["comparators"]["volume"]["auroc"]["value"].is_null());
}

#[test]
fn no_masks_at_all() {
    let mut cohort = Cohort::known();
    cohort.arms = vec!["vgg"];
    let report = made(&cohort, |root| {
        edit(&root.join("labels/labels.csv"), |text| {
            let names =
                cohort.folds.iter().flatten().map(|case| format!("masks/{}.nii", case.name));
            names.fold(text, |text, name| text.replace(&name, ""))
        });
    });
    let vgg = &report.metrics["arms"]["vgg"];
    assert_eq!(vgg["dice"]["reason"], "the arm writes no masks");
    assert!(vgg["auroc"]["value"].is_number());
    assert!(report.page.contains("There is one arm: nothing to compare."));
}

#[test]
fn one_site_and_no_clinical_column() {
    let mut cohort = Cohort::known();
    cohort.sites = ["A", "A"];
    cohort.regime = hemex_artifacts::Regime::Patient;
    let report = made(&cohort, |root| {
        std::fs::remove_file(root.join("cases/clinical.csv")).unwrap();
        edit(&root.join("cases/cases.csv"), |text| text.replace(",70.0,,2.5,0,", ",,,,,"));
        std::fs::remove_file(root.join("weights/weights.json")).unwrap();
    });
    for score in ["BRAIN", "9-point"] {
        let score = &report.metrics["comparators"][score];
        assert!(score["auroc"]["value"].is_null());
        assert_eq!(score["n_without_score"], 10);
    }
    let groups = report.metrics["subgroups"].as_array().unwrap();
    let by: Vec<&str> = groups.iter().map(|group| group["by"].as_str().unwrap()).collect();
    assert_eq!(by, ["site", "volume"], "nothing else is known of anyone");
}
