//! A training that begins with parts of a model trained before.

use std::path::PathBuf;

use hemex_artifacts::{HistoryRow, table};
use hemex_tests::{Task, workspace_root};
use rustix::process::Signal;

use crate::interruption::checkpoint;
use crate::{finished, with_finished};

fn pipeline() -> PathBuf {
    workspace_root().join("tests/fixtures/finetune.toml")
}

#[test]
fn a_joint_network_begins_with_a_unet_and_resumes_to_the_same_bits() {
    let bench = with_finished(&["phantom", "ingest"]);
    bench.pipeline(pipeline()).succeeds();
    assert_eq!((bench.tasks("pretrain").len(), bench.tasks("train").len()), (2, 4));
    // The unit tests hold the copied and the frozen weights to the bit; here they are wired at all.
    let first_mask_loss = |task: &Task| {
        let history = task.output("model").join("history.csv");
        let rows: Vec<HistoryRow> = table::read_rows(&history).unwrap();
        rows[0].train_loss_mask.unwrap()
    };
    let (drawn, begun) = (finished().tasks("train"), bench.tasks("train"));
    for (drawn, begun) in
        drawn.iter().zip(&begun).filter(|(task, _)| task.title().contains("joint"))
    {
        assert!(
            first_mask_loss(begun) < first_mask_loss(drawn),
            "{} knows masks from the start",
            begun.title()
        );
    }

    let interrupted = with_finished(&["phantom", "ingest"]);
    interrupted.adopt(&bench, &["pretrain"]);
    let mut run = interrupted.pipeline(pipeline()).spawn();
    run.until("a checkpoint", || {
        let scratch = interrupted.scratch("train");
        scratch.iter().any(|folder| checkpoint(folder).is_some()).then_some(())
    });
    run.signal(Signal::KILL);
    run.wait();
    assert!(interrupted.tasks("train").len() < 4, "killed too late");
    interrupted.pipeline(pipeline()).succeeds();
    let stages = ["train", "predict"];
    assert_eq!(interrupted.digests(&stages), bench.digests(&stages));
}

#[test]
fn patients_who_shaped_a_model_do_not_test_what_goes_on_from_it() {
    let bench = with_finished(&["phantom", "ingest", "shift"]);
    let raw = finished().task("phantom").output("raw");
    let model = finished().tasks("train").remove(0).output("model");
    let [raw, model] = [("raw", raw), ("pretrained", model)]
        .map(|(name, path)| format!("{name}={}", path.display()));
    let call = || bench.pipeline("finetune").args(["--data", &raw, "--data", &model]);
    // Of the model's own fold it may be; what trained there tests in another.
    let fold = ["--set", "train.matrix.fold=1", "--only", "train"];
    call().args(fold).fails().says(&["has learnt from patient `patient-", "regime `site`, fold 1"]);
    let vgg =
        ["--set", "train.arm.joint.kind=vgg", "--set", "train.growth_from.joint.scan=network"];
    call().args(vgg).fails().says(&["finetune.joint.copied", "`encoder`, `hidden`, `classify`"]);
}
