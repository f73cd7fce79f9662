//! How a model's logit becomes a probability, and what goes with it: calibration, label shift, several models, sets.

#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

mod fixture;
#[path = "fixture/run.rs"]
mod run;

use std::fs;
use std::path::Path;

use fixture::Model;
use hemex_artifacts::{Cases, ModelCard, PredictionRow, PredictionStatus, Regime, Role, json};
use hemex_model::{
    CaseInput, CaseOutput, Decision, Network, NetworkSpec, Passes, parse_device, predict_case,
    read_case,
};
use hemex_predict::Doubt;
use run::{cohort, run, run_with, write_splits};

/// What a network that is drawn from a seed says of a case, and how the model below `root` reads it.
struct Said {
    spec: NetworkSpec,
    decision: Decision,
    input: CaseInput,
    output: CaseOutput,
}

impl Said {
    fn of(root: &Path, case_id: &str, seed: u64) -> Self {
        let card: ModelCard = json::read(&root.join("model/model.json")).unwrap();
        let spec: NetworkSpec = serde_json::from_value(card.architecture).unwrap();
        let decision = serde_json::from_value(card.decision).unwrap();
        let cases = Cases::open(&root.join("cases")).unwrap();
        let (image, brain) = (cases.image(case_id).unwrap(), cases.brain(case_id).unwrap());
        let input = CaseInput::new(&image, &brain, spec.input());
        let passes = Passes { batch_size: 3, mirrored: false };
        let device = parse_device("cpu").unwrap();
        let network = Network::new(&spec, seed, &device);
        let output = predict_case(&network, &spec, &input, passes, &device).unwrap();
        Self { spec, decision, input, output }
    }

    /// The probability that each window shows a hematoma; of a network without masks.
    fn presence(&self) -> Vec<f64> {
        let logits = self.output.windows.iter().map(|window| window.presence_logit.unwrap());
        logits.map(|logit| 1.0 / (1.0 + (-logit).exp())).collect()
    }

    /// The logit of growth over windows of such weights, the prior offset added.
    fn logit(&self, weights: &[f64]) -> f64 {
        let logits = self.output.windows.iter().map(|window| window.growth_logit.unwrap());
        let sum: f64 = logits.zip(weights).map(|(logit, weight)| weight * logit).sum();
        sum / weights.iter().sum::<f64>() - 0.75
    }
}

fn means(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| (a + b) / 2.0).collect()
}

#[test]
fn the_logit_is_calibrated() {
    let root = cohort(&Model::new("vgg"));
    let (plain, _) = run(root.path()).unwrap();
    let path = root.path().join("model/model.json");
    let mut card: serde_json::Value = json::read(&path).unwrap();
    card["calibration"] = serde_json::json!({ "intercept": -0.75, "slope": 0.25 });
    json::write(&path, &card).unwrap();
    let (calibrated, _) = run(root.path()).unwrap();
    for (plain, calibrated) in plain.iter().zip(&calibrated) {
        let expected = -0.75 + plain.logit.unwrap() / 4.0;
        assert!((calibrated.logit.unwrap() - expected).abs() < 1e-12, "{plain:?} {calibrated:?}");
    }
}

#[test]
fn probabilities_of_test_cases_follow_how_frequent_growth_is_among_target_cases() {
    let root = cohort(&Model::new("vgg"));
    let path = root.path().join("model/model.json");
    let mut card: serde_json::Value = json::read(&path).unwrap();
    let asked = |kind: &str| {
        run_with(root.path(), &[("label_shift", kind.into())]).map_err(|e| e.to_string())
    };
    let error = asked("likelihood").unwrap_err();
    assert!(error.contains("prior_logit") && error.contains("label_shift"), "{error}");
    card["prior_logit"] = 0.0.into();
    card["mean_probabilities"] = serde_json::json!([0.01, 0.12]);
    json::write(&path, &card).unwrap();
    write_splits(root.path(), Regime::Patient, &[("c0", None, Role::Test)]);
    assert!(asked("confusion").unwrap_err().contains("target cases"));

    let units = [("c0", None, Role::Test), ("c1", None, Role::Target)];
    write_splits(root.path(), Regime::Patient, &units);
    let (plain, card) = run(root.path()).unwrap();
    assert_eq!(card.label_shift, None);
    let (shifted, card) = asked("confusion").unwrap();
    // The one target case has a probability p; of means 0.01 and 0.12 the share (p − 0.01) / 0.11 gives it.
    write_splits(root.path(), Regime::Patient, &[("c1", None, Role::Test)]);
    let p = run(root.path()).unwrap().0[0].probability.unwrap();
    let found = card.label_shift.unwrap();
    assert_eq!(found.target_share_ci95.map(|[low, high]| low == high), Some(true), "one case");
    assert!((found.target_share - (p - 0.01) / 0.11).abs() < 1e-12, "{found:?}, {p}");
    assert_eq!((found.n_target, found.training_share), (1, 0.5));
    let moved = shifted[0].logit.unwrap() - plain[0].logit.unwrap();
    assert!((moved - found.logit_offset).abs() < 1e-12 && moved != 0.0, "{found:?}");
    // Validation cases are of the training's domain.
    let units = [("c0", None, Role::Val), ("c1", None, Role::Target)];
    write_splits(root.path(), Regime::Patient, &units);
    assert_eq!(asked("likelihood").unwrap().0[0].logit, plain[0].logit);
}

#[test]
fn models_that_speak_as_one_give_the_mean_of_their_logits() {
    let root = cohort(&Model::new("vgg"));
    Model { seed: 5, ..Model::new("vgg") }.write(&root.path().join("model-b"));
    let (together, card) = run(root.path()).unwrap();
    assert_eq!((card.n_models, together.len()), (2, 2));
    let close = |found: Option<f64>, expected: f64| (found.unwrap() - expected).abs() < 1e-9;
    for both in &together {
        let [a, b] = [4, 5].map(|seed| Said::of(root.path(), &both.case_id, seed));
        // Each tells growth over the windows that both see a hematoma in, as they see it together.
        let seen = means(&a.presence(), &b.presence());
        let seen: Vec<f64> = seen.iter().map(|p| if *p >= 0.3 { *p } else { 0.0 }).collect();
        let (a, b) = (a.logit(&seen), b.logit(&seen));
        assert!(a != b && close(both.logit, (a + b) / 2.0), "{a} {b} {both:?}");
        assert!(close(both.uncertainty, (a - b).abs() / 2.0), "{a} {b} {both:?}");
        let doubt = Doubt::of([a, b]).unwrap();
        assert!(close(both.entropy_nats, doubt.entropy_nats), "{both:?}");
        let shared = doubt.mutual_information_nats.unwrap();
        assert!(close(both.mutual_information_nats, shared), "{both:?}");
    }
    let shifted = run_with(root.path(), &[("label_shift", "likelihood".into())]);
    assert!(shifted.unwrap_err().to_string().contains("several models"));
    // A network twice is the network, mask and all.
    let joint = Model::new("joint_unet");
    let root = cohort(&joint);
    let once = run(root.path()).unwrap().0;
    joint.write(&root.path().join("model-b"));
    let twice = run(root.path()).unwrap().0;
    for (once, twice) in once.iter().zip(&twice) {
        assert_eq!((once.logit, once.volume_ml), (twice.logit, twice.volume_ml));
    }
}

#[test]
fn networks_without_masks_decide_together_whether_there_is_a_hematoma() {
    let model = |seed| Model { seed, ..Model::new("vgg") };
    let plain = cohort(&model(4));
    let [a, b] = [4, 5].map(|seed| Said::of(plain.path(), "c0", seed).presence());
    let highest = |presence: &[f64]| presence.iter().copied().fold(0.0, f64::max);
    let (surer, other) = if highest(&a) > highest(&b) { (4, 5) } else { (5, 4) };
    // More than both see in any window, less than one does.
    let min_presence = (highest(&a).max(highest(&b)) + highest(&means(&a, &b))) / 2.0;
    let ask = |folder: &Path| {
        let path = folder.join("model.json");
        let mut card: serde_json::Value = json::read(&path).unwrap();
        card["decision"]["min_presence"] = min_presence.into();
        json::write(&path, &card).unwrap();
    };
    let root = cohort(&model(surer));
    ask(&root.path().join("model"));
    assert_eq!(run(root.path()).unwrap().0[0].status, PredictionStatus::Ok);
    model(other).write(&root.path().join("model-b"));
    ask(&root.path().join("model-b"));
    let (rows, _) = run(root.path()).unwrap();
    let together = &rows[0];
    assert_eq!(together.status, PredictionStatus::NoLesion);
    assert_eq!((together.logit, together.uncertainty), (None, None));
    assert_eq!((together.entropy_nats, together.mutual_information_nats), (None, None));
}

#[test]
fn models_foretell_the_follow_up_with_the_mean_of_their_probabilities() {
    let model = |seed| Model { followup: true, seed, ..Model::new("joint_unet") };
    let alone = |seed| run(cohort(&model(seed)).path()).unwrap().0;
    let (of_a, of_b) = (alone(4), alone(5));
    let root = cohort(&model(4));
    model(5).write(&root.path().join("model-b"));
    let (together, _) = run(root.path()).unwrap();

    let cases = Cases::open(&root.path().join("cases")).unwrap();
    for ((a, b), both) in of_a.iter().zip(&of_b).zip(&together) {
        let id = &both.case_id;
        let [Said { spec, decision, input, output: one }, Said { output: other, .. }] =
            [4, 5].map(|seed| Said::of(root.path(), id, seed));
        let mean = |a: &Option<Vec<f32>>, b: &Option<Vec<f32>>| {
            let pairs = a.iter().flatten().zip(b.iter().flatten());
            Some(pairs.map(|(a, b)| (a + b) / 2.0).collect())
        };
        let output = CaseOutput {
            lesion_probability: mean(&one.lesion_probability, &other.lesion_probability),
            followup_probability: mean(&one.followup_probability, &other.followup_probability),
            ..one
        };
        let reading = read_case(&output, &spec, &decision, input.geometry());
        let native = cases.native_geometry(id).unwrap();
        let expected = reading.followup_mask.unwrap().resample(&native).volume_ml(&[1]);
        assert_eq!(both.predicted_followup_ml, Some(expected));
        assert!([a, b].iter().all(|one| one.predicted_followup_ml != Some(expected)));
    }
}

#[test]
fn models_that_cannot_speak_as_one_are_refused_by_name() {
    let root = cohort(&Model::new("vgg"));
    Model::new("joint_unet").write(&root.path().join("model-b"));
    let error = run(root.path()).unwrap_err().to_string();
    assert!(error.contains("model-b") && error.contains("`arm`"), "{error}");
    Model { fold: 1, ..Model::new("vgg") }.write(&root.path().join("model-b"));
    assert!(run(root.path()).is_ok(), "new cases are no test cases of a fold");
    write_splits(root.path(), Regime::Patient, &[("c0", None, Role::Test)]);
    let error = run(root.path()).unwrap_err().to_string();
    assert!(error.contains("folds [0, 1]"), "{error}");
}

#[test]
fn sets_of_labels_rest_on_one_models_calibration_cases() {
    let root = cohort(&Model::new("vgg"));
    let path = root.path().join("model/model.json");
    let p_values = |row: &PredictionRow| row.p_value_stable.zip(row.p_value_growth);
    let (plain, _) = run(root.path()).unwrap();
    assert!(plain.iter().all(|row| p_values(row).is_none()), "no calibration cases, no claim");
    let logit = plain[0].logit.unwrap();
    let mut card: serde_json::Value = json::read(&path).unwrap();
    card["conformal"] = serde_json::json!({
        "stable": [[logit - 2.0, 1.0], [logit - 1.0, 1.0], [logit + 1.0, 2.0]],
        "growth": [[logit - 1.0, 1.0], [logit + 1.0, 1.0]],
        "most_weight": 1.0,
    });
    json::write(&path, &card).unwrap();
    let (rows, _) = run(root.path()).unwrap();
    // Of stable cases 2 of 4 weigh in above it, of those that grew 1 of 2 below; it weighs 1 itself.
    assert_eq!(p_values(&rows[0]), Some((3.0 / 5.0, 2.0 / 3.0)));
    assert_eq!(rows[0].logit, plain[0].logit);
    // Other logits than the calibration cases had.
    let (rows, _) = run_with(root.path(), &[("mirrored", true.into())]).unwrap();
    assert!(rows.iter().all(|row| p_values(row).is_none()));
    Model { seed: 5, ..Model::new("vgg") }.write(&root.path().join("model-b"));
    assert!(run(root.path()).unwrap().0.iter().all(|row| p_values(row).is_none()));
    fs::remove_dir_all(root.path().join("model-b")).unwrap();
    card["conformal"]["stable"][0][1] = (-1.0).into();
    json::write(&path, &card).unwrap();
    let error = run(root.path()).unwrap_err().to_string();
    assert!(error.contains("model.json") && error.contains("conformal"), "{error}");
}

#[test]
fn windows_may_go_through_mirrored_too() {
    let root = cohort(&Model::new("joint_unet"));
    let (plain, _) = run(root.path()).unwrap();
    let (both, _) = run_with(root.path(), &[("mirrored", true.into())]).unwrap();
    assert!(plain.iter().zip(&both).any(|(a, b)| a.logit != b.logit), "{both:?}");
}
