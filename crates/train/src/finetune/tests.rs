#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use std::collections::BTreeMap;

use hemex_artifacts::Role;
use hemex_model::save_weights;
use hemex_stage::{InputArtifact, Kind, OutputArtifact};
use tempfile::TempDir;

use super::*;
use crate::RawConfig;
use crate::cohort::tests::{request, write_cohort};

/// A cohort, and the trainings on it.
struct Bench(TempDir);

impl Bench {
    /// With the model `pretrained`, of seed 1.
    fn new() -> Self {
        let bench = Self(tempfile::tempdir().unwrap());
        write_cohort(bench.0.path());
        bench.train("pretrained", 1, "", false).unwrap();
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Trains the model `name` with keys of the tiny config changed, from the pretrained one where that is wired.
    fn train(&self, name: &str, seed: u64, changes: &str, is_wired: bool) -> Result<(), String> {
        let mut request = Request { seed, scratch: self.path("scratch"), ..request(self.0.path()) };
        if request.scratch.exists() {
            std::fs::remove_dir_all(&request.scratch).unwrap();
        }
        for folder in [&request.scratch, &self.path(name)] {
            std::fs::create_dir_all(folder).unwrap();
        }
        let axes = [("arm", "joint".into()), ("fold", 0.into())];
        request.axes = axes.map(|(axis, value)| (axis.to_owned(), value)).into();
        let output = OutputArtifact { path: self.path(name), kind: Kind::Model };
        request.outputs.insert("model".to_owned(), output);
        if is_wired {
            let path = self.path("pretrained");
            let artifact = InputArtifact { path, kind: Kind::Model, axes: BTreeMap::new() };
            request.inputs.insert("pretrained".to_owned(), vec![artifact]);
        }
        crate::run(&config(changes), &request).map_err(|e| format!("{e:#}"))
    }

    /// What stops a training that begins with the encoder of the pretrained model.
    fn refused(&self, changes: &str) -> String {
        let changes = format!("{ENCODER}{changes}");
        self.train("refused", 2, &changes, true).unwrap_err()
    }

    /// Weights of a file, by the part that they belong to.
    fn parts(&self, file: &str) -> BTreeMap<String, Vec<u8>> {
        let bytes = std::fs::read(self.path(file)).unwrap();
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

    fn patients(&self, name: &str) -> Vec<ModelPatientRow> {
        table::read_rows(&self.path(name).join("patients.csv")).unwrap()
    }
}

const ENCODER: &str = "finetune.joint = { copied = [\"encoder\"], frozen = [] }\n";

/// The tiny config with a few steps on small windows, and lines of `key = value` in place of its own.
fn config(changes: &str) -> Config {
    let text = include_str!("../../../../tests/fixtures/train-tiny.toml");
    let mut document: toml::Table = toml::from_str(text).unwrap();
    let own = "regime = \"patient\"\nn_epochs = 3\nsteps_per_epoch = 3\noptimizer.warmup_steps = 2\n\
               optimizer.weight_decay = 0.5\noptimizer.average = { kind = \"none\" }\n\
               arm.joint.window = [1, 16, 16]\narm.joint.deep_supervision = false\n";
    for line in own.lines().chain(changes.lines()) {
        let (key, value) = line.split_once(" = ").unwrap();
        let value: toml::Table = toml::from_str(&format!("value = {value}")).unwrap();
        let mut place = &mut document;
        let (tables, key) = key.rsplit_once('.').unwrap_or(("", key));
        for table in tables.split('.').filter(|table| !table.is_empty()) {
            place = place.get_mut(table).unwrap().as_table_mut().unwrap();
        }
        place.insert(key.to_owned(), value["value"].clone());
    }
    Config::try_from(document.try_into::<RawConfig>().unwrap()).unwrap()
}

/// The parts of a trained network whose bits are those of the pretrained one.
fn kept(bench: &Bench, name: &str) -> Vec<String> {
    let pretrained = bench.parts("pretrained/model.safetensors");
    let found = bench.parts(&format!("{name}/last.safetensors"));
    assert_eq!(found.len(), 5);
    let is_kept = |(part, values): &(String, Vec<u8>)| pretrained[part] == *values;
    found.into_iter().filter(is_kept).map(|(part, _)| part).collect()
}

#[test]
fn frozen_parts_stay_to_the_bit_and_others_move() {
    let bench = Bench::new();
    let copied = "copied = [\"encoder\", \"up\", \"decoder\", \"segment\"]";
    let of = |rest: &str| format!("finetune.joint = {{ {copied}, {rest} }}\n");
    let frozen = of("frozen = [\"encoder\", \"segment\"]");
    bench.train("frozen", 2, &frozen, true).unwrap();
    assert_eq!(kept(&bench, "frozen"), ["encoder", "segment"]);
    // Neither the rounding of an average nor several batches a step move them.
    let averaged =
        "optimizer.average = { kind = \"exponential\", decay = 0.7 }\nbatches_per_step = 1\n";
    bench.train("averaged", 2, &format!("{frozen}{averaged}"), true).unwrap();
    assert_eq!(kept(&bench, "averaged"), ["encoder", "segment"]);
    let moved: &[String] = &[];
    bench.train("thawed", 2, &of("frozen = [\"encoder\"], thaw_from_epoch = 2"), true).unwrap();
    assert_eq!(kept(&bench, "thawed"), moved);
    bench.train("free", 2, &of("frozen = []"), true).unwrap();
    assert_eq!(kept(&bench, "free"), moved);
}

#[test]
fn a_training_begins_with_the_parts_that_are_copied() {
    let bench = Bench::new();
    let config = config(ENCODER);
    let arm = &config.arms["joint"];
    let folder = bench.path("pretrained");
    let preparation = hemex_artifacts::Cases::open(&bench.path("cases")).unwrap().preparation;
    let finetune = arm.finetune.as_ref().unwrap();
    let pretrained = Pretrained::open(folder, finetune, arm, &preparation).unwrap();
    let start = Start { pretrained: Some(pretrained) };
    let device = burn::tensor::Device::flex().autodiff();
    let drawn = Network::new(&arm.spec, 2, &device);
    save_weights(&drawn, &bench.path("drawn")).unwrap();
    save_weights(&start.of(drawn).unwrap(), &bench.path("begun")).unwrap();
    let [drawn, begun, pretrained] =
        ["drawn", "begun", "pretrained/model.safetensors"].map(|file| bench.parts(file));
    for (part, values) in &begun {
        let expected = if part == "encoder" { &pretrained[part] } else { &drawn[part] };
        assert!(values == expected, "{part}");
    }
    assert!(drawn["encoder"] != pretrained["encoder"]);
}

#[test]
fn a_model_says_whom_it_and_the_one_before_have_learnt_from() {
    let bench = Bench::new();
    let row = |patient_id: &str, role| ModelPatientRow { patient_id: patient_id.to_owned(), role };
    let train = ["p1", "p2", "p3", "p4", "p5"].map(|id| row(id, Role::Train));
    let val = ["p6", "p7"].map(|id| row(id, Role::Val));
    let own = [&train[..], &val].concat();
    assert_eq!(bench.patients("pretrained"), own);
    // Another cohort's patient, and one who has chosen before and trains now.
    let before = [row("p3", Role::Val), row("q", Role::Train), row("r", Role::Val)];
    let path = bench.path("pretrained/patients.csv");
    table::write_rows(&path, &ModelPatientRow::COLUMNS, &before).unwrap();
    bench.train("finetuned", 2, ENCODER, true).unwrap();
    assert_eq!(bench.patients("finetuned"), [&own[..], &before[1..]].concat());
}

#[test]
fn a_patient_who_tests_must_not_have_shaped_the_pretrained_model() {
    let bench = Bench::new();
    let splits = std::fs::read_to_string(bench.path("splits/splits.csv")).unwrap();
    // Who trained before is tested now, and who is tested now trained before.
    let swapped = splits.replace("p5,A,patient,0,train", "p5,A,patient,0,test");
    std::fs::write(bench.path("splits/splits.csv"), swapped).unwrap();
    let error = bench.refused("");
    for part in ["patient `p5`", "`test`", "regime `patient`, fold 0", "0 more"] {
        assert!(error.contains(part), "{error}");
    }
    // Of another fold that is nothing.
    let other = splits.clone() + "c5,,p5,A,patient,1,test\n";
    std::fs::write(bench.path("splits/splits.csv"), other).unwrap();
    bench.train("finetuned", 2, ENCODER, true).unwrap();
    std::fs::remove_file(bench.path("pretrained/patients.csv")).unwrap();
    assert!(bench.refused("").contains("patients.csv"));
}

#[test]
fn a_model_that_does_not_fit_is_refused_with_the_reason() {
    let bench = Bench::new();
    let error = bench.train("refused", 2, ENCODER, false).unwrap_err();
    assert!(error.contains("input `pretrained`"), "{error}");
    let error = bench.train("refused", 2, "", true).unwrap_err();
    assert!(error.contains("[finetune]"), "{error}");
    // Another arm of the same matrix may begin with it.
    let vgg = "finetune.vgg = { copied = [\"encoder\"], frozen = [] }\n";
    bench.train("drawn", 1, vgg, true).unwrap();
    assert_eq!(bench.parts("drawn/last.safetensors"), bench.parts("pretrained/last.safetensors"));

    let error = bench.refused("arm.joint.n_groups = 2\n");
    assert!(error.contains("`n_groups`: expected 2, found 4"), "{error}");
    let error = bench.refused("arm.joint.channels = [8, 8]\n");
    assert!(
        error.contains("`Joint.encoder.levels.0.first.weight` is F32 [4, 1, 1, 3, 3]"),
        "{error}"
    );
    assert!(error.contains("expected F32 [8, 1, 1, 3, 3]"), "{error}");

    let card = bench.path("pretrained/model.json");
    let text = std::fs::read_to_string(&card).unwrap();
    std::fs::write(&card, text.replace("hemex-model/1", "their-model/3")).unwrap();
    assert!(bench.refused("").contains("\"their-model/3\", expected \"hemex-model/1\""));
    std::fs::write(&card, text.replace("-100.0", "-150.0")).unwrap();
    let error = bench.refused("");
    assert!(error.contains("-150.0") && error.contains("-100.0"), "{error}");
}

#[test]
fn slices_of_a_patient_in_several_roles_take_no_pretrained_model() {
    let bench = Bench::new();
    let path = bench.path("splits/splits.csv");
    let splits = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, splits.replace(",patient,", ",same_patient,")).unwrap();
    let error = bench.refused("regime = \"same_patient\"\n");
    assert!(error.contains("same_patient"), "{error}");
}
