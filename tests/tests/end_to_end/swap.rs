//! Each stage in turn replaced by a Python script; `swap/` shows how.

use std::path::{Path, PathBuf};

use hemex_artifacts::{CaseRow, PredictionRow, PredictionStatus, table};
use hemex_tests::{Workbench, has_python, read, replace};

use crate::{assert_counted, with_finished};

/// A pipeline with a stage's program replaced by its script in `swap/`; nothing else changes.
fn swapped(pipeline: &str, stage: &str) -> String {
    let script = format!("tests/swap/{stage}.py");
    let new = format!(
        "run     = [\"python3\", \"-B\", \"{script}\"]\ncode    = [\"{script}\", \"tests/swap/nifti.py\"]"
    );
    replace(pipeline, &format!("run     = \"crate:{stage}\""), &new)
}

/// The tiny pipeline with these stages replaced, one network a stage.
fn tiny_with(bench: &Workbench, stages: &[&str]) -> PathBuf {
    let tiny = read("tests/fixtures/tiny.toml");
    let tiny =
        replace(&tiny, "arm = [\"joint\", \"vgg\"], fold = 2", "arm = [\"joint\"], fold = 2");
    let text = stages.iter().fold(tiny, |text, stage| swapped(&text, stage));
    bench.write("swapped.toml", &text)
}

/// The run ends with a report of held-out cases, which it gives.
fn report(bench: &Workbench, stages: &[&str], set: &[&str]) -> serde_json::Value {
    let run = bench.pipeline(tiny_with(bench, stages)).args(set).succeeds();
    run.says(&["report: "]);
    for stage in stages {
        let tasks = bench.tasks(stage);
        let swapped = tasks.iter().filter(|task| {
            let code = format!("{:?}", task.provenance.key_parts);
            code.contains(&format!("code.tests/swap/{stage}.py"))
        });
        assert!(!tasks.is_empty());
        assert_eq!(swapped.count(), tasks.len(), "`{stage}` was not swapped");
    }
    assert!(bench.task("report").output("report").join("report.html").is_file());
    bench.metrics()
}

/// Cases of the joint arm were ranked and their masks compared.
fn assert_evaluated(metrics: &serde_json::Value) {
    assert_counted(metrics, "joint/auroc");
    assert_counted(metrics, "joint/dice");
}

fn cases(folder: &Path) -> Vec<CaseRow> {
    table::read_rows(&folder.join("cases.csv")).unwrap()
}

#[test]
fn a_phantom_in_python() {
    if !has_python("a_phantom_in_python") {
        return;
    }
    let bench = Workbench::new();
    assert_evaluated(&report(&bench, &["phantom"], &[]));
    let ingested = bench.task("ingest").output("cases");
    assert_eq!(cases(&ingested).len(), 12, "no head made of balls is excluded");
}

#[test]
fn an_ingest_in_python() {
    if !has_python("an_ingest_in_python") {
        return;
    }
    let bench = Workbench::new();
    // The script reads no DICOM and so loses a site: enough patients of both classes at the others.
    let set = ["--set", "phantom.n_patients=24", "--set", "phantom.prevalence=0.5"];
    assert_evaluated(&report(&bench, &["ingest"], &set));
    let ingested = bench.task("ingest").output("cases");
    assert!(cases(&ingested).len() >= 10);
}

#[test]
fn an_augment_in_python() {
    if !has_python("an_augment_in_python") {
        return;
    }
    let bench = with_finished(&["phantom", "ingest"]);
    let text = replace(&read("pipelines/augment.toml"), "phantom.toml", "phantom-tiny.toml");
    bench.pipeline(bench.write("augment.toml", &swapped(&text, "augment"))).succeeds();
    let examples = cases(&bench.task("augment").output("examples"));
    let originals = cases(&bench.task("ingest").output("cases"));
    assert_eq!(examples.len(), originals.len());
    assert!(examples.iter().all(|row| row.case_id.ends_with("-mirrored")));
}

#[test]
fn a_shift_in_python() {
    if !has_python("a_shift_in_python") {
        return;
    }
    let bench = with_finished(&["phantom", "ingest"]);
    assert_evaluated(&report(&bench, &["shift"], &[]));
}

/// A model's format is its trainer's own: the two are swapped as a pair, and our `predict` refuses
/// theirs by name.
#[test]
fn a_train_with_its_predict_in_python() {
    if !has_python("a_train_with_its_predict_in_python") {
        return;
    }
    let bench = with_finished(&["phantom", "ingest", "shift"]);
    let alone = tiny_with(&bench, &["train"]);
    let refused = bench.pipeline(alone).fails();
    refused.says(&["`example-logistic-regression/1`", "`hemex-model/1`", "model.json"]);
    assert!(bench.tasks("predict").is_empty());

    // These models write no masks.
    assert_counted(&report(&bench, &["train", "predict"], &[]), "joint/auroc");
    for task in bench.tasks("predict") {
        let path = task.output("predictions").join("predictions.csv");
        let rows: Vec<PredictionRow> = table::read_rows(&path).unwrap();
        assert!(rows.iter().any(|row| row.status == PredictionStatus::Ok), "{rows:?}");
    }
}

#[test]
fn a_report_in_python() {
    if !has_python("a_report_in_python") {
        return;
    }
    let bench = with_finished(&["phantom", "ingest", "shift", "train", "predict"]);
    assert_counted(&report(&bench, &["report"], &[]), "joint/auroc");
}
