use hemex_artifacts::Role;
use hemex_stage::ConfigError;
use serde::Deserialize;

/// The config as it is written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawConfig {
    /// Windows at a time.
    pub batch_size: usize,
    /// Cases of which roles are read without their hematoma too, where they have such a scan.
    pub twin_roles: Vec<Role>,
}

/// The config, checked.
#[derive(Debug, Clone)]
pub struct Config {
    pub(crate) batch_size: usize,
    pub(crate) twin_roles: Vec<Role>,
}

impl TryFrom<RawConfig> for Config {
    type Error = ConfigError;

    fn try_from(raw: RawConfig) -> Result<Self, ConfigError> {
        if !(1..=4096).contains(&raw.batch_size) {
            let expected = "a whole number from 1 to 4096";
            return Err(ConfigError::new("batch_size", expected, raw.batch_size));
        }
        Ok(Self { batch_size: raw.batch_size, twin_roles: raw.twin_roles })
    }
}
