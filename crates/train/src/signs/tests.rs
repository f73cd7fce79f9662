#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use std::path::Path;

use hemex_artifacts::table;
use hemex_augment::{GrowthRule, Policy, RawPolicy};
use hemex_model::{Network, save_weights};

use super::*;
use crate::checkpoint::Checkpoints;
use crate::cohort::Cohort;
use crate::cohort::tests::{asked, config_with, transplant, write_cohort};
use crate::learner::{Learner, StepLoss};
use crate::sample::WindowSource;
use crate::trainer::{Trainer, arm_of};
use crate::{Config, Sampler, SamplerKind};

const SIGNS: [Sign; 2] = [Sign::Swirl, Sign::Blend];

#[test]
fn a_row_is_read_in_the_order_of_the_signs() {
    let row = SignRow { blend: Some(true), swirl: Some(false), ..SignRow::default() };
    assert_eq!(readings(Some(&row), &SIGNS), [Some(false), Some(true)]);
    let asked = [Sign::Island, Sign::Blend];
    assert_eq!(readings(Some(&row), &asked), [None, Some(true)]);
    assert_eq!(readings(None, &SIGNS), [None, None]);
    assert!(readings(Some(&row), &[]).is_empty());
}

/// `log(1 + e^∓z)` of the four readings of the three windows that show a hematoma, and of no other.
#[test]
fn what_nobody_looked_for_and_what_is_not_shown_counts_nothing() {
    let device = Device::flex();
    let readings: [&[Option<bool>]; 4] = [
        &[Some(true), None],
        &[Some(false), Some(true)],
        &[Some(true), Some(true)],
        &[None, Some(false)],
    ];
    let shows = [true, true, false, true];
    let logits = [[0.4f32, 30.0], [-1.3, 2.2], [-9.0, 7.0], [-50.0, 0.6]];
    let softplus = |z: f64| z.exp().ln_1p();
    let expected = (softplus(-0.4) + softplus(-1.3) + softplus(-2.2) + softplus(0.6)) / 4.0;
    let targets = SignTargets::new(&readings, &shows, &device).unwrap();
    let found = targets.loss(Tensor::from_data(logits, &device)).into_scalar::<f32>();
    assert!((f64::from(found) - expected).abs() < 1e-6, "{found} for {expected}");

    assert!(SignTargets::new(&readings, &[false; 4], &device).is_none());
    assert!(SignTargets::new(&[&[None, None]], &[true], &device).is_none());
    assert!(SignTargets::new(&[&[], &[]], &[true; 2], &device).is_none(), "no signs are told");
}

/// Readings of the first cases: of swirl in all of them, of blend as given, some empty.
fn write_signs(root: &Path, blends: &[&str]) {
    let mut text = SignRow::COLUMNS.join(",") + "\n";
    for (i, blend) in blends.iter().enumerate() {
        text += &format!("c{i},,,{blend},,{},,,\n", i % 2);
    }
    std::fs::write(root.join("cases/signs.csv"), text).unwrap();
    let rows: Vec<SignRow> = table::read_rows(&root.join("cases/signs.csv")).unwrap();
    assert_eq!(rows[1].swirl, Some(true));
}

/// The demo's config for a small joint network with every head that only teaches.
fn config() -> Config {
    let changes = "
        [loss]
        sign_weight = 0.3
        task_rate = 0.05
        [arm.joint]
        reconstructs = true
        deep_supervision = true
        signs = [\"swirl\", \"blend\"]
        ";
    config_with(changes)
}

#[test]
fn a_sign_that_nobody_looked_for_is_named() {
    let folder = tempfile::tempdir().unwrap();
    write_cohort(folder.path());
    let (config, request) = (config(), asked(folder.path(), "joint"));
    let read = || {
        let (_, _, fold) = arm_of(&config, &request).unwrap();
        Cohort::read(&request, &fold).map(|cohort| cohort.train)
    };
    let error = read().err().unwrap().to_string();
    assert!(error.contains("swirl, blend") && error.contains("signs.csv"), "{error}");
    write_signs(folder.path(), &[""; 3]);
    let error = read().err().unwrap().to_string();
    assert!(error.contains("reading of blend in"), "{error}");
    write_signs(folder.path(), &["", "0", ""]);
    let train = read().unwrap();
    assert_eq!(train[1].signs, [Some(true), Some(false)]);
    assert_eq!(train[4].signs, [None, None]);
}

#[test]
fn a_planted_hematoma_was_not_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    write_cohort(folder.path());
    write_signs(folder.path(), &["1"; 3]);
    let (config, request, transplant) = (config(), asked(folder.path(), "joint"), transplant(0.5));
    let (_, arm, fold) = arm_of(&config, &request).unwrap();
    let fold = crate::cohort::Fold { transplant: &transplant, ..fold };
    let cohort = Cohort::read(&request, &fold).unwrap();
    let drawn: Vec<_> = cohort.train.iter().map(TrainCase::drawn).collect();
    let sampler = Sampler::new(SamplerKind::ClassBalanced, 0.0, &drawn).unwrap();
    let policy = Policy::try_from(RawPolicy::NOTHING).unwrap();
    let source = WindowSource {
        cohort: &cohort,
        sampler: &sampler,
        policy: &policy,
        transplant: &transplant,
        growth: &GrowthRule { relative: 0.33, absolute_ml: 6.0 },
        spec: &arm.spec,
        lesion_window_share: 1.0,
        seed: 5,
        batch_size: 1,
    };
    let mut n_read = [0; 2];
    for index in 0..100 {
        let sample = source.sample(0, index).unwrap();
        let is_planted = sample.transplant.is_some();
        let batch = source.batch(&[sample], &Device::flex());
        n_read[usize::from(is_planted)] += usize::from(batch.signs.is_some());
    }
    assert!(n_read[0] > 0, "of cases as they are");
    assert_eq!(n_read[1], 0);
}

pub(crate) fn bytes(network: &Network, folder: &Path) -> Vec<u8> {
    let path = folder.join("weights");
    save_weights(network, &path).unwrap();
    std::fs::read(&path).unwrap()
}

#[test]
fn heads_that_only_teach_go_on_to_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write_cohort(root);
    write_signs(root, &["0", "1", "", "0", "1", "1"]);
    let (config, request) = (config(), asked(root, "joint"));
    let (_, arm, fold) = arm_of(&config, &request).unwrap();
    let cohort = Cohort::read(&request, &fold).unwrap();
    let trainer = Trainer::new(&config, &request, arm, &cohort).unwrap();
    let step = |learner: Learner, i: usize| -> (Learner, StepLoss) {
        let batch = trainer.batch_of(i).unwrap();
        learner.step(&trainer.loss, &batch, trainer.at(i, 1e-2)).unwrap()
    };
    let (learner, mut progress) = trainer.learner().unwrap();
    let before = learner.state.tasks;
    let (learner, loss) = step(learner, 0);
    let parts = [
        before.mask * loss.mask.unwrap(),
        before.label * loss.label,
        before.reconstruction * loss.reconstruction.unwrap(),
        before.sign * loss.sign.unwrap(),
    ];
    assert!((parts.iter().sum::<f64>() - loss.total).abs() < 1e-5, "{parts:?}, {loss:?}");
    assert_ne!(learner.state.tasks.sign, before.sign);

    let (learner, _) = step(learner, 1);
    progress.epoch = 1;
    progress.group_weights.clone_from(&learner.state.groups.0);
    progress.task_weights = Some(learner.state.tasks);
    let checkpoints = Checkpoints::new(root);
    checkpoints.save(&learner, &progress).unwrap();
    let (resumed, _) = trainer.learner().unwrap();
    let [unbroken, resumed] = [learner, resumed].map(|learner| {
        let (learner, loss) = step(learner, 2);
        (bytes(&learner.network, root), learner.state, loss.total.to_bits())
    });
    assert!(unbroken == resumed, "the third step differs after a checkpoint");
}
