//! How far training cases and unlabelled target cases are brought together, as it is written.

use hemex_model::NetworkKind;
use hemex_stage::{ConfigError, check_positive, check_range};
use serde::Deserialize;

use super::check_count;

/// What makes the features of source and target windows alike while the network learns.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Align {
    /// Nothing: target cases are not read.
    None,
    /// The distance between their covariances ([`coral`](crate::coral)).
    Coral {
        /// Of the distance in the loss.
        weight: f64,
    },
    /// A classifier of domains behind a gradient that is reversed ([`reverse_gradient`](crate::reverse_gradient)).
    Dann {
        /// What the reversed gradient comes to be multiplied by.
        weight: f64,
        /// Features of the classifier's hidden layer.
        hidden: usize,
    },
}

impl Align {
    /// Whether target cases are needed.
    pub(crate) fn is_on(self) -> bool {
        self != Self::None
    }
}

/// Weights that can be used, on a network that has features.
pub(super) fn check_align(
    align: Align,
    kind: NetworkKind,
    batch_size: usize,
) -> Result<(), ConfigError> {
    let (name, weight) = match align {
        Align::None => return Ok(()),
        Align::Coral { weight } => ("coral", weight),
        Align::Dann { weight, hidden } => {
            check_count("loss.align.hidden", hidden, 4096)?;
            ("dann", weight)
        }
    };
    check_range("loss.align.weight", check_positive("loss.align.weight", weight)?, 0.0..=1e6)?;
    if !kind.classifies() {
        let expected = "\"none\" for a network that does not classify: it has no features";
        return Err(ConfigError::new("loss.align.kind", expected, format_args!("\"{name}\"")));
    }
    if name == "coral" && batch_size < 2 {
        let expected = "\"none\" or \"dann\" with batch_size = 1: one window has no covariance";
        return Err(ConfigError::new("loss.align.kind", expected, "\"coral\""));
    }
    Ok(())
}
