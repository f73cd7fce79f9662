//! Steps and trainings of a network that tells the mask at follow-up.

#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use burn::tensor::activation::sigmoid;
use hemex_artifacts::{HistoryRow, ModelCard, json, table};
use hemex_model::Network;
use hemex_stage::{Kind, OutputArtifact, Request};

use super::{config, values, write_followups};
use crate::checkpoint::Checkpoints;
use crate::cohort::Cohort;
use crate::cohort::tests::{asked, write_cohort};
use crate::learner::{Learner, StepLoss};
use crate::sample::Batch;
use crate::signs::tests::bytes;
use crate::trainer::{Trainer, arm_of};

/// The weights of a part by their path below it.
#[derive(Default)]
struct PartOf(Vec<(String, Vec<f32>)>, Vec<String>);

impl ModuleVisitor for PartOf {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.1.push(name.to_owned());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.1.pop();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.push((self.1[1].clone(), values(&param.val())));
    }
}

/// The parts of which a weight differs.
fn moved(before: &Network, after: &Network) -> Vec<String> {
    let [before, after] = [before, after].map(|network| {
        let mut parts = PartOf::default();
        network.visit(&mut parts);
        parts.0
    });
    let pairs = before.into_iter().zip(after).filter(|(a, b)| a != b);
    let mut moved: Vec<String> = pairs.map(|((part, _), _)| part).collect();
    moved.dedup();
    moved
}

#[test]
fn steps_go_on_to_the_same_bits_and_leave_a_head_alone_that_learns_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write_cohort(root);
    write_followups(root, &[1]);
    let (config, request) = (config(), asked(root, "joint"));
    let (_, arm, fold) = arm_of(&config, &request).unwrap();
    let cohort = Cohort::read(&request, &fold).unwrap();
    let trainer = Trainer::new(&config, &request, arm, &cohort).unwrap();
    let step = |learner: Learner, batch: &Batch, i: usize| -> (Learner, StepLoss) {
        learner.step(&trainer.loss, batch, trainer.at(i, 1e-2)).unwrap()
    };
    let batches: Vec<Batch> = (0..20).map(|i| trainer.batch_of(i).unwrap()).collect();
    let known = batches.iter().find(|batch| batch.followup.is_some()).unwrap();
    let unknown = batches.iter().find(|batch| batch.followup.is_none()).unwrap();

    let (learner, mut progress) = trainer.learner().unwrap();
    let (before, drawn) = (learner.state.tasks, learner.network.clone());
    let (learner, loss) = step(learner, unknown, 0);
    let joint = ["encoder", "up", "decoder", "segment", "segment_followup", "classify"];
    let all_but_it: Vec<&str> =
        joint.into_iter().filter(|part| *part != "segment_followup").collect();
    assert_eq!(moved(&drawn, &learner.network), all_but_it);
    assert_eq!((loss.followup, learner.state.tasks.followup), (None, before.followup));
    let (before, after_one) = (learner.state.tasks, learner.network.clone());
    let (learner, loss) = step(learner, known, 1);
    assert_eq!(moved(&after_one, &learner.network), joint);
    let parts = [
        before.mask * loss.mask.unwrap(),
        before.label * loss.label,
        before.followup * loss.followup.unwrap(),
    ];
    assert!((parts.iter().sum::<f64>() - loss.total).abs() < 1e-5, "{parts:?}, {loss:?}");
    assert_ne!(learner.state.tasks.followup, before.followup);
    // Once it has moments, too.
    let after_two = learner.network.clone();
    let (learner, _) = step(learner, unknown, 2);
    assert_eq!(moved(&after_two, &learner.network), all_but_it);

    progress.epoch = 1;
    progress.group_weights.clone_from(&learner.state.groups.0);
    progress.task_weights = Some(learner.state.tasks);
    Checkpoints::new(root).save(&learner, &progress).unwrap();
    let (resumed, _) = trainer.learner().unwrap();
    let [unbroken, resumed] = [learner, resumed].map(|learner| {
        let (learner, loss) = step(learner, known, 3);
        (bytes(&learner.network, root), learner.state, loss.total.to_bits())
    });
    assert!(unbroken == resumed, "the fourth step differs after a checkpoint");
}

/// `2 |A ∩ B| / (|A| + |B|)`.
fn dice(a: &[bool], b: &[bool]) -> f64 {
    let both = a.iter().zip(b).filter(|(a, b)| **a && **b).count();
    let n = |of: &[bool]| of.iter().filter(|inside| **inside).count();
    2.0 * both as f64 / (n(a) + n(b)) as f64
}

#[test]
fn a_batch_is_learnt_by_heart_now_and_at_follow_up() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write_cohort(root);
    write_followups(root, &[0, 1, 2, 3, 4, 5]);
    let (config, request) = (config(), asked(root, "joint"));
    let (_, arm, fold) = arm_of(&config, &request).unwrap();
    let cohort = Cohort::read(&request, &fold).unwrap();
    let trainer = Trainer::new(&config, &request, arm, &cohort).unwrap();
    let batch = trainer.batch_of(0).unwrap();
    let (mut learner, _) = trainer.learner().unwrap();
    for i in 0..200 {
        learner = learner.step(&trainer.loss, &batch, trainer.at(i, 1e-2)).unwrap().0;
    }
    let output = learner.network.forward(batch.input.clone());
    let is_told = |logits: Option<Tensor<5>>| -> Vec<bool> {
        values(&sigmoid(logits.unwrap())).iter().map(|p| *p > 0.5).collect()
    };
    let is_there = |mask: &Tensor<5>| -> Vec<bool> {
        values(mask).iter().map(|inside| *inside > 0.5).collect()
    };
    let (now, later) = (is_there(&batch.mask), is_there(&batch.followup.as_ref().unwrap().mask));
    let (told_now, told_later) = (is_told(output.mask_logits), is_told(output.followup_logits));
    assert!(dice(&now, &later) < 0.8, "what is to be told differs: {}", dice(&now, &later));
    assert!(dice(&told_now, &now) > 0.9, "{}", dice(&told_now, &now));
    assert!(dice(&told_later, &later) > 0.9, "{}", dice(&told_later, &later));
}

#[test]
fn a_training_says_what_the_follow_up_costs_and_keeps_its_head() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write_cohort(root);
    write_followups(root, &[0, 1, 2, 3]);
    for name in ["scratch", "model"] {
        std::fs::create_dir(root.join(name)).unwrap();
    }
    let mut request = Request { scratch: root.join("scratch"), ..asked(root, "joint") };
    let output = OutputArtifact { path: root.join("model"), kind: Kind::Model };
    request.outputs.insert("model".to_owned(), output);
    crate::run(&config(), &request).unwrap();
    let history: Vec<HistoryRow> = table::read_rows(&root.join("model/history.csv")).unwrap();
    assert_eq!(history.len(), 2);
    assert!(history.iter().all(|row| row.train_loss_followup.is_some_and(|loss| loss > 0.0)));
    let card: ModelCard = json::read(&root.join("model/model.json")).unwrap();
    assert_eq!(card.architecture["followup"], true);
    let weights = std::fs::read(root.join("model/model.safetensors")).unwrap();
    let name = b"segment_followup.weight";
    assert!(weights.windows(name.len()).any(|part| part == name));
}
