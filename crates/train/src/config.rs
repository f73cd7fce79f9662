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
use crate::{Balancing, Precision, SamplerKind};

mod align;
mod finetune;
mod loss;
mod optimizer;

pub use align::Align;
pub use finetune::RawFinetune;
pub use loss::{RawLoss, Tversky};
pub use optimizer::{Averaging, RawOptimizer};

use align::check_align;
use loss::{check_calibration, check_followup, check_loss, check_signs};
use optimizer::check_optimizer;

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
    /// Windows that go through the network at a time.
    pub batch_size: usize,
    /// In what the levels of a network are worked out while it learns.
    pub precision: Precision,
    /// Batches whose mean gradient makes a step: a larger batch than memory holds, whose losses are those of its parts.
    pub batches_per_step: usize,
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
    /// What sets of labels rest on.
    pub conformal: RawConformal,
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
    /// The arms that begin with parts of the network wired as `pretrained`, and how.
    pub finetune: BTreeMap<String, RawFinetune>,
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

/// What sets of labels rest on, where the split has calibration cases.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawConformal {
    /// Whether calibration cases count in proportion to their domain-shift weight.
    pub shift_weights: bool,
}

/// How cases are drawn.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawSampler {
    /// Which sampler.
    pub kind: SamplerKind,
    /// β of `effective_number`, and of no other.
    pub beta: Option<f64>,
    /// Whether cases count in proportion to their domain-shift weight; all count alike where no weights are wired.
    pub shift_weights: bool,
    /// How it comes that they count so.
    pub by: Balancing,
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
    /// By the rising function that fits the validation cases; it takes many of them, and gives neighbours in rank one
    /// probability ([`hemex_metrics::Isotonic`]).
    Isotonic,
}

/// The config, checked.
#[derive(Debug, Clone)]
pub struct Config {
    pub(crate) regime: Regime,
    pub(crate) n_epochs: usize,
    pub(crate) steps_per_epoch: usize,
    pub(crate) batch_size: usize,
    pub(crate) precision: Precision,
    pub(crate) batches_per_step: usize,
    pub(crate) select_by: SelectBy,
    pub(crate) patience_epochs: usize,
    pub(crate) lesion_window_share: f64,
    pub(crate) optimizer: RawOptimizer,
    pub(crate) decision: Decision,
    pub(crate) calibration: Calibration,
    pub(crate) conformal: RawConformal,
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
    /// `None` for an arm that begins with weights that are drawn.
    pub(crate) finetune: Option<RawFinetune>,
}

impl TryFrom<RawConfig> for Config {
    type Error = ConfigError;

    fn try_from(raw: RawConfig) -> Result<Self, ConfigError> {
        check_count("n_epochs", raw.n_epochs, 100_000)?;
        check_count("steps_per_epoch", raw.steps_per_epoch, 1_000_000)?;
        check_count("batch_size", raw.batch_size, 4096)?;
        check_count("batches_per_step", raw.batches_per_step, 4096)?;
        check_count("patience_epochs", raw.patience_epochs, 100_000)?;
        check_fraction("lesion_window_share", raw.lesion_window_share)?;
        let decision = raw.decision.check().map_err(|e| spec_error(e).within("decision"))?;
        check_positive("growth.relative", raw.growth.relative)?;
        check_positive("growth.absolute_ml", raw.growth.absolute_ml)?;
        if raw.arm.is_empty() {
            return Err(ConfigError::new("arm", "at least one [arm.NAME]", "none"));
        }
        check_optimizer(&raw.optimizer, &raw.arm, [raw.n_epochs, raw.steps_per_epoch])?;
        if let Some(name) = raw.change.keys().find(|name| !raw.arm.contains_key(*name)) {
            let hint = did_you_mean(name, raw.arm.keys().map(String::as_str));
            let key = format!("change.{name}");
            return Err(ConfigError::new(&key, &format!("the name of an arm{hint}"), name));
        }
        finetune::check_arms(&raw.finetune, &raw.arm)?;
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
            precision: raw.precision,
            batches_per_step: raw.batches_per_step,
            select_by: raw.select_by,
            patience_epochs: raw.patience_epochs,
            lesion_window_share: raw.lesion_window_share,
            optimizer: raw.optimizer,
            decision,
            calibration: raw.calibration,
            conformal: raw.conformal,
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
        check_loss(&loss, &sampler, [raw.n_epochs, raw.steps_per_epoch]).map_err(of_change)?;
        check_align(loss.align, spec.kind(), raw.batch_size).map_err(of_change)?;
        check_signs(spec.signs(), &loss).map_err(of_change)?;
        check_whole_cases(&spec, raw.batch_size, &name)?;
        check_followup(spec.followup(), &loss).map_err(of_change)?;
        if growth_from == GrowthSource::Network {
            check_calibration(&loss, raw.calibration).map_err(of_change)?;
        }
        let augment = match change.augmented {
            Some(false) => unchanged.clone(),
            _ => augment.clone(),
        };
        let finetune = raw.finetune.get(&name).cloned();
        if let Some(finetune) = &finetune {
            let within = |e: ConfigError| e.within(&format!("finetune.{name}"));
            finetune.check(&spec, raw.n_epochs).map_err(within)?;
        }
        Ok((name, Arm { spec, learning_rate, growth_from, sampler, loss, augment, finetune }))
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

/// A batch holds every window of a case from which its label is learnt.
fn check_whole_cases(spec: &NetworkSpec, n: usize, arm: &str) -> Result<(), ConfigError> {
    let of_case = spec.n_windows_of_case();
    if n.is_multiple_of(of_case) {
        return Ok(());
    }
    let expected = format!("a multiple of {of_case}, `arm.{arm}.slice_attention.n_windows`");
    Err(ConfigError::new("batch_size", &expected, n))
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
