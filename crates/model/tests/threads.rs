//! The same seed gives the same weights on any number of threads.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor, TensorData};
use hemex_kernels::{Algorithm, FusedAdamW, Level, Plan, mask_losses};
use hemex_model::{Dims, Network, NetworkKind, NetworkSpec};
use serde_json::json;

/// The bits of every weight.
#[derive(Default)]
struct Bits(Vec<u32>);

impl ModuleVisitor for Bits {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.extend(param.val().into_data().iter::<f32>().map(f32::to_bits));
    }
}

/// Weights after 20 steps of a network that segments and classifies.
fn weights(kind: NetworkKind, dims: Dims, window: [usize; 3]) -> Vec<u32> {
    let mut spec = json!({
        "kind": kind, "dims": dims, "channels": [8, 16, 32], "n_groups": 8,
        "n_planar_levels": u8::from(dims == Dims::Volumes), "pooling": "mean_max", "window": window,
        "input": { "windows_hu": [[0.0, 100.0]], "brain_only": false, "n_neighbours": 0 },
    });
    if kind == NetworkKind::SwinUnet {
        spec["attention"] = json!({ "window": [6, 5], "head_channels": 8 });
    }
    let spec: NetworkSpec = serde_json::from_value(spec).unwrap_or_else(|e| panic!("{e}"));
    let device = Device::flex().autodiff();
    let mut network = Network::new(&spec, 5, &device);
    let mut optimizer = ModuleOptimizer::from(FusedAdamW::new(0.01));
    let [d, h, w] = window;
    let numbers: Vec<f32> = (0..4 * d * h * w).map(|i| (i as f32 * 0.37).sin()).collect();
    let x = Tensor::<5>::from_data(TensorData::new(numbers, [4, 1, d, h, w]), &device);
    let mask = x.clone().greater_elem(0.8).float();
    for _ in 0..20 {
        let output = network.forward(x.clone());
        let (Some(logits), Some(growth)) = (output.mask_logits, output.growth_logit) else {
            panic!("no mask, or no logit")
        };
        let loss = mask_losses(logits, mask.clone()).sum() + growth.square().sum();
        let gradients = GradientsParams::from_grads(loss.backward(), &network);
        network = optimizer.step(1e-3, network, gradients);
    }
    let mut bits = Bits::default();
    network.visit(&mut bits);
    bits.0
}

#[test]
fn weights_do_not_depend_on_the_number_of_threads() {
    for (kind, dims, window) in [
        (NetworkKind::JointUnet, Dims::Slices, [1, 48, 40]),
        (NetworkKind::JointUnet, Dims::Volumes, [8, 24, 16]),
        (NetworkKind::SwinUnet, Dims::Slices, [1, 48, 40]),
    ] {
        for level in Level::available() {
            let plan = Plan { level, algorithm: Algorithm::Auto };
            let on = |n_threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build();
                let pool = pool.unwrap_or_else(|e| panic!("{e}"));
                pool.install(|| plan.force(|| weights(kind, dims, window)))
            };
            let one = on(1);
            assert!(one.len() > 1000);
            for n_threads in [2, 4] {
                assert!(one == on(n_threads), "{kind:?} {dims:?} {level:?} on {n_threads} threads");
            }
            assert!(one == on(2), "{kind:?} {dims:?} {level:?}, once more");
        }
    }
}
