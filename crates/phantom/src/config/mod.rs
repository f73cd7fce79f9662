//! The config of a cohort: raw as written, then checked.

mod clinical;
mod lesion;

use std::collections::BTreeMap;
use std::ops::Deref;

use hemex_stage::{ConfigError, check_fraction, check_range};
use serde::Deserialize;

use crate::confound::Cue;
use crate::scanner::Site;

pub use clinical::{ClinicalConfig, PerPredictor};
pub use lesion::{LesionConfig, SignShares};

/// The config as it is written; every key must be there.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawConfig {
    /// Patients in all, 1 to 1,000,000.
    pub n_patients: usize,
    /// Share of the population whose hematoma grows, before [`Site::label_odds`]; the model's intercept is
    /// solved for it.
    pub prevalence: f64,
    /// Size of the drawn population on which intercept and oracle are computed.
    pub n_population: usize,
    /// Whether follow-up images are written; their masks always are.
    pub followup_image: bool,
    /// Share of patients operated on before the follow-up scan.
    pub surgery_share: f64,
    /// Share of patients without a follow-up scan.
    pub no_followup_share: f64,
    /// Share of patients whose follow-up scan tells the wrong outcome.
    pub label_noise: f64,
    /// SD by which annotators' outlines of the hematoma stray from the true ones, mm.
    pub annotator_sd_mm: f64,
    /// Whether each patient's head is scanned without its hematoma too (session `twin`).
    pub lesion_free_twins: bool,
    /// A cue beside the point.
    pub cue: Cue,
    /// What is the same at every site.
    pub scan: ScanConfig,
    /// Hematomas.
    pub lesion: LesionConfig,
    /// Shares of hematomas with a sign.
    pub signs: SignShares,
    /// Clinical columns.
    pub clinical: ClinicalConfig,
    /// Odds ratios of growth: what the logistic outcome model is made of.
    pub odds_ratio: PerPredictor,
    /// Sites by name.
    pub site: BTreeMap<String, Site>,
}

/// How a head is placed and covered.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScanConfig {
    /// Lower and upper end of the scan, mm above the middle of the head.
    pub coverage_mm: [f64; 2],
    /// Points along a slice's thickness that are averaged (partial volume).
    pub n_sub_slices: usize,
    /// SD of roll, pitch and yaw, degrees.
    pub tilt_sd_deg: f64,
    /// SD of the head's place in the plane, mm.
    pub offset_sd_mm: f64,
}

/// A checked config: read only, so that it holds valid values alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    raw: RawConfig,
}

impl Deref for Config {
    type Target = RawConfig;

    fn deref(&self) -> &RawConfig {
        &self.raw
    }
}

impl TryFrom<RawConfig> for Config {
    type Error = ConfigError;

    fn try_from(raw: RawConfig) -> Result<Self, ConfigError> {
        check_count("n_patients", raw.n_patients, 1_000_000)?;
        check_count("n_population", raw.n_population, 10_000_000)?;
        check_range("prevalence", raw.prevalence, 0.01..=0.99)?;
        check_fraction("surgery_share", raw.surgery_share)?;
        check_fraction("no_followup_share", raw.no_followup_share)?;
        check_fraction("surgery_share", raw.surgery_share + raw.no_followup_share)?;
        check_range("label_noise", raw.label_noise, 0.0..=0.5)?;
        check_range("annotator_sd_mm", raw.annotator_sd_mm, 0.0..=5.0)?;
        raw.cue.check().map_err(|e| e.within("cue"))?;
        raw.scan.check().map_err(|e| e.within("scan"))?;
        raw.lesion.check().map_err(|e| e.within("lesion"))?;
        raw.signs.check().map_err(|e| e.within("signs"))?;
        raw.clinical.check().map_err(|e| e.within("clinical"))?;
        raw.odds_ratio.check().map_err(|e| e.within("odds_ratio"))?;
        if raw.site.is_empty() {
            return Err(ConfigError::new("site", "at least one site", "none"));
        }
        for (name, site) in &raw.site {
            let key = format!("site.{name}");
            let plain = name.chars().all(|c| c.is_ascii_alphanumeric());
            if name.is_empty() || !plain {
                return Err(ConfigError::new(&key, "a name of letters and digits", name));
            }
            site.check().map_err(|e| e.within(&key))?;
        }
        Ok(Self { raw })
    }
}

impl ScanConfig {
    fn check(&self) -> Result<(), ConfigError> {
        check_interval("coverage_mm", self.coverage_mm, -90.0, 120.0)?;
        check_count("n_sub_slices", self.n_sub_slices, 16)?;
        check_range("tilt_sd_deg", self.tilt_sd_deg, 0.0..=10.0)?;
        check_range("offset_sd_mm", self.offset_sd_mm, 0.0..=15.0).map(drop)
    }
}

fn check_count(key: &str, value: usize, max: usize) -> Result<(), ConfigError> {
    check_range(key, value as f64, 1.0..=max as f64).map(drop)
}

/// Passes `[low, high]` with `min ≤ low < high ≤ max`.
fn check_interval(key: &str, [low, high]: [f64; 2], min: f64, max: f64) -> Result<(), ConfigError> {
    if min <= low && low < high && high <= max {
        return Ok(());
    }
    let expected = format!("[low, high] with {min} ≤ low < high ≤ {max}");
    Err(ConfigError::new(key, &expected, format!("[{low}, {high}]")))
}
