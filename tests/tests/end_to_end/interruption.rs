//! Killed, stopped, resumed.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hemex_artifacts::{HistoryRow, table};
use hemex_tests::{Running, Task, Workbench, has_python, workspace_root};
use rustix::process::Signal;

use crate::{STAGES, finished, tiny, with_finished};

const AFTER: [&str; 3] = ["train", "predict", "report"];

/// A loss that no training has.
const MARK: f64 = 123.0;

/// The tiny pipeline up to the first checkpoint of a training.
fn training(bench: &Workbench) -> Running {
    let mut run = bench.pipeline(tiny()).spawn();
    run.until("a checkpoint", || {
        let scratch = bench.scratch("train");
        scratch.iter().any(|folder| checkpoint(folder).is_some()).then_some(())
    });
    run
}

/// The last checkpoint in a task's scratch folder: between writing it and clearing away the one before, there are two.
pub(crate) fn checkpoint(scratch: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(scratch).ok()?.flatten();
    let checkpoints = entries.map(|entry| entry.path()).filter_map(|path| {
        let name = path.file_name()?.to_str()?;
        let epoch: u32 = name.strip_prefix("checkpoint-")?.parse().ok()?;
        Some((epoch, path))
    });
    checkpoints.max().map(|(_, path)| path)
}

#[test]
fn killed_while_training_it_resumes_to_the_same_digests() {
    let bench = with_finished(&["phantom", "ingest", "shift"]);
    let run = training(&bench);
    run.signal(Signal::KILL);
    assert_eq!(run.wait().code, None, "killed");
    assert!(bench.tasks("train").len() < 4, "killed too late");
    assert!(bench.tasks("report").is_empty());

    let again = bench.pipeline(tiny()).succeeds();
    assert_eq!(again.plan("shift"), "finished", "{again}");
    assert_eq!(bench.digests(&AFTER), finished().digests(&AFTER));
}

#[test]
fn killed_with_all_its_processes_it_goes_on_from_the_checkpoint() {
    let bench = with_finished(&["phantom", "ingest", "shift"]);
    let run = training(&bench);
    run.kill_all();
    assert_eq!(run.wait().code, None, "killed");

    // A mark in the checkpoint's history tells whether it is what the second run goes on from.
    let scratch = bench.scratch("train");
    let checkpoints: Vec<PathBuf> = scratch.iter().filter_map(|s| checkpoint(s)).collect();
    assert!(!checkpoints.is_empty());
    for checkpoint in &checkpoints {
        let path = checkpoint.join("progress.json");
        let mut progress: serde_json::Value =
            serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        progress["history"][0]["train_loss"] = MARK.into();
        fs::write(&path, serde_json::to_vec(&progress).unwrap()).unwrap();
    }
    bench.pipeline(tiny()).args(["--only", "train"]).succeeds();
    let (trained, expected) = (bench.tasks("train"), finished().tasks("train"));
    assert_eq!(trained.len(), expected.len());
    let mut n_marked = 0;
    for (task, unbroken) in trained.iter().zip(&expected) {
        let history = |task: &Task| -> Vec<HistoryRow> {
            table::read_rows(&task.output("model").join("history.csv")).unwrap()
        };
        let (mut rows, expected) = (history(task), history(unbroken));
        if rows[0].train_loss == MARK {
            n_marked += 1;
            rows[0].train_loss = expected[0].train_loss;
        }
        assert_eq!(rows, expected, "{}", task.title());
        for name in ["model.safetensors", "last.safetensors", "model.json"] {
            let file = |task: &Task| fs::read(task.output("model").join(name)).unwrap();
            assert!(file(task) == file(unbroken), "{}: {name} differs", task.title());
        }
    }
    assert_eq!(n_marked, checkpoints.len(), "every checkpoint was gone on from");
}

/// Wherever a kill falls, what is published is whole and the next run goes on from there.
#[test]
fn killed_at_any_moment_it_ends_the_same() {
    let expected = finished().digests(&STAGES);
    let bench = Workbench::new();
    let (mut n_amid_work, mut n_kills) = (0, 0);
    // A busy machine takes longer to begin.
    while n_kills < 6 || n_amid_work == 0 {
        n_kills += 1;
        assert!(n_kills <= 40, "no kill fell amid the work of a task");
        let run = bench.pipeline(tiny()).spawn();
        std::thread::sleep(Duration::from_millis(n_kills * 700));
        run.kill_all();
        let _ = run.wait();
        let kept = bench.pipeline(tiny()).args(["--verify", "--dry-run"]).succeeds();
        let n_published = bench.published().len();
        kept.says(&[&format!("12 tasks, {n_published} finished")]);
        // What was begun is there, and its result is not.
        let published = bench.published();
        let is_unfinished = |name: &String| !published.contains(name);
        n_amid_work += usize::from(bench.unfinished().iter().any(is_unfinished));
    }
    bench.pipeline(tiny()).succeeds();
    assert_eq!(bench.digests(&STAGES), expected);
}

/// A stage that would run for minutes, and whose process tells its number.
fn slow(bench: &Workbench) -> PathBuf {
    let script = bench.write(
        "slow.py",
        "import json, os, sys, time\n\
         request = json.load(open(sys.argv[1]))\n\
         open(request['scratch'] + '/process', 'w').write(str(os.getpid()))\n\
         os.rename(request['scratch'] + '/process', request['scratch'] + '/started')\n\
         time.sleep(0 if os.path.exists('STOP') else 600)\n\
         open(request['outputs']['raw']['path'] + '/scan', 'w').write('x')\n"
            .replace("STOP", &bench.folder().join("stop").display().to_string())
            .as_str(),
    );
    let script = script.display();
    bench.write(
        "slow.toml",
        &format!(
            "[stage.slow]\nrun = [\"python3\", \"{script}\"]\ncode = [\"{script}\"]\n\
             outputs = {{ raw = \"dataset/1\" }}\n"
        ),
    )
}

#[test]
fn a_signal_stops_the_children_and_says_how_to_go_on() {
    if !has_python("a_signal_stops_the_children_and_says_how_to_go_on") {
        return;
    }
    for signal in [Signal::TERM, Signal::INT] {
        let bench = Workbench::new();
        let pipeline = slow(&bench);
        let mut run = bench.pipeline(&pipeline).spawn();
        let process = run.until("the stage", || {
            let scratch = bench.scratch("slow").pop()?;
            fs::read_to_string(scratch.join("started")).ok()
        });
        assert!(Path::new("/proc").join(&process).exists());
        run.signal(signal);
        let stopped = run.wait();
        assert!(stopped.code.is_some_and(|code| code != 0), "{stopped}");
        stopped.says(&["error: stopped", "0 of 1", "to go on", "cargo xtask pipeline"]);
        stopped.says(&[&pipeline.display().to_string()]);
        assert!(!Path::new("/proc").join(&process).exists(), "the stage still runs");
        assert_eq!(bench.published(), Vec::<String>::new());
        bench.write("stop", "");
        assert_eq!(bench.pipeline(&pipeline).succeeds().n_run(), 1);
    }
}

#[test]
fn what_a_stage_says_when_it_fails_reaches_the_user() {
    if !has_python("what_a_stage_says_when_it_fails_reaches_the_user") {
        return;
    }
    let bench = Workbench::new();
    let stage = |body: &str| {
        let script = bench.write("stage.py", body);
        let script = script.display();
        let text = format!(
            "[stage.mine]\nrun = [\"python3\", \"{script}\"]\ncode = [\"{script}\"]\n\
             outputs = {{ predictions = \"predictions/1\" }}\n"
        );
        bench.pipeline(bench.write("mine.toml", &text)).fails()
    };
    let failed = stage("import sys\nprint('a line of the log')\nsys.exit('the disk is on fire')\n");
    failed.says(&["mine failed (exit status: 1)", "the disk is on fire", "its whole log: "]);
    let log = failed.stderr.rsplit_once("its whole log: ").unwrap().1.trim();
    let log = fs::read_to_string(workspace_root().join(log)).unwrap();
    assert!(log.contains("a line of the log") && log.contains("the disk is on fire"), "{log}");

    // A success without what was promised is none.
    stage("").says(&["output `predictions` is not what the stage promised", "predictions.csv"]);
    let row = "a,ok,,1.5,0,1,";
    let body = format!(
        "import json, sys\nout = json.load(open(sys.argv[1]))['outputs']['predictions']['path']\n\
         header = 'case_id,status,reason,probability,logit,volume_ml,uncertainty'\n\
         open(out + '/predictions.csv', 'w').write(header + '\\n{row}\\n')\n\
         open(out + '/predictions.json', 'w').write('{{}}')\n"
    );
    stage(&body).says(&["line 2: `probability` is 1.5, expected a number from 0 to 1"]);
    assert_eq!(bench.published(), Vec::<String>::new());
}
