//! Golden figures of the report on the cohort of the tests; `cargo xtask regress -p report`.
#![expect(clippy::unwrap_used, reason = "a failed figure may panic")]

#[path = "../tests/fixture/mod.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod fixture;

use fixture::{Cohort, config};
use hemex_report::{Evaluation, compare, evaluate, metrics_json};

fn main() {
    let root = tempfile::tempdir().unwrap();
    let request = Cohort::known().write(root.path());
    let evaluation = Evaluation::read(&request).unwrap();
    let results = compare::results(&evaluation, &config().lesion_labels).unwrap();
    let findings = evaluate(&evaluation, &results, &config(), request.seed).unwrap();
    let document = metrics_json::document(&findings);
    for figure in [
        "arms/joint/auroc/value",
        "arms/joint/auroc/ci95/0",
        "arms/joint/auroc/n",
        "arms/joint/auprc/value",
        "arms/joint/brier/value",
        "arms/joint/brier/ci95/1",
        "arms/vgg/calibration/slope",
        "arms/vgg/calibration/expected_calibration_error",
        "arms/joint/dice/mean",
        "arms/joint/dice/ci95/0",
        "arms/joint/hd95_mm/mean",
        "arms/joint/volume/mean_difference_ml",
        "arms/joint/volume/limits_of_agreement_ml/0",
        "arms/vgg/models/0/auprc",
        "arms/joint/n_not_ranked",
        "differences/joint-vgg/auroc",
        "differences/joint-vgg/ci95/0",
        "differences/joint-vgg/p",
        "oracle/auroc",
        "oracle/ci95/0",
    ] {
        let value = document.pointer(&format!("/{figure}")).unwrap();
        println!("{figure} {value}");
    }
}
