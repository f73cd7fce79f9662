//! Mistakes of the user: one clear error each, before anything runs.

use hemex_tests::{Workbench, read, replace};

use crate::{finished, tiny};

/// A key of each stage's config, spelt wrong.
const TYPOS: [(&str, &str, &str, &str); 7] = [
    ("phantom", "configs/phantom-tiny.toml", "irregularity_range", "irregularity_rnage"),
    ("ingest", "configs/ingest.toml", "relative_growth", "relative_grwoth"),
    ("augment", "configs/augment.toml", "control_points", "control_piont"),
    ("shift", "configs/shift.toml", "max_weight", "max_wieght"),
    ("train", "tests/fixtures/train-tiny.toml", "learning_rate", "lerning_rate"),
    ("predict", "configs/predict.toml", "batch_size", "batchsize"),
    ("report", "configs/report.toml", "n_bootstrap", "n_bootstraps"),
];

#[test]
fn a_typo_in_any_config_stops_before_the_first_task() {
    for (stage, config, key, typo) in TYPOS {
        let bench = Workbench::new();
        let text = read(config);
        let (old, new) = (format!("\n{key} "), format!("\n{typo} "));
        let broken = replace(&format!("\n{text}"), &old, &new)[1..].to_owned();
        let line = 1 + broken.lines().position(|line| line.starts_with(typo)).unwrap();
        let broken = bench.write("broken.toml", &broken);
        let pipeline = match stage {
            "augment" => read("pipelines/augment.toml"),
            _ => read("tests/fixtures/tiny.toml"),
        };
        let pipeline = replace(&pipeline, config, &broken.display().to_string());
        let pipeline = bench.write("pipeline.toml", &pipeline);
        let failed = bench.pipeline(pipeline).fails();
        let place = format!("{}:{line}: ", broken.display());
        failed.says(&[&place, typo, &format!("did you mean `{key}`?")]);
        assert_eq!(bench.published(), Vec::<String>::new(), "{stage} ran");
    }
}

#[test]
fn a_value_out_of_range_names_its_place_and_the_range() {
    let bench = Workbench::new();
    let config = "tests/fixtures/train-tiny.toml";
    let broken = bench.write_changed(config, "{ joint = 1e-2,", "{ joint = -1.0,");
    let line = 1 + read(config).lines().position(|l| l.starts_with("learning_rate")).unwrap();
    let pipeline =
        bench.write_changed("tests/fixtures/tiny.toml", config, &broken.display().to_string());
    let place = format!("{}:{line}: optimizer.learning_rate.joint: ", broken.display());
    bench.pipeline(pipeline).fails().says(&[&place, "a number from", "found -1"]);
    let set = ["--set", "train.batch_size=0"];
    bench.pipeline(tiny()).args(set).fails().says(&["batch_size", "a whole number from 1"]);
    let set = ["--set", "train.optimizer.learning_rate={ joint = 1e-2 }"];
    bench
        .pipeline(tiny())
        .args(set)
        .fails()
        .says(&["learning_rate.vgg", "a learning rate for each arm"]);
    let set = ["--set", "train.optimizer.learning_rate={ joint = 1e-2, vgg = 1e-2, vg = 1e-2 }"];
    bench.pipeline(tiny()).args(set).fails().says(&["learning_rate.vg:", "did you mean `vgg`?"]);
    assert_eq!(bench.published(), Vec::<String>::new());
}

/// Changes of the tiny pipeline, the key or word at fault (its last part stands in the line that is
/// named) and what else is said of it.
const WIRING: [(&str, &str, &str, &[&str]); 8] = [
    (
        "labels = \"ingest.labels\", splits = \"ingest.splits\", weights = \"shift.weights\" }",
        "labels = \"ingest.cases\", splits = \"ingest.splits\", weights = \"shift.weights\" }",
        "stage.train.inputs.labels",
        &["`labels` takes labels/1, but it is wired to cases/1"],
    ),
    ("raw = \"phantom.raw\"", "raw = \"phantm.raw\"", "stage.ingest.inputs.raw", &["`phantom`?"]),
    ("raw = \"phantom.raw\"", "raw = \"phantom.rwa\"", "stage.ingest.inputs.raw", &["`raw`?"]),
    ("run     = \"crate:shift\"", "run     = \"crate:shfit\"", "stage.shift", &["`shift`?"]),
    ("{ weights = \"weights/1\" }", "{ weights = \"weihgts/1\" }", "weihgts/1", &["`weights/1`?"]),
    ("matrix  = \"train\"", "matrix  = \"trian\"", "stage.predict.matrix", &["`train`?"]),
    ("configs/predict.toml", "configs/predcit.toml", "stage.predict", &["configs/predcit.toml"]),
    (
        "seed    = 1\noutputs = { raw",
        "sede    = 1\noutputs = { raw",
        "sede",
        &["unknown field `sede`", "`seed`"],
    ),
];

#[test]
fn wrong_wiring_names_file_and_line_before_anything() {
    let text = read("tests/fixtures/tiny.toml");
    for (old, new, key, says) in WIRING {
        let bench = Workbench::new();
        // The first of several alike.
        let broken = text.replacen(old, new, 1);
        assert_ne!(broken, text, "{old}");
        let pipeline = bench.write("broken.toml", &broken);
        let failed = bench.pipeline(&pipeline).fails();
        failed.says(says).says(&[&format!("{}:", pipeline.display()), key]);
        let at = failed.stderr.split_once("broken.toml:").unwrap().1;
        let line: usize = at.split(':').next().unwrap().parse().unwrap();
        let part = broken.lines().nth(line - 1).unwrap();
        let last_key = key.rsplit('.').next().unwrap();
        assert!(part.contains(last_key), "line {line} is \"{part}\":\n{failed}");
        assert!(!failed.stdout.contains("building"), "{failed}");
        assert_eq!(bench.published(), Vec::<String>::new());
    }
}

#[test]
fn an_unknown_name_on_the_command_line_gets_the_nearest() {
    let bench = Workbench::new();
    let fails = |arguments: &[&str], says: &str| {
        bench.pipeline(tiny()).args(arguments).fails().says(&[says]);
    };
    bench.pipeline("dmeo").fails().says(&["no pipeline `dmeo`", "did you mean `demo`?"]);
    bench.pipeline("nowhere.toml").fails().says(&["no pipeline `nowhere.toml`"]);
    fails(&["--only", "trian"], "did you mean `train`?");
    fails(&["--from", "predcit"], "did you mean `predict`?");
    fails(&["--set", "trian.seed=1"], "did you mean `train`?");
    fails(&["--set", "train.optimizer.lerning_rate=1"], "did you mean `learning_rate`?");
    fails(&["--set", "train.matrix.flod=2"], "did you mean `fold`?");
    fails(&["--set", "train"], "expected STAGE.KEY=VALUE");
    fails(&["--set", "train.seed=two"], "a seed is a whole number from 0");
    fails(&["--data", "raw=/"], "has no input `raw`");
    let predict = |arguments: &[&str], says: &[&str]| {
        bench.pipeline("predict").args(arguments).fails().says(says);
    };
    predict(&[], &["needs its input `model` (model/1)", "--data model=DIR"]);
    predict(&["--data", "modle=/"], &["did you mean `model`?"]);
    predict(&["--data", "raw=/no/such/folder"], &["raw=/no/such/folder", "cannot open the folder"]);
    assert_eq!(bench.published(), Vec::<String>::new());
}

#[test]
fn a_fold_that_the_splits_lack_is_an_error_before_its_task() {
    let bench = crate::with_finished(&["phantom", "ingest", "shift"]);
    let call = bench.pipeline(tiny()).args(["--set", "train.matrix.fold=[7]"]);
    call.fails().says(&["asks for fold 7", "regime `site` has the folds 0, 1, 2"]);
    assert!(bench.tasks("train").is_empty());
    assert_eq!(finished().tasks("train").len(), 4);
}
