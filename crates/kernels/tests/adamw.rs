//! The fused AdamW against Burn's, step by step.

use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor};
use hemex_kernels::FusedAdamW;

/// Weights after some steps on the same gradients.
fn train(mut optimizer: ModuleOptimizer, mut layer: Linear, n_steps: usize) -> Vec<f32> {
    let device = Device::flex().autodiff();
    for step in 0..n_steps {
        let x = Tensor::<2>::full([2, 5], 0.1 * step as f32 - 0.7, &device);
        let loss = layer.forward(x).square().sum();
        let gradients = GradientsParams::from_grads(loss.backward(), &layer);
        layer = optimizer.step(1e-2, layer, gradients);
    }
    layer.weight.val().into_data().iter::<f32>().collect()
}

#[test]
fn it_takes_the_steps_of_burns() {
    let device = Device::flex().autodiff();
    let layer: Linear = LinearConfig::new(5, 7).init(&device);
    let stock = AdamWConfig::new().with_weight_decay(0.05).init();
    let expected = train(stock, layer.clone(), 25);
    let found = train(ModuleOptimizer::from(FusedAdamW::new(0.05)), layer.clone(), 25);
    let start: Vec<f32> = layer.weight.val().into_data().iter::<f32>().collect();
    for (found, expected) in found.iter().zip(&expected) {
        assert!((found - expected).abs() <= 2e-5, "{found} in place of {expected}");
    }
    // Not each of them: the input changes its sign, and a weight may come back to where it was.
    let n_moved = expected.iter().zip(&start).filter(|(end, start)| (*end - *start).abs() > 1e-3);
    assert!(2 * n_moved.count() > start.len(), "most weights have not moved");
}

/// A checkpoint holds the moments: going on from it is as if nothing had happened.
#[test]
fn weights_that_somebody_else_holds_are_left_alone() {
    let device = Device::flex().autodiff();
    let layer: Linear = LinearConfig::new(5, 7).init(&device);
    let before: Vec<f32> = layer.weight.val().into_data().iter::<f32>().collect();
    let held = layer.clone();
    train(ModuleOptimizer::from(FusedAdamW::new(0.05)), layer, 5);
    assert_eq!(held.weight.val().into_data().iter::<f32>().collect::<Vec<_>>(), before);
}
