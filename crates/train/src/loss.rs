use burn::tensor::Tensor;
use burn::tensor::activation::log_sigmoid;
use hemex_kernels::mask_losses;
use hemex_model::Output;

use crate::config::RawLoss;
use crate::sample::Batch;

/// Binary cross-entropy of each element from its logit: `z (1 − y) − log σ(z)`, stable for any `z`.
pub fn bce_with_logits<const D: usize>(logits: Tensor<D>, targets: Tensor<D>) -> Tensor<D> {
    logits.clone() * (targets.neg().add_scalar(1.0)) - log_sigmoid(logits)
}

/// The loss of a batch and its parts.
pub(crate) struct BatchLoss {
    pub(crate) total: Tensor<1>,
    /// Dice + cross-entropy of the mask, unweighted.
    pub(crate) mask: Option<Tensor<1>>,
    /// Cross-entropy of the labels, unweighted; 0 for a network that segments alone.
    pub(crate) label: Tensor<1>,
}

/// The joint loss: Dice + cross-entropy of the mask, cross-entropy of the growth label over the
/// windows that show the hematoma, and of the presence of one for networks without a mask.
pub(crate) fn joint_loss(output: Output, batch: &Batch, weights: &RawLoss) -> BatchLoss {
    // A window without hematoma holds nothing whose growth could be seen.
    let shown = batch.shows_lesion.clone();
    let mut label = Tensor::zeros([1], &shown.device());
    if let Some(logit) = output.growth_logit {
        let growth = bce_with_logits(logit, batch.growth.clone());
        let n_shown = shown.clone().sum().clamp_min(1.0);
        label = (growth * shown.clone() * batch.class_weight.clone()).sum() / n_shown;
    }
    if let Some(presence) = output.presence_logit {
        label = label + bce_with_logits(presence, shown).mean();
    }
    // Dice over the batch and not the window, since most windows have no or a small lesion.
    let mask = output.mask_logits.map(|logits| mask_losses(logits, batch.mask.clone()).sum());
    let mut total = label.clone().mul_scalar(weights.label_weight);
    if let Some(mask) = &mask {
        total = total + mask.clone().mul_scalar(weights.mask_weight);
    }
    if let Some(reconstruction) = output.reconstruction {
        let error = (reconstruction - batch.input.clone()).abs().mean();
        total = total + error.mul_scalar(weights.reconstruction_weight);
    }
    BatchLoss { total, mask, label }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn cross_entropy_follows_the_formula_and_stays_finite() {
        let device = Device::flex();
        let logits = Tensor::<1>::from_data([0.0, 2.0, -2.0, 200.0, -200.0], &device);
        let targets = Tensor::<1>::from_data([1.0, 1.0, 1.0, 0.0, 0.0], &device);
        let found = bce_with_logits(logits, targets).into_data();
        let found = found.as_slice::<f32>().unwrap_or_default();
        let softplus = |z: f64| z.exp().ln_1p();
        let expected = [2.0f64.ln(), softplus(-2.0), softplus(2.0), 200.0, 0.0];
        for (found, expected) in found.iter().zip(expected) {
            assert!((f64::from(*found) - expected).abs() < 1e-5, "{found} for {expected}");
        }
    }
}
