use burn::tensor::Tensor;
use burn::tensor::activation::{log_sigmoid, sigmoid};
use hemex_kernels::mask_losses;
use hemex_model::Output;

use crate::across::{GroupWeights, across};
use crate::config::{RawLoss, Tversky};
use crate::deep_supervision::over_levels;
use crate::learner::At;
use crate::sample::Batch;
use crate::tasks::TaskWeights;
use crate::{TrainError, effective_number_weights};

/// Binary cross-entropy of each element from its logit: `z (1 − y) − log σ(z)`, stable for any `z`.
pub fn bce_with_logits<const D: usize>(logits: Tensor<D>, targets: Tensor<D>) -> Tensor<D> {
    logits.clone() * (targets.neg().add_scalar(1.0)) - log_sigmoid(logits)
}

/// The loss of the growth label: `w_y · (1 − p_y)^γ · (−log p_y)` with `p_y` the probability of the case's own class
/// from its logit and an addend of that class.
///
/// γ is that of the focal loss (Lin et al., ICCV 2017, eq. 4). Addends are those of logit adjustment, `τ log(π₁ / π₀)`
/// for both classes (Menon et al., ICLR 2021, eq. 10), and the margins of LDAM, which keep the logit of a class with
/// `n` cases from its own side by `C n^(−1/4)` (Cao et al., NeurIPS 2019, eq. 13; without their scaled features).
#[derive(Debug, Clone, PartialEq)]
pub struct GrowthLoss {
    /// Of a stable and of a growing case.
    addends: [f64; 2],
    class_weights: [f64; 2],
    /// From which class weights count.
    reweight_from_epoch: usize,
    focal_gamma: f64,
    /// The part of the addends that is a correction of the prior.
    adjustment: f64,
}

impl GrowthLoss {
    /// Of a cohort with so many stable and growing cases, whose growth has this log-odds, shift weights counted.
    ///
    /// # Errors
    /// [`TrainError::EmptyClass`] if class weights or margins are asked for a class without a case.
    pub fn new(loss: &RawLoss, n_cases: [usize; 2], prior_logit: f64) -> Result<Self, TrainError> {
        let class_weights = match loss.effective_number_beta {
            0.0 => [1.0; 2],
            beta => effective_number_weights(n_cases, beta)?,
        };
        let margins = match loss.ldam_margin {
            0.0 => [0.0; 2],
            margin => margins(n_cases, margin)?,
        };
        let adjustment = loss.logit_adjustment * prior_logit;
        Ok(Self {
            addends: [adjustment + margins[0], adjustment - margins[1]],
            class_weights,
            reweight_from_epoch: loss.reweight_from_epoch,
            focal_gamma: loss.focal_gamma,
            adjustment,
        })
    }

    /// What is added to a logit learnt under the loss of this epoch so that it speaks of the prior of the draws.
    pub fn prior_logit_offset(&self, epoch: usize) -> f64 {
        let [stable, growing] = self.class_weights_in(epoch);
        // Weighting a class by w in the loss shifts its learnt odds by w, as drawing it w times would.
        self.adjustment - (growing / stable).ln()
    }

    fn class_weights_in(&self, epoch: usize) -> [f64; 2] {
        if epoch < self.reweight_from_epoch { [1.0; 2] } else { self.class_weights }
    }

    /// Of each case, from its logit and its label, 0 or 1; both `[B]`.
    pub fn of(&self, logits: Tensor<1>, growth: Tensor<1>, epoch: usize) -> Tensor<1> {
        let by_class = |[stable, growing]: [f64; 2]| {
            growth.clone().mul_scalar(growing - stable).add_scalar(stable)
        };
        let logits = match self.addends {
            [0.0, 0.0] => logits,
            addends => logits + by_class(addends),
        };
        let mut loss = bce_with_logits(logits.clone(), growth.clone());
        if self.focal_gamma > 0.0 {
            // log(1 − p_y) = log σ(∓z).
            let away = logits * growth.clone().mul_scalar(-2.0).add_scalar(1.0);
            loss = loss * log_sigmoid(away).mul_scalar(self.focal_gamma).exp();
        }
        match self.class_weights_in(epoch) {
            [1.0, 1.0] => loss,
            class_weights => loss * by_class(class_weights),
        }
    }
}

/// LDAM's margins; that of the rarer class is the one asked for.
fn margins(n_cases: [usize; 2], largest: f64) -> Result<[f64; 2], TrainError> {
    if let Some(class) = n_cases.iter().position(|n| *n == 0) {
        return Err(TrainError::EmptyClass { class: class as u8 });
    }
    let fewest = n_cases[0].min(n_cases[1]) as f64;
    Ok(n_cases.map(|n| largest * (fewest / n as f64).powf(0.25)))
}

/// What a training minimises.
#[derive(Debug)]
pub(crate) struct JointLoss<'a> {
    pub(crate) weights: &'a RawLoss,
    pub(crate) growth: GrowthLoss,
}

/// The loss of a batch and its parts.
pub(crate) struct BatchLoss {
    pub(crate) total: Tensor<1>,
    /// Dice or Tversky, and cross-entropy, of the mask, unweighted; over levels under deep supervision.
    pub(crate) mask: Option<Tensor<1>>,
    /// That of the labels, unweighted; 0 for a network that segments alone.
    pub(crate) label: Tensor<1>,
    /// Whether the network tells labels, and a window of the batch counts for them.
    pub(crate) has_label: bool,
    /// Mean absolute error of the reconstruction, unweighted.
    pub(crate) reconstruction: Option<Tensor<1>>,
    /// Mean cross-entropy of the signs that were read, unweighted.
    pub(crate) sign: Option<Tensor<1>>,
    /// As that of the mask, of the mask at follow-up as far as it is known, unweighted.
    pub(crate) followup: Option<Tensor<1>>,
}

/// What a loss keeps from step to step.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LossState {
    pub(crate) groups: GroupWeights,
    pub(crate) tasks: TaskWeights,
}

impl JointLoss<'_> {
    /// The joint loss: that of the mask, now and at follow-up, that of the growth label over the cases whose windows show
    /// the hematoma, that of signs over these windows, and the cross-entropy of the presence of one for networks without a
    /// mask.
    pub(crate) fn of(
        &self,
        output: Output,
        batch: &Batch,
        at: At,
        state: &mut LossState,
    ) -> BatchLoss {
        let shown = batch.shows_lesion.clone();
        let mut label = Tensor::zeros([1], &shown.device());
        let tells_growth = output.growth_logit.is_some() && batch.members().shows.contains(&true);
        let has_label = tells_growth || output.presence_logit.is_some();
        if let Some(logit) = output.growth_logit {
            let logit = batch.of_cases(logit, output.attention);
            let growth = self.growth.of(logit, batch.growth.clone(), at.epoch)
                * batch.growth_weights.clone();
            // A case without hematoma holds nothing whose growth could be seen.
            let how = (self.weights.across, self.weights.across_strength);
            label = across(growth, batch.members(), how, &mut state.groups);
        }
        if let Some(presence) = output.presence_logit {
            label = label + bce_with_logits(presence, shown).mean();
        }
        let coarse = output.coarse_masks;
        let mask = output.mask_logits.map(|logits| {
            over_levels(logits, coarse, batch.mask.clone(), |logits, mask| {
                self.of_mask(logits, mask)
            })
        });
        let followup = output.followup_logits.zip(batch.followup.as_ref());
        let followup = followup.map(|(logits, targets)| {
            targets.loss(logits, |logits, mask| self.of_mask(logits, mask))
        });
        let reconstruction = output.reconstruction;
        let reconstruction = reconstruction.map(|found| (found - batch.input.clone()).abs().mean());
        let signs = output.sign_logits.zip(batch.signs.as_ref());
        let sign = signs.map(|(logits, targets)| targets.loss(logits));
        let mut total = label.clone().mul_scalar(state.tasks.label * self.label_share(at));
        if let Some(mask) = &mask {
            total = total + mask.clone().mul_scalar(state.tasks.mask);
        }
        if let Some(error) = &reconstruction {
            total = total + error.clone().mul_scalar(state.tasks.reconstruction);
        }
        if let Some(sign) = &sign {
            total = total + sign.clone().mul_scalar(state.tasks.sign);
        }
        if let Some(followup) = &followup {
            total = total + followup.clone().mul_scalar(state.tasks.followup);
        }
        BatchLoss { total, mask, label, has_label, reconstruction, sign, followup }
    }

    /// Of the label's weight, at this step.
    fn label_share(&self, at: At) -> f64 {
        match self.weights.label_warmup_steps {
            0 => 1.0,
            n_steps => ((at.step_in_all + 1) as f64 / n_steps as f64).min(1.0),
        }
    }

    /// Over the batch and not the window, since most windows have no or a small lesion.
    fn of_mask(&self, logits: Tensor<5>, mask: Tensor<5>) -> Tensor<1> {
        match &self.weights.tversky {
            None => mask_losses(logits, mask).sum(),
            Some(weights) => {
                let entropy = bce_with_logits(logits.clone(), mask.clone()).mean();
                tversky_loss(logits, mask, *weights) + entropy
            }
        }
    }
}

/// The focal Tversky loss `(1 − TI)^γ` over the whole batch, `TI = (TP + 1) / (TP + α FP + β FN + 1)` from soft counts
/// (Salehi et al., MLMI 2017; Abraham and Khan, ISBI 2019); α = β = ½ and γ = 1 are a Dice loss.
pub fn tversky_loss(logits: Tensor<5>, mask: Tensor<5>, weights: Tversky) -> Tensor<1> {
    let p = sigmoid(logits);
    let hit = (p.clone() * mask.clone()).sum();
    let [false_positive, false_negative] =
        [p.sum() - hit.clone(), mask.sum() - hit.clone()].map(|count| count.clamp_min(0.0));
    let missed = false_positive.mul_scalar(weights.alpha) + false_negative.mul_scalar(weights.beta);
    let index = hit.clone().add_scalar(1.0) / (hit + missed).add_scalar(1.0);
    let loss = index.neg().add_scalar(1.0);
    match weights.gamma {
        1.0 => loss,
        // The slope of a power below 1 has no end at 0.
        gamma => loss.clamp_min(1e-6).powf_scalar(gamma),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;
    use crate::{Across, Align};

    const LOGITS: [f32; 4] = [0.4, -1.3, 2.2, -0.6];
    const GROWTH: [f32; 4] = [1.0, 0.0, 0.0, 1.0];

    fn nothing() -> RawLoss {
        RawLoss {
            mask_weight: 1.0,
            label_weight: 1.0,
            label_warmup_steps: 0,
            reconstruction_weight: 0.0,
            sign_weight: 0.0,
            followup_weight: 0.0,
            effective_number_beta: 0.0,
            reweight_from_epoch: 0,
            focal_gamma: 0.0,
            ldam_margin: 0.0,
            logit_adjustment: 0.0,
            across: Across::Mean,
            across_strength: 0.0,
            task_rate: 0.0,
            tversky: None,
            align: Align::None,
        }
    }

    fn of(loss: &RawLoss, epoch: usize) -> Vec<f64> {
        let device = Device::flex();
        let loss = GrowthLoss::new(loss, [81, 16], (16.0f64 / 81.0).ln()).unwrap();
        let found =
            loss.of(Tensor::from_data(LOGITS, &device), Tensor::from_data(GROWTH, &device), epoch);
        found.into_data().as_slice::<f32>().unwrap().iter().map(|v| f64::from(*v)).collect()
    }

    fn assert_near(found: &[f64], expected: [f64; 4]) {
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-5, "{found} for {expected}");
        }
    }

    /// Probability of the case's own class after an addend.
    fn own(i: usize, [stable, growing]: [f64; 2]) -> f64 {
        let grows = GROWTH[i] == 1.0;
        let z = f64::from(LOGITS[i]) + if grows { growing } else { stable };
        1.0 / (1.0 + f64::exp(if grows { -z } else { z }))
    }

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

    #[test]
    fn the_focal_loss_counts_what_is_told_well_less() {
        let cases: [f64; 4] = std::array::from_fn(|i| own(i, [0.0; 2]));
        assert_near(&of(&nothing(), 0), cases.map(|p| -p.ln()));
        let focal = RawLoss { focal_gamma: 2.0, ..nothing() };
        assert_near(&of(&focal, 0), cases.map(|p| -(1.0 - p).powi(2) * p.ln()));
    }

    #[test]
    fn margins_fall_with_the_fourth_root_of_the_cases() {
        // (16 / 81)^(1/4) = 2/3.
        let ldam = RawLoss { ldam_margin: 0.9, ..nothing() };
        assert_near(&of(&ldam, 0), std::array::from_fn(|i| -own(i, [0.6, -0.9]).ln()));
        let loss = GrowthLoss::new(&ldam, [81, 16], -1.0).unwrap();
        assert_eq!(loss.prior_logit_offset(0), 0.0);
        let empty = GrowthLoss::new(&ldam, [81, 0], -1.0);
        assert!(matches!(empty, Err(TrainError::EmptyClass { class: 1 })));
    }

    #[test]
    fn an_adjusted_logit_leaves_the_prior_to_the_offset() {
        let prior = (16.0f64 / 81.0).ln();
        let adjusted = RawLoss { logit_adjustment: 0.5, ..nothing() };
        let expected = std::array::from_fn(|i| -own(i, [0.5 * prior; 2]).ln());
        assert_near(&of(&adjusted, 0), expected);
        let loss = GrowthLoss::new(&adjusted, [81, 16], prior).unwrap();
        assert!((loss.prior_logit_offset(0) - 0.5 * prior).abs() < 1e-12);
    }

    #[test]
    fn class_weights_may_count_from_a_later_epoch() {
        let loss = RawLoss { effective_number_beta: 0.99, reweight_from_epoch: 3, ..nothing() };
        let [stable, growing] = effective_number_weights([81, 16], 0.99).unwrap();
        assert_eq!(of(&loss, 2), of(&nothing(), 2));
        let weight = |i: usize| if GROWTH[i] == 1.0 { growing } else { stable };
        let expected = std::array::from_fn(|i| -weight(i) * own(i, [0.0; 2]).ln());
        assert_near(&of(&loss, 3), expected);
        let loss = GrowthLoss::new(&loss, [81, 16], -1.0).unwrap();
        let [before, after] = [2, 3].map(|epoch| loss.prior_logit_offset(epoch));
        assert_eq!(before, 0.0);
        assert!((after + (growing / stable).ln()).abs() < 1e-12);
    }

    #[test]
    fn tverskys_index_weighs_what_is_missed_and_what_is_too_much() {
        let device = Device::flex();
        let tensor = |values: [f32; 4]| {
            Tensor::<5>::from_data(TensorData::new(values.to_vec(), [1, 1, 1, 2, 2]), &device)
        };
        let loss = |weights| {
            let loss = tversky_loss(tensor(LOGITS), tensor(GROWTH), weights);
            f64::from(loss.into_scalar::<f32>())
        };
        let p = |i: usize| 1.0 / (1.0 + f64::exp(-f64::from(LOGITS[i])));
        let (hit, extra, missed) = (p(0) + p(3), p(1) + p(2), 2.0 - p(0) - p(3));
        let expected = 1.0 - (hit + 1.0) / (hit + 0.3 * extra + 0.7 * missed + 1.0);
        let weights = Tversky { alpha: 0.3, beta: 0.7, gamma: 1.0 };
        assert!((loss(weights) - expected).abs() < 1e-6);
        let focal = Tversky { gamma: 0.75, ..weights };
        assert!((loss(focal) - expected.powf(0.75)).abs() < 1e-6);
    }
}
