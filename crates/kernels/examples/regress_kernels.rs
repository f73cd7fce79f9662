//! Golden figures of every operation and its gradients; `cargo xtask regress -p kernels`.
#![expect(clippy::unwrap_used, reason = "a failed figure may panic")]

use burn::tensor::{Device, Tensor, TensorData};
use hemex_kernels::{
    NormSettings, conv, conv_pair, mask_losses, max_pool, norm, norm_conv, pointwise, up_conv,
};

/// Numbers that repeat nowhere near.
fn tensor<const D: usize>(dims: [usize; D], phase: f32) -> Tensor<D> {
    let n: usize = dims.iter().product();
    let numbers: Vec<f32> = (0..n).map(|i| (i as f32 * 1.618 + phase).sin()).collect();
    let device = Device::flex().autodiff();
    Tensor::from_data(TensorData::new(numbers, dims), &device).require_grad()
}

/// The root mean square of an operation's output, and of the gradient to each input of `Σ y²`.
fn figures(name: &str, y: Tensor<5>, inputs: &[(&str, &Tensor<5>)]) {
    let rms = |x: Tensor<5>| x.square().mean().sqrt().into_scalar::<f32>();
    println!("{name} {}", rms(y.clone()));
    let gradients = y.square().sum().backward();
    for (input, x) in inputs {
        println!(
            "{name}_gradient_{input} {}",
            rms(Tensor::from_inner(x.grad(&gradients).unwrap()))
        );
    }
}

fn main() {
    let settings = NormSettings { n_groups: 4, epsilon: 1e-5, slope: 0.01 };
    let affine = || [tensor([8], 1.0), tensor([8], 2.0)];
    let [x, skip] = [tensor([2, 3, 11, 18, 8], 0.0), tensor([2, 3, 11, 18, 5], 3.0)];
    let weight = tensor([20, 8, 3, 3, 3], 4.0);
    let y = conv(x.clone(), weight.clone()).into_tensor();
    figures("conv", y, &[("x", &x), ("weight", &weight)]);
    let wide = tensor([20, 13, 1, 3, 3], 5.0);
    let y = conv_pair(x.clone(), skip.clone(), wide.clone()).into_tensor();
    figures("conv_pair", y, &[("x", &x), ("skip", &skip), ("weight", &wide)]);
    let y = norm_conv(x.clone(), affine(), weight.clone(), settings).into_tensor();
    figures("norm_conv", y, &[("x", &x), ("weight", &weight)]);
    figures("norm", norm(x.clone(), affine(), settings), &[("x", &x)]);
    figures("max_pool", max_pool(x.clone(), [1, 2, 2]), &[("x", &x)]);
    let up = tensor([8, 6, 2, 2, 2], 6.0);
    let y = up_conv(x.clone(), up.clone(), tensor([6], 7.0));
    figures("up_conv", y, &[("x", &x), ("weight", &up)]);
    let head = tensor([1, 8, 1, 1, 1], 8.0);
    let logits = || pointwise(x.clone(), head.clone(), tensor([1], 9.0));
    figures("pointwise", logits(), &[("x", &x), ("weight", &head)]);
    let targets = tensor([2, 3, 11, 18, 1], 0.5).detach().greater_elem(0.6).float();
    let losses = mask_losses(logits(), targets).reshape([1, 1, 1, 1, 2]);
    figures("mask_losses", losses, &[("x", &x)]);
}
