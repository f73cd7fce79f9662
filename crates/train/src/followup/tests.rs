#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use std::path::Path;

use hemex_artifacts::{LabelRow, nifti, table};
use hemex_augment::{GrowthRule, Policy, RawPolicy, TransplantPolicy};
use hemex_kernels::mask_losses;
use hemex_model::Output;
use hemex_volume::{Affine, Geometry, LabelMap};

use super::*;
use crate::across::GroupWeights;
use crate::cohort::tests::{asked, config_with, transplant, write_cohort};
use crate::cohort::{Cohort, FOLLOWUP, Fold, is_lesion};
use crate::config::RawLoss;
use crate::learner::tests::at;
use crate::loss::{GrowthLoss, JointLoss, LossState};
use crate::sample::{Batch, WindowSource};
use crate::tasks::TaskWeights;
use crate::trainer::arm_of;
use crate::{Config, RawConfig, Sampler, SamplerKind, Tversky, tversky_loss};

mod trainings;

/// Three windows of 1 × 2 × 2 voxels; of the second nothing is known.
const LOGITS: [f32; 12] = [0.4, -1.3, 2.2, -0.6, 9.0, -9.0, 9.0, 9.0, -0.2, 0.9, -2.0, 1.1];
const FIRST: [f32; 4] = [1.0, 0.0, 1.0, 1.0];
const THIRD: [f32; 4] = [0.0, 1.0, 0.0, 0.0];

fn volumes<const N: usize>(values: [f32; N], device: &Device) -> Tensor<5> {
    Tensor::from_data(TensorData::new(values.to_vec(), [N / 4, 1, 1, 2, 2]), device)
}

fn known_windows(device: &Device) -> FollowupTargets {
    let windows = [Some(&FIRST[..]), None, Some(&THIRD[..])];
    FollowupTargets::new(&windows, [1, 2, 2], device).unwrap()
}

/// Logit and target of the eight voxels that are known.
fn known_voxels() -> [(f64, f64); 8] {
    std::array::from_fn(|i| {
        let (logit, target) =
            if i < 4 { (LOGITS[i], FIRST[i]) } else { (LOGITS[i + 4], THIRD[i - 4]) };
        (f64::from(logit), f64::from(target))
    })
}

fn probability(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}

/// `Σ p t` and `Σ p + Σ t + 1` of the known voxels.
fn overlap_and_size() -> (f64, f64) {
    let overlap = known_voxels().map(|(z, t)| probability(z) * t).iter().sum();
    let size = known_voxels().map(|(z, t)| probability(z) + t).iter().sum::<f64>() + 1.0;
    (overlap, size)
}

/// `1 − (2 Σ p t + 1) / (Σ p + Σ t + 1)` and the mean of `log(1 + eᶻ) − z t`.
fn dice_and_entropy() -> f64 {
    let (overlap, size) = overlap_and_size();
    let entropy: f64 = known_voxels().map(|(z, t)| z.exp().ln_1p() - z * t).iter().sum();
    1.0 - (2.0 * overlap + 1.0) / size + entropy / 8.0
}

#[test]
fn the_loss_is_that_of_the_known_windows_together() {
    let device = Device::flex();
    let logits = || volumes(LOGITS, &device);
    let targets = known_windows(&device);
    let loss = targets.loss(logits(), |logits, mask| mask_losses(logits, mask).sum());
    let found = f64::from(loss.into_scalar::<f32>());
    assert!((found - dice_and_entropy()).abs() < 1e-6, "{found}");

    let weights = Tversky { alpha: 0.3, beta: 0.7, gamma: 1.0 };
    let loss = targets.loss(logits(), |logits, mask| tversky_loss(logits, mask, weights));
    let (hit, size) = overlap_and_size();
    let told: f64 = known_voxels().map(|(z, _)| probability(z)).iter().sum();
    let true_size = size - told - 1.0;
    let index = (hit + 1.0) / (hit + 0.3 * (told - hit) + 0.7 * (true_size - hit) + 1.0);
    let found = f64::from(loss.into_scalar::<f32>());
    assert!((found - (1.0 - index)).abs() < 1e-6, "{found}");

    assert!(FollowupTargets::new(&[None, None], [1, 2, 2], &device).is_none());
}

/// By hand: of the cross-entropy `(p − t) / n`, of the Dice loss `p (1 − p) ((2 O + 1) / S² − 2 t / S)`.
#[test]
fn logits_of_windows_that_are_not_known_have_no_gradient() {
    let device = Device::flex().autodiff();
    let logits = volumes(LOGITS, &device).require_grad();
    let loss =
        known_windows(&device).loss(logits.clone(), |logits, mask| mask_losses(logits, mask).sum());
    let gradient = logits.grad(&loss.backward()).unwrap();
    let gradient: Vec<f64> = gradient.into_data().iter::<f64>().collect();
    let (overlap, size) = overlap_and_size();
    let expected = known_voxels().map(|(z, t)| {
        let p = probability(z);
        let of_dice = (2.0 * overlap + 1.0) / size.powi(2) - 2.0 * t / size;
        (p - t) / 8.0 + p * (1.0 - p) * of_dice
    });
    let found = gradient[..4].iter().chain(&gradient[8..]);
    for (found, expected) in found.zip(expected) {
        assert!((found - expected).abs() < 1e-6, "{gradient:?}");
    }
    assert_eq!(gradient[4..8], [0.0; 4]);
}

fn weights(followup_weight: f64) -> RawLoss {
    let text = include_str!("../../../../configs/train.toml");
    let raw: RawConfig = toml::from_str(text).unwrap();
    RawLoss { mask_weight: 0.7, followup_weight, ..raw.loss }
}

#[test]
fn it_is_added_with_its_weight_and_costs_nothing_where_nothing_is_known() {
    let device = Device::flex();
    let weights = weights(0.3);
    let growth = GrowthLoss::new(&weights, [4, 4], 0.0).unwrap();
    let loss = JointLoss { weights: &weights, growth };
    let mut state = LossState { groups: GroupWeights::new(1), tasks: TaskWeights::new(&weights) };
    let mut of = |followup: Option<FollowupTargets>| {
        let mask = || volumes([0.0; 12], &device);
        let mut batch = Batch::of(mask(), mask(), vec![true; 3]);
        batch.followup = followup;
        let output = Output {
            growth_logit: None,
            mask_logits: Some(volumes([0.0; 12], &device)),
            coarse_masks: Vec::new(),
            followup_logits: Some(volumes(LOGITS, &device)),
            presence_logit: None,
            reconstruction: None,
            features: None,
            sign_logits: None,
            attention: None,
        };
        let found = loss.of(output, &batch, at(1), &mut state);
        let scalar = |loss: Tensor<1>| f64::from(loss.into_scalar::<f32>());
        (scalar(found.total), found.followup.map(scalar))
    };
    // One half in every voxel of an empty mask of twelve.
    let of_mask = 0.7 * (1.0 - 1.0 / 7.0 + 2.0f64.ln());
    let (total, followup) = of(Some(known_windows(&device)));
    assert!((followup.unwrap() - dice_and_entropy()).abs() < 1e-6, "{followup:?}");
    assert!((total - of_mask - 0.3 * dice_and_entropy()).abs() < 1e-6, "{total}");
    let (total, followup) = of(None);
    assert!((total - of_mask).abs() < 1e-6 && followup.is_none(), "{total} {followup:?}");
}

/// Writes masks at follow-up of these cases, grown by a voxel or two to each side within the slice and by three to the
/// right, and names them in labels.csv.
fn write_followups(root: &Path, cases: &[usize]) {
    std::fs::create_dir_all(root.join("labels/later")).unwrap();
    let path = root.join("labels/labels.csv");
    let mut rows: Vec<LabelRow> = table::read_rows(&path).unwrap();
    for row in &mut rows {
        row.followup_mask = None;
    }
    for i in cases {
        let now = nifti::read_label_map(&root.join(format!("labels/masks/c{i}.nii"))).unwrap();
        let [_, n_h, n_w] = now.geometry().shape();
        let mut later = LabelMap::empty(*now.geometry());
        for at in (0..now.voxels().len()).filter(|at| now.voxels()[*at] == 1) {
            let (d, h, w) = (at / (n_h * n_w), at / n_w % n_h, at % n_w);
            for h in h - 1..=h + 1 {
                for w in w - 1..=w + 3 {
                    later.voxels_mut()[(d * n_h + h) * n_w + w] = 1;
                }
            }
        }
        // Edema is no hematoma.
        later.voxels_mut()[0] = 3;
        let name = format!("later/c{i}.nii");
        nifti::write_label_map(&root.join("labels").join(&name), &later).unwrap();
        rows[*i].followup_mask = Some(name);
    }
    table::write_rows(&path, &LabelRow::COLUMNS, &rows).unwrap();
}

/// Of a small joint network that tells the follow-up.
fn config() -> Config {
    config_of(true)
}

/// The same, if it tells it.
fn config_of(followup: bool) -> Config {
    config_with(&format!(
        "
        n_epochs = 2
        steps_per_epoch = 3
        [optimizer]
        warmup_steps = 1
        [loss]
        followup_weight = 0.5
        task_rate = 0.05
        [arm.joint]
        followup = {followup}
        "
    ))
}

#[test]
fn what_cannot_be_learnt_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write_cohort(root);
    let (config, request) = (config(), asked(root, "joint"));
    let read = || {
        let (_, _, fold) = arm_of(&config, &request).unwrap();
        Cohort::read(&request, &fold).map(|cohort| cohort.train)
    };
    // Labels of before have no such column.
    let labels = std::fs::read_to_string(root.join("labels/labels.csv")).unwrap();
    assert!(!labels.contains("followup_mask"));
    let error = read().err().unwrap().to_string();
    for part in ["`followup = true`", "followup_mask", "labels.csv"] {
        assert!(error.contains(part), "{error}");
    }
    // Masks of those who do not train are of no use.
    write_followups(root, &[6, 8]);
    assert!(read().err().unwrap().to_string().contains("no training case"));
    write_followups(root, &[2]);
    let train = read().unwrap();
    let followed: Vec<bool> = train.iter().map(|case| case.is_followed).collect();
    assert_eq!(followed, [false, false, true, false, false, false]);
    let n = |case: &TrainCase| case.labels.voxels().iter().filter(|v| **v & FOLLOWUP > 0).count();
    let later = nifti::read_label_map(&root.join("labels/later/c2.nii")).unwrap();
    assert_eq!((n(&train[2]), n(&train[3])), (later.count(&[1]), 0));
    assert!(train[2].lesion.len() < later.count(&[1]), "the lesion is that of now");

    let affine = Affine::from_spacing([5.0, 2.0, 2.0], [1.0; 3]).unwrap();
    let elsewhere = Geometry::new(later.geometry().shape(), affine).unwrap();
    let moved = LabelMap::new(elsewhere, later.into_voxels()).unwrap();
    nifti::write_label_map(&root.join("labels/later/c2.nii"), &moved).unwrap();
    let error = read().err().unwrap().to_string();
    assert!(error.contains("case `c2`") && error.contains("followup_mask"), "{error}");
}

/// Windows of a cohort whose first two cases have a follow-up, under the policy of the tiny trainings, which turns, bends
/// and deforms the lesion; hematomas are planted with this probability.
struct Windows {
    cohort: Cohort,
    transplant: TransplantPolicy,
}

impl Windows {
    fn new(root: &Path, planted: f64, config: &Config) -> Self {
        let (request, transplant) = (asked(root, "joint"), transplant(planted));
        let (_, _, fold) = arm_of(config, &request).unwrap();
        let cohort = Cohort::read(&request, &Fold { transplant: &transplant, ..fold }).unwrap();
        Self { cohort, transplant }
    }

    /// Of the first 60 windows whether the hematoma was planted, and a batch of each.
    fn batches(&self, spec: &NetworkSpec) -> Vec<(bool, Batch)> {
        let text = include_str!("../../../../tests/fixtures/train-tiny.toml");
        let raw: RawConfig = toml::from_str(text).unwrap();
        let policy = RawPolicy { noise_hu: 0.0, ..raw.augment };
        assert!(policy.lesion.probability > 0.0 && policy.elastic.probability > 0.0);
        let drawn: Vec<_> = self.cohort.train.iter().map(TrainCase::drawn).collect();
        let source = WindowSource {
            cohort: &self.cohort,
            sampler: &Sampler::new(SamplerKind::ClassBalanced, 0.0, &drawn).unwrap(),
            policy: &Policy::try_from(policy).unwrap(),
            transplant: &self.transplant,
            growth: &GrowthRule { relative: 0.33, absolute_ml: 6.0 },
            spec,
            lesion_window_share: 0.8,
            seed: 5,
            batch_size: 1,
        };
        let of = |index| {
            let sample = source.sample(0, index).unwrap();
            (sample.transplant.is_some(), source.batch(&[sample], &Device::flex()))
        };
        (0..60).map(of).collect()
    }
}

fn values<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
    tensor.clone().into_data().try_into_vec::<f32>().unwrap()
}

#[test]
fn a_follow_up_moves_with_its_window_and_changes_nothing_else_of_it() {
    let folder = tempfile::tempdir().unwrap();
    write_cohort(folder.path());
    write_followups(folder.path(), &[0, 1]);
    let (with, without) = (config_of(true), config_of(false));
    let spec = &with.arms["joint"].spec;
    let told = Windows::new(folder.path(), 0.0, &with);
    let untold = Windows::new(folder.path(), 0.0, &without);
    assert!(untold.cohort.train.iter().all(|case| !case.is_followed));
    let mut unchanged = Windows::new(folder.path(), 0.0, &with);
    for case in &mut unchanged.cohort.train {
        let of_now = |label: &u8| {
            let of_now = if is_lesion(*label) { FOLLOWUP } else { 0 };
            label & !FOLLOWUP | of_now
        };
        let labels = case.labels.voxels().iter().map(of_now).collect();
        case.labels = LabelMap::new(*case.labels.geometry(), labels).unwrap();
    }
    // What is the same before it is moved is the same afterwards.
    let followed = unchanged.batches(spec).into_iter().filter_map(|(_, batch)| {
        let followup = batch.followup.as_ref().map(|followup| values(&followup.mask));
        Some((values(&batch.mask), followup?))
    });
    assert!(followed.into_iter().all(|(now, then)| now == then));
    let (mut n_known, mut n_larger) = (0, 0);
    let spec_without = &without.arms["joint"].spec;
    for ((_, told), (_, untold)) in told.batches(spec).iter().zip(untold.batches(spec_without)) {
        assert!(values(&told.input) == values(&untold.input));
        assert!(values(&told.mask) == values(&untold.mask) && untold.followup.is_none());
        let is_known = ["c0", "c1"].contains(&told.case_ids[0].as_str());
        assert_eq!(told.followup.is_some(), is_known, "{:?}", told.case_ids);
        let Some(followup) = &told.followup else { continue };
        let (now, then) = (values(&told.mask), values(&followup.mask));
        // What encloses the hematoma does so wherever both are moved.
        assert!(now.iter().zip(&then).all(|(now, then)| now <= then));
        n_known += 1;
        n_larger += usize::from(then.iter().sum::<f32>() > now.iter().sum::<f32>());
    }
    assert!(n_known > 10 && n_larger > 5, "{n_known} {n_larger}");
}

#[test]
fn how_a_head_with_a_planted_hematoma_goes_on_is_not_known() {
    let folder = tempfile::tempdir().unwrap();
    write_cohort(folder.path());
    write_followups(folder.path(), &[0, 1, 2, 3, 4, 5]);
    let config = config();
    let windows = Windows::new(folder.path(), 0.5, &config);
    // The follow-up is no part of the hematoma that is planted, nor of what it keeps away from.
    let grounds = windows.cohort.train.iter().filter_map(|case| case.ground.as_ref());
    let labels = grounds.flat_map(|ground| ground.lesion.voxels().iter());
    assert!(labels.clone().all(|label| *label <= 1) && labels.clone().any(|label| *label == 1));
    let mut n_known = [[0; 2]; 2];
    for (is_planted, batch) in windows.batches(&config.arms["joint"].spec) {
        n_known[usize::from(is_planted)][usize::from(batch.followup.is_some())] += 1;
    }
    let [[n_unknown_as_they_are, n_as_they_are], [n_planted, n_known_planted]] = n_known;
    assert_eq!((n_unknown_as_they_are, n_known_planted), (0, 0));
    assert!(n_as_they_are > 5 && n_planted > 5, "{n_known:?}");
}
