use hemex_artifacts::Regime;
use hemex_stage::{ConfigError, check_range};
use serde::Deserialize;

/// The config as it is written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawConfig {
    /// The layout.
    pub format: Format,
    /// The dataset's name: letters, digits, `-` and `_`.
    pub name: String,
    /// Of nnU-Net's layout alone.
    pub nnunet: RawNnunet,
}

/// Settings of nnU-Net's layout.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawNnunet {
    /// Number of the dataset, 1 to 999.
    pub dataset_id: u32,
    /// Whose folds become `splits_final.json`, where splits are wired.
    pub regime: Regime,
}

/// A layout of other tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// A raw dataset of nnU-Net, version 2.
    Nnunet,
    /// A derivative dataset of BIDS.
    Bids,
}

/// The config, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The layout.
    pub format: Format,
    /// The dataset's name.
    pub name: String,
    /// Number of nnU-Net's dataset, 1 to 999.
    pub dataset_id: u32,
    /// Whose folds become `splits_final.json`; not `same_patient`, which splits slices.
    pub regime: Regime,
}

impl TryFrom<RawConfig> for Config {
    type Error = ConfigError;

    fn try_from(raw: RawConfig) -> Result<Self, ConfigError> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if raw.name.is_empty() || !raw.name.chars().all(is_plain) {
            let expected = "letters, digits, `-` and `_`";
            return Err(ConfigError::new("name", expected, format_args!("`{}`", raw.name)));
        }
        check_range("nnunet.dataset_id", f64::from(raw.nnunet.dataset_id), 1.0..=999.0)?;
        if raw.nnunet.regime == Regime::SamePatient {
            let expected = "a regime that splits whole cases";
            return Err(ConfigError::new("nnunet.regime", expected, "`same_patient`"));
        }
        Ok(Self {
            format: raw.format,
            name: raw.name,
            dataset_id: raw.nnunet.dataset_id,
            regime: raw.nnunet.regime,
        })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    const SHIPPED: &str = include_str!("../../../configs/export.toml");

    #[test]
    fn the_shipped_config_is_valid_and_an_unusable_value_names_its_key() {
        let with = |from: &str, to: &str| {
            assert!(SHIPPED.contains(from), "{from}");
            Config::try_from(toml::from_str::<RawConfig>(&SHIPPED.replace(from, to)).unwrap())
        };
        assert_eq!(with("nnunet", "nnunet").unwrap().format, Format::Nnunet);
        let key = |from, to| with(from, to).unwrap_err().key;
        assert_eq!(key("\"Hematoma\"", "\"../up\""), "name");
        assert_eq!(key("501", "1000"), "nnunet.dataset_id");
        assert_eq!(key("\"patient\"", "\"same_patient\""), "nnunet.regime");
    }
}
