//! Two runs of one pipeline at once.

use std::fs;

use hemex_tests::{Outcome, Workbench, has_python, read, workspace_root};

/// Stages that note that they ran and wait until they may end.
const SCRIPT: &str = "import json, os, sys, time\n\
    request = json.load(open(sys.argv[1]))\n\
    open('NOTES', 'a').write(request['stage'] + '\\n')\n\
    while not os.path.exists('GO'): time.sleep(0.01)\n\
    for output in request['outputs'].values():\n\
    \x20   open(output['path'] + '/scan', 'w').write(request['stage'])\n";

#[test]
fn the_second_run_waits_for_the_first_and_no_task_runs_twice() {
    if !has_python("the_second_run_waits_for_the_first_and_no_task_runs_twice") {
        return;
    }
    let bench = Workbench::new();
    let [notes, go] = ["notes", "go"].map(|name| bench.folder().join(name));
    let script = SCRIPT
        .replace("NOTES", &notes.display().to_string())
        .replace("GO", &go.display().to_string());
    let script = bench.write("stage.py", &script);
    let script = script.display();
    let stage = |name: &str, inputs: &str| {
        format!(
            "[stage.{name}]\nrun = [\"python3\", \"{script}\"]\ncode = [\"{script}\"]\n{inputs}\
             outputs = {{ data = \"dataset/1\" }}\n"
        )
    };
    let text = stage("first", "") + &stage("second", "inputs = { first = \"first.data\" }\n");
    let pipeline = bench.write("two.toml", &text);

    let mut one = bench.pipeline(&pipeline).spawn();
    one.until("the first stage", || notes.exists().then_some(()));
    let mut two = bench.pipeline(&pipeline).spawn();
    two.until_it_says("first: another run works on it, waiting for its result");
    fs::write(&go, "").unwrap();
    let (one, two) = (one.wait(), two.wait());
    for outcome in [&one, &two] {
        assert_eq!(outcome.code, Some(0), "{outcome}");
    }
    assert_eq!(fs::read_to_string(&notes).unwrap(), "first\nsecond\n", "each ran once");
    assert_eq!(one.n_run() + two.n_run(), 2, "{one}\n{two}");
    assert_eq!(bench.published().len(), 2);
}

/// Runs that start together meet at every file that both write.
#[test]
fn runs_that_start_together_both_end_well() {
    let bench = Workbench::new();
    let data = format!("raw={}", workspace_root().join("tests/swap").display());
    let text = "[input.raw]\nkind = \"dataset/1\"\n".to_owned()
        + read("tests/fixtures/tiny.toml").split_once("[stage.ingest]").unwrap().0;
    let pipeline = bench.write("phantom.toml", &text);
    let at_once = |n: usize, more: &[&str]| -> Vec<Outcome> {
        let run = |_| bench.pipeline(&pipeline).args(["--data", &data]).args(more).spawn();
        let runs: Vec<_> = (0..n).map(run).collect();
        let outcomes: Vec<Outcome> = runs.into_iter().map(|run| run.wait()).collect();
        for outcome in &outcomes {
            assert_eq!(outcome.code, Some(0), "{outcome}");
        }
        outcomes
    };
    let outcomes = at_once(3, &[]);
    assert_eq!(outcomes.iter().map(Outcome::n_run).sum::<usize>(), 1, "{outcomes:?}");
    at_once(6, &["--dry-run"]);
}
