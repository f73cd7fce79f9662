use burn::module::Module;
use burn::nn::conv::{
    Conv2d, Conv2dConfig, Conv3d, Conv3dConfig, ConvTranspose2d, ConvTranspose2dConfig,
    ConvTranspose3d, ConvTranspose3dConfig,
};
use burn::nn::{PaddingConfig2d, PaddingConfig3d};
use burn::tensor::module::max_pool2d;
use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{Device, Tensor};

use crate::Dims;

/// A convolution with stride 1 that keeps the extent, over slices or volumes.
#[derive(Module, Debug)]
pub(crate) enum Conv {
    Slices(Conv2d),
    Volumes(Conv3d),
}

impl Conv {
    /// `channels` are `[in, out]`, `kernel` is `[D, H, W]` of odd sizes.
    pub(crate) fn new(
        dims: Dims,
        channels: [usize; 2],
        kernel: [usize; 3],
        bias: bool,
        device: &Device,
    ) -> Self {
        let [d, h, w] = kernel;
        match dims {
            Dims::Slices => Conv::Slices(
                Conv2dConfig::new(channels, [h, w])
                    .with_padding(PaddingConfig2d::Explicit(h / 2, w / 2, h / 2, w / 2))
                    .with_bias(bias)
                    .init(device),
            ),
            Dims::Volumes => Conv::Volumes(
                Conv3dConfig::new(channels, kernel)
                    .with_padding(PaddingConfig3d::Explicit(d / 2, h / 2, w / 2))
                    .with_bias(bias)
                    .init(device),
            ),
        }
    }

    /// `[B, C, D, H, W]` to the same extent with other channels.
    pub(crate) fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        match self {
            Conv::Slices(conv) => unsqueeze(conv.forward(squeeze(x))),
            Conv::Volumes(conv) => conv.forward(x),
        }
    }
}

/// A transposed convolution whose stride is its kernel: each voxel becomes a block.
#[derive(Module, Debug)]
pub(crate) enum UpConv {
    Slices(ConvTranspose2d),
    Volumes(ConvTranspose3d),
}

impl UpConv {
    /// `channels` are `[in, out]`, `stride` is `[D, H, W]`.
    pub(crate) fn new(
        dims: Dims,
        channels: [usize; 2],
        stride: [usize; 3],
        device: &Device,
    ) -> Self {
        let [_, h, w] = stride;
        match dims {
            Dims::Slices => UpConv::Slices(
                ConvTranspose2dConfig::new(channels, [h, w]).with_stride([h, w]).init(device),
            ),
            Dims::Volumes => UpConv::Volumes(
                ConvTranspose3dConfig::new(channels, stride).with_stride(stride).init(device),
            ),
        }
    }

    /// `[B, C, D, H, W]` to an extent multiplied by the stride.
    pub(crate) fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        match self {
            UpConv::Slices(conv) => unsqueeze(conv.forward(squeeze(x))),
            UpConv::Volumes(conv) => conv.forward(x),
        }
    }
}

/// Maximum over blocks of `stride` (`[D, H, W]`, depth 1 or 2); the extent must be a multiple of it.
pub(crate) fn max_pool(x: Tensor<5>, stride: [usize; 3]) -> Tensor<5> {
    let [b, c, d, h, w] = x.dims();
    let [sd, sh, sw] = stride;
    // Burn pools planes only: the depth is pooled by a maximum of its own.
    let options = MaxPoolOptions::new([sh, sw]).with_stride([sh, sw]);
    let planes = max_pool2d(x.reshape([b, c * d, h, w]), options);
    let (h, w) = (h / sh, w / sw);
    if sd == 1 {
        return planes.reshape([b, c, d, h, w]);
    }
    planes.reshape([b * c, d / sd, sd, h * w]).max_dim(2).reshape([b, c, d / sd, h, w])
}

fn squeeze(x: Tensor<5>) -> Tensor<4> {
    let [b, c, _, h, w] = x.dims();
    x.reshape([b, c, h, w])
}

fn unsqueeze(x: Tensor<4>) -> Tensor<5> {
    let [b, c, h, w] = x.dims();
    x.reshape([b, c, 1, h, w])
}
