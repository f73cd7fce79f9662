#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use std::path::Path;

use hemex_kernels::FusedAdamW;
use hemex_model::save_weights;

use super::*;
use crate::checkpoint::Progress;
use crate::cohort::tests::{fold, request, write_cohort};
use crate::cohort::{Cohort, Fold};
use crate::learner::Learner;
use crate::trainer::Trainer;
use crate::{Config, RawConfig};

fn device() -> Device {
    Device::flex().autodiff()
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec::<f32>().unwrap()
}

/// `tests/reference/align.py` prints what these two sets of features cost.
const SOURCE: [[f32; 3]; 4] =
    [[0.5, -1.0, 2.0], [1.5, 0.0, -0.5], [-0.7, 0.8, 1.1], [0.2, -0.4, 0.6]];
const TARGET: [[f32; 3]; 4] =
    [[1.0, 0.3, -0.2], [2.5, -1.2, 0.4], [0.1, 0.9, 1.3], [-0.8, 2.0, 0.7]];
const CORAL: f64 = 0.24880032793209875;
const BY_SOURCE: [f64; 12] = [
    -0.06099768518518518,
    0.01852314814814815,
    0.049293209876543204,
    -0.032633487654320975,
    0.0875354938271605,
    -0.04286728395061728,
    0.09955787037037037,
    -0.11158796296296297,
    -0.007780864197530862,
    -0.0059266975308642006,
    0.00552932098765432,
    0.0013549382716049373,
];

#[test]
fn coral_is_that_of_numpy_and_so_is_its_gradient() {
    let source = Tensor::<2>::from_data(SOURCE, &device()).require_grad();
    let target = Tensor::<2>::from_data(TARGET, &device());
    let cost = coral(source.clone(), target.clone());
    let found = f64::from(cost.clone().into_scalar::<f32>());
    assert!((found - CORAL).abs() < 1e-6, "{found}");
    let gradient = values(source.grad(&cost.backward()).unwrap());
    for (found, expected) in gradient.iter().zip(BY_SOURCE) {
        assert!((f64::from(*found) - expected).abs() < 1e-6, "{gradient:?}");
    }
    // Where a domain lies does not count, how it spreads does: twice as wide, covariances are 4 C and C.
    let moved = coral(target.clone().add_scalar(3.0), target.clone()).into_scalar::<f32>();
    assert!(moved < 1e-10, "{moved}");
    let square = f64::from(covariance(target.clone()).square().sum().into_scalar::<f32>());
    let wider = f64::from(coral(target.clone().mul_scalar(2.0), target).into_scalar::<f32>());
    assert!((wider - 9.0 * square / 36.0).abs() < 1e-5, "{wider}");
}

#[test]
fn a_reversed_gradient_leaves_the_value() {
    let x = Tensor::<2>::from_data(SOURCE, &device()).require_grad();
    let slopes = Tensor::<2>::from_data(TARGET, &device());
    let reversed = reverse_gradient(x.clone(), 0.25);
    assert_eq!(values(reversed.clone()), SOURCE.concat());
    let gradients = (reversed * slopes).sum().backward();
    let expected: Vec<f32> = TARGET.concat().iter().map(|slope| -0.25 * slope).collect();
    assert_eq!(values(x.grad(&gradients).unwrap()), expected);
}

#[test]
fn the_reversal_rises_as_a_hyperbolic_tangent() {
    for part in [0.0f64, 0.1, 0.5, 1.0] {
        assert!((risen(part) - (5.0 * part).tanh()).abs() < 1e-12, "{part}");
    }
}

const N_STEPS: usize = 600;

fn dann(weight: f64, n_features: usize) -> Aligner {
    let classifier = DomainClassifier::new(n_features, 8, 1, &device());
    let gradients = GradientsAccumulator::new();
    Aligner::Dann(Adversary { weight, n_steps: N_STEPS, classifier, gradients })
}

fn at(step_in_all: usize) -> At {
    let (learning_rate, max_gradient_norm) = (0.01, 10.0);
    At { epoch: 0, step: 0, step_in_all, learning_rate, max_gradient_norm, n_batches: 1 }
}

#[test]
fn the_classifier_behind_the_reversal_learns_and_what_lies_before_it_learns_the_contrary() {
    let features = Tensor::cat(vec![Tensor::from_data(SOURCE, &device()); 2], 0).require_grad();
    let gradients = |weight: f64| {
        let mut aligner = dann(weight, 3);
        let mut gradients = aligner.loss(features.clone(), N_STEPS / 5).added.backward();
        let by_features = values(features.grad(&gradients).unwrap());
        aligner.accumulate(&mut gradients);
        let Aligner::Dann(Adversary { mut gradients, classifier, .. }) = aligner else { panic!() };
        let by_weights = gradients.grads().get::<2>(classifier.hidden.weight.id).unwrap();
        (by_features, values(by_weights))
    };
    let (once, thrice) = (gradients(1.0), gradients(3.0));
    assert_eq!(once.1, thrice.1);
    assert!(once.1.iter().any(|slope| *slope != 0.0));
    // Down the gradient of the features themselves, the cross-entropy would fall.
    let classifier = DomainClassifier::new(3, 8, 1, &device());
    let domains = Tensor::from_data([0.0f32, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0], &device());
    let plain = bce_with_logits(classifier.forward(features.clone()), domains).mean().backward();
    let plain = values(features.grad(&plain).unwrap());
    for ((plain, once), thrice) in plain.iter().zip(&once.0).zip(&thrice.0) {
        let strength = 1.0f32.tanh();
        assert!((once + strength * plain).abs() < 1e-6, "{once} {plain}");
        assert!((thrice + 3.0 * strength * plain).abs() < 1e-6, "{thrice} {plain}");
    }
}

/// One feature out of two values, and a label out of that.
#[derive(Module, Debug)]
struct Toy {
    extract: Linear,
    tell: Linear,
}

impl Toy {
    /// Begins with a feature that tells the domain better than the label.
    fn new() -> Self {
        let layer = |[n_in, bias]: [usize; 2], weights: Vec<f32>| {
            let layer = LinearConfig::new(n_in, 1).with_bias(bias > 0).init(&device());
            let weights = TensorData::new(weights, [n_in, 1]);
            let weight =
                layer.weight.clone().map(|_| Tensor::from_data(weights, &device()).require_grad());
            Linear { weight, ..layer }
        };
        let toy = Self { extract: layer([2, 0], vec![0.5, 1.0]), tell: layer([1, 1], vec![1.0]) };
        toy.map(&mut Zeros)
    }
}

/// Sets biases to 0.
struct Zeros;

impl burn::module::ModuleMapper for Zeros {
    fn map_float<const D: usize>(
        &mut self,
        param: burn::module::Param<Tensor<D>>,
    ) -> burn::module::Param<Tensor<D>> {
        let is_bias = D == 1;
        param.map(|values| if is_bias { values.zeros_like().require_grad() } else { values })
    }
}

const N_POINTS: usize = 32;

fn grows(point: usize) -> f32 {
    (point % 2) as f32
}

/// Points whose first value follows the label, and whose second the domain, and in the source the label too.
fn cloud(is_target: bool) -> Tensor<2> {
    let noise = |point: usize, frequency: f32| 0.3 * ((point + 1) as f32 * frequency).sin();
    let (frequencies, domain) = if is_target { ([3.7, 5.3], 1.0) } else { ([1.3, 2.1], -1.0) };
    let points = (0..N_POINTS).flat_map(|point| {
        let sign = 2.0 * grows(point) - 1.0;
        [
            sign + noise(point, frequencies[0]),
            domain * (1.0 - 0.3 * sign) + noise(point, frequencies[1]),
        ]
    });
    Tensor::from_data(TensorData::new(points.collect(), [N_POINTS, 2]), &device())
}

/// The last cross-entropy of the domains, and what the feature takes of the label's value and of the domain's.
fn after_training(weight: f64) -> (f32, Vec<f32>) {
    let (mut toy, mut aligner) = (Toy::new(), dann(weight, 1));
    let mut optimizer = ModuleOptimizer::from(FusedAdamW::new(0.0));
    let labels = TensorData::new((0..N_POINTS).map(grows).collect(), [N_POINTS]);
    let labels = Tensor::<1>::from_data(labels, &device());
    let points = Tensor::cat(vec![cloud(false), cloud(true)], 0);
    let mut last = 0.0;
    for step in 0..N_STEPS {
        let features = toy.extract.forward(points.clone());
        let logits = toy.tell.forward(features.clone().narrow(0, 0, N_POINTS)).reshape([N_POINTS]);
        let cost = aligner.loss(features, step);
        last = cost.found.into_scalar::<f32>();
        let total = bce_with_logits(logits, labels.clone()).mean() + cost.added;
        let mut gradients = total.backward();
        aligner.accumulate(&mut gradients);
        toy = optimizer.step(0.01, toy.clone(), GradientsParams::from_grads(gradients, &toy));
        aligner = aligner.update(&mut optimizer, at(step));
    }
    (last, values(toy.extract.weight.val()))
}

#[test]
fn features_under_reversal_become_those_of_both_domains() {
    let (told, apart) = after_training(0.0);
    assert!(told < 0.55, "two shifted clouds are told apart: {told}");
    assert!(apart[1] > 0.3, "{apart:?}");
    let (chance, alike) = after_training(1.0);
    assert!((chance - 2f32.ln()).abs() < 0.005, "{chance}");
    assert!(alike[0] > 1.5 && alike[1].abs() < 0.1, "{alike:?}");
}

/// The tiny training of the classifier alone, on small windows.
fn config(align: &str) -> Config {
    let text = include_str!("../../../../tests/fixtures/train-tiny.toml");
    let mut document: toml::Table = toml::from_str(text).unwrap();
    let changes = format!(
        "regime = \"patient\"\n[loss]\nalign = {align}\nacross = \"mean\"\nacross_strength = 0.0\n\
         task_rate = 0.0\n[arm.vgg]\nwindow = [1, 16, 16]\n"
    );
    merge(&mut document, toml::from_str(&changes).unwrap());
    Config::try_from(document.try_into::<RawConfig>().unwrap()).unwrap()
}

fn merge(into: &mut toml::Table, changes: toml::Table) {
    for (key, value) in changes {
        match (into.get_mut(&key), value) {
            (Some(toml::Value::Table(into)), toml::Value::Table(changes)) if key != "align" => {
                merge(into, changes);
            }
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

/// Trains over these steps from the last checkpoint on, and leaves one if asked; gives every weight learnt, and the last
/// loss of alignment.
fn train(
    root: &Path,
    config: &Config,
    steps: std::ops::Range<usize>,
    leave: bool,
) -> (Vec<u8>, f64) {
    let (request, arm) = (request(root), &config.arms["vgg"]);
    let asked = Fold { targets: true, ..fold(&arm.spec, &config.transplant) };
    let cohort = Cohort::read(&request, &asked).unwrap();
    let trainer = Trainer::new(config, &request, arm, &cohort).unwrap();
    let (mut learner, progress) = trainer.learner().unwrap();
    let mut align = f64::NAN;
    for step in steps {
        let batch = trainer.batch_of(step).unwrap();
        let (next, found) = learner.step(&trainer.loss, &batch, trainer.at(step, 0.01)).unwrap();
        (learner, align) = (next, found.align.unwrap());
    }
    if leave {
        let progress = Progress { epoch: 1, ..progress };
        Checkpoints::new(&request.scratch).save(&learner, &progress).unwrap();
    }
    (weights(&learner), align)
}

fn weights(learner: &Learner) -> Vec<u8> {
    let file = tempfile::NamedTempFile::new().unwrap();
    save_weights(&learner.network.valid(), file.path()).unwrap();
    let mut bytes = std::fs::read(file.path()).unwrap();
    if let Some(DomainClassifier { hidden, tell }) =
        learner.aligner.as_ref().and_then(Aligner::classifier)
    {
        let of_layers = [hidden.weight.val(), tell.weight.val()].map(values);
        bytes.extend(of_layers.concat().iter().flat_map(|weight| weight.to_le_bytes()));
    }
    bytes
}

const CORAL_ON: &str = "{ kind = \"coral\", weight = 1.0 }";
const DANN_ON: &str = "{ kind = \"dann\", weight = 0.5, hidden = 4 }";

#[test]
fn a_training_that_is_interrupted_ends_with_the_same_weights() {
    for align in [CORAL_ON, DANN_ON] {
        let (folder, config) = (tempfile::tempdir().unwrap(), config(align));
        write_cohort(folder.path());
        let whole = train(folder.path(), &config, 0..6, false);
        train(folder.path(), &config, 0..3, true);
        let resumed = train(folder.path(), &config, 3..6, false);
        assert!(whole == resumed, "{align}: {} and {}", whole.1, resumed.1);
    }
}

#[test]
fn nothing_of_target_cases_is_seen_but_their_scans() {
    for align in [CORAL_ON, DANN_ON] {
        let (folder, config) = (tempfile::tempdir().unwrap(), config(align));
        let root = folder.path();
        write_cohort(root);
        let before = train(root, &config, 0..3, false);
        let labels = std::fs::read_to_string(root.join("labels/labels.csv")).unwrap();
        let flipped = labels.replace("\nc9,1,", "\nc9,0,").replace("\nc10,0,", "\nc10,1,");
        assert_ne!(labels, flipped);
        std::fs::write(root.join("labels/labels.csv"), flipped).unwrap();
        for case in ["c9", "c10"] {
            std::fs::remove_file(root.join(format!("labels/masks/{case}.nii"))).unwrap();
        }
        // Nor anything at all of the test case.
        for kind in ["cases/images", "cases/brain", "labels/masks"] {
            std::fs::remove_file(root.join(kind).join("c8.nii")).unwrap();
        }
        assert!(before == train(root, &config, 0..3, false), "{align}");
        std::fs::copy(root.join("cases/images/c2.nii"), root.join("cases/images/c9.nii")).unwrap();
        assert!(before != train(root, &config, 0..3, false), "{align}: scans do not count");
    }
}
