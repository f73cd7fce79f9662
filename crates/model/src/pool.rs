use burn::tensor::Tensor;
use burn::tensor::activation::sigmoid;

use crate::{NetworkSpec, Pooling};

/// What keeps a share of nothing finite, voxels.
const LEAST_VOXELS: f32 = 1.0;

/// The deepest level, `[B, D, H, W, C]`, to `[B, features]`; not by a mask.
pub(crate) fn pool(x: Tensor<5>, pooling: Pooling) -> Tensor<2> {
    let [b, _, _, _, c] = x.dims();
    let x = flat(x);
    let mean = x.clone().mean_dim(1).reshape([b, c]);
    match pooling {
        Pooling::Mean => mean,
        Pooling::MeanMax | Pooling::MaskGuided => {
            Tensor::cat(vec![mean, x.max_dim(1).reshape([b, c])], 1)
        }
    }
}

/// What lies under the mask: means of the deepest level, means and standard deviations of the finest, and the logarithm
/// of the mask's voxels, `[B, features]`.
///
/// Levels are `[B, D, H, W, C]`, the mask's logits those of the finest with one channel. The mask is taken as it is:
/// what is learnt of growth does not move it.
pub(crate) fn pool_under_mask(
    deepest: Tensor<5>,
    finest: Tensor<5>,
    mask_logits: &Tensor<5>,
) -> Tensor<2> {
    let p = sigmoid(mask_logits.clone()).detach();
    let [b, ..] = p.dims();
    let [_, d, h, w, _] = deepest.dims();
    let coarse = shrunk(p.clone(), [d, h, w]);
    let mean = weighted_mean(flat(finest.clone()), flat(p.clone()));
    let square = weighted_mean(flat(finest.clone() * finest), flat(p.clone()));
    let variance = square - mean.clone() * mean.clone();
    let n_voxels = flat(p).sum_dim(1).reshape([b, 1]);
    Tensor::cat(
        vec![
            weighted_mean(flat(deepest), flat(coarse)),
            mean,
            // Rounding may take a variance of nothing below 0.
            variance.clamp_min(1e-6).sqrt(),
            n_voxels.add_scalar(1.0).log().mul_scalar(0.25),
        ],
        1,
    )
}

/// How many features the classification head is given.
pub(crate) fn n_features(spec: &NetworkSpec) -> usize {
    let channels = spec.channels();
    let deepest = channels.last().copied().unwrap_or_default();
    match spec.pooling() {
        Pooling::Mean => deepest,
        Pooling::MeanMax => 2 * deepest,
        Pooling::MaskGuided => deepest + 2 * channels[0] + 1,
    }
}

/// `[B, D, H, W, C]` to `[B, voxels, C]`.
fn flat(x: Tensor<5>) -> Tensor<3> {
    let [b, d, h, w, c] = x.dims();
    x.reshape([b, d * h * w, c])
}

/// Sums of one channel over blocks of voxels, to this `[D, H, W]`.
fn shrunk(p: Tensor<5>, [d, h, w]: [usize; 3]) -> Tensor<5> {
    let [b, fine_d, fine_h, fine_w, _] = p.dims();
    let blocks = [b, d, fine_d / d, h, fine_h / h, w, fine_w / w];
    p.reshape(blocks).sum_dim(2).sum_dim(4).sum_dim(6).reshape([b, d, h, w, 1])
}

/// `Σ w x / Σ w` over voxels; `[B, voxels, C]` and `[B, voxels, 1]` to `[B, C]`.
fn weighted_mean(x: Tensor<3>, weights: Tensor<3>) -> Tensor<2> {
    let [b, _, c] = x.dims();
    let sum = (x * weights.clone()).sum_dim(1).reshape([b, c]);
    let total = weights.sum_dim(1).reshape([b, 1]).clamp_min(LEAST_VOXELS);
    sum / total
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;

    fn tensor(shape: [usize; 5], value: impl Fn(usize) -> f32) -> Tensor<5> {
        let values: Vec<f32> = (0..shape.iter().product()).map(value).collect();
        Tensor::from_data(TensorData::new(values, shape), &Device::flex())
    }

    #[test]
    fn what_lies_outside_the_mask_counts_nothing() {
        // A mask of the first 2 × 2 of 4 × 4 voxels: one voxel of the deepest level.
        let is_inside = |i: usize| i / 4 < 2 && i % 4 < 2;
        let logits = tensor([1, 1, 4, 4, 1], |i| if is_inside(i) { 40.0 } else { -40.0 });
        let finest = tensor([1, 1, 4, 4, 1], |i| if is_inside(i) { (i % 2) as f32 } else { 99.0 });
        let deepest =
            tensor([1, 1, 2, 2, 2], |i| [3.0, -4.0, 99.0, 99.0, 99.0, 99.0, 99.0, 99.0][i]);
        let pooled = pool_under_mask(deepest, finest, &logits).into_data();
        let pooled = pooled.as_slice::<f32>().unwrap();
        let expected = [3.0, -4.0, 0.5, 0.5, 0.25 * 5.0f32.ln()];
        for (found, expected) in pooled.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-5, "{pooled:?}");
        }
    }

    #[test]
    fn an_empty_mask_gives_finite_features() {
        let logits = tensor([2, 1, 4, 4, 1], |_| -200.0);
        let finest = tensor([2, 1, 4, 4, 3], |i| i as f32);
        let deepest = tensor([2, 1, 2, 2, 4], |i| i as f32);
        let pooled = pool_under_mask(deepest, finest, &logits).into_data();
        assert_eq!(pooled.as_slice::<f32>().unwrap().len(), 2 * (4 + 6 + 1));
        assert!(pooled.as_slice::<f32>().unwrap().iter().all(|v| v.is_finite()), "{pooled:?}");
    }
}
