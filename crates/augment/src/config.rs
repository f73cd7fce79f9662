use hemex_stage::{ConfigError, check_range};
use serde::Deserialize;

use crate::{Policy, RawPolicy, RawTransplant, TransplantPolicy};

/// The stage's config as written in its file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawConfig {
    /// How many cases to show, the first of the table.
    pub n_cases: usize,
    /// How many draws of each.
    pub n_draws: usize,
    /// Hematomas of the other cases shown, planted before anything else.
    pub transplant: RawTransplant,
    /// What is drawn.
    pub policy: RawPolicy,
}

/// The stage's config, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// How many cases to show, the first of the table; at least 1.
    pub n_cases: usize,
    /// How many draws of each, 1 to 99.
    pub n_draws: usize,
    /// Hematomas of the other cases shown, planted before anything else.
    pub transplant: TransplantPolicy,
    /// What is drawn.
    pub policy: Policy,
}

impl TryFrom<RawConfig> for Config {
    type Error = ConfigError;

    fn try_from(raw: RawConfig) -> Result<Self, ConfigError> {
        check_range("n_cases", raw.n_cases as f64, 1.0..=10_000.0)?;
        // Two digits in `<case>-augNN`.
        check_range("n_draws", raw.n_draws as f64, 1.0..=99.0)?;
        let transplant = TransplantPolicy::try_from(raw.transplant);
        let transplant = transplant.map_err(|error| error.within("transplant"))?;
        let policy = Policy::try_from(raw.policy).map_err(|error| error.within("policy"))?;
        Ok(Self { n_cases: raw.n_cases, n_draws: raw.n_draws, transplant, policy })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    /// The config that ships must hold only valid values.
    const SHIPPED: &str = include_str!("../../../configs/augment.toml");

    #[test]
    fn the_shipped_config_is_valid() {
        Config::try_from(toml::from_str::<RawConfig>(SHIPPED).unwrap()).unwrap();
    }

    #[test]
    fn an_unusable_value_names_its_key() {
        let error = |change: fn(&mut RawConfig)| {
            let mut raw: RawConfig = toml::from_str(SHIPPED).unwrap();
            change(&mut raw);
            Config::try_from(raw).unwrap_err().key
        };
        assert_eq!(error(|raw| raw.n_draws = 100), "n_draws");
        assert_eq!(error(|raw| raw.policy.flip_probability = 1.5), "policy.flip_probability");
        assert_eq!(error(|raw| raw.policy.rotation_deg[1] = f64::NAN), "policy.rotation_deg");
        assert_eq!(
            error(|raw| raw.policy.elastic.control_points[2] = 1),
            "policy.elastic.control_points"
        );
        assert_eq!(error(|raw| raw.policy.gain = -0.1), "policy.gain");
        assert_eq!(
            error(|raw| raw.policy.scanner.thick_slices.max_mm = 0.0),
            "policy.scanner.thick_slices.max_mm"
        );
        assert_eq!(
            error(|raw| raw.policy.scanner.noise_fwhm_mm = [1.5, 1.0]),
            "policy.scanner.noise_fwhm_mm"
        );
        assert_eq!(error(|raw| raw.transplant.csf_share = 2.0), "transplant.csf_share");
    }

    #[test]
    fn a_missing_or_unknown_key_is_refused() {
        let without = SHIPPED.replace("noise_hu", "noise");
        assert!(toml::from_str::<RawConfig>(&without).is_err());
    }
}
