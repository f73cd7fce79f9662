use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use hemex_kernels::{Convolved, NormSettings};

use crate::NetworkSpec;

/// A convolution with stride 1 that keeps the extent, without bias: a normalisation follows.
#[derive(Module, Debug)]
pub(crate) struct Conv {
    /// `[C_out, C_in, kD, 3, 3]`.
    weight: Param<Tensor<5>>,
}

impl Conv {
    /// `channels` are `[in, out]`; `kernel` is `[D, 3, 3]`.
    pub(crate) fn new([n_in, n_out]: [usize; 2], kernel: [usize; 3], device: &Device) -> Self {
        let [d, h, w] = kernel;
        Self { weight: parameter([n_out, n_in, d, h, w], 0.0, device) }
    }

    pub(crate) fn forward(&self, x: Tensor<5>) -> Convolved {
        hemex_kernels::conv(x, self.weight.val())
    }

    /// Convolves two inputs side by side along the channels.
    pub(crate) fn forward_pair(&self, x: Tensor<5>, skip: Tensor<5>) -> Convolved {
        hemex_kernels::conv_pair(x, skip, self.weight.val())
    }
}

/// Group normalisation and ReLU.
#[derive(Module, Debug)]
pub(crate) struct Norm {
    gamma: Param<Tensor<1>>,
    beta: Param<Tensor<1>>,
    #[module(skip)]
    n_groups: usize,
}

impl Norm {
    pub(crate) fn new(n_groups: usize, n_channels: usize, device: &Device) -> Self {
        let gamma = parameter([n_channels], 1.0, device);
        Self { gamma, beta: parameter([n_channels], 0.0, device), n_groups }
    }

    pub(crate) fn forward(&self, x: Convolved) -> Tensor<5> {
        hemex_kernels::norm(x, self.affine(), self.settings())
    }

    /// Normalises without the ReLU.
    pub(crate) fn forward_linear(&self, x: Convolved) -> Tensor<5> {
        hemex_kernels::norm(x, self.affine(), NormSettings { slope: 1.0, ..self.settings() })
    }

    /// Normalises and convolves in one.
    pub(crate) fn forward_conv(&self, x: Convolved, conv: &Conv) -> Convolved {
        hemex_kernels::norm_conv(x, self.affine(), conv.weight.val(), self.settings())
    }

    fn affine(&self) -> [Tensor<1>; 2] {
        [self.gamma.val(), self.beta.val()]
    }

    fn settings(&self) -> NormSettings {
        NormSettings { n_groups: self.n_groups, epsilon: 1e-5, slope: 0.0 }
    }
}

/// A transposed convolution whose stride is its kernel: each voxel becomes a block.
#[derive(Module, Debug)]
pub(crate) struct UpConv {
    /// `[C_in, C_out, kD, kH, kW]`.
    weight: Param<Tensor<5>>,
    /// `[C_out]`.
    bias: Param<Tensor<1>>,
}

impl UpConv {
    /// `channels` are `[in, out]`, `stride` is `[D, H, W]`.
    pub(crate) fn new([n_in, n_out]: [usize; 2], stride: [usize; 3], device: &Device) -> Self {
        let [d, h, w] = stride;
        let weight = parameter([n_in, n_out, d, h, w], 0.0, device);
        Self { weight, bias: parameter([n_out], 0.0, device) }
    }

    /// Those of a decoder, from the deepest level to the finest.
    pub(crate) fn path(spec: &NetworkSpec, device: &Device) -> Vec<Self> {
        let up = |level: usize| {
            let pair = [spec.channels()[level + 1], spec.channels()[level]];
            Self::new(pair, spec.stride(level), device)
        };
        (0..spec.channels().len() - 1).rev().map(up).collect()
    }

    /// Multiplies the extent by the stride.
    pub(crate) fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        hemex_kernels::up_conv(x, self.weight.val(), self.bias.val())
    }
}

/// A convolution 1×1×1.
#[derive(Module, Debug)]
pub(crate) struct Pointwise {
    /// `[C_out, C_in, 1, 1, 1]`.
    weight: Param<Tensor<5>>,
    /// `[C_out]`.
    bias: Param<Tensor<1>>,
}

impl Pointwise {
    /// `channels` are `[in, out]`.
    pub(crate) fn new([n_in, n_out]: [usize; 2], device: &Device) -> Self {
        let weight = parameter([n_out, n_in, 1, 1, 1], 0.0, device);
        Self { weight, bias: parameter([n_out], 0.0, device) }
    }

    pub(crate) fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        hemex_kernels::pointwise(x, self.weight.val(), self.bias.val())
    }
}

/// A parameter of the same number throughout; [`initialise`](crate::initialise) draws the weights.
pub(crate) fn parameter<const D: usize>(
    dims: [usize; D],
    value: f32,
    device: &Device,
) -> Param<Tensor<D>> {
    Param::from_tensor(Tensor::full(dims, value, device))
}
