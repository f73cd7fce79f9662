//! Source and target domain brought together in the features that growth is told from.
//!
//! The source are the training cases of a fold, the target its unlabelled cases of the role `target`. Windows that are
//! compared are drawn alike in both, since where the hematoma of a target case lies is not known: see
//! `sample/beside.rs`. Either way is blind to labels: where growth is more frequent in one domain than in the other,
//! features that are alike in both cannot tell it rightly in both (Zhao et al., ICML 2019).

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{GradientsAccumulator, GradientsParams, ModuleOptimizer};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use hemex_model::{Network, initialise};

use crate::checkpoint::Checkpoints;
use crate::config::Align;
use crate::learner::At;
use crate::{TrainError, bce_with_logits, clip_gradients};

/// The distance between the features of two domains, `‖C_S − C_T‖² / (4 d²)` with the covariances `C` of `d` features
/// and the Frobenius norm: deep CORAL (Sun and Saenko, ECCV workshops 2016, eq. 1 to 3).
///
/// `[n, d]` each; means are not compared. Of at least two windows a domain: one has no covariance, and the result is
/// not a number.
pub fn coral(source: Tensor<2>, target: Tensor<2>) -> Tensor<1> {
    let d = source.dims()[1] as f64;
    let difference = covariance(source) - covariance(target);
    difference.square().sum().div_scalar(4.0 * d * d)
}

/// `[n, d]` to `[d, d]`, divided by `n − 1`.
fn covariance(x: Tensor<2>) -> Tensor<2> {
    let n = x.dims()[0] as f64;
    let centred = x.clone() - x.mean_dim(0);
    centred.clone().transpose().matmul(centred).div_scalar(n - 1.0)
}

/// `x` as it is, whose gradient is multiplied by `−strength`: what learns behind it learns, and what lies before it
/// learns the contrary (Ganin et al., JMLR 17, 2016, section 4).
pub fn reverse_gradient<const D: usize>(x: Tensor<D>, strength: f64) -> Tensor<D> {
    let value = x.clone().detach();
    // The difference is 0 and bears the gradient.
    value.clone() + (value - x).mul_scalar(strength)
}

/// How much of its strength the reversal has after a part of the training, `2 / (1 + e^(−10 p)) − 1`: while the
/// classifier knows nothing, what it says is noise (Ganin et al., JMLR 17, 2016, section 5.2).
fn risen(part: f64) -> f64 {
    2.0 / (1.0 + (-10.0 * part).exp()) - 1.0
}

/// Tells the domain of a window from its features: linear, ReLU, linear.
#[derive(Module, Debug)]
pub(crate) struct DomainClassifier {
    hidden: Linear,
    tell: Linear,
}

impl DomainClassifier {
    fn new(n_features: usize, n_hidden: usize, seed: u64, device: &Device) -> Self {
        let classifier = Self {
            hidden: LinearConfig::new(n_features, n_hidden).init(device),
            tell: LinearConfig::new(n_hidden, 1).init(device),
        };
        initialise(classifier, seed)
    }

    /// `[B, features]` to the logit of the target domain, `[B]`.
    fn forward(&self, features: Tensor<2>) -> Tensor<1> {
        let logits = self.tell.forward(relu(self.hidden.forward(features)));
        let n = logits.dims()[0];
        logits.reshape([n])
    }
}

/// What brings the domains together, and what it learns itself.
#[expect(clippy::large_enum_variant, reason = "a training holds one")]
pub(crate) enum Aligner {
    Coral { weight: f64 },
    Dann(Adversary),
}

/// The classifier of domains that the features learn to mislead.
pub(crate) struct Adversary {
    /// Of the reversed gradient at its highest.
    weight: f64,
    /// Of the training, over which it rises.
    n_steps: usize,
    classifier: DomainClassifier,
    /// Of the batches since the last step.
    gradients: GradientsAccumulator<DomainClassifier>,
}

impl Aligner {
    /// The one asked for, on the features of a network that is trained for so many steps; `None` for none, and for a
    /// network without features.
    pub(crate) fn new(
        align: Align,
        network: &Network,
        n_steps: usize,
        seed: u64,
        device: &Device,
    ) -> Option<Self> {
        let n_features = network.n_features()?;
        match align {
            Align::None => None,
            Align::Coral { weight } => Some(Self::Coral { weight }),
            Align::Dann { weight, hidden } => {
                let classifier = DomainClassifier::new(n_features, hidden, seed, device);
                let gradients = GradientsAccumulator::new();
                Some(Self::Dann(Adversary { weight, n_steps, classifier, gradients }))
            }
        }
    }

    /// The classifier of domains, where there is one.
    pub(crate) fn classifier(&self) -> Option<&DomainClassifier> {
        match self {
            Self::Coral { .. } => None,
            Self::Dann(adversary) => Some(&adversary.classifier),
        }
    }

    /// As it is after the last checkpoint, if there is one.
    pub(crate) fn resumed(mut self, checkpoints: &Checkpoints) -> Result<Self, TrainError> {
        if let Self::Dann(adversary) = &mut self {
            adversary.classifier = checkpoints.load_domains(adversary.classifier.clone())?;
        }
        Ok(self)
    }

    /// What is added to the loss, from the features `[2 B, features]` of source windows and as many target windows
    /// behind them, at a step of the training, from 0: CORAL's distance, or the mean cross-entropy of the domains.
    pub(crate) fn loss(&self, features: Tensor<2>, step: usize) -> AlignLoss {
        let n = features.dims()[0] / 2;
        match self {
            Self::Coral { weight } => {
                let source = features.clone().narrow(0, 0, n);
                let found = coral(source, features.narrow(0, n, n));
                AlignLoss { added: found.clone().mul_scalar(*weight), found }
            }
            Self::Dann(Adversary { weight, n_steps, classifier, .. }) => {
                let strength = weight * risen(step as f64 / *n_steps as f64);
                let is_target: Vec<f32> = [0.0, 1.0].into_iter().flat_map(|d| vec![d; n]).collect();
                let is_target = TensorData::new(is_target, [2 * n]);
                let is_target = Tensor::from_data(is_target, &features.device());
                let logits = classifier.forward(reverse_gradient(features, strength));
                let found = bce_with_logits(logits, is_target).mean();
                AlignLoss { added: found.clone(), found }
            }
        }
    }

    /// Takes from the gradients of a batch what is its own.
    pub(crate) fn accumulate(&mut self, gradients: &mut Gradients) {
        if let Self::Dann(Adversary { classifier, gradients: sum, .. }) = self {
            sum.accumulate(classifier, GradientsParams::from_module(gradients, classifier));
        }
    }

    /// Takes a step after what was learnt since the last; the classifier's gradient has a norm of its own.
    pub(crate) fn update(mut self, optimizer: &mut ModuleOptimizer, at: At) -> Self {
        if let Self::Dann(adversary) = &mut self {
            let gradients = adversary.gradients.grads();
            let classifier = &adversary.classifier;
            let (gradients, _) = clip_gradients(classifier, gradients, at.max_gradient_norm);
            adversary.classifier = optimizer.step(at.learning_rate, classifier.clone(), gradients);
        }
        self
    }
}

/// What two domains cost.
pub(crate) struct AlignLoss {
    /// Weighted as it enters the loss.
    pub(crate) added: Tensor<1>,
    /// Unweighted.
    pub(crate) found: Tensor<1>,
}

#[cfg(test)]
mod tests;
