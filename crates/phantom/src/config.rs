//! The config of a cohort: raw as written, then checked.

use std::collections::BTreeMap;
use std::ops::Deref;

use hemex_stage::{ConfigError, check_fraction, check_positive, check_range};
use serde::{Deserialize, Serialize};

use crate::confound::Cue;
use crate::scanner::Site;

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
    /// Hematomas and their image signs.
    pub lesion: LesionConfig,
    /// Clinical columns.
    pub clinical: ClinicalConfig,
    /// Coefficients of the logistic outcome model, per standard deviation of the sign.
    pub outcome: Coefficients,
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

/// The distribution of hematomas. Ranges are `[low, high]`, drawn uniformly unless stated otherwise.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LesionConfig {
    /// Median of the log-normal volume, mL.
    pub volume_median_ml: f64,
    /// SD of the log volume.
    pub volume_sigma_log: f64,
    /// Volumes outside are drawn again.
    pub volume_range_ml: [f64; 2],
    /// Share of hematomas in the basal ganglia.
    pub deep_share: f64,
    /// Share of hematomas in the thalamus; the rest is lobar.
    pub thalamic_share: f64,
    /// Amplitude of the outline's lobes, share of the radius.
    pub irregularity_range: [f64; 2],
    /// SD of the density within the most heterogeneous hematoma, HU.
    pub heterogeneity_hu: f64,
    /// Share of hematomas with a black hole: an enclosed hypodense region.
    pub black_hole_share: f64,
    /// How far a black hole lies below the hematoma around it, HU.
    pub black_hole_drop_hu: [f64; 2],
    /// Share of hematomas with satellites: small foci apart from the main one.
    pub satellite_share: f64,
    /// Share of deep and thalamic hematomas with blood in the ventricles.
    pub ivh_share: f64,
    /// Mean density, HU.
    pub density_hu: [f64; 2],
    /// Density of the edema, HU.
    pub edema_hu: f64,
    /// Width of the edema, mm.
    pub edema_rim_mm: [f64; 2],
    /// How far tissue is pushed aside at the margin, share of the radius.
    pub mass_effect: f64,
    /// Follow-up volume of a growing hematoma over its baseline volume.
    pub growth_factor: [f64; 2],
    /// Follow-up volume of a stable hematoma over its baseline volume.
    pub stable_factor: [f64; 2],
    /// A stable hematoma changes by no more than this, mL.
    pub stable_max_ml: f64,
    /// No follow-up volume lies above this, mL.
    pub followup_max_ml: f64,
}

/// The distribution of the clinical columns.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClinicalConfig {
    /// Mean age, years; ages are limited to 20 to 98.
    pub age_mean_years: f64,
    /// SD of the age, years.
    pub age_sd_years: f64,
    /// Share of men.
    pub male_share: f64,
    /// Median of the log-normal time from onset to the scan, h.
    pub onset_to_ct_median_h: f64,
    /// SD of its logarithm.
    pub onset_to_ct_sigma_log: f64,
    /// Times are limited to this range, h.
    pub onset_to_ct_range_h: [f64; 2],
    /// Share of patients on anticoagulants.
    pub anticoagulation_share: f64,
    /// Mean Glasgow Coma Scale at the median volume; rounded and limited to 3 to 15.
    pub gcs_mean: f64,
    /// SD of the Glasgow Coma Scale that volume and IVH leave open.
    pub gcs_sd: f64,
    /// Change of the Glasgow Coma Scale per SD of the log volume.
    pub gcs_per_volume_sd: f64,
    /// Change of the Glasgow Coma Scale with blood in the ventricles.
    pub gcs_with_ivh: f64,
    /// Time between the scans, h.
    pub followup_interval_h: [f64; 2],
    /// Share of onset times, anticoagulation and GCS values that the table does not know.
    pub missing_share: f64,
}

/// One coefficient a sign; signs are standardised by their distribution here, the same for all sites.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coefficients {
    /// Log volume.
    pub volume: f64,
    /// Irregular margin.
    pub irregularity: f64,
    /// Heterogeneous density.
    pub heterogeneity: f64,
    /// Black hole.
    pub black_hole: f64,
    /// Satellites.
    pub satellite: f64,
    /// Blood in the ventricles.
    pub ivh: f64,
    /// Log time from onset to the scan.
    pub onset_to_ct: f64,
    /// Anticoagulants.
    pub anticoagulation: f64,
    /// Age.
    pub age: f64,
    /// Male sex.
    pub male: f64,
    /// Glasgow Coma Scale.
    pub gcs: f64,
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
        raw.clinical.check().map_err(|e| e.within("clinical"))?;
        for (name, value) in raw.outcome.named() {
            check_range(name, value, -10.0..=10.0).map_err(|e| e.within("outcome"))?;
        }
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

impl LesionConfig {
    fn check(&self) -> Result<(), ConfigError> {
        check_interval("volume_range_ml", self.volume_range_ml, 0.2, 100.0)?;
        let [low, high] = self.volume_range_ml;
        check_range("volume_median_ml", self.volume_median_ml, low..=high)?;
        check_range("volume_sigma_log", self.volume_sigma_log, 0.01..=3.0)?;
        check_fraction("deep_share", self.deep_share)?;
        check_fraction("thalamic_share", self.thalamic_share)?;
        check_fraction("thalamic_share", self.deep_share + self.thalamic_share)?;
        check_interval("irregularity_range", self.irregularity_range, 0.0, 0.4)?;
        check_range("heterogeneity_hu", self.heterogeneity_hu, 0.0..=20.0)?;
        check_fraction("black_hole_share", self.black_hole_share)?;
        // By its definition a black hole lies at least 28 HU below the rest (Li et al., Stroke 2016).
        check_interval("black_hole_drop_hu", self.black_hole_drop_hu, 28.0, 60.0)?;
        check_fraction("satellite_share", self.satellite_share)?;
        check_fraction("ivh_share", self.ivh_share)?;
        check_interval("density_hu", self.density_hu, 40.0, 95.0)?;
        check_range("edema_hu", self.edema_hu, 5.0..=35.0)?;
        check_interval("edema_rim_mm", self.edema_rim_mm, 0.0, 20.0)?;
        check_fraction("mass_effect", self.mass_effect)?;
        // Both stay clear of the usual rule (more than 33 % or 6 mL) by what voxels round.
        check_interval("growth_factor", self.growth_factor, 1.45, 5.0)?;
        check_interval("stable_factor", self.stable_factor, 0.8, 1.2)?;
        check_range("stable_max_ml", self.stable_max_ml, 0.0..=5.0)?;
        let least = high * self.growth_factor[0];
        check_range("followup_max_ml", self.followup_max_ml, least..=150.0).map(drop)
    }
}

impl ClinicalConfig {
    fn check(&self) -> Result<(), ConfigError> {
        check_range("age_mean_years", self.age_mean_years, 20.0..=98.0)?;
        check_positive("age_sd_years", self.age_sd_years)?;
        check_fraction("male_share", self.male_share)?;
        check_interval("onset_to_ct_range_h", self.onset_to_ct_range_h, 0.1, 168.0)?;
        let [low, high] = self.onset_to_ct_range_h;
        check_range("onset_to_ct_median_h", self.onset_to_ct_median_h, low..=high)?;
        check_range("onset_to_ct_sigma_log", self.onset_to_ct_sigma_log, 0.01..=3.0)?;
        check_fraction("anticoagulation_share", self.anticoagulation_share)?;
        check_range("gcs_mean", self.gcs_mean, 3.0..=15.0)?;
        check_positive("gcs_sd", self.gcs_sd)?;
        check_range("gcs_per_volume_sd", self.gcs_per_volume_sd, -6.0..=6.0)?;
        check_range("gcs_with_ivh", self.gcs_with_ivh, -6.0..=6.0)?;
        check_interval("followup_interval_h", self.followup_interval_h, 0.5, 240.0)?;
        check_fraction("missing_share", self.missing_share).map(drop)
    }
}

impl Coefficients {
    fn named(&self) -> [(&'static str, f64); 11] {
        [
            ("volume", self.volume),
            ("irregularity", self.irregularity),
            ("heterogeneity", self.heterogeneity),
            ("black_hole", self.black_hole),
            ("satellite", self.satellite),
            ("ivh", self.ivh),
            ("onset_to_ct", self.onset_to_ct),
            ("anticoagulation", self.anticoagulation),
            ("age", self.age),
            ("male", self.male),
            ("gcs", self.gcs),
        ]
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
