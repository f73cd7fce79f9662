use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Tensor, TensorData};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::{Distribution, Normal};

/// Spread of the weights of a transformer, and of its biases by position, as in the code of Liu et al., ICCV 2021.
const TRANSFORMER_SIGMA: f64 = 0.02;

/// Share of lesion voxels that a network starts from.
const LESION_PRIOR: f32 = 0.02;

/// Draws the weights anew: normal with variance 2 / fan-in (He et al., ICCV 2015, eq. 10), biases 0,
/// scales and shifts of normalisations 1 and 0. Those of a transformer have a spread of their own.
///
/// The bias of a head that segments starts at the logit of the share of lesion voxels (Lin et al., ICCV
/// 2017, section 3.3): from 0, the first steps would do little but push every voxel down, and with few
/// channels switch off for good the features that lesions need.
///
/// Every tensor has a generator of its own, seeded by `seed` and its path in the module, so that a
/// layer's weights depend neither on the device nor on the layers before it.
pub fn initialise<M: Module>(module: M, seed: u64) -> M {
    module.map(&mut Initialiser { seed, path: Vec::new(), containers: Vec::new() })
}

struct Initialiser {
    seed: u64,
    path: Vec<String>,
    containers: Vec<String>,
}

impl ModuleMapper for Initialiser {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.push(name.to_owned());
        self.containers.push(container_type.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
        self.containers.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = self.path.last().map(String::as_str).unwrap_or_default();
        if name == "gamma" || name == "beta" {
            return param;
        }
        let dims = param.dims();
        let values = match name {
            "bias" => {
                let is_head = self.path.iter().any(|part| part.starts_with("segment"));
                let bias = if is_head { (LESION_PRIOR / (1.0 - LESION_PRIOR)).ln() } else { 0.0 };
                vec![bias; dims.iter().product()]
            }
            _ => self.draw(&dims),
        };
        param.map(|tensor| {
            let device = tensor.device();
            let data = TensorData::new(values, dims);
            let tensor = Tensor::from_data(data, &device.clone().inner());
            if device.is_autodiff() { Tensor::from_inner(tensor).require_grad() } else { tensor }
        })
    }
}

impl Initialiser {
    fn draw(&self, dims: &[usize]) -> Vec<f32> {
        let transposed = self.containers.iter().any(|c| c.contains("UpConv"));
        let fan_in: usize = match dims {
            // Linear layers hold [in, out].
            [inputs, _] => *inputs,
            // A transposed convolution whose stride is its kernel reads each input voxel once.
            [inputs, ..] if transposed => *inputs,
            [_, rest @ ..] => rest.iter().product(),
            [] => 1,
        };
        // A fan-in is at least 1.
        let sigma = match self.containers.iter().any(|c| c.contains("SwinStage")) {
            true => TRANSFORMER_SIGMA,
            false => (2.0 / fan_in.max(1) as f64).sqrt(),
        };
        let mut rng = ChaCha8Rng::from_seed(self.seed_bytes());
        // It is finite and positive.
        let Ok(normal) = Normal::new(0.0, sigma) else {
            return vec![0.0; dims.iter().product()];
        };
        (0..dims.iter().product()).map(|_| normal.sample(&mut rng) as f32).collect()
    }

    /// FNV-1a over the path, four times with another start, beside the seed.
    fn seed_bytes(&self) -> [u8; 32] {
        let path = self.path.join(".");
        let mut bytes = [0; 32];
        for (lane, chunk) in bytes.chunks_exact_mut(8).enumerate() {
            let start = 0xcbf2_9ce4_8422_2325 ^ self.seed.rotate_left(16 * lane as u32);
            let hash = path.bytes().fold(start.wrapping_add(lane as u64), |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
            chunk.copy_from_slice(&hash.to_le_bytes());
        }
        bytes
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use burn::module::ModuleVisitor;
    use burn::tensor::Device;

    use super::*;
    use crate::spec::tests::raw;
    use crate::{Dims, Network, NetworkKind, NetworkSpec, RawNetworkSpec};

    /// Path, extent and mean square of every parameter.
    #[derive(Default)]
    struct Spread {
        path: Vec<String>,
        found: Vec<(String, Vec<usize>, f64)>,
    }

    impl ModuleVisitor for Spread {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.push(name.to_owned());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let square: f32 = param.val().square().mean().into_scalar();
            self.found.push((self.path.join("."), param.dims().to_vec(), f64::from(square)));
        }
    }

    /// Of each kind of layer the inputs that an output adds up.
    #[test]
    fn the_spread_of_weights_is_that_of_he_et_al() {
        let spec = NetworkSpec::try_from(raw(NetworkKind::JointUnet, Dims::Volumes)).unwrap();
        let network = Network::new(&spec, 3, &Device::flex());
        let mut spread = Spread::default();
        network.visit(&mut spread);
        let mut n_kinds = [0; 3];
        for (path, dims, square) in spread.found {
            let (kind, fan_in) = match &dims[..] {
                [n_in, _, _, _, _] if path.contains("up.") => (0, *n_in),
                [_, rest @ .., _, _] if rest.len() == 2 => (1, rest.iter().product::<usize>() * 9),
                [n_in, _] => (2, *n_in),
                _ => continue,
            };
            let n: usize = dims.iter().product();
            if n < 500 || path.contains("segment") {
                continue;
            }
            n_kinds[kind] += 1;
            let expected = 2.0 / fan_in as f64;
            // A mean square of n numbers is off by a share of √(2 / n), a standard deviation.
            let tolerance = 5.0 * expected * (2.0 / n as f64).sqrt();
            assert!((square - expected).abs() < tolerance, "{path} {dims:?}: {square}, {expected}");
        }
        assert!(n_kinds[0] > 0 && n_kinds[1] > 0, "{n_kinds:?}");
    }

    /// Squares of the logit of 2 %; other biases are 0.
    #[test]
    fn every_head_that_segments_begins_at_the_share_of_lesion() {
        let raw = RawNetworkSpec {
            deep_supervision: true,
            followup: true,
            ..raw(NetworkKind::JointUnet, Dims::Slices)
        };
        let mut spread = Spread::default();
        let spec = NetworkSpec::try_from(raw).unwrap();
        Network::new(&spec, 3, &Device::flex()).visit(&mut spread);
        let mut of_heads = Vec::new();
        for (path, _, square) in spread.found.iter().filter(|(path, ..)| path.ends_with("bias")) {
            match path.contains("segment") {
                true => of_heads.push(*square),
                false => assert_eq!(*square, 0.0, "{path}"),
            }
        }
        assert_eq!(of_heads.len(), 3);
        assert!(of_heads.iter().all(|square| (square - 49f64.ln().powi(2)).abs() < 1e-4));
    }

    #[test]
    fn the_spread_of_a_transformer_is_its_own() {
        let spec = NetworkSpec::try_from(raw(NetworkKind::SwinUnet, Dims::Slices)).unwrap();
        let mut spread = Spread::default();
        Network::new(&spec, 3, &Device::flex()).visit(&mut spread);
        let is_drawn = |path: &str| path.ends_with("weight") || path.ends_with("relative_bias");
        let drawn =
            spread.found.iter().filter(|(path, ..)| path.contains("stages") && is_drawn(path));
        let mut n_drawn = 0;
        for (path, dims, square) in drawn {
            let n: usize = dims.iter().product();
            let tolerance = 5.0 * 4e-4 * (2.0 / n as f64).sqrt();
            assert!((square - 4e-4).abs() < tolerance, "{path}: {square}");
            n_drawn += 1;
        }
        // Of two stages: merging, and of two blocks each five.
        assert_eq!(n_drawn, 2 * (1 + 2 * 5));
    }
}
