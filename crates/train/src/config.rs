use std::collections::BTreeMap;

use hemex_artifacts::Regime;
use hemex_augment::{GrowthRule, Policy, RawPolicy, RawTransplant, TransplantPolicy};
use hemex_model::{Decision, ModelError, NetworkSpec, RawNetworkSpec};
use hemex_stage::suggest::did_you_mean;
use hemex_stage::{ConfigError, check_fraction, check_positive, check_range};
use serde::Deserialize;

use crate::growth_source::{
    Established, GrowthSource, RawGrowthRegression, RawGrowthSource, check_sources,
};
use crate::{Across, Balancing, SamplerKind};

/// The config as it is written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawConfig {
    /// How the cohort is split; the fold is an axis of the matrix.
    pub regime: Regime,
    /// Most epochs.
    pub n_epochs: usize,
    /// Steps of the optimizer in an epoch.
    pub steps_per_epoch: usize,
    /// Windows in a step.
    pub batch_size: usize,
    /// The validation figure by which the best epoch is told.
    pub select_by: SelectBy,
    /// Epochs without a better one after which the training ends.
    pub patience_epochs: usize,
    /// Share of windows drawn around the lesion; the others are drawn in the brain, every slice as often.
    pub lesion_window_share: f64,
    /// How cases are drawn.
    pub sampler: RawSampler,
    /// What is minimised.
    pub loss: RawLoss,
    /// AdamW.
    pub optimizer: RawOptimizer,
    /// How a network's own logit of growth becomes a probability.
    pub calibration: Calibration,
    /// How the output becomes a statement on a case.
    pub decision: Decision,
    /// What may be drawn for each window.
    pub augment: RawPolicy,
    /// Hematomas of other training cases, planted before a window is cut.
    pub transplant: RawTransplant,
    /// The rule by which a case with a planted hematoma grew: that of the cohort's labels.
    pub growth: GrowthRule,
    /// What tells growth, for each arm.
    pub growth_from: BTreeMap<String, RawGrowthSource>,
    /// How what tells growth is weighed, where the network's own logit does not.
    pub growth_regression: RawGrowthRegression,
    /// The networks by name; the arm is an axis of the matrix.
    pub arm: BTreeMap<String, RawNetworkSpec>,
    /// What an arm has otherwise than the rest, by its name.
    #[serde(default)]
    pub change: BTreeMap<String, RawChange>,
}

/// What an arm has otherwise than the rest; what is not named is as for all.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawChange {
    /// How its cases are drawn.
    pub sampler: Option<RawSampler>,
    /// What it minimises.
    pub loss: Option<RawLoss>,
    /// Whether its windows are transformed.
    pub augmented: Option<bool>,
}

/// How cases are drawn.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawSampler {
    /// Which sampler.
    pub kind: SamplerKind,
    /// β of `effective_number`, and of no other.
    pub beta: Option<f64>,
    /// Whether cases count in proportion to their domain-shift weight.
    pub shift_weights: bool,
    /// How it comes that they count so.
    pub by: Balancing,
}

/// What is minimised.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawLoss {
    /// Weight of Dice + cross-entropy of the mask.
    pub mask_weight: f64,
    /// Weight of the cross-entropy of the label.
    pub label_weight: f64,
    /// Weight of the mean absolute error of the reconstructed input, for networks that have that decoder.
    pub reconstruction_weight: f64,
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
    /// How the losses of growth of several sites become one.
    pub across: Across,
    /// η of group DRO, or the weight of V-REx's variance; 0 for the mean.
    pub across_strength: f64,
    /// The focal Tversky loss of the mask in place of the Dice loss; the cross-entropy stays.
    pub tversky: Option<Tversky>,
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

/// The validation figure by which the best epoch is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SelectBy {
    /// The lowest loss, of growth and mask together.
    Loss,
    /// The highest AUROC of the network's own logit of growth.
    Auroc,
    /// The highest mean Dice.
    Dice,
}

/// How a network's own logit of growth, prior offset added, becomes a probability. A regression is fitted to be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Calibration {
    /// As it is.
    None,
    /// Its distance from the prior divided by the temperature that fits the validation cases.
    Temperature,
    /// By the line that fits the validation cases (Platt, Advances in Large Margin Classifiers, 1999).
    Platt,
}

/// AdamW with a linear warm-up and a cosine decay to 0.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawOptimizer {
    /// Highest learning rate of each arm: the one thing that no two networks can share fairly.
    pub learning_rate: BTreeMap<String, f64>,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Steps of the warm-up.
    pub warmup_steps: usize,
    /// The gradient of all weights together is scaled down to this norm.
    pub max_gradient_norm: f64,
    /// Decay of the exponential moving average of the weights that is validated and stored; 0 for the weights
    /// themselves.
    pub average_decay: f64,
}

/// The config, checked.
#[derive(Debug, Clone)]
pub struct Config {
    pub(crate) regime: Regime,
    pub(crate) n_epochs: usize,
    pub(crate) steps_per_epoch: usize,
    pub(crate) batch_size: usize,
    pub(crate) select_by: SelectBy,
    pub(crate) patience_epochs: usize,
    pub(crate) lesion_window_share: f64,
    pub(crate) optimizer: RawOptimizer,
    pub(crate) decision: Decision,
    pub(crate) calibration: Calibration,
    pub(crate) transplant: TransplantPolicy,
    pub(crate) growth: GrowthRule,
    pub(crate) established: Established,
    pub(crate) arms: BTreeMap<String, Arm>,
}

/// A network and what it is trained with.
#[derive(Debug, Clone)]
pub(crate) struct Arm {
    pub(crate) spec: NetworkSpec,
    pub(crate) learning_rate: f64,
    pub(crate) growth_from: GrowthSource,
    pub(crate) sampler: RawSampler,
    pub(crate) loss: RawLoss,
    pub(crate) augment: Policy,
}

impl TryFrom<RawConfig> for Config {
    type Error = ConfigError;

    fn try_from(raw: RawConfig) -> Result<Self, ConfigError> {
        check_count("n_epochs", raw.n_epochs, 100_000)?;
        check_count("steps_per_epoch", raw.steps_per_epoch, 1_000_000)?;
        check_count("batch_size", raw.batch_size, 4096)?;
        check_count("patience_epochs", raw.patience_epochs, 100_000)?;
        check_fraction("lesion_window_share", raw.lesion_window_share)?;
        check_range("optimizer.weight_decay", raw.optimizer.weight_decay, 0.0..=1.0)?;
        check_positive("optimizer.max_gradient_norm", raw.optimizer.max_gradient_norm)?;
        check_range("optimizer.average_decay", raw.optimizer.average_decay, 0.0..=0.999_999)?;
        let n_steps = raw.n_epochs * raw.steps_per_epoch;
        if raw.optimizer.warmup_steps >= n_steps {
            let expected = format!("fewer than the {n_steps} steps of the training");
            let found = raw.optimizer.warmup_steps;
            return Err(ConfigError::new("optimizer.warmup_steps", &expected, found));
        }
        let decision = raw.decision.check().map_err(|e| spec_error(e).within("decision"))?;
        check_positive("growth.relative", raw.growth.relative)?;
        check_positive("growth.absolute_ml", raw.growth.absolute_ml)?;
        if raw.arm.is_empty() {
            return Err(ConfigError::new("arm", "at least one [arm.NAME]", "none"));
        }
        let rates = &raw.optimizer.learning_rate;
        check_rates_are_of_arms(rates, &raw.arm)?;
        if let Some(name) = raw.change.keys().find(|name| !raw.arm.contains_key(*name)) {
            let hint = did_you_mean(name, raw.arm.keys().map(String::as_str));
            let key = format!("change.{name}");
            return Err(ConfigError::new(&key, &format!("the name of an arm{hint}"), name));
        }
        let arms = arms(&raw)?;
        let transplant =
            TransplantPolicy::try_from(raw.transplant).map_err(|e| e.within("transplant"))?;
        let established = Established::try_from(raw.growth_regression)
            .map_err(|e| e.within("growth_regression"))?;
        Ok(Self {
            regime: raw.regime,
            n_epochs: raw.n_epochs,
            steps_per_epoch: raw.steps_per_epoch,
            batch_size: raw.batch_size,
            select_by: raw.select_by,
            patience_epochs: raw.patience_epochs,
            lesion_window_share: raw.lesion_window_share,
            optimizer: raw.optimizer,
            decision,
            calibration: raw.calibration,
            transplant,
            growth: raw.growth,
            established,
            arms,
        })
    }
}

/// The arms, each with its own or the common sampler, loss and transforms.
fn arms(raw: &RawConfig) -> Result<BTreeMap<String, Arm>, ConfigError> {
    let sources = check_sources(&raw.growth_from, &raw.arm)?;
    let augment = Policy::try_from(raw.augment.clone()).map_err(|e| e.within("augment"))?;
    let unchanged = Policy::try_from(RawPolicy::NOTHING).map_err(|e| e.within("augment"))?;
    let arms = sources.into_iter().map(|(name, growth_from)| {
        let spec = NetworkSpec::try_from(raw.arm[&name].clone())
            .map_err(|e| spec_error(e).within(&format!("arm.{name}")))?;
        let learning_rate = *raw.optimizer.learning_rate.get(&name).ok_or_else(|| {
            let key = format!("optimizer.learning_rate.{name}");
            ConfigError::new(&key, "a learning rate for each arm", "none")
        })?;
        let change = raw.change.get(&name).copied().unwrap_or_default();
        let (sampler, loss) =
            (change.sampler.unwrap_or(raw.sampler), change.loss.unwrap_or(raw.loss));
        let of_change = |e: ConfigError| match raw.change.contains_key(&name) {
            true => e.within(&format!("change.{name}")),
            false => e,
        };
        check_sampler(&sampler).map_err(of_change)?;
        check_loss(&loss, &sampler, raw.n_epochs).map_err(of_change)?;
        if growth_from == GrowthSource::Network {
            check_calibration(&loss, raw.calibration).map_err(of_change)?;
        }
        let augment = match change.augmented {
            Some(false) => unchanged.clone(),
            _ => augment.clone(),
        };
        Ok((name, Arm { spec, learning_rate, growth_from, sampler, loss, augment }))
    });
    arms.collect()
}

fn check_sampler(sampler: &RawSampler) -> Result<(), ConfigError> {
    match (sampler.kind, sampler.beta) {
        (SamplerKind::EffectiveNumber, Some(beta)) => {
            check_range("sampler.beta", beta, 0.0..=0.999_999).map(|_| ())
        }
        (SamplerKind::EffectiveNumber, None) => {
            Err(ConfigError::new("sampler.beta", "β of the effective numbers, as 0.99", "none"))
        }
        (_, None) => Ok(()),
        (_, Some(beta)) => {
            let expected = "nothing: only sampler.kind = \"effective_number\" has it";
            Err(ConfigError::new("sampler.beta", expected, beta))
        }
    }
}

/// A loss that distorts probabilities is followed by a recalibration.
fn check_calibration(loss: &RawLoss, calibration: Calibration) -> Result<(), ConfigError> {
    for (key, value) in
        [("loss.focal_gamma", loss.focal_gamma), ("loss.ldam_margin", loss.ldam_margin)]
    {
        if value > 0.0 && calibration != Calibration::Platt {
            let expected =
                "0 unless calibration = \"platt\", since this loss distorts the probabilities";
            return Err(ConfigError::new(key, expected, value));
        }
    }
    Ok(())
}

/// A weight for each task; no correction is made twice.
fn check_loss(loss: &RawLoss, sampler: &RawSampler, n_epochs: usize) -> Result<(), ConfigError> {
    check_range("loss.mask_weight", loss.mask_weight, 0.0..=1e6)?;
    check_positive("loss.label_weight", loss.label_weight)?;
    check_range("loss.reconstruction_weight", loss.reconstruction_weight, 0.0..=1e6)?;
    let beta = loss.effective_number_beta;
    check_range("loss.effective_number_beta", beta, 0.0..=0.999_999)?;
    check_range("loss.focal_gamma", loss.focal_gamma, 0.0..=10.0)?;
    check_range("loss.ldam_margin", loss.ldam_margin, 0.0..=100.0)?;
    let adjustment = check_range("loss.logit_adjustment", loss.logit_adjustment, 0.0..=10.0)?;
    let strength = loss.across_strength;
    check_range("loss.across_strength", strength, 0.0..=1e6)?;
    if (loss.across == Across::Mean) != (strength == 0.0) {
        let expected = "0 with across = \"mean\", above 0 with any other";
        return Err(ConfigError::new("loss.across_strength", expected, strength));
    }
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

/// A learning rate that no arm takes is a typo.
fn check_rates_are_of_arms(
    rates: &BTreeMap<String, f64>,
    arms: &BTreeMap<String, RawNetworkSpec>,
) -> Result<(), ConfigError> {
    for (name, rate) in rates {
        let key = format!("optimizer.learning_rate.{name}");
        if !arms.contains_key(name) {
            let hint = did_you_mean(name, arms.keys().map(String::as_str));
            return Err(ConfigError::new(&key, &format!("the name of an arm{hint}"), name));
        }
        check_range(&key, *rate, 1e-9..=1.0)?;
    }
    Ok(())
}

fn check_count(key: &str, n: usize, most: usize) -> Result<(), ConfigError> {
    if (1..=most).contains(&n) {
        return Ok(());
    }
    Err(ConfigError::new(key, &format!("a whole number from 1 to {most}"), n))
}

/// The model's error as the config's; its other variants cannot come from a config.
fn spec_error(error: ModelError) -> ConfigError {
    match error {
        ModelError::Spec { key, expected, found } => ConfigError::new(key, &expected, found),
        other => ConfigError::new("", "a network that can be built", other),
    }
}

#[cfg(test)]
mod tests;
