//! Every operation of a network and its gradients in bfloat16, against single precision.

use burn::tensor::{DType, Device, FloatDType, Tensor, TensorData};
use hemex_kernels::NormSettings;

/// Of the size of the result: bfloat16 has eight bits, and each result is rounded three or four times on its way.
const TOLERANCE: f32 = 0.02;

fn numbers<const D: usize>(dims: [usize; D], phase: f32, device: &Device) -> Tensor<D> {
    let n: usize = dims.iter().product();
    // Neighbours in no relation: sums that nearly cancel would keep little but what was rounded.
    let number = |i: usize| ((i as f32 + phase) * 12.9898).sin() * 43_758.547;
    let values: Vec<f32> = (0..n).map(|i| 2.0 * number(i).rem_euclid(1.0) - 1.0).collect();
    Tensor::from_data(TensorData::new(values, dims), device)
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// Near, and yet rounded: by the root of the mean square, since sums that cancel keep the errors of what they add.
fn assert_near(found: &[f32], exact: &[f32], what: &str) {
    assert_eq!(found.len(), exact.len(), "{what}");
    let size = |values: &mut dyn Iterator<Item = f32>| values.map(|v| v * v).sum::<f32>().sqrt();
    let error =
        size(&mut found.iter().zip(exact).map(|(a, b)| a - b)) / size(&mut exact.iter().copied());
    assert!(error > 0.0 && error < TOLERANCE, "{what}: {error}");
}

/// Output and gradients of input and weights, from an input in each precision.
fn check(
    what: &str,
    dims: [usize; 5],
    weights: [usize; 5],
    n_out: usize,
    layer: impl Fn(Tensor<5>, Tensor<5>, [Tensor<1>; 2]) -> Tensor<5>,
) {
    let device = Device::flex().autodiff();
    let of = |precision: FloatDType| {
        let x = numbers(dims, 0.3, &device).require_grad();
        let weight = numbers(weights, 1.1, &device).require_grad();
        let affine = [numbers([n_out], 2.0, &device), numbers([n_out], 0.1, &device)];
        let affine = affine.map(Tensor::require_grad);
        let y = layer(x.clone().cast(precision), weight.clone(), affine.clone());
        assert_eq!(FloatDType::from(y.dtype()), precision, "{what}");
        let target = numbers(y.dims(), 0.9, &device);
        let gradients = (y.clone().cast(FloatDType::F32) * target).sum().backward();
        let mut all = vec![values(y.cast(FloatDType::F32))];
        for gradient in [x.grad(&gradients), weight.grad(&gradients)].into_iter().flatten() {
            assert_eq!(gradient.dtype(), DType::F32, "{what}");
            all.push(values(gradient));
        }
        all
    };
    let (exact, rounded) = (of(FloatDType::F32), of(FloatDType::BF16));
    assert_eq!(exact.len(), rounded.len(), "{what}");
    for (part, (exact, rounded)) in exact.iter().zip(&rounded).enumerate() {
        assert_near(rounded, exact, &format!("{what}, output and gradients, number {part}"));
    }
}

#[test]
fn layers_follow_the_precision_of_their_input() {
    let settings = NormSettings { n_groups: 2, epsilon: 1e-5, slope: 0.0 };
    for depth in [1, 3] {
        let (dims, weights) = ([2, depth, 6, 8, 4], [8, 4, depth, 3, 3]);
        check("convolution", dims, weights, 8, |x, weight, _| {
            hemex_kernels::conv(x, weight).into_tensor()
        });
        check("normalised and convolved", dims, [4, 4, depth, 3, 3], 4, |x, weight, affine| {
            hemex_kernels::norm_conv(x, affine, weight, settings).into_tensor()
        });
        check("pair", dims, [8, 8, depth, 3, 3], 8, |x, weight, _| {
            hemex_kernels::conv_pair(x.clone(), x, weight).into_tensor()
        });
    }
    check("up", [2, 1, 3, 4, 4], [4, 6, 1, 2, 2], 6, |x, weight, [bias, _]| {
        hemex_kernels::up_conv(x, weight, bias)
    });
    check("pointwise", [2, 1, 3, 4, 4], [6, 4, 1, 1, 1], 6, |x, weight, [bias, _]| {
        hemex_kernels::pointwise(x, weight, bias)
    });
    check("pooled", [2, 1, 4, 4, 4], [1; 5], 1, |x, _, _| hemex_kernels::max_pool(x, [1, 2, 2]));
    check("normalised", [2, 1, 4, 4, 4], [1; 5], 4, |x, _, affine| {
        hemex_kernels::norm(x, affine, settings)
    });
}
