use std::time::Instant;

use burn::module::Module;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::Tensor;
use hemex_model::Network;

use crate::across::GroupWeights;
use crate::average::Average;
use crate::history::TransplantRow;
use crate::loss::JointLoss;
use crate::profile::Profile;
use crate::sample::Batch;
use crate::{TrainError, clip_gradients};

/// What learns: the weights, and what goes with them from step to step.
pub(crate) struct Learner {
    pub(crate) network: Network,
    /// Of the weights, where one is kept.
    pub(crate) average: Option<Average>,
    pub(crate) groups: GroupWeights,
    pub(crate) optimizer: ModuleOptimizer,
    /// Where the time went since it was last looked at.
    pub(crate) profile: Profile,
}

/// Which step it is, and at what rate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At {
    pub(crate) epoch: usize,
    /// Within the epoch.
    pub(crate) step: usize,
    /// Within the training.
    pub(crate) step_in_all: usize,
    pub(crate) learning_rate: f64,
    pub(crate) max_gradient_norm: f64,
}

/// The losses of a step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StepLoss {
    pub(crate) total: f64,
    /// Unweighted, of a network that segments.
    pub(crate) mask: Option<f64>,
    /// Unweighted.
    pub(crate) label: f64,
}

/// Means over the steps of an epoch.
#[derive(Default)]
pub(crate) struct EpochLoss {
    pub(crate) total: f64,
    pub(crate) mask: Option<f64>,
    pub(crate) label: f64,
    /// Hematomas that were planted.
    pub(crate) transplants: Vec<TransplantRow>,
}

impl EpochLoss {
    pub(crate) fn add(&mut self, step: StepLoss, n_steps: usize) {
        self.total += step.total / n_steps as f64;
        self.label += step.label / n_steps as f64;
        if let Some(mask) = step.mask {
            *self.mask.get_or_insert(0.0) += mask / n_steps as f64;
        }
    }
}

impl Learner {
    /// The weights that are validated and stored.
    pub(crate) fn evaluated(&self) -> Network {
        self.average.as_ref().map_or_else(|| self.network.valid(), |a| a.network.clone())
    }

    /// Learns from a batch.
    pub(crate) fn step(
        mut self,
        loss: &JointLoss<'_>,
        batch: &Batch,
        at: At,
    ) -> Result<(Self, StepLoss), TrainError> {
        let begin = Instant::now();
        let output = self.network.forward(batch.input.clone());
        let loss = loss.of(output, batch, at.epoch, &mut self.groups);
        let total = scalar(&loss.total);
        if !total.is_finite() {
            let (cases, At { epoch, step, .. }) = (batch.case_ids.join(", "), at);
            return Err(TrainError::NotFinite { loss: total, epoch, step, cases });
        }
        let found = StepLoss {
            total: f64::from(total),
            mask: loss.mask.as_ref().map(|mask| f64::from(scalar(mask))),
            label: f64::from(scalar(&loss.label)),
        };
        self.profile.forward += begin.elapsed();
        let begin = Instant::now();
        let gradients = GradientsParams::from_grads(loss.total.backward(), &self.network);
        self.profile.backward += begin.elapsed();
        let begin = Instant::now();
        let (gradients, _) = clip_gradients(&self.network, gradients, at.max_gradient_norm);
        self.network = self.optimizer.step(at.learning_rate, self.network, gradients);
        self.average = self.average.map(|average| average.update(&self.network, at.step_in_all));
        self.profile.update += begin.elapsed();
        Ok((self, found))
    }
}

fn scalar(tensor: &Tensor<1>) -> f32 {
    tensor.clone().into_scalar()
}
