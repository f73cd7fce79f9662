//! AdamW, one pass over parameters, gradients and both moments, in place.

use burn::optim::{AdamW, AdamWConfig, AdamWState, AdaptiveMomentumState, LearningRate, Optimizer};
use burn::tensor::{Device, Tensor};
use burn_flex::FlexTensor;
use rayon::prelude::*;

use crate::extension::{Step, adamw_step};
use crate::is_cpu;

/// Numbers of a task.
const PART: usize = 1 << 14;

/// Decoupled weight decay (Loshchilov and Hutter, ICLR 2019, algorithm 2).
///
/// The same steps as Burn's [`AdamW`] with β₁ 0.9, β₂ 0.999, ε 1e-5, and the same state, so that
/// checkpoints of one are read by the other. On other devices than the CPU it is Burn's.
#[derive(Clone)]
pub struct FusedAdamW {
    weight_decay: f32,
    stock: AdamW,
}

const BETA_1: f32 = 0.9;
const BETA_2: f32 = 0.999;
const EPSILON: f32 = 1e-5;

impl FusedAdamW {
    /// The optimizer with this weight decay, relative to the learning rate.
    pub fn new(weight_decay: f32) -> Self {
        let config = AdamWConfig::new()
            .with_beta_1(BETA_1)
            .with_beta_2(BETA_2)
            .with_epsilon(EPSILON)
            .with_weight_decay(weight_decay);
        Self { weight_decay, stock: config.build() }
    }
}

impl Optimizer for FusedAdamW {
    type State<const D: usize> = AdamWState<D>;

    fn step<const D: usize>(
        &self,
        rate: LearningRate,
        tensor: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<AdamWState<D>>,
    ) -> (Tensor<D>, Option<AdamWState<D>>) {
        // The first step makes the state.
        let momentum = match state {
            Some(state) if is_cpu(&tensor.device()) => state.momentum,
            state => return self.stock.step(rate, tensor, gradient, state),
        };
        let step = Step { rate, decay: f64::from(self.weight_decay), time: momentum.time + 1 };
        let (tensor, moment_1, moment_2) =
            adamw_step(tensor, gradient, momentum.moment_1, momentum.moment_2, step);
        let momentum = AdaptiveMomentumState::new(step.time, moment_1, moment_2);
        (tensor, Some(AdamWState::new(momentum)))
    }

    fn to_device<const D: usize>(state: AdamWState<D>, device: &Device) -> AdamWState<D> {
        AdamW::to_device(state, device)
    }
}

/// One step on the CPU: parameters and moments are overwritten where nobody else holds them.
pub(crate) fn step(
    mut tensor: FlexTensor,
    gradient: &FlexTensor,
    mut moment_1: FlexTensor,
    mut moment_2: FlexTensor,
    step: Step,
) -> (FlexTensor, FlexTensor, FlexTensor) {
    let time = step.time as i32;
    let correction_1 = 1.0 / (1.0 - BETA_1.powi(time));
    let correction_2 = 1.0 / (1.0 - BETA_2.powi(time));
    let keep = (1.0 - step.rate * step.decay) as f32;
    let rate = step.rate as f32;
    let gradients = gradient.storage::<f32>();
    tensor
        .storage_mut::<f32>()
        .par_chunks_mut(PART)
        .zip(moment_1.storage_mut::<f32>().par_chunks_mut(PART))
        .zip(moment_2.storage_mut::<f32>().par_chunks_mut(PART))
        .zip(gradients.par_chunks(PART))
        .for_each(|(((x, m), v), g)| {
            for (((x, m), v), g) in x.iter_mut().zip(m).zip(v).zip(g) {
                *m = BETA_1 * *m + (1.0 - BETA_1) * g;
                *v = BETA_2 * *v + (1.0 - BETA_2) * (g * g);
                let update = *m * correction_1 / ((*v * correction_2).sqrt() + EPSILON);
                *x = *x * keep - rate * update;
            }
        });
    (tensor, moment_1, moment_2)
}
