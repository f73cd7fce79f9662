//! Golden figures of the report on the cohort of the tests; `cargo xtask regress -p report`.
#![expect(clippy::unwrap_used, reason = "a failed figure may panic")]

#[path = "../tests/fixture/mod.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod fixture;

use std::process::{Command, ExitCode, Stdio};

use fixture::{Cohort, config};
use hemex_artifacts::json;
use hemex_report::{Config, RawConfig};
use serde_json::{Value, json};

/// Runs the stage in a process of its own, since it talks on stdout, where figures go; `metrics.json`.
fn metrics() -> Value {
    let root = tempfile::tempdir().unwrap();
    let mut request = Cohort::known().write(root.path());
    let Config { lesion_labels, n_bootstrap, n_calibration_bins, n_example_cases, .. } = config();
    request.config = json!({
        "lesion_labels": lesion_labels, "n_bootstrap": n_bootstrap,
        "surface_tolerance_mm": config().surface_tolerance_mm,
        "n_calibration_bins": n_calibration_bins, "n_example_cases": n_example_cases,
        "conformal_miss": config().conformal_miss,
        "display_window_hu": config().display_window_hu,
    });
    let path = root.path().join("request.json");
    json::write(&path, &request).unwrap();
    let mut stage = Command::new(std::env::current_exe().unwrap());
    let status = stage.arg(&path).stdout(Stdio::null()).status();
    assert!(status.unwrap().success());
    json::read(&root.path().join("report/metrics.json")).unwrap()
}

fn main() -> ExitCode {
    if std::env::args().len() > 1 {
        return hemex_stage::main::<RawConfig, _>(hemex_report::run);
    }
    let document = metrics();
    for figure in [
        "arms/joint/auroc/value",
        "arms/joint/auroc/ci95/0",
        "arms/joint/auroc/n",
        "arms/joint/auprc/value",
        "arms/joint/auprc_of_chance",
        "arms/joint/brier/value",
        "arms/joint/brier/ci95/1",
        "arms/joint/calibration/slope",
        "arms/vgg/calibration/expected_calibration_error",
        "arms/joint/dice/mean",
        "arms/joint/dice/ci95/0",
        "arms/joint/hd95_mm/mean",
        "arms/joint/surface_dice/mean",
        "arms/joint/lesion_f1/mean",
        "arms/joint/volume/mean_difference_ml",
        "arms/joint/volume/limits_of_agreement_ml/0",
        "arms/vgg/models/0/auprc",
        "arms/joint/n_not_ranked",
        "differences/joint-vgg/auroc",
        "differences/joint-vgg/ci95/0",
        "differences/joint-vgg/p",
        "differences/joint-vgg/n",
        "oracle/auroc",
        "oracle/ci95/0",
    ] {
        let value = document.pointer(&format!("/{figure}")).unwrap();
        println!("{figure} {value}");
    }
    ExitCode::SUCCESS
}
