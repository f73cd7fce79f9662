//! Where hematomas lie at follow-up, which a second head beside the mask's learns.

use burn::tensor::{Device, Int, Tensor, TensorData};
use hemex_model::NetworkSpec;

use crate::TrainError;
use crate::cohort::TrainCase;

/// A mask at follow-up can be learnt, where the network tells it.
///
/// # Errors
/// [`TrainError::NoFollowup`] if none of the cases has one.
pub(crate) fn check_followed(cases: &[TrainCase], spec: &NetworkSpec) -> Result<(), TrainError> {
    match !spec.followup() || cases.iter().any(|case| case.is_followed) {
        true => Ok(()),
        false => Err(TrainError::NoFollowup),
    }
}

/// Where the hematomas of a batch lie at follow-up, as far as that is known.
pub(crate) struct FollowupTargets {
    /// Places in the batch of the windows of which it is known, `[known]`.
    places: Tensor<1, Int>,
    /// 1 in the hematoma at follow-up, `[known, 1, D, H, W]`.
    mask: Tensor<5>,
}

impl FollowupTargets {
    /// Of windows `[D, H, W]`, each with 1 in the hematoma at follow-up, or without a word where it is not known. `None`
    /// if it is known of none of them.
    pub(crate) fn new(
        windows: &[Option<&[f32]>],
        [d, h, w]: [usize; 3],
        device: &Device,
    ) -> Option<Self> {
        let known = windows.iter().enumerate().filter_map(|(place, mask)| Some((place, (*mask)?)));
        let (places, masks): (Vec<i64>, Vec<&[f32]>) =
            known.map(|(place, mask)| (place as i64, mask)).unzip();
        let n = places.len();
        (n > 0).then(|| Self {
            places: Tensor::from_data(TensorData::new(places, [n]), device),
            mask: Tensor::from_data(TensorData::new(masks.concat(), [n, 1, d, h, w]), device),
        })
    }

    /// The loss of the mask, over the known windows together, from the logits of all, `[B, 1, D, H, W]`. The others have
    /// no share in it: their logits get a gradient of 0.
    ///
    /// It is learnt at the finest level alone, whatever the mask is.
    pub(crate) fn loss(
        &self,
        logits: Tensor<5>,
        of_mask: impl FnOnce(Tensor<5>, Tensor<5>) -> Tensor<1>,
    ) -> Tensor<1> {
        of_mask(logits.select(0, self.places.clone()), self.mask.clone())
    }
}

#[cfg(test)]
mod tests;
