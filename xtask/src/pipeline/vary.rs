//! What a value of a matrix axis changes in the config of a stage.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use hemex_stage::suggest::did_you_mean;
use serde::Deserialize;
use serde_json::Value;

use super::overrides;

/// Axis, its value, dotted key of the config: the value that the key has there.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Vary(BTreeMap<String, BTreeMap<String, BTreeMap<String, Value>>>);

impl Vary {
    /// The config at a place of the matrix.
    pub(super) fn config(&self, base: &Value, axes: &BTreeMap<String, Value>) -> Result<Value> {
        let mut config = base.clone();
        for (axis, values) in &self.0 {
            let changes = axes.get(axis).and_then(Value::as_str).and_then(|v| values.get(v));
            for (key, value) in changes.into_iter().flatten() {
                overrides::set(&mut config, key, value.clone())
                    .with_context(|| format!("vary.{axis}"))?;
            }
        }
        Ok(config)
    }

    /// Fails unless every axis and value is one of the matrix, and every key one of the config.
    pub(super) fn check(&self, base: &Value, matrix: &BTreeMap<String, Vec<Value>>) -> Result<()> {
        for (axis, values) in &self.0 {
            let Some(known) = matrix.get(axis) else {
                let hint = did_you_mean(axis, matrix.keys().map(String::as_str));
                bail!("vary.{axis}: the matrix has no axis `{axis}`{hint}");
            };
            for value in values.keys() {
                if !known.iter().any(|k| k.as_str() == Some(value)) {
                    let hint = did_you_mean(value, known.iter().filter_map(Value::as_str));
                    bail!("vary.{axis}: the axis has no value `{value}`{hint}");
                }
                self.config(base, &[(axis.clone(), value.as_str().into())].into())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use serde_json::json;

    use super::*;

    fn vary(text: &str) -> Vary {
        toml::from_str(text).unwrap()
    }

    const BASE: &str = "[difficulty]\n\"few\" = { \"site.C.share\" = 4.0, n = 2 }";

    #[test]
    fn a_value_of_an_axis_changes_its_keys_and_no_others() {
        let base = json!({ "n": 9, "site": { "C": { "share": 1.0, "tilt": 3.0 } } });
        let at = |value: &str| {
            vary(BASE).config(&base, &[("difficulty".to_owned(), value.into())].into()).unwrap()
        };
        assert_eq!(at("few"), json!({ "n": 2, "site": { "C": { "share": 4.0, "tilt": 3.0 } } }));
        assert_eq!(at("easy"), base);
        assert_eq!(vary(BASE).config(&base, &BTreeMap::new()).unwrap(), base);
    }

    #[test]
    fn what_is_not_in_matrix_or_config_is_named() {
        let base = json!({ "n": 9, "site": { "C": { "share": 1.0 } } });
        let refused = |base: &Value, axis: &str, value: &str| {
            let matrix = [(axis.to_owned(), vec![Value::from(value)])].into();
            vary(BASE).check(base, &matrix).map_err(|e| format!("{e:#}"))
        };
        assert!(refused(&base, "difficulty", "few").is_ok());
        assert!(refused(&base, "dificulty", "few").unwrap_err().contains("`difficulty`"));
        assert!(refused(&base, "difficulty", "fewer").unwrap_err().contains("`few`"));
        let other = json!({ "n": 9, "site": { "B": { "share": 1.0 } } });
        assert!(refused(&other, "difficulty", "few").unwrap_err().contains("`C`"));
    }
}
