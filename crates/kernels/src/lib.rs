//! Fast operations for Burn on a CPU: what the networks are made of, with their gradients.
//!
//! Every tensor is channels last, `[B, D, H, W, C]` in memory as in its shape: channels are the
//! vectors of the processor, and no number is ever shuffled, whatever the extent. Slices have depth 1.
//! On a CPU ([`is_cpu`]) the operations are this crate's own, an extension of Burn's backend `Flex`; on
//! any other device they are Burn's ([`stock`]). Both take the same tensors, tracked or not. Burn's follow the precision
//! of their input, whatever that of the weights: in bfloat16 they convolve and pool so, and normalise in single precision.
//!
//! ```text
//! conv, conv_pair, norm_conv ── conv ──┬── winograd   tiles of 4×4, a matrix product a point
//!                                      └── direct     a matrix product a tap
//! up_conv, pointwise ────────── patch                 a matrix product a voxel of the block
//!                                      all ──► gemm   two products, tiles in registers
//! norm ── norm      max_pool ── pool      mask_losses ── loss      FusedAdamW ── adamw
//! ```
//!
//! Work is divided by shape and never by the number of threads, and sums are taken in a fixed order:
//! results are the same bits on any number of threads. They differ in the last digits between vector
//! instructions ([`Level`]) and between algorithms ([`Plan`]).

mod adamw;
mod conv;
mod extension;
mod gemm;
mod loss;
mod memory;
mod norm;
mod parallel;
mod patch;
mod peak;
mod plan;
mod pool;
mod simd;
pub mod stock;
mod sums;
mod winograd;

use burn::tensor::{DType, Device, Tensor};

pub use adamw::FusedAdamW;
pub use extension::{Convolved, NormSettings};
pub use parallel::work_on_this_thread;
pub use peak::matrix_product_peak;
pub use plan::{Algorithm, Plan};
pub use simd::Level;

/// Whether tensors of the device are handled by this crate's own operations.
pub fn is_cpu(device: &Device) -> bool {
    device.clone().inner() == Device::flex()
}

/// Whether a tensor is handled by them: those of another precision are Burn's on a CPU too.
fn is_own(x: &Tensor<5>) -> bool {
    x.dtype() == DType::F32 && is_cpu(&x.device())
}

/// Convolution with stride 1 and zeros around: `x` is `[B, D, H, W, C_in]`, `weight`
/// `[C_out, C_in, kD, 3, 3]` with `kD` 1 or 3; gives `[B, D, H, W, C_out]`.
pub fn conv(x: Tensor<5>, weight: Tensor<5>) -> Convolved {
    if is_own(&x) { extension::conv(x, weight) } else { stock::conv(x, weight).into() }
}

/// [`conv()`] of `x` and `skip` side by side along the channels, which are never copied together.
pub fn conv_pair(x: Tensor<5>, skip: Tensor<5>, weight: Tensor<5>) -> Convolved {
    if is_own(&x) {
        extension::conv_pair(x, skip, weight)
    } else {
        stock::conv_pair(x, skip, weight).into()
    }
}

/// Group normalisation of `[B, D, H, W, C]` (Wu and He, ECCV 2018), times γ plus β (`[C]` each), and
/// leaky ReLU. A group of one number becomes β.
pub fn norm(x: impl Into<Convolved>, affine: [Tensor<1>; 2], settings: NormSettings) -> Tensor<5> {
    let x = x.into();
    if is_own(x.tensor()) {
        extension::norm(x, affine, settings)
    } else {
        stock::norm(x.into_tensor(), affine, settings)
    }
}

/// [`conv()`] of what [`norm()`] gives, which is never written to memory.
pub fn norm_conv(
    x: impl Into<Convolved>,
    affine: [Tensor<1>; 2],
    weight: Tensor<5>,
    settings: NormSettings,
) -> Convolved {
    let x = x.into();
    if is_own(x.tensor()) {
        extension::norm_conv(x, affine, weight, settings)
    } else {
        stock::norm_conv(x.into_tensor(), affine, weight, settings).into()
    }
}

/// Maximum over blocks of `stride` (`[D, H, W]`); voxels past the last whole block are left out.
pub fn max_pool(x: Tensor<5>, stride: [usize; 3]) -> Tensor<5> {
    if is_own(&x) { extension::max_pool(x, stride) } else { stock::max_pool(x, stride) }
}

/// Transposed convolution whose stride is its kernel: `weight` is `[C_in, C_out, kD, kH, kW]`, and
/// `[B, D, H, W, C_in]` becomes `[B, D·kD, H·kH, W·kW, C_out]`.
pub fn up_conv(x: Tensor<5>, weight: Tensor<5>, bias: Tensor<1>) -> Tensor<5> {
    if is_own(&x) {
        let [_, _, d, h, w] = weight.dims();
        extension::patch(x, weight, bias, [d, h, w], false)
    } else {
        stock::up_conv(x, weight, bias)
    }
}

/// Convolution 1×1×1: `weight` is `[C_out, C_in, 1, 1, 1]`.
pub fn pointwise(x: Tensor<5>, weight: Tensor<5>, bias: Tensor<1>) -> Tensor<5> {
    if is_own(&x) {
        extension::patch(x, weight, bias, [1; 3], true)
    } else {
        stock::pointwise(x, weight, bias)
    }
}

/// Both losses of a mask from its logits, `[2]`: the soft Dice loss over the whole batch,
/// `1 − (2 Σ p t + 1) / (Σ p + Σ t + 1)` (Milletari et al., 3DV 2016, with the sum in place of the sum of
/// squares), and the mean cross-entropy. Targets have no gradient.
pub fn mask_losses(logits: Tensor<5>, targets: Tensor<5>) -> Tensor<1> {
    if is_own(&logits) {
        extension::mask_losses(logits, targets)
    } else {
        stock::mask_losses(logits, targets)
    }
}
