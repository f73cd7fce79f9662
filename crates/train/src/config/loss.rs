//! What is minimised, as it is written.

use hemex_model::Sign;
use hemex_stage::{ConfigError, check_positive, check_range};
use serde::Deserialize;

use super::{Align, Calibration, RawSampler};
use crate::{Across, Balancing, SamplerKind};

/// What is minimised.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawLoss {
    /// Weight of Dice + cross-entropy of the mask.
    pub mask_weight: f64,
    /// Weight of the cross-entropy of the label.
    pub label_weight: f64,
    /// Steps over which that weight rises from 0, so that the mask is learnt first; 0 for none. The best epoch is told by
    /// the whole weight.
    pub label_warmup_steps: usize,
    /// Weight of the mean absolute error of the reconstructed input, for networks that have that decoder.
    pub reconstruction_weight: f64,
    /// Weight of the mean cross-entropy of the signs of growth, for networks that tell them; 0 where none does. The best
    /// epoch is told without them.
    pub sign_weight: f64,
    /// Weight of the loss of the mask at follow-up, for networks that tell it; 0 where none does. The best epoch is told
    /// without it.
    pub followup_weight: f64,
    /// β of the effective-number class weights of the label; 0 for none. Only without a balancing
    /// sampler: the same correction is never made twice.
    pub effective_number_beta: f64,
    /// The epoch, counted from 0, from which these class weights count: deferred re-weighting.
    pub reweight_from_epoch: usize,
    /// γ of the focal loss of the label; 0 for the cross-entropy.
    pub focal_gamma: f64,
    /// LDAM's margin of the rarer class; 0 for none.
    pub ldam_margin: f64,
    /// How much of the prior's log-odds is added to the logit while it is learnt; 0 for none. Only without another
    /// correction of the prior.
    pub logit_adjustment: f64,
    /// How the losses of growth of several sites become one. Group DRO weighs the classes: only without another weight of
    /// theirs, and with a calibration that is fitted to their prior.
    pub across: Across,
    /// η of group DRO, or the weight of V-REx's variance; 0 for the mean.
    pub across_strength: f64,
    /// Rate at which the weights of the tasks are learnt from these on, by how uncertain each is; 0 keeps them.
    pub task_rate: f64,
    /// The focal Tversky loss of the mask in place of the Dice loss; the cross-entropy stays.
    pub tversky: Option<Tversky>,
    /// What makes the features of training cases and of unlabelled target cases alike; only for networks that classify.
    pub align: Align,
}

/// Weights of the focal Tversky loss.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tversky {
    /// Of what is too much.
    pub alpha: f64,
    /// Of what is missed.
    pub beta: f64,
    /// Power of the loss.
    pub gamma: f64,
}

/// A loss that distorts probabilities is followed by a recalibration.
pub(super) fn check_calibration(
    loss: &RawLoss,
    calibration: Calibration,
) -> Result<(), ConfigError> {
    if calibration.moves_prior() {
        return Ok(());
    }
    for (key, value) in
        [("loss.focal_gamma", loss.focal_gamma), ("loss.ldam_margin", loss.ldam_margin)]
    {
        if value > 0.0 {
            let expected = "0 unless calibration is \"platt\" or \"isotonic\", since this loss distorts the \
                            probabilities";
            return Err(ConfigError::new(key, expected, value));
        }
    }
    if loss.across == Across::GroupDro {
        let expected = "\"mean\" or \"v_rex\" unless calibration is \"platt\" or \"isotonic\", since group DRO \
                        weighs the classes while it learns";
        return Err(ConfigError::new("loss.across", expected, "group_dro"));
    }
    Ok(())
}

/// A head that tells signs is learnt.
pub(super) fn check_signs(signs: &[Sign], loss: &RawLoss) -> Result<(), ConfigError> {
    if signs.is_empty() || loss.sign_weight > 0.0 {
        return Ok(());
    }
    let expected = format!("above 0, or no signs: of a network that tells {}", Sign::names(signs));
    Err(ConfigError::new("loss.sign_weight", &expected, loss.sign_weight))
}

/// The label's weight is whole before the training ends, and nothing else moves it on the way.
fn check_warmup(loss: &RawLoss, n_steps: usize) -> Result<(), ConfigError> {
    let refuse = |expected: &str| {
        Err(ConfigError::new("loss.label_warmup_steps", expected, loss.label_warmup_steps))
    };
    if loss.label_warmup_steps >= n_steps {
        return refuse(&format!("below the {n_steps} steps of the training"));
    }
    if loss.label_warmup_steps > 0 && loss.task_rate > 0.0 {
        return refuse("0 with loss.task_rate, which moves the weights of the tasks itself");
    }
    Ok(())
}

/// A head that tells the mask at follow-up is learnt.
pub(super) fn check_followup(is_told: bool, loss: &RawLoss) -> Result<(), ConfigError> {
    if !is_told || loss.followup_weight > 0.0 {
        return Ok(());
    }
    let expected = "above 0 for a network with `followup = true`, or no such line";
    Err(ConfigError::new("loss.followup_weight", expected, loss.followup_weight))
}

/// Group DRO averages within each class of each site and weighs these itself: nothing else weighs the classes.
fn check_across(loss: &RawLoss, sampler: &RawSampler) -> Result<(), ConfigError> {
    let strength = loss.across_strength;
    check_range("loss.across_strength", strength, 0.0..=1e6)?;
    if (loss.across == Across::Mean) != (strength == 0.0) {
        let expected = "0 with across = \"mean\", above 0 with any other";
        return Err(ConfigError::new("loss.across_strength", expected, strength));
    }
    if loss.across != Across::GroupDro {
        return Ok(());
    }
    if sampler.by == Balancing::Reweighting {
        let expected =
            "\"resampling\" with loss.across = \"group_dro\", which weighs the classes already";
        return Err(ConfigError::new("sampler.by", expected, "reweighting"));
    }
    for (key, value) in [
        ("loss.effective_number_beta", loss.effective_number_beta),
        ("loss.logit_adjustment", loss.logit_adjustment),
    ] {
        if value > 0.0 {
            let expected = "0 with loss.across = \"group_dro\", which weighs the classes already";
            return Err(ConfigError::new(key, expected, value));
        }
    }
    Ok(())
}

/// A weight for each task; no correction is made twice.
pub(super) fn check_loss(
    loss: &RawLoss,
    sampler: &RawSampler,
    [n_epochs, steps_per_epoch]: [usize; 2],
) -> Result<(), ConfigError> {
    check_range("loss.mask_weight", loss.mask_weight, 0.0..=1e6)?;
    check_positive("loss.label_weight", loss.label_weight)?;
    check_range("loss.reconstruction_weight", loss.reconstruction_weight, 0.0..=1e6)?;
    check_range("loss.sign_weight", loss.sign_weight, 0.0..=1e6)?;
    check_range("loss.followup_weight", loss.followup_weight, 0.0..=1e6)?;
    check_range("loss.task_rate", loss.task_rate, 0.0..=1.0)?;
    let beta = loss.effective_number_beta;
    check_range("loss.effective_number_beta", beta, 0.0..=0.999_999)?;
    check_range("loss.focal_gamma", loss.focal_gamma, 0.0..=10.0)?;
    check_range("loss.ldam_margin", loss.ldam_margin, 0.0..=100.0)?;
    let adjustment = check_range("loss.logit_adjustment", loss.logit_adjustment, 0.0..=10.0)?;
    check_across(loss, sampler)?;
    check_warmup(loss, n_epochs * steps_per_epoch)?;
    if loss.reweight_from_epoch >= n_epochs {
        let expected = format!("below the {n_epochs} epochs of the training");
        let found = loss.reweight_from_epoch;
        return Err(ConfigError::new("loss.reweight_from_epoch", &expected, found));
    }
    if let Some(Tversky { alpha, beta, gamma }) = loss.tversky {
        check_range("loss.tversky.alpha", alpha, 0.0..=1e3)?;
        check_range("loss.tversky.beta", beta, 0.0..=1e3)?;
        check_range(
            "loss.tversky.gamma",
            check_positive("loss.tversky.gamma", gamma)?,
            0.0..=10.0,
        )?;
    }
    for (key, value) in
        [("loss.effective_number_beta", beta), ("loss.logit_adjustment", adjustment)]
    {
        if value > 0.0 && sampler.kind != SamplerKind::Instance {
            let expected =
                "0 with a sampler other than \"instance\", which corrects the prior already";
            return Err(ConfigError::new(key, expected, value));
        }
    }
    if beta > 0.0 && adjustment > 0.0 {
        let expected = "0 with loss.effective_number_beta, which corrects the prior already";
        return Err(ConfigError::new("loss.logit_adjustment", expected, adjustment));
    }
    Ok(())
}
