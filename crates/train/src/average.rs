use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use hemex_model::Network;

use crate::Averaging;

/// An average of the weights over the steps.
#[derive(Debug, Clone)]
pub(crate) struct Average {
    pub(crate) network: Network,
    kind: AverageKind,
}

/// How much of an average is kept from step to step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum AverageKind {
    /// `min(decay, (1 + t) / (10 + t))` at step `t` (from 0): the first steps count less than they would, so that what
    /// the weights were before the training is soon forgotten.
    Exponential { decay: f64 },
    /// What makes it the plain mean from a step on; before, it is the weights themselves.
    Stochastic { from_step: usize },
}

impl AverageKind {
    /// The one asked for, in a training of epochs of so many steps; `None` for none.
    pub(crate) fn of(averaging: Averaging, steps_per_epoch: usize) -> Option<Self> {
        match averaging {
            Averaging::None => None,
            Averaging::Exponential { decay } => Some(Self::Exponential { decay }),
            Averaging::Stochastic { from_epoch } => {
                Some(Self::Stochastic { from_step: from_epoch * steps_per_epoch })
            }
        }
    }

    /// The step whose learning rate is held from there on.
    pub(crate) fn held_from(self) -> Option<usize> {
        match self {
            Self::Exponential { .. } => None,
            Self::Stochastic { from_step } => Some(from_step),
        }
    }

    /// What is kept at step `step`, counted from 0 over the whole training.
    fn kept(self, step: usize) -> f64 {
        match self {
            Self::Exponential { decay } => decay.min((1 + step) as f64 / (10 + step) as f64),
            Self::Stochastic { from_step } => {
                let n_before = step.saturating_sub(from_step) as f64;
                n_before / (n_before + 1.0)
            }
        }
    }
}

impl Average {
    /// Starts at these weights.
    pub(crate) fn new(network: Network, kind: AverageKind) -> Self {
        Self { network, kind }
    }

    /// Takes in the weights after step `step`, counted from 0 over the whole training.
    pub(crate) fn update(self, network: &Network, step: usize) -> Self {
        let kept = self.kind.kept(step);
        let mut latest = Weights(GradientsParams::new());
        network.visit(&mut latest);
        let mut blend = Blend { latest: latest.0, kept };
        Self { network: self.network.map(&mut blend), kind: self.kind }
    }
}

/// Tensors by parameter, on their device: Burn's container of gradients holds any.
struct Weights(GradientsParams);

impl ModuleVisitor for Weights {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let weights = param.val();
        let weights = match weights.device().is_autodiff() {
            // Held as they are: the average has them already, and its rounding would move them.
            true if !weights.is_require_grad() => return,
            true => weights.inner(),
            false => weights,
        };
        self.0.register::<D>(param.id, weights);
    }
}

struct Blend {
    latest: GradientsParams,
    kept: f64,
}

impl ModuleMapper for Blend {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        // The average is a copy of the network: it has the same parameters, but for those that are held.
        let Some(latest) = self.latest.remove::<D>(param.id) else { return param };
        param.map(|average| average.mul_scalar(self.kept) + latest.mul_scalar(1.0 - self.kept))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use burn::tensor::Device;
    use hemex_model::{NetworkSpec, save_weights};

    use super::*;

    fn network(seed: u64) -> Network {
        let spec = serde_json::json!({
            "kind": "vgg", "dims": "2d", "channels": [4, 4], "n_groups": 2, "n_planar_levels": 0,
            "pooling": "mean", "window": [1, 8, 8],
            "input": { "windows_hu": [[0.0, 80.0]], "brain_only": false, "n_neighbours": 0 },
        });
        let spec: NetworkSpec = serde_json::from_value(spec).unwrap();
        Network::new(&spec, seed, &Device::flex())
    }

    /// Every weight, in the order of the file that holds them.
    fn values(network: &Network) -> Vec<f32> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights");
        save_weights(network, &path).unwrap();
        let bytes = std::fs::read(path).unwrap();
        let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let floats = bytes[header..].chunks_exact(4);
        floats.map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
    }

    /// A network with the parameters of another, each moved.
    fn moved(network: &Network, by: f32) -> Network {
        struct Move(f32);
        impl ModuleMapper for Move {
            fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
                param.map(|weights| weights.add_scalar(self.0))
            }
        }
        network.clone().map(&mut Move(by))
    }

    #[test]
    fn steps_fade_by_the_decay() {
        let start = network(1);
        let (first, second) = (moved(&start, 1.0), moved(&start, 3.0));
        // Step 0 forgets nine tenths of the start, a step far on as much as the decay says.
        let kind = AverageKind::Exponential { decay: 0.75 };
        let average = Average::new(start.clone(), kind).update(&first, 0).update(&second, 1000);
        let expected = 0.75 * 0.9 + 0.25 * 3.0;
        for (found, start) in values(&average.network).iter().zip(values(&start)) {
            assert!((found - start - expected).abs() < 1e-5, "{found} from {start}");
        }
    }

    #[test]
    fn the_last_steps_count_alike_and_those_before_not_at_all() {
        let start = network(1);
        let kind = AverageKind::Stochastic { from_step: 4 };
        let steps = [(3, 50.0), (4, 1.0), (5, 2.0), (6, 6.0)];
        let average =
            steps.iter().fold(Average::new(start.clone(), kind), |average, (step, by)| {
                average.update(&moved(&start, *by), *step)
            });
        for (found, start) in values(&average.network).iter().zip(values(&start)) {
            assert!((found - start - 3.0).abs() < 1e-5, "{found} from {start}");
        }
    }
}
