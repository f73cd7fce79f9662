//! An own cohort from its raw data to the report, as the README has it.

use std::fs;
use std::path::Path;

use hemex_tests::{Call, Workbench, copy_folder};

use crate::{assert_counted, finished};

/// Networks far too small to be good, trained in seconds; all else as it ships.
const TINY: [&str; 6] = [
    "train.n_epochs=1",
    "train.steps_per_epoch=4",
    "train.batch_size=2",
    "train.optimizer.warmup_steps=1",
    "train.arm.joint.channels=[4, 8]",
    "train.arm.vgg.channels=[4, 8]",
];

fn cohort(bench: &Workbench, raw: &Path) -> Call {
    let set = TINY.into_iter().flat_map(|value| ["--set", value]);
    bench.pipeline("cohort").arg("--data").arg(format!("raw={}", raw.display())).args(set)
}

/// The tiny phantom's raw data as a cohort of these sites, its patients dealt to them in turn.
fn of_sites(bench: &Workbench, sites: &[&str]) -> std::path::PathBuf {
    let raw = bench.folder().join("raw");
    copy_folder(&finished().task("phantom").output("raw"), &raw);
    let path = raw.join("participants.tsv");
    let text = fs::read_to_string(&path).unwrap();
    let (header, rows) = text.split_once('\n').unwrap();
    let column = header.split('\t').position(|name| name == "site").unwrap();
    let mut text = header.to_owned() + "\n";
    for (i, row) in rows.lines().enumerate() {
        let mut cells: Vec<&str> = row.split('\t').collect();
        cells[column] = sites[i % sites.len()];
        text += &(cells.join("\t") + "\n");
    }
    fs::write(&path, text).unwrap();
    raw
}

fn assert_reported(bench: &Workbench, n_models: usize) {
    assert_eq!(bench.tasks("predict").len(), n_models);
    let metrics = bench.metrics();
    for figure in ["joint/auroc", "joint/dice", "vgg/auroc"] {
        assert_counted(&metrics, figure);
    }
    assert!(bench.task("report").output("report").join("report.html").is_file());
}

#[test]
fn a_cohort_of_three_sites_ends_with_a_report() {
    let bench = Workbench::new();
    let raw = finished().task("phantom").output("raw");
    // Two windows of HU as two channels.
    let windows = "train.arm.joint.input.windows_hu=[[-20.0, 100.0], [0.0, 60.0]]";
    cohort(&bench, &raw).args(["--set", windows]).succeeds().says(&["report: "]);
    assert_reported(&bench, 2 * 3);
}

#[test]
fn a_cohort_of_two_sites_has_two_folds() {
    let bench = Workbench::new();
    let raw = of_sites(&bench, &["A", "B"]);
    let failed = cohort(&bench, &raw).fails();
    failed.says(&["regime `site` has the folds 0, 1:", "--set 'train.matrix.fold=[0, 1]'"]);
    assert!(bench.tasks("train").is_empty(), "no fold trains in vain");
    let both = cohort(&bench, &raw).args(["--set", "train.matrix.fold=[0, 1]"]).succeeds();
    both.says(&["report: "]);
    assert_reported(&bench, 2 * 2);
}

#[test]
fn a_cohort_of_one_site_is_split_by_patient() {
    let bench = Workbench::new();
    let raw = of_sites(&bench, &["A"]);
    let failed = cohort(&bench, &raw).fails();
    failed.says(&["the regime `site`, which the splits lack", "`patient`, `same_patient`"]);
    failed.says(&["--set train.regime=patient"]);
    assert!(bench.tasks("train").is_empty());
    let run = cohort(&bench, &raw).args(["--set", "train.regime=patient"]).succeeds();
    run.says(&["report: "]);
    assert_reported(&bench, 2 * 3);
}
