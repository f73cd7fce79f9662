//! The operations composed of Burn's own: what other devices than the CPU run, and what the fast ones
//! are tested against.

use burn::tensor::activation::{leaky_relu, log_sigmoid, sigmoid};
use burn::tensor::module::{conv_transpose3d, conv2d, conv3d, max_pool2d};
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions, MaxPoolOptions};
use burn::tensor::{FloatDType, Tensor};

use crate::NormSettings;

fn channels_first(x: Tensor<5>) -> Tensor<5> {
    x.permute([0, 4, 1, 2, 3])
}

fn channels_last(x: Tensor<5>) -> Tensor<5> {
    x.permute([0, 2, 3, 4, 1])
}

/// See [`conv`](crate::conv()).
pub fn conv(x: Tensor<5>, weight: Tensor<5>) -> Tensor<5> {
    let [b, d, h, w, c] = x.dims();
    let [n_out, n_in, depth, ..] = weight.dims();
    let weight = weight.cast(x.dtype());
    if depth == 1 {
        let planes = x.reshape([b * d, h, w, c]).permute([0, 3, 1, 2]);
        let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
        let y = conv2d(planes, weight.reshape([n_out, n_in, 3, 3]), None, options);
        return y.permute([0, 2, 3, 1]).reshape([b, d, h, w, n_out]);
    }
    let options = ConvOptions::new([1; 3], [depth / 2, 1, 1], [1; 3], 1);
    channels_last(conv3d(channels_first(x), weight, None, options))
}

/// See [`conv_pair`](crate::conv_pair).
pub fn conv_pair(x: Tensor<5>, skip: Tensor<5>, weight: Tensor<5>) -> Tensor<5> {
    conv(Tensor::cat(vec![x, skip], 4), weight)
}

/// See [`norm`](crate::norm()).
pub fn norm(x: Tensor<5>, [gamma, beta]: [Tensor<1>; 2], settings: NormSettings) -> Tensor<5> {
    let ([b, d, h, w, c], dtype) = (x.dims(), x.dtype());
    let NormSettings { n_groups, epsilon, slope } = settings;
    // Squares of many numbers are summed: eight bits of each would not do.
    let groups: Tensor<4> = x.cast(FloatDType::F32).reshape([b, d * h * w, n_groups, c / n_groups]);
    let mean = groups.clone().mean_dims(&[1, 3]);
    let centred = groups - mean;
    let variance = centred.clone().square().mean_dims(&[1, 3]);
    let normal: Tensor<5> =
        (centred / variance.add_scalar(epsilon).sqrt()).reshape([b, d, h, w, c]);
    let y = normal * gamma.reshape([1, 1, 1, 1, c]) + beta.reshape([1, 1, 1, 1, c]);
    leaky_relu(y, f64::from(slope)).cast(dtype)
}

/// See [`norm_conv`](crate::norm_conv).
pub fn norm_conv(
    x: Tensor<5>,
    affine: [Tensor<1>; 2],
    weight: Tensor<5>,
    settings: NormSettings,
) -> Tensor<5> {
    conv(norm(x, affine, settings), weight)
}

/// See [`max_pool`](crate::max_pool).
pub fn max_pool(x: Tensor<5>, stride: [usize; 3]) -> Tensor<5> {
    let [b, d, h, w, c] = x.dims();
    let [sd, sh, sw] = stride;
    let options = MaxPoolOptions::new([sh, sw]).with_stride([sh, sw]);
    let planes = channels_first(x).reshape([b, c * d, h, w]);
    // Burn pools planes only: the depth is pooled by a maximum of its own.
    let y = max_pool2d(planes, options);
    let (pd, ph, pw) = (d / sd, h / sh, w / sw);
    let y: Tensor<4> = y.reshape([b * c, d, 1, ph * pw]).narrow(1, 0, pd * sd);
    let y = y.reshape([b * c, pd, sd, ph * pw]).max_dim(2);
    channels_last(y.reshape([b, c, pd, ph, pw]))
}

/// See [`up_conv`](crate::up_conv).
pub fn up_conv(x: Tensor<5>, weight: Tensor<5>, bias: Tensor<1>) -> Tensor<5> {
    let [_, _, sd, sh, sw] = weight.dims();
    let options = ConvTransposeOptions::new([sd, sh, sw], [0; 3], [0; 3], [1; 3], 1);
    let (weight, bias) = (weight.cast(x.dtype()), bias.cast(x.dtype()));
    channels_last(conv_transpose3d(channels_first(x), weight, Some(bias), options))
}

/// See [`pointwise`](crate::pointwise).
pub fn pointwise(x: Tensor<5>, weight: Tensor<5>, bias: Tensor<1>) -> Tensor<5> {
    let options = ConvOptions::new([1; 3], [0; 3], [1; 3], 1);
    let (weight, bias) = (weight.cast(x.dtype()), bias.cast(x.dtype()));
    channels_last(conv3d(channels_first(x), weight, Some(bias), options))
}

/// See [`mask_losses`](crate::mask_losses).
pub fn mask_losses(logits: Tensor<5>, targets: Tensor<5>) -> Tensor<1> {
    let p = sigmoid(logits.clone());
    let overlap = (p.clone() * targets.clone()).sum().mul_scalar(2.0).add_scalar(1.0);
    let sizes = (p.sum() + targets.clone().sum()).add_scalar(1.0);
    let dice = (overlap / sizes).neg().add_scalar(1.0);
    let entropy = (logits.clone() * (targets.neg().add_scalar(1.0)) - log_sigmoid(logits)).mean();
    Tensor::cat(vec![dice, entropy], 0)
}
