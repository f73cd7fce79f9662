use hemex_artifacts::Role;
use hemex_model::Passes;
use hemex_stage::{ConfigError, check_range};
use serde::Deserialize;

/// The config as it is written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawConfig {
    /// Windows at a time.
    pub batch_size: usize,
    /// Whether each window goes through the network a second time with left and right exchanged.
    pub mirrored: bool,
    /// What tells how frequent growth is among the test cases.
    pub label_shift: LabelShift,
    /// Cases of which roles are read without their hematoma too, where they have such a scan.
    pub twin_roles: Vec<Role>,
    /// Cases of which roles are read with the hematoma that the network found filled in.
    pub inpainted_roles: Vec<Role>,
    /// How far around that hematoma is filled too, mm.
    pub inpainted_margin_mm: f64,
    /// Of cases of which roles a map is written of what each voxel has to do with the logit.
    pub saliency_roles: Vec<Role>,
}

/// What tells how frequent growth is among test cases, where it may be more or less so than in training and nothing
/// else has changed. It is told from the fold's unlabelled target cases, and probabilities of test cases follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LabelShift {
    /// Nothing: as frequent as in training.
    None,
    /// [`prior_by_likelihood`](hemex_metrics::prior_by_likelihood).
    Likelihood,
    /// [`prior_by_confusion`](hemex_metrics::prior_by_confusion) of probabilities.
    Confusion,
}

/// The config, checked.
#[derive(Debug, Clone)]
pub struct Config {
    pub(crate) passes: Passes,
    pub(crate) label_shift: LabelShift,
    pub(crate) twin_roles: Vec<Role>,
    pub(crate) inpainted_roles: Vec<Role>,
    pub(crate) inpainted_margin_mm: f64,
    pub(crate) saliency_roles: Vec<Role>,
}

impl TryFrom<RawConfig> for Config {
    type Error = ConfigError;

    fn try_from(raw: RawConfig) -> Result<Self, ConfigError> {
        if !(1..=4096).contains(&raw.batch_size) {
            let expected = "a whole number from 1 to 4096";
            return Err(ConfigError::new("batch_size", expected, raw.batch_size));
        }
        check_range("inpainted_margin_mm", raw.inpainted_margin_mm, 0.0..=30.0)?;
        let passes = Passes { batch_size: raw.batch_size, mirrored: raw.mirrored };
        Ok(Self {
            passes,
            label_shift: raw.label_shift,
            twin_roles: raw.twin_roles,
            inpainted_roles: raw.inpainted_roles,
            inpainted_margin_mm: raw.inpainted_margin_mm,
            saliency_roles: raw.saliency_roles,
        })
    }
}
