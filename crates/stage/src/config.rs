use std::fmt::Display;
use std::ops::RangeInclusive;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A config value that cannot be used; the orchestrator maps its key to file and line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("`{key}`: expected {expected}, found {found}")]
pub struct ConfigError {
    /// Dotted path of the key within the stage's config, for instance `optimizer.learning_rate`.
    pub key: String,
    /// What is allowed there.
    pub expected: String,
    /// What was found.
    pub found: String,
}

impl ConfigError {
    /// The error for the value `found` under `key` (dotted path within the stage's config).
    pub fn new(key: &str, expected: &str, found: impl Display) -> Self {
        Self { key: key.to_owned(), expected: expected.to_owned(), found: found.to_string() }
    }

    /// The same error one level further out: `key` becomes `parent.key`.
    #[must_use]
    pub fn within(mut self, parent: &str) -> Self {
        self.key = format!("{parent}.{}", self.key);
        self
    }
}

/// Passes a number within the range (NaN is outside every range).
///
/// # Errors
/// [`ConfigError`] with the range, for a number outside of it.
pub fn check_range(key: &str, value: f64, range: RangeInclusive<f64>) -> Result<f64, ConfigError> {
    if range.contains(&value) {
        return Ok(value);
    }
    let expected = format!("a number from {} to {}", range.start(), range.end());
    Err(ConfigError::new(key, &expected, value))
}

/// Passes a finite number above 0.
///
/// # Errors
/// [`ConfigError`] for any other.
pub fn check_positive(key: &str, value: f64) -> Result<f64, ConfigError> {
    if value.is_finite() && value > 0.0 {
        return Ok(value);
    }
    Err(ConfigError::new(key, "a number above 0", value))
}

/// Passes a number from 0 to 1.
///
/// # Errors
/// [`ConfigError`] for any other.
pub fn check_fraction(key: &str, value: f64) -> Result<f64, ConfigError> {
    check_range(key, value, 0.0..=1.0)
}

/// Parses the raw form of a config; an error carries the key's dotted path.
pub(crate) fn parse<Raw: DeserializeOwned>(config: &Value) -> Result<Raw, ConfigError> {
    serde_path_to_error::deserialize(config).map_err(|error| {
        let path = error.path().to_string();
        let path = if path == "." { String::new() } else { path };
        from_serde(&path, &error.into_inner().to_string())
    })
}

/// serde names a field that is unknown or missing in its message only: moves it into the key.
fn from_serde(path: &str, message: &str) -> ConfigError {
    let join = |field: &str| match path {
        "" => field.to_owned(),
        _ if path == field || path.ends_with(&format!(".{field}")) => path.to_owned(),
        _ => format!("{path}.{field}"),
    };
    let quoted = |text: &str| text.split('`').nth(1).unwrap_or_default().to_owned();
    if let Some(rest) = message.strip_prefix("unknown field ") {
        let field = quoted(rest);
        let known: Vec<&str> = rest.split('`').skip(3).step_by(2).collect();
        let hint = crate::suggest::did_you_mean(&field, known.iter().copied());
        let expected = format!("a known key{hint}");
        return ConfigError::new(
            &join(&field),
            &expected,
            format_args!("the unknown key `{field}`"),
        );
    }
    if let Some(rest) = message.strip_prefix("missing field ") {
        return ConfigError::new(&join(&quoted(rest)), "a value", "no such key");
    }
    let (found, expected) = message.split_once(", expected ").unwrap_or((message, "a valid value"));
    ConfigError::new(path, expected, found)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only parsed")]
    struct Raw {
        optimizer: Optimizer,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only parsed")]
    struct Optimizer {
        learning_rate: f64,
        weight_decay: f64,
    }

    fn error(text: &str) -> ConfigError {
        parse::<Raw>(&serde_json::from_str(text).unwrap()).unwrap_err()
    }

    #[test]
    fn a_typo_names_its_key_and_the_nearest() {
        let e = error(r#"{"optimizer": {"lerning_rate": 1, "weight_decay": 1}}"#);
        assert_eq!(e.key, "optimizer.lerning_rate");
        assert!(e.expected.contains("`learning_rate`"), "{e}");
    }

    #[test]
    fn a_missing_key_and_a_wrong_type_name_their_path() {
        assert_eq!(error(r#"{"optimizer": {"weight_decay": 1}}"#).key, "optimizer.learning_rate");
        let e = error(r#"{"optimizer": {"learning_rate": "fast", "weight_decay": 1}}"#);
        assert_eq!(e.key, "optimizer.learning_rate");
        assert!(e.found.contains("fast"), "{e}");
    }

    #[test]
    fn nan_is_outside_every_range() {
        assert!(check_range("x", f64::NAN, 0.0..=1.0).is_err());
        assert!(check_positive("x", f64::INFINITY).is_err());
        assert_eq!(check_fraction("x", 1.0), Ok(1.0));
    }
}
