//! The operations as an extension of Burn's backends: plain tensors on `Flex`, and with their
//! gradients on `Autodiff<Flex>`.
//!
//! All tensors are channels last, `[B, D, H, W, C]`. Weights are as Burn has them.

mod autodiff;
mod flex;
mod operations;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, DispatchTensor, backend_extension};
use burn::tensor::Tensor;

/// Settings of a normalisation with its activation.
#[derive(Clone, Copy, Debug)]
pub struct NormSettings {
    /// Groups of channels that are normalised together; as many as channels is instance normalisation.
    pub n_groups: usize,
    /// Added to the variance.
    pub epsilon: f32,
    /// Factor of the activation below 0: 0 is ReLU, 1 none.
    pub slope: f32,
}

/// The output of a convolution, and what its normalisation needs to know of it.
///
/// A convolution finds the moments while its output is in the cache; any tensor is one whose moments
/// are still to be found.
#[derive(Clone, Debug)]
pub struct Convolved {
    y: Tensor<5>,
    /// `[B, 2, C]`; another device than the CPU leaves them to the normalisation.
    moments: Option<Tensor<3>>,
}

impl Convolved {
    /// The output alone, `[B, D, H, W, C]`.
    pub fn into_tensor(self) -> Tensor<5> {
        self.y
    }

    pub(crate) fn tensor(&self) -> &Tensor<5> {
        &self.y
    }
}

impl From<Tensor<5>> for Convolved {
    fn from(y: Tensor<5>) -> Self {
        Self { y, moments: None }
    }
}

/// Rate, decay and time of a step of AdamW.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) rate: f64,
    pub(crate) decay: f64,
    /// From 1.
    pub(crate) time: usize,
}

/// Operations with gradients.
///
/// Moments are mean and summed squared deviation of each channel of each image, `[B, 2, C]`. They have
/// no gradient of their own: that of a normalisation goes through its input.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait Layers: Backend {
    /// The moments of `[B, D, H, W, C]`.
    fn moments(x: FloatTensor<Self>) -> FloatTensor<Self>;

    /// The convolution and its moments; `weight` is `[C_out, C_in, kD, 3, 3]`.
    fn conv(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// The convolution of `x` and `skip` side by side, and its moments.
    fn conv_pair(
        x: FloatTensor<Self>,
        skip: FloatTensor<Self>,
        weight: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// The convolution of what [`norm`](Layers::norm) gives, which is never written, and its moments.
    fn norm_conv(
        x: FloatTensor<Self>,
        moments: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        settings: NormSettings,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// Normalisation of `x`, whose moments are given, and activation.
    fn norm(
        x: FloatTensor<Self>,
        moments: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        settings: NormSettings,
    ) -> FloatTensor<Self>;

    /// Maximum over blocks of `stride`.
    fn max_pool(x: FloatTensor<Self>, stride: [usize; 3]) -> FloatTensor<Self>;

    /// A layer that sees one voxel at a time; `weight` is `[C_out, C_in, 1, 1, 1]` where
    /// `is_pointwise`, else `[C_in, C_out, stride]`.
    fn patch(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        stride: [usize; 3],
        is_pointwise: bool,
    ) -> FloatTensor<Self>;

    /// `[2]`: soft Dice loss and mean cross-entropy.
    fn mask_losses(logits: FloatTensor<Self>, targets: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// Operations without gradients.
#[backend_extension(Flex)]
pub(crate) trait Updates: Backend {
    /// New parameters and both moments.
    fn adamw(
        tensor: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        moment_1: FloatTensor<Self>,
        moment_2: FloatTensor<Self>,
        step: Step,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

fn convolved((y, moments): (DispatchTensor, DispatchTensor)) -> Convolved {
    Convolved { y: Tensor::from_dispatch(y), moments: Some(Tensor::from_dispatch(moments)) }
}

pub(crate) fn conv(x: Tensor<5>, weight: Tensor<5>) -> Convolved {
    convolved(<Dispatch as Layers>::conv(x.into_dispatch(), weight.into_dispatch()))
}

pub(crate) fn conv_pair(x: Tensor<5>, skip: Tensor<5>, weight: Tensor<5>) -> Convolved {
    convolved(<Dispatch as Layers>::conv_pair(
        x.into_dispatch(),
        skip.into_dispatch(),
        weight.into_dispatch(),
    ))
}

fn moments(x: &Convolved) -> DispatchTensor {
    match &x.moments {
        Some(moments) => moments.clone().into_dispatch(),
        None => <Dispatch as Layers>::moments(x.y.clone().into_dispatch()),
    }
}

pub(crate) fn norm_conv(
    x: Convolved,
    [gamma, beta]: [Tensor<1>; 2],
    weight: Tensor<5>,
    settings: NormSettings,
) -> Convolved {
    let moments = moments(&x);
    convolved(<Dispatch as Layers>::norm_conv(
        x.y.into_dispatch(),
        moments,
        gamma.into_dispatch(),
        beta.into_dispatch(),
        weight.into_dispatch(),
        settings,
    ))
}

pub(crate) fn norm(
    x: Convolved,
    [gamma, beta]: [Tensor<1>; 2],
    settings: NormSettings,
) -> Tensor<5> {
    let moments = moments(&x);
    Tensor::from_dispatch(<Dispatch as Layers>::norm(
        x.y.into_dispatch(),
        moments,
        gamma.into_dispatch(),
        beta.into_dispatch(),
        settings,
    ))
}

pub(crate) fn max_pool(x: Tensor<5>, stride: [usize; 3]) -> Tensor<5> {
    Tensor::from_dispatch(<Dispatch as Layers>::max_pool(x.into_dispatch(), stride))
}

pub(crate) fn patch(
    x: Tensor<5>,
    weight: Tensor<5>,
    bias: Tensor<1>,
    stride: [usize; 3],
    is_pointwise: bool,
) -> Tensor<5> {
    Tensor::from_dispatch(<Dispatch as Layers>::patch(
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        stride,
        is_pointwise,
    ))
}

pub(crate) fn mask_losses(logits: Tensor<5>, targets: Tensor<5>) -> Tensor<1> {
    Tensor::from_dispatch(<Dispatch as Layers>::mask_losses(
        logits.into_dispatch(),
        targets.into_dispatch(),
    ))
}

pub(crate) fn adamw_step<const D: usize>(
    tensor: Tensor<D>,
    gradient: Tensor<D>,
    moment_1: Tensor<D>,
    moment_2: Tensor<D>,
    step: Step,
) -> (Tensor<D>, Tensor<D>, Tensor<D>) {
    let (tensor, moment_1, moment_2) = <Dispatch as Updates>::adamw(
        tensor.into_dispatch(),
        gradient.into_dispatch(),
        moment_1.into_dispatch(),
        moment_2.into_dispatch(),
        step,
    );
    (
        Tensor::from_dispatch(tensor),
        Tensor::from_dispatch(moment_1),
        Tensor::from_dispatch(moment_2),
    )
}
