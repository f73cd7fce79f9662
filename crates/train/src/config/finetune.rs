//! Which arms begin with parts of a trained network, as it is written.

use std::collections::BTreeMap;

use burn::tensor::Device;
use hemex_model::{Network, NetworkSpec, RawNetworkSpec};
use hemex_stage::ConfigError;
use hemex_stage::suggest::did_you_mean;
use serde::Deserialize;

/// How an arm begins with parts of the network that is wired as `pretrained`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawFinetune {
    /// The parts that begin with its weights; those of the others are drawn.
    pub copied: Vec<String>,
    /// Those of them that are not trained.
    pub frozen: Vec<String>,
    /// The epoch, from 0, from which they are; never, where it is left out.
    pub thaw_from_epoch: Option<usize>,
}

impl RawFinetune {
    /// Whether a part is trained in this epoch.
    pub(crate) fn is_trained(&self, part: &str, epoch: usize) -> bool {
        let is_frozen = self.frozen.iter().any(|frozen| frozen == part);
        !is_frozen || self.thaw_from_epoch.is_some_and(|thaw| epoch >= thaw)
    }

    /// Values that can be used for this network.
    pub(super) fn check(&self, spec: &NetworkSpec, n_epochs: usize) -> Result<(), ConfigError> {
        if self.copied.is_empty() {
            let expected = "at least one part of the network; or leave out the arm";
            return Err(ConfigError::new("copied", expected, "none"));
        }
        let parts = Network::new(spec, 0, &Device::flex()).parts();
        check_names("copied", &self.copied, &parts, "the network")?;
        check_names("frozen", &self.frozen, &self.copied, "what is copied")?;
        if parts.iter().all(|part| self.frozen.contains(part)) {
            let expected = "fewer than all parts of the network, which would learn nothing";
            return Err(ConfigError::new("frozen", expected, self.frozen.join(", ")));
        }
        match self.thaw_from_epoch {
            None => Ok(()),
            Some(epoch) if self.frozen.is_empty() => {
                let expected = "nothing: no part is frozen";
                Err(ConfigError::new("thaw_from_epoch", expected, epoch))
            }
            Some(epoch) if (1..n_epochs).contains(&epoch) => Ok(()),
            Some(epoch) => {
                let expected = format!("above 0 and below the {n_epochs} epochs of the training");
                Err(ConfigError::new("thaw_from_epoch", &expected, epoch))
            }
        }
    }
}

/// Names of parts that there are, each once.
fn check_names(
    key: &str,
    names: &[String],
    known: &[String],
    whole: &str,
) -> Result<(), ConfigError> {
    for (i, name) in names.iter().enumerate() {
        let is_new = !names[..i].contains(name);
        if !known.contains(name) || !is_new {
            let parts = known.iter().map(|part| format!("`{part}`")).collect::<Vec<_>>().join(", ");
            let expected = format!("parts of {whole} ({parts}), each once");
            return Err(ConfigError::new(key, &expected, format_args!("`{name}`")));
        }
    }
    Ok(())
}

/// No other names than those of arms: one that no arm takes is a typo.
pub(super) fn check_arms(
    finetune: &BTreeMap<String, RawFinetune>,
    arms: &BTreeMap<String, RawNetworkSpec>,
) -> Result<(), ConfigError> {
    let Some(name) = finetune.keys().find(|name| !arms.contains_key(*name)) else {
        return Ok(());
    };
    let hint = did_you_mean(name, arms.keys().map(String::as_str));
    let key = format!("finetune.{name}");
    Err(ConfigError::new(&key, &format!("the name of an arm{hint}"), name))
}
