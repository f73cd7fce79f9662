use hemex_stage::{ConfigError, check_range};
use serde::Deserialize;

/// The stage's config as it is written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawConfig {
    /// See [`Config::lesion_labels`].
    pub lesion_labels: Vec<u8>,
    /// See [`Config::surface_tolerance_mm`].
    pub surface_tolerance_mm: f64,
    /// See [`Config::n_bootstrap`].
    pub n_bootstrap: usize,
    /// See [`Config::n_calibration_bins`].
    pub n_calibration_bins: usize,
    /// See [`Config::conformal_miss`].
    pub conformal_miss: f64,
    /// See [`Config::n_example_cases`].
    pub n_example_cases: usize,
    /// See [`Config::display_window_hu`].
    pub display_window_hu: [f64; 2],
}

/// The stage's config, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Labels of the reference mask that count as lesion; one at least, 0 is none of them.
    pub lesion_labels: Vec<u8>,
    /// How near surfaces count as the same for surface Dice, mm, 0 to 20.
    pub surface_tolerance_mm: f64,
    /// Draws behind every 95 % interval, 100 to 100,000.
    pub n_bootstrap: usize,
    /// Bins of the calibration figure, 2 to 50.
    pub n_calibration_bins: usize,
    /// Share of the cases of each class whose set of labels may miss theirs, 0.001 to 0.5.
    pub conformal_miss: f64,
    /// Cases shown as slices, 0 to 24.
    pub n_example_cases: usize,
    /// HU shown as black and as white; the second is larger.
    pub display_window_hu: [f64; 2],
}

impl TryFrom<RawConfig> for Config {
    type Error = ConfigError;

    fn try_from(raw: RawConfig) -> Result<Self, ConfigError> {
        if raw.lesion_labels.is_empty() || raw.lesion_labels.contains(&0) {
            let found = format!("{:?}", raw.lesion_labels);
            return Err(ConfigError::new("lesion_labels", "one or more labels from 1", found));
        }
        check_range("surface_tolerance_mm", raw.surface_tolerance_mm, 0.0..=20.0)?;
        check_range("n_bootstrap", raw.n_bootstrap as f64, 100.0..=100_000.0)?;
        check_range("n_calibration_bins", raw.n_calibration_bins as f64, 2.0..=50.0)?;
        check_range("conformal_miss", raw.conformal_miss, 0.001..=0.5)?;
        check_range("n_example_cases", raw.n_example_cases as f64, 0.0..=24.0)?;
        let [low, high] = raw.display_window_hu;
        if !(low.is_finite() && high.is_finite() && low < high) {
            let found = format!("[{low}, {high}]");
            return Err(ConfigError::new(
                "display_window_hu",
                "[low, high] with low < high",
                found,
            ));
        }
        Ok(Self {
            lesion_labels: raw.lesion_labels,
            surface_tolerance_mm: raw.surface_tolerance_mm,
            n_bootstrap: raw.n_bootstrap,
            n_calibration_bins: raw.n_calibration_bins,
            conformal_miss: raw.conformal_miss,
            n_example_cases: raw.n_example_cases,
            display_window_hu: raw.display_window_hu,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw() -> RawConfig {
        RawConfig {
            lesion_labels: vec![1],
            surface_tolerance_mm: 2.0,
            n_bootstrap: 2000,
            n_calibration_bins: 6,
            conformal_miss: 0.1,
            n_example_cases: 6,
            display_window_hu: [0.0, 90.0],
        }
    }

    #[test]
    fn each_bad_value_names_its_key() {
        assert!(Config::try_from(raw()).is_ok());
        let key = |raw: RawConfig| Config::try_from(raw).map_err(|e| e.key);
        let bad = |key: &str| Err(key.to_owned());
        assert_eq!(key(RawConfig { lesion_labels: vec![], ..raw() }), bad("lesion_labels"));
        assert_eq!(key(RawConfig { lesion_labels: vec![0, 1], ..raw() }), bad("lesion_labels"));
        let raw_tolerance = RawConfig { surface_tolerance_mm: f64::NAN, ..raw() };
        assert_eq!(key(raw_tolerance), bad("surface_tolerance_mm"));
        assert_eq!(key(RawConfig { n_bootstrap: 10, ..raw() }), bad("n_bootstrap"));
        assert_eq!(key(RawConfig { n_calibration_bins: 1, ..raw() }), bad("n_calibration_bins"));
        assert_eq!(key(RawConfig { conformal_miss: 0.0, ..raw() }), bad("conformal_miss"));
        assert_eq!(key(RawConfig { n_example_cases: 99, ..raw() }), bad("n_example_cases"));
        for window in [[80.0, 80.0], [f64::NAN, 80.0]] {
            let raw = RawConfig { display_window_hu: window, ..raw() };
            assert_eq!(key(raw), bad("display_window_hu"));
        }
    }
}
