use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use hemex_model::Network;

/// An exponential moving average of the weights over the steps (Polyak and Juditsky, SIAM J Control Optim 30, 1992,
/// 838–855, in its exponential form).
///
/// The first steps count less than they would: the decay of step `t` (from 0) is `min(decay, (1 + t) / (10 + t))`, so
/// that what the weights were before the training is soon forgotten.
#[derive(Debug, Clone)]
pub(crate) struct Average {
    pub(crate) network: Network,
    decay: f64,
}

impl Average {
    /// Starts at these weights.
    pub(crate) fn new(network: Network, decay: f64) -> Self {
        Self { network, decay }
    }

    /// Takes in the weights after step `step`, counted from 0 over the whole training.
    pub(crate) fn update(self, network: &Network, step: usize) -> Self {
        let decay = self.decay.min((1 + step) as f64 / (10 + step) as f64);
        let mut latest = Weights(GradientsParams::new());
        network.visit(&mut latest);
        let mut blend = Blend { latest: latest.0, decay };
        Self { network: self.network.map(&mut blend), decay: self.decay }
    }
}

/// Tensors by parameter, on their device: Burn's container of gradients holds any.
struct Weights(GradientsParams);

impl ModuleVisitor for Weights {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let weights = param.val();
        let weights = if weights.device().is_autodiff() { weights.inner() } else { weights };
        self.0.register::<D>(param.id, weights);
    }
}

struct Blend {
    latest: GradientsParams,
    decay: f64,
}

impl ModuleMapper for Blend {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        // The average is a copy of the network: it has the same parameters.
        let Some(latest) = self.latest.remove::<D>(param.id) else { return param };
        param.map(|average| average.mul_scalar(self.decay) + latest.mul_scalar(1.0 - self.decay))
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
        let average = Average::new(start.clone(), 0.75).update(&first, 0).update(&second, 1000);
        let expected = 0.75 * 0.9 + 0.25 * 3.0;
        for (found, start) in values(&average.network).iter().zip(values(&start)) {
            assert!((found - start - expected).abs() < 1e-5, "{found} from {start}");
        }
    }
}
