//! How is learnt, as it is written.

use std::collections::BTreeMap;

use hemex_model::RawNetworkSpec;
use hemex_stage::suggest::did_you_mean;
use hemex_stage::{ConfigError, check_positive, check_range};
use serde::Deserialize;

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
    /// What is validated and stored.
    pub average: Averaging,
}

/// Which average of the weights over the steps is validated and stored.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Averaging {
    /// None: the weights themselves.
    None,
    /// The exponential moving average (Polyak and Juditsky, SIAM J Control Optim 30, 1992, 838–855, in its exponential
    /// form).
    Exponential {
        /// What is kept of it from step to step.
        decay: f64,
    },
    /// The plain mean over the steps of the last epochs, at the learning rate with which these begin (stochastic weight
    /// averaging; Izmailov et al., UAI 2018, algorithm 1).
    Stochastic {
        /// The first of these epochs, counted from 0.
        from_epoch: usize,
    },
}

/// Values that can be used, and a learning rate for no other than the arms: one that no arm takes is a typo.
pub(super) fn check_optimizer(
    optimizer: &RawOptimizer,
    arms: &BTreeMap<String, RawNetworkSpec>,
    [n_epochs, steps_per_epoch]: [usize; 2],
) -> Result<(), ConfigError> {
    check_range("optimizer.weight_decay", optimizer.weight_decay, 0.0..=1.0)?;
    check_positive("optimizer.max_gradient_norm", optimizer.max_gradient_norm)?;
    let n_steps = n_epochs * steps_per_epoch;
    if optimizer.warmup_steps >= n_steps {
        let expected = format!("fewer than the {n_steps} steps of the training");
        return Err(ConfigError::new("optimizer.warmup_steps", &expected, optimizer.warmup_steps));
    }
    match optimizer.average {
        Averaging::None => {}
        Averaging::Exponential { decay } => {
            check_range("optimizer.average.decay", decay, 0.0..=0.999_999)?;
        }
        // A rate that is held before the warm-up ends would stay a part of what it shall be.
        Averaging::Stochastic { from_epoch }
            if from_epoch < n_epochs && from_epoch * steps_per_epoch >= optimizer.warmup_steps => {}
        Averaging::Stochastic { from_epoch } => {
            let expected =
                format!("after the warm-up and below the {n_epochs} epochs of the training");
            return Err(ConfigError::new("optimizer.average.from_epoch", &expected, from_epoch));
        }
    }
    for (name, rate) in &optimizer.learning_rate {
        let key = format!("optimizer.learning_rate.{name}");
        if !arms.contains_key(name) {
            let hint = did_you_mean(name, arms.keys().map(String::as_str));
            return Err(ConfigError::new(&key, &format!("the name of an arm{hint}"), name));
        }
        check_range(&key, *rate, 1e-9..=1.0)?;
    }
    Ok(())
}
