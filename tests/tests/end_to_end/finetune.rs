//! A training that begins with parts of a model trained before.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hemex_artifacts::{HistoryRow, table};
use hemex_tests::{Task, Workbench, workspace_root};
use rustix::process::Signal;

use crate::interruption::checkpoint;
use crate::{finished, with_finished};

fn pipeline() -> PathBuf {
    workspace_root().join("tests/fixtures/finetune.toml")
}

/// The weights of a file, by the part that they belong to.
fn parts(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let bytes = std::fs::read(path).unwrap();
    let n = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..n]).unwrap();
    let mut parts: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for (name, tensor) in header.as_object().unwrap() {
        let [begin, end] = [0, 1].map(|i| tensor["data_offsets"][i].as_u64().unwrap() as usize);
        let part = name.split('.').nth(1).unwrap().to_owned();
        parts.entry(part).or_default().extend(&bytes[n + begin..n + end]);
    }
    parts
}

fn best_epochs(bench: &Workbench) -> Vec<usize> {
    let best = |task: &Task| {
        let rows: Vec<HistoryRow> =
            table::read_rows(&task.output("model").join("history.csv")).unwrap();
        assert_eq!(rows.len(), 4);
        let best = rows.iter().min_by(|a, b| a.val_loss.total_cmp(&b.val_loss)).unwrap();
        best.epoch
    };
    bench.tasks("train")[..2].iter().map(best).collect()
}

#[test]
fn a_joint_network_begins_with_a_unet_and_resumes_to_the_same_bits() {
    let bench = with_finished(&["phantom", "ingest"]);
    bench.pipeline(pipeline()).succeeds();
    let (before, after) = (bench.tasks("pretrain"), bench.tasks("train"));
    assert_eq!((before.len(), after.len()), (2, 4));
    for ((before, after), best_epoch) in before.iter().zip(&after).zip(best_epochs(&bench)) {
        assert!(after.title().contains("joint"), "{}", after.title());
        let [before, after] =
            [before, after].map(|t| parts(&t.output("model").join("model.safetensors")));
        // Held up to the third epoch, and trained from there on.
        assert_eq!(before["encoder"] == after["encoder"], best_epoch < 2, "{best_epoch}");
        assert!(before["decoder"] != after["decoder"]);
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
