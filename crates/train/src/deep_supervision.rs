//! The mask, learnt at the coarser levels of the decoder too.

use burn::tensor::Tensor;

/// The loss of the mask over all levels that tell it (deep supervision; Lee et al., AISTATS 2015): weights are halved from
/// one level to the next coarser one and add up to 1 (Isensee et al., Nature Methods 2021). Without coarser levels it is
/// that of the finest.
///
/// Logits and mask are `[B, 1, D, H, W]`, coarser logits `[B, 1, d, h, w]` with extents that divide those, the finest of
/// them first. A voxel of a coarser level stands for a block, and its reference is the share of lesion in it: its
/// cross-entropy is then the mean over the block, and no small hematoma is lost or inflated, as it is by the nearest voxel or
/// the largest. nnU-Net takes the nearest, and adds no loss at the two lowest resolutions; here the deepest level alone has
/// none, since there are few.
pub(crate) fn over_levels(
    finest: Tensor<5>,
    coarse: Vec<Tensor<5>>,
    mask: Tensor<5>,
    loss: impl Fn(Tensor<5>, Tensor<5>) -> Tensor<1>,
) -> Tensor<1> {
    if coarse.is_empty() {
        return loss(finest, mask);
    }
    // 1 + ½ + ¼ + … = 2 − 2^(−n).
    let mut weight = (2.0 - 0.5f64.powi(coarse.len() as i32)).recip();
    let mut sum = loss(finest, mask.clone()).mul_scalar(weight);
    for logits in coarse {
        weight /= 2.0;
        let shares = shares(mask.clone(), logits.dims());
        sum = sum + loss(logits, shares).mul_scalar(weight);
    }
    sum
}

/// Means over blocks of voxels, to these dims.
fn shares(mask: Tensor<5>, dims: [usize; 5]) -> Tensor<5> {
    let [b, _, fine_d, fine_h, fine_w] = mask.dims();
    let [_, _, d, h, w] = dims;
    let blocks = [b, d, fine_d / d, h, fine_h / h, w, fine_w / w];
    mask.reshape(blocks).mean_dim(2).mean_dim(4).mean_dim(6).reshape(dims)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};
    use hemex_kernels::mask_losses;

    use super::*;

    fn tensor(dims: [usize; 5], values: &[f32]) -> Tensor<5> {
        Tensor::from_data(TensorData::new(values.to_vec(), dims), &Device::flex())
    }

    fn scalar(tensor: Tensor<1>) -> f64 {
        f64::from(tensor.into_scalar::<f32>())
    }

    /// `1 − (2 Σ p t + 1) / (Σ p + Σ t + 1)` and the mean of `log(1 + eᶻ) − z t`.
    fn dice_and_entropy(logits: &[f32], targets: &[f32]) -> f64 {
        let pairs = || logits.iter().zip(targets).map(|(z, t)| (f64::from(*z), f64::from(*t)));
        let p = |z: f64| 1.0 / (1.0 + (-z).exp());
        let overlap: f64 = pairs().map(|(z, t)| p(z) * t).sum();
        let size: f64 = pairs().map(|(z, t)| p(z) + t).sum();
        let entropy: f64 = pairs().map(|(z, t)| z.exp().ln_1p() - z * t).sum();
        1.0 - (2.0 * overlap + 1.0) / (size + 1.0) + entropy / logits.len() as f64
    }

    #[test]
    fn every_level_is_held_against_the_shares_of_its_blocks() {
        // Two slices of 2 × 4 voxels; the depth is kept, then halved.
        let mask = [1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0];
        let fine: Vec<f32> = (0..16).map(|i| (i as f32 * 0.7).sin()).collect();
        let middle = [0.4, -1.0, 0.3, 2.0];
        let coarse = [-0.2, 0.9];
        let found = over_levels(
            tensor([1, 1, 2, 2, 4], &fine),
            vec![tensor([1, 1, 2, 1, 2], &middle), tensor([1, 1, 1, 1, 2], &coarse)],
            tensor([1, 1, 2, 2, 4], &mask),
            |logits, mask| mask_losses(logits, mask).sum(),
        );
        let expected = (4.0 * dice_and_entropy(&fine, &mask)
            + 2.0 * dice_and_entropy(&middle, &[0.75, 0.0, 0.25, 0.5])
            + dice_and_entropy(&coarse, &[0.5, 0.25]))
            / 7.0;
        assert!((scalar(found) - expected).abs() < 1e-6, "{expected}");
    }

    /// The Dice loss, but for the 1 that is added above and below, is that of the whole mask as well.
    #[test]
    fn the_cross_entropy_of_a_block_is_the_mean_over_its_voxels() {
        let mask = tensor([2, 1, 1, 2, 2], &[1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0]);
        let entropy =
            |logits: Tensor<5>, mask: Tensor<5>| mask_losses(logits, mask).narrow(0, 1, 1);
        let repeated = [[0.7; 4], [-1.2; 4]].concat();
        let of_voxels = entropy(tensor([2, 1, 1, 2, 2], &repeated), mask.clone());
        let blocks = tensor([2, 1, 1, 1, 1], &[0.7, -1.2]);
        let of_blocks = entropy(blocks, shares(mask, [2, 1, 1, 1, 1]));
        assert!((scalar(of_voxels) - scalar(of_blocks)).abs() < 1e-6);
    }

    #[test]
    fn one_level_has_the_whole_weight() {
        let (logits, mask) =
            (tensor([1, 1, 1, 1, 2], &[0.3, -0.8]), tensor([1, 1, 1, 1, 2], &[1.0, 0.0]));
        let loss = |logits, mask| mask_losses(logits, mask).sum();
        let found = over_levels(logits.clone(), Vec::new(), mask.clone(), loss).into_data();
        assert_eq!(found, loss(logits, mask).into_data());
    }
}
