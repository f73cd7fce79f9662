use std::time::Instant;

use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams, ModuleOptimizer};
use burn::tensor::Tensor;
use hemex_model::Network;

use crate::align::{AlignLoss, Aligner};
use crate::average::Average;
use crate::history::TransplantRow;
use crate::loss::{JointLoss, LossState};
use crate::profile::Profile;
use crate::sample::Batch;
use crate::{Precision, TrainError, clip_gradients};

/// What learns: the weights, and what goes with them from step to step.
pub(crate) struct Learner {
    pub(crate) network: Network,
    /// In what its levels are worked out while it learns.
    pub(crate) precision: Precision,
    /// Of the weights, where one is kept.
    pub(crate) average: Option<Average>,
    pub(crate) state: LossState,
    /// Of the batches since the last step.
    pub(crate) gradients: GradientsAccumulator<Network>,
    pub(crate) optimizer: ModuleOptimizer,
    /// What makes source and target alike, where it is asked for.
    pub(crate) aligner: Option<Aligner>,
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
    /// Batches in the step.
    pub(crate) n_batches: usize,
}

/// The losses of a batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StepLoss {
    pub(crate) total: f64,
    /// Unweighted, of a network that segments.
    pub(crate) mask: Option<f64>,
    /// Unweighted; 0 for a network that tells none, and where no window of the batch counts.
    pub(crate) label: f64,
    /// Whether one does.
    pub(crate) has_label: bool,
    /// Unweighted, of a network that reconstructs; known where the weights of the tasks are learnt.
    pub(crate) reconstruction: Option<f64>,
    /// Unweighted, where domains are aligned.
    pub(crate) align: Option<f64>,
    /// Unweighted, where windows have readings of signs; known where the weights of the tasks are learnt.
    pub(crate) sign: Option<f64>,
    /// Unweighted, where the mask at follow-up is told and known of a window.
    pub(crate) followup: Option<f64>,
}

/// Means over the batches of an epoch.
#[derive(Default)]
pub(crate) struct EpochLoss {
    pub(crate) total: f64,
    pub(crate) mask: Option<f64>,
    pub(crate) label: f64,
    pub(crate) align: Option<f64>,
    /// Its sum, and over how many: the batches in which the mask at follow-up is known of a window.
    followup: (f64, usize),
    /// Hematomas that were planted.
    pub(crate) transplants: Vec<TransplantRow>,
}

impl EpochLoss {
    pub(crate) fn add(&mut self, batch: StepLoss, n_batches: usize) {
        self.total += batch.total / n_batches as f64;
        self.label += batch.label / n_batches as f64;
        if let Some(mask) = batch.mask {
            *self.mask.get_or_insert(0.0) += mask / n_batches as f64;
        }
        if let Some(align) = batch.align {
            *self.align.get_or_insert(0.0) += align / n_batches as f64;
        }
        if let Some(followup) = batch.followup {
            let (sum, n) = &mut self.followup;
            *sum += followup;
            *n += 1;
        }
    }

    /// Mean over the batches that have it; `None` where none has.
    pub(crate) fn followup(&self) -> Option<f64> {
        let (sum, n) = self.followup;
        (n > 0).then(|| sum / n as f64)
    }
}

impl Learner {
    /// The weights that are validated and stored.
    pub(crate) fn evaluated(&self) -> Network {
        self.average.as_ref().map_or_else(|| self.network.valid(), |a| a.network.clone())
    }

    /// Takes a step after one batch.
    pub(crate) fn step(
        mut self,
        loss: &JointLoss<'_>,
        batch: &Batch,
        at: At,
    ) -> Result<(Self, StepLoss), TrainError> {
        let found = self.learn(loss, batch, at)?;
        Ok((self.update(at), found))
    }

    /// Keeps what a batch says of the next step.
    pub(crate) fn learn(
        &mut self,
        loss: &JointLoss<'_>,
        batch: &Batch,
        at: At,
    ) -> Result<StepLoss, TrainError> {
        let begin = Instant::now();
        let output =
            self.network.forward_training(batch.input.clone().cast(self.precision.dtype()));
        let rate = loss.weights.task_rate;
        let mut loss = loss.of(output, batch, at, &mut self.state);
        let align = self.align(batch, at);
        if let Some(align) = &align {
            loss.total = loss.total + align.added.clone();
        }
        let total = scalar(&loss.total);
        if !total.is_finite() {
            let (cases, At { epoch, step, .. }) = (batch.case_ids.join(", "), at);
            return Err(TrainError::NotFinite { loss: total, epoch, step, cases });
        }
        let of_task = |loss: &Option<Tensor<1>>| {
            loss.as_ref().filter(|_| rate > 0.0).map(|loss| f64::from(scalar(loss)))
        };
        let found = StepLoss {
            total: f64::from(total),
            mask: loss.mask.as_ref().map(|mask| f64::from(scalar(mask))),
            label: f64::from(scalar(&loss.label)),
            has_label: loss.has_label,
            align: align.map(|align| f64::from(scalar(&align.found))),
            reconstruction: of_task(&loss.reconstruction),
            sign: of_task(&loss.sign),
            followup: loss.followup.as_ref().map(|followup| f64::from(scalar(followup))),
        };
        if rate > 0.0 {
            self.state.tasks.learn(&found, rate);
        }
        self.profile.forward += begin.elapsed();
        let begin = Instant::now();
        let total = match at.n_batches {
            1 => loss.total,
            n => loss.total.div_scalar(n as f64),
        };
        let mut gradients = total.backward();
        if let Some(aligner) = &mut self.aligner {
            aligner.accumulate(&mut gradients);
        }
        let gradients = GradientsParams::from_grads(gradients, &self.network);
        self.gradients.accumulate(&self.network, gradients);
        self.profile.backward += begin.elapsed();
        Ok(found)
    }

    /// What source and target windows beside the batch cost, where domains are aligned.
    fn align(&self, batch: &Batch, at: At) -> Option<AlignLoss> {
        let (aligner, windows) = (self.aligner.as_ref()?, batch.beside.clone()?);
        let features = self.network.forward(windows.cast(self.precision.dtype())).features?;
        Some(aligner.loss(features, at.step_in_all))
    }

    /// Takes a step after what was learnt since the last.
    pub(crate) fn update(mut self, at: At) -> Self {
        let begin = Instant::now();
        let gradients = self.gradients.grads();
        let (gradients, _) = clip_gradients(&self.network, gradients, at.max_gradient_norm);
        self.network = self.optimizer.step(at.learning_rate, self.network, gradients);
        self.aligner = self.aligner.map(|aligner| aligner.update(&mut self.optimizer, at));
        self.average = self.average.map(|average| average.update(&self.network, at.step_in_all));
        self.profile.update += begin.elapsed();
        self
    }
}

fn scalar(tensor: &Tensor<1>) -> f32 {
    tensor.clone().into_scalar()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
pub(crate) mod tests {
    use burn::tensor::{Device, TensorData};
    use hemex_kernels::FusedAdamW;
    use hemex_model::NetworkSpec;

    use super::*;
    use crate::RawConfig;
    use crate::across::GroupWeights;
    use crate::config::RawLoss;
    use crate::loss::GrowthLoss;
    use crate::tasks::TaskWeights;

    fn loss(task_rate: f64) -> RawLoss {
        let text = include_str!("../../../configs/train.toml");
        let raw: RawConfig = toml::from_str(text).unwrap();
        RawLoss { task_rate, ..raw.loss }
    }

    fn learner(kind: &str, loss: &RawLoss) -> Learner {
        let spec = serde_json::json!({
            "kind": kind, "dims": "2d", "channels": [4, 4], "n_groups": 2, "n_planar_levels": 0,
            "pooling": "mean", "window": [1, 8, 8],
            "input": { "windows_hu": [[0.0, 80.0]], "brain_only": false, "n_neighbours": 0 },
        });
        let spec: NetworkSpec = serde_json::from_value(spec).unwrap();
        Learner {
            network: Network::new(&spec, 1, &Device::flex().autodiff()),
            precision: Precision::Single,
            average: None,
            state: LossState { groups: GroupWeights::new(1), tasks: TaskWeights::new(loss) },
            gradients: GradientsAccumulator::new(),
            optimizer: ModuleOptimizer::from(FusedAdamW::new(0.0)),
            aligner: None,
            profile: Profile::default(),
        }
    }

    fn batch(windows: std::ops::Range<usize>) -> Batch {
        let (n, device) = (windows.len(), Device::flex().autodiff());
        let volume = |value: &dyn Fn(usize) -> f32| {
            let values: Vec<f32> = (64 * windows.start..64 * windows.end).map(value).collect();
            Tensor::from_data(TensorData::new(values, [n, 1, 1, 8, 8]), &device)
        };
        let input = volume(&|i| (i as f32 * 0.37).sin());
        let mask = volume(&|i| f32::from(u8::from(i % 5 == 0)));
        Batch::of(input, mask, windows.clone().map(|window| window % 3 == 0).collect())
    }

    pub(crate) fn at(n_batches: usize) -> At {
        At {
            epoch: 0,
            step: 0,
            step_in_all: 0,
            learning_rate: 0.1,
            max_gradient_norm: 1.0,
            n_batches,
        }
    }

    /// What windows cost in bfloat16 is near what they cost in single precision, and a step is taken down nearly the same
    /// gradient, of single precision again.
    #[test]
    fn a_step_in_bfloat16_is_nearly_that_in_single_precision() {
        let raw = loss(0.0);
        let growth = GrowthLoss::new(&raw, [4, 4], 0.0).unwrap();
        let joint = JointLoss { weights: &raw, growth };
        let learnt = |precision| {
            let mut learner = Learner { precision, ..learner("joint_unet", &raw) };
            let found = learner.learn(&joint, &batch(0..8), at(1)).unwrap();
            let gradients = learner.gradients.grads();
            let (_, norm) = clip_gradients(&learner.network, gradients, f64::MAX);
            (found.total, norm)
        };
        let (exact, rounded) = (learnt(Precision::Single), learnt(Precision::Bfloat16));
        assert!(exact.0 != rounded.0 && (exact.0 / rounded.0 - 1.0).abs() < 0.01);
        assert!((exact.1 / rounded.1 - 1.0).abs() < 0.05, "{exact:?} {rounded:?}");
    }

    /// The norm of the gradient of these batches (first window and end), and what the network says of growth after a step down it.
    fn told(batches: &[[usize; 2]]) -> (f64, Vec<f32>) {
        let raw = loss(0.0);
        let growth = GrowthLoss::new(&raw, [4, 4], 0.0).unwrap();
        let loss = JointLoss { weights: &raw, growth };
        let mut learner = learner("vgg", &raw);
        for &[first, end] in batches {
            learner.learn(&loss, &batch(first..end), at(batches.len())).unwrap();
        }
        let gradients = learner.gradients.grads();
        let (gradients, norm) = clip_gradients(&learner.network, gradients, f64::MAX);
        learner.gradients.accumulate(&learner.network, gradients);
        let learner = learner.update(at(batches.len()));
        let output = learner.network.forward(batch(0..8).input);
        (norm, output.growth_logit.unwrap().into_data().try_into_vec::<f32>().unwrap())
    }

    #[test]
    fn the_halves_of_a_batch_make_the_step_of_the_whole() {
        let (norm, whole) = told(&[[0, 8]]);
        let (norm_of_halves, halves) = told(&[[0, 4], [4, 8]]);
        let (_, half) = told(&[[0, 4]]);
        assert!((norm_of_halves / norm - 1.0).abs() < 1e-4, "{norm_of_halves} {norm}");
        let distance = |a: &[f32], b: &[f32]| {
            a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0f32, f32::max)
        };
        // AdamW's first step has one length for all weights: where a gradient is near 0, rounding tells its sign.
        assert!(distance(&whole, &halves) < 1e-3, "{whole:?} {halves:?}");
        assert!(distance(&whole, &half) > 0.02, "{whole:?} {half:?}");
    }

    /// What the label adds beside the mask: of eight steps a quarter in the second, all from the eighth on.
    #[test]
    fn the_label_weighs_more_from_step_to_step() {
        let raw = RawLoss { label_warmup_steps: 8, label_weight: 0.6, ..loss(0.0) };
        let growth = GrowthLoss::new(&raw, [4, 4], 0.0).unwrap();
        let joint = JointLoss { weights: &raw, growth };
        for (step_in_all, share) in [(1, 0.25), (7, 1.0), (100, 1.0)] {
            let at = At { step_in_all, ..at(1) };
            let found = learner("joint_unet", &raw).learn(&joint, &batch(0..8), at).unwrap();
            let expected = raw.mask_weight * found.mask.unwrap() + 0.6 * share * found.label;
            assert!((found.total - expected).abs() < 1e-5, "{found:?}");
        }
    }

    #[test]
    fn weights_of_tasks_move_where_they_are_learnt() {
        for rate in [0.0, 0.1] {
            let raw = loss(rate);
            let growth = GrowthLoss::new(&raw, [4, 4], 0.0).unwrap();
            let joint = JointLoss { weights: &raw, growth };
            let before = TaskWeights::new(&raw);
            let (learner, found) =
                learner("joint_unet", &raw).step(&joint, &batch(0..8), at(1)).unwrap();
            let expected = |weight: f64, loss: f64| weight * (rate * (0.5 - weight * loss)).exp();
            let tasks = learner.state.tasks;
            assert_eq!(tasks.mask, expected(before.mask, found.mask.unwrap()));
            assert_eq!(tasks.label, expected(before.label, found.label));
            assert_eq!(tasks.reconstruction, before.reconstruction);
        }
    }

    #[test]
    fn a_batch_without_a_hematoma_does_not_move_the_weight_of_growth() {
        let raw = loss(0.1);
        let growth = GrowthLoss::new(&raw, [4, 4], 0.0).unwrap();
        let joint = JointLoss { weights: &raw, growth };
        let before = TaskWeights::new(&raw);
        let step = |kind| {
            let batch = batch(0..8).showing_nothing();
            learner(kind, &raw).step(&joint, &batch, at(1)).unwrap()
        };
        let (learner, found) = step("joint_unet");
        let tasks = learner.state.tasks;
        assert_eq!((found.label, tasks.label), (0.0, before.label));
        assert_ne!(tasks.mask, before.mask);
        // That it shows none is a label of its own for a network without a mask.
        assert_ne!(step("vgg").0.state.tasks.label, before.label);
    }
}
