//! What is finished: shown, kept, run again on demand, checked, traced back.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use hemex_stage::digest;
use hemex_tests::{Call, Workbench};

use crate::{STAGES, assert_counted, finished, tiny, with_finished};

#[test]
fn the_same_pipeline_again_runs_nothing() {
    let digests = finished().digests(&STAGES);
    assert_eq!(digests.len(), 1 + 4 + 1 + 4 + 4 + 1, "outputs of 12 tasks");
    let again = finished().pipeline(tiny()).succeeds();
    for stage in STAGES {
        assert_eq!(again.plan(stage), "finished", "{again}");
    }
    assert_eq!(again.n_run(), 0);
    again.says(&["12 tasks, 12 finished", "report.html"]);
    assert_eq!(finished().digests(&STAGES), digests);
    assert_eq!(finished().unfinished(), Vec::<String>::new(), "nothing is left over");
}

#[test]
fn the_report_speaks_of_both_arms() {
    let report = finished().task("report").output("report");
    let metrics = finished().metrics();
    for figure in ["joint/auroc", "joint/dice", "vgg/auroc"] {
        assert_counted(&metrics, figure);
    }
    let page = fs::read_to_string(report.join("report.html")).unwrap();
    assert!(page.contains("joint") && page.contains("vgg") && page.contains("</html>"));
    assert!(page.contains("medical device"), "the page says what it is not");
    for link in ["src=\"http", "href=\"http", "url(http"] {
        assert!(!page.contains(link), "the page is self-contained");
    }
}

#[test]
fn a_changed_setting_says_what_runs_and_why() {
    let dry = |set: &str| finished().pipeline(tiny()).args(["--dry-run", "--set", set]).succeeds();
    let seed = dry("train.seed=2");
    assert!(seed.plan("train").starts_with("to run: "), "{seed}");
    assert!(seed.plan("train").contains("seed: 1 → 2"), "{seed}");
    assert_eq!(seed.plan("predict"), "to run: depends on train");
    assert_eq!(seed.plan("report"), "to run: depends on predict, train");
    for stage in ["phantom", "ingest", "shift"] {
        assert_eq!(seed.plan(stage), "finished");
    }
    let rate = dry("train.optimizer.learning_rate.joint=1e-4");
    assert!(rate.plan("train").contains("learning_rate.joint: 0.01 → 0.0001"), "{rate}");
    let bins = dry("report.n_calibration_bins=4");
    assert!(bins.plan("report").contains("n_calibration_bins: 6 → 4"), "{bins}");
    assert_eq!(bins.plan("predict"), "finished");
}

#[test]
fn parts_of_a_pipeline_run_alone() {
    let bench = with_finished(&["phantom", "ingest"]);
    // What a stage left out has to deliver must be there.
    let call = bench.pipeline(tiny()).args(["--only", "report"]);
    call.fails().says(&["`shift` is not finished", "--only or --from leaves it out"]);
    assert_eq!(bench.tasks("shift").len(), 0);

    let only = bench.pipeline(tiny()).args(["--only", "shift"]).succeeds();
    assert_eq!(only.n_run(), 1, "{only}");
    assert_eq!(bench.digests(&["shift"]), finished().digests(&["shift"]));
    assert_eq!(bench.tasks("train").len(), 0);

    bench.adopt(finished(), &["train"]);
    let from = bench.pipeline(tiny()).args(["--from", "predict"]).succeeds();
    assert_eq!(from.n_run(), 5, "{from}");
    assert_eq!(bench.digests(&["predict", "report"]), finished().digests(&["predict", "report"]));

    // Even what is finished runs when it is asked for, to the same result.
    let fresh = bench.pipeline(tiny()).args(["--fresh", "--only", "report"]).succeeds();
    assert!(fresh.plan("report").contains("--fresh"), "{fresh}");
    assert_eq!((fresh.n_run(), fresh.plan("predict")), (1, "finished"));
    assert_eq!(bench.digests(&["report"]), finished().digests(&["report"]));
}

/// The program and the request, in a folder of this name, that `cargo xtask request` names for the first task of a stage.
fn by_hand(bench: &Workbench, stage: &str, folder: &str) -> (String, PathBuf) {
    let folder = bench.folder().join(folder);
    let runs = bench.runs();
    let call = Call::new("request").arg(tiny()).arg(stage).arg(&folder).arg("--runs").arg(&runs);
    let said = call.succeeds();
    let line = said.stdout.lines().find(|line| line.ends_with("request.json")).unwrap();
    let (program, request) = line.rsplit_once(' ').unwrap();
    let (_, program) = program.split_once(": ").unwrap();
    (program.to_owned(), request.into())
}

#[test]
fn a_request_starts_a_program_by_hand() {
    let bench = with_finished(&["phantom", "ingest", "shift"]);
    let (program, request) = by_hand(&bench, "shift", "shift");
    let status = Command::new(program).arg(&request).stdout(Stdio::null()).status().unwrap();
    assert!(status.success());
    let weights = fs::read(request.with_file_name("output").join("weights/weights.csv")).unwrap();
    let published = finished().task("shift").output("weights").join("weights.csv");
    assert_eq!(weights, fs::read(published).unwrap());

    // What a training tries before it begins.
    let (program, request) = by_hand(&bench, "train", "train");
    let trial = |mode: &str| Command::new(&program).arg(mode).arg(&request).output().unwrap();
    let found = trial("--find-lr");
    let said = String::from_utf8_lossy(&found.stdout).into_owned();
    assert!(found.status.success() && said.contains("optimizer.learning_rate.joint"), "{said}");
    let learnt = trial("--overfit");
    let said = String::from_utf8_lossy(&learnt.stdout).into_owned();
    assert!(learnt.status.success() && said.contains("step 200: loss"), "{said}");
    assert!(String::from_utf8_lossy(&trial("--fit").stderr).contains("--find-lr | --overfit"));

    let folder = bench.folder().join("predict");
    let call = Call::new("request").arg(tiny()).arg("predict").arg(folder);
    call.arg("--runs").arg(bench.runs()).fails().says(&["depends on train", "up to it first"]);
}

#[test]
fn threads_change_no_byte() {
    let bench = with_finished(&["phantom", "ingest", "shift", "train", "predict"]);
    for (stage, output) in [("train", "model"), ("predict", "predictions"), ("report", "report")] {
        let on = |n_threads: &str| {
            let (program, request) = by_hand(&bench, stage, &format!("{stage}-{n_threads}"));
            let mut program = Command::new(program);
            program.env("RAYON_NUM_THREADS", n_threads).arg(&request).stdout(Stdio::null());
            assert!(program.status().unwrap().success(), "{stage} on {n_threads} threads");
            let output = request.with_file_name("output").join(output);
            digest::of_records(&digest::folder(&output, None).unwrap())
        };
        let (one, three) = (on("1"), on("3"));
        assert_eq!(one, three, "{stage}");
        let published = finished().digests(&[stage]);
        assert!(published.values().any(|digest| *digest == one), "{stage}: {one}, {published:?}");
    }
}

#[test]
fn a_file_changed_behind_our_back_is_found_by_verify() {
    let bench = with_finished(&["phantom", "ingest"]);
    let verify = || bench.pipeline(tiny()).args(["--verify", "--dry-run"]);
    verify().succeeds();
    let labels = bench.task("ingest").output("labels").join("labels.csv");
    let text = fs::read_to_string(&labels).unwrap();
    let at = text.rfind(|c: char| c.is_ascii_digit()).unwrap();
    let digit = if text.as_bytes()[at] == b'7' { "8" } else { "7" };
    fs::write(&labels, format!("{}{digit}{}", &text[..at], &text[at + 1..])).unwrap();
    // Size and all but the digit are as before, and nobody looks.
    bench.pipeline(tiny()).arg("--dry-run").succeeds();
    verify().fails().says(&["labels.csv is not what was published", "to have it made anew"]);
}

#[test]
fn explain_leads_back_to_the_raw_data() {
    let report = finished().task("report").output("report").join("report.html");
    let explained = Call::new("explain").arg(&report).succeeds();
    let way = ["by predict arm=joint fold=0", "by train arm=vgg fold=1", "by shift", "by ingest"];
    explained.says(&way).says(&["by phantom", "made from nothing but its config and seed"]);

    // Two runs of one task: what parts them.
    let bench = with_finished(&["phantom", "ingest"]);
    let set = ["--only", "ingest", "--set", "ingest.margin_mm=8.0"];
    bench.pipeline(tiny()).args(set).succeeds();
    let other = bench.tasks("ingest").into_iter().map(|task| task.folder).find(|folder| {
        let old = finished().task("ingest").folder;
        folder.file_name() != old.file_name()
    });
    let explained = Call::new("explain").arg(other.unwrap()).succeeds();
    explained.says(&["differs from the run", "config.margin_mm: 6.0 → 8.0"]);
    let nothing = Workbench::new();
    let stray = nothing.write("stray.txt", "");
    Call::new("explain").arg(stray).fails().says(&["was not made by a pipeline"]);
}
