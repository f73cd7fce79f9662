//! `--set STAGE.KEY=VALUE`.

use anyhow::{Context, Result, bail};
use hemex_stage::suggest::did_you_mean;
use serde_json::Value;

use super::file::{Pipeline, Stage};

/// Applies every `--set` in order; the values become part of the resolved config and so of the key.
pub(super) fn apply(pipeline: &mut Pipeline, settings: &[String]) -> Result<()> {
    for setting in settings {
        let parsed = setting.split_once('=').and_then(|(key, value)| {
            let (stage, key) = key.trim().split_once('.')?;
            Some((stage, key, value.trim()))
        });
        let Some((stage, key, value)) = parsed else {
            bail!("--set {setting}: expected STAGE.KEY=VALUE");
        };
        pipeline.stage(stage).with_context(|| format!("--set {setting}"))?;
        let value = parse_value(value);
        // A stage that repeats another's matrix follows it.
        for stage in pipeline
            .stages
            .iter_mut()
            .filter(|s| s.name == stage || (s.matrix_of.as_deref() == Some(stage) && is_axis(key)))
        {
            set_of_stage(stage, key, value.clone()).with_context(|| format!("--set {setting}"))?;
        }
    }
    Ok(())
}

fn is_axis(key: &str) -> bool {
    key == "seed" || key.starts_with("matrix.")
}

fn set_of_stage(stage: &mut Stage, key: &str, value: Value) -> Result<()> {
    let in_config = stage.config.get(key).is_some();
    if key == "seed" && !in_config {
        let seed = value.as_u64().context("a seed is a whole number from 0")?;
        match stage.matrix.get_mut("seed") {
            Some(values) => *values = vec![Value::from(seed)],
            None => stage.seed = seed,
        }
        return Ok(());
    }
    if let Some(axis) = key.strip_prefix("matrix.") {
        let hint = did_you_mean(axis, stage.matrix.keys().map(String::as_str));
        let Some(values) = stage.matrix.get_mut(axis) else {
            bail!("the matrix of `{}` has no axis `{axis}`{hint}", stage.name);
        };
        *values = match value {
            Value::Array(values) if !values.is_empty() => values,
            single => vec![single],
        };
        return Ok(());
    }
    set(&mut stage.config, key, value).with_context(|| format!("the config of `{}`", stage.name))
}

/// Gives a key of a config, dotted, another value.
pub(super) fn set(config: &mut Value, key: &str, value: Value) -> Result<()> {
    let mut place = config;
    for part in key.split('.') {
        let Value::Object(map) = place else {
            bail!("`{key}`: `{part}` lies below a value that is no table");
        };
        let hint = did_you_mean(part, map.keys().map(String::as_str));
        place = map.get_mut(part).with_context(|| format!("there is no key `{part}`{hint}"))?;
    }
    *place = value;
    Ok(())
}

/// As TOML; what is no TOML value is a string, so that `--set train.regime=site` needs no quotes.
fn parse_value(text: &str) -> Value {
    let table: Result<toml::Table, _> = toml::from_str(&format!("value = {text}"));
    table
        .ok()
        .and_then(|mut table| table.remove("value"))
        .and_then(|value| serde_json::to_value(value).ok())
        .unwrap_or_else(|| Value::from(text))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    #[test]
    fn a_key_below_tables_is_set_and_an_unknown_one_named() {
        let mut config =
            serde_json::json!({ "splits": { "target_fraction": 0.5 }, "regime": "site" });
        set(&mut config, "splits.target_fraction", Value::from(0.2)).unwrap();
        assert_eq!(config["splits"]["target_fraction"], 0.2);
        let refused =
            |config: &mut Value, key| set(config, key, Value::from(1)).unwrap_err().to_string();
        assert!(refused(&mut config, "splits.target_fracton").contains("target_fraction"));
        assert!(refused(&mut config, "regime.site").contains("no table"));
    }

    #[test]
    fn values_are_toml_or_words() {
        assert_eq!(parse_value("2"), Value::from(2));
        assert_eq!(parse_value("1e-4"), Value::from(1e-4));
        assert_eq!(parse_value("[1, 2]"), serde_json::json!([1, 2]));
        assert_eq!(parse_value("site"), Value::from("site"));
        assert_eq!(parse_value("\"2\""), Value::from("2"));
    }
}
