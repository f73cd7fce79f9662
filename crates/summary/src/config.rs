use hemex_stage::ConfigError;
use serde::Deserialize;

/// The config as it is written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawConfig {
    /// Arms against which every other is held.
    pub against: Vec<String>,
    /// The axis of the reports by whose values cohorts are told apart; missing for one table of all.
    pub by: Option<String>,
    /// Draws behind each interval.
    pub n_draws: usize,
}

/// The config, checked.
#[derive(Debug, Clone)]
pub struct Config {
    pub(crate) against: Vec<String>,
    pub(crate) by: Option<String>,
    pub(crate) n_draws: usize,
}

impl TryFrom<RawConfig> for Config {
    type Error = ConfigError;

    fn try_from(raw: RawConfig) -> Result<Self, ConfigError> {
        if !(100..=1_000_000).contains(&raw.n_draws) {
            let expected = "a whole number from 100 to 1000000";
            return Err(ConfigError::new("n_draws", expected, raw.n_draws));
        }
        Ok(Self { against: raw.against, by: raw.by, n_draws: raw.n_draws })
    }
}
