//! `cargo xtask` from the outside, as a user calls it.
//!
//! One small pipeline, `fixtures/tiny.toml`, is run to its end once; tests that need something finished
//! copy its tasks into a run store of their own, where keys find them again.

#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

mod browser;
mod cohort;
mod concurrency;
mod conformal;
mod damage;
mod export;
mod finetune;
mod finished;
mod followup;
mod interruption;
mod mistakes;
mod real;
mod regression;
mod swap;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use hemex_tests::{Workbench, workspace_root};

/// Every stage of the tiny pipeline.
const STAGES: [&str; 6] = ["phantom", "ingest", "shift", "train", "predict", "report"];

/// The tiny pipeline.
fn tiny() -> PathBuf {
    workspace_root().join("tests/fixtures/tiny.toml")
}

/// The tiny pipeline run to its end, by whichever test comes first. Nobody changes it.
fn finished() -> &'static Workbench {
    static FINISHED: OnceLock<(Workbench, File)> = OnceLock::new();
    let (bench, _lock) = FINISHED.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        std::fs::create_dir_all(folder).unwrap();
        // Held to the end of the process: a second run of these tests waits for the first.
        let lock = File::create(folder.join("tiny.lock")).unwrap();
        lock.lock().unwrap();
        let folder = folder.join("tiny");
        let _ = std::fs::remove_dir_all(&folder);
        let bench = Workbench::at(&folder);
        bench.pipeline(tiny()).succeeds();
        (bench, lock)
    });
    bench
}

/// Fails unless cases stand behind this figure of an arm, for instance `joint/auroc`.
fn assert_counted(metrics: &serde_json::Value, figure: &str) {
    let n = metrics.pointer(&format!("/arms/{figure}/n")).and_then(serde_json::Value::as_u64);
    assert!(n.is_some_and(|n| n > 0), "no case behind {figure}:\n{metrics:#}");
}

/// A workbench where these stages of the tiny pipeline are finished.
fn with_finished(stages: &[&str]) -> Workbench {
    let bench = Workbench::new();
    bench.adopt(finished(), stages);
    bench
}
