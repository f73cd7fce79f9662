//! The demo as it ships: what the README says of it, on its own cohort and on a real head.

#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use std::path::Path;

use hemex_artifacts::{PredictionStatus, nifti};
use hemex_stage::simd_level;
use hemex_tests::real_head::{self, Block, RealHead};
use hemex_tests::{Call, Task, Workbench, has_time, real_data, workspace_root};
use serde_json::Value;

#[test]
fn the_demo_finds_hematomas_and_none_in_a_head_without() {
    let test = "the_demo_finds_hematomas_and_none_in_a_head_without";
    if !has_time(test, 10) {
        return;
    }
    let Some(data) = real_data(test) else { return };
    let bench = Workbench::new();
    bench.pipeline("demo").succeeds().says(&["report: ", "next: "]);
    assert_eq!(bench.pipeline("demo").succeeds().n_run(), 0);
    assert_reported(&bench.metrics());
    assert_as_good_as_golden(&bench);
    let raw = bench.folder().join("raw");
    let head = real_head::build(&data, &raw, Block::Upper).unwrap();
    let mut models = bench.tasks("train");
    models.retain(|model| model.provenance.axes["arm"] == "joint");
    assert_eq!(models.len(), 3);
    for model in &models {
        assert_reads_the_real_head(model, &raw, &head);
    }
}

fn assert_reported(metrics: &Value) {
    let number = |pointer: &str| {
        let value = metrics.pointer(pointer).and_then(Value::as_f64);
        value.unwrap_or_else(|| panic!("no {pointer}:\n{metrics:#}"))
    };
    assert!(number("/arms/joint/dice/n") >= 90.0, "{metrics:#}");
    assert!(number("/arms/joint/dice/mean") >= 0.70, "{metrics:#}");
    for figure in
        ["arms/joint/auroc", "arms/two_stage/auroc", "arms/vgg/auroc", "differences/joint-vgg"]
    {
        let [low, high] = [0, 1].map(|end| number(&format!("/{figure}/ci95/{end}")));
        assert!(low < high && high - low < 0.5, "{figure}:\n{metrics:#}");
    }
    // Nothing a network could learn beats the truth by more than chance.
    let [_, high] = [0, 1].map(|end| number(&format!("/oracle/ci95/{end}")));
    for arm in ["joint", "two_stage", "vgg"] {
        assert!(number(&format!("/arms/{arm}/auroc/value")) < high, "{arm}:\n{metrics:#}");
    }
}

/// What the networks reach is compared with the golden report, without a second training. Where this processor's
/// level has none, trainings differ as those of another seed would: that is printed and not judged.
fn assert_as_good_as_golden(bench: &Workbench) {
    let call = Call::new("regress").args(["--trained", "--runs"]).arg(bench.runs());
    let level = simd_level().unwrap();
    if !workspace_root().join(format!("tests/golden/demo-{level}")).is_dir() {
        println!("{level} has no golden report: {}", call.run());
        return;
    }
    let outcome = call.succeeds();
    assert_eq!(outcome.n_run(), 0, "{outcome}");
    outcome.says(&["| joint | AUROC |", "| joint | mean Dice |", "| vgg | AUROC |"]);
}

fn assert_reads_the_real_head(model: &Task, raw: &Path, head: &RealHead) {
    let title = model.title();
    let bench = Workbench::new();
    bench.predict(raw, &model.output("model")).succeeds();
    let (rows, masks) = bench.predictions();
    assert_eq!(rows["plain"].status, PredictionStatus::NoLesion, "{title}: {:?}", rows["plain"]);
    assert_eq!(rows["plain"].probability, None);
    let row = &rows["semi_synthetic"];
    assert_eq!(row.status, PredictionStatus::Ok, "{title}: {row:?}");
    let mask = nifti::read_label_map(&masks.join(format!("{}.nii.gz", row.case_id))).unwrap();
    let truth = nifti::read_label_map(&head.mask).unwrap();
    let both = mask.voxels().iter().zip(truth.voxels()).filter(|(a, b)| **a == 1 && **b == 1);
    let dice = 2.0 * both.count() as f64 / (mask.count(&[1]) + truth.count(&[1])) as f64;
    println!("{title}: {:?} of {:.1} mL, Dice {dice:.2}", row.volume_ml, head.hematoma_ml);
    assert!(dice >= 0.5, "{title}: Dice {dice}, {row:?}");
}
