//! The distribution of the clinical columns, and what drives the outcome.

use hemex_stage::{ConfigError, check_fraction, check_positive, check_range};
use serde::{Deserialize, Serialize};

use super::check_interval;

/// The distribution of the clinical columns: those of the scores BAT, BRAIN, HEP and of Brouwers et al. (JAMA
/// Neurol 2014) among them.
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
    /// Share of patients on antiplatelets.
    pub antiplatelet_share: f64,
    /// Share of patients with an intracerebral hemorrhage before this one.
    pub prior_ich_share: f64,
    /// Share of patients with dementia.
    pub dementia_share: f64,
    /// Share of current smokers.
    pub smoker_share: f64,
    /// Share of patients whose CT angiography shows, or would show, a spot sign.
    pub spot_sign_share: f64,
    /// Share of patients with a CT angiography; of the others the table does not know the spot sign.
    pub angiography_share: f64,
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
    /// Share of onset times, drugs, histories and GCS values that the table does not know.
    pub missing_share: f64,
}

/// A number for each predictor of growth: in the config odds ratios, of a sign or a history present over
/// absent, or per standard deviation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PerPredictor {
    /// Log volume, per SD.
    pub volume: f64,
    /// Irregular margin, per SD.
    pub irregularity: f64,
    /// Heterogeneous density, per SD.
    pub heterogeneity: f64,
    /// Black hole.
    pub black_hole: f64,
    /// Blend sign.
    pub blend: f64,
    /// Island sign.
    pub island: f64,
    /// Satellites.
    pub satellite: f64,
    /// Swirl sign.
    pub swirl: f64,
    /// Fluid level.
    pub fluid_level: f64,
    /// Blood in the ventricles.
    pub ivh: f64,
    /// Blood in the subarachnoid space.
    pub subarachnoid: f64,
    /// Log time from onset to the scan, per SD.
    pub onset_to_ct: f64,
    /// Anticoagulants.
    pub anticoagulation: f64,
    /// Antiplatelets.
    pub antiplatelet: f64,
    /// An intracerebral hemorrhage before this one.
    pub prior_ich: f64,
    /// Dementia.
    pub dementia: f64,
    /// Current smoking.
    pub smoker: f64,
    /// Spot sign on CT angiography.
    pub spot_sign: f64,
    /// Age, per SD.
    pub age: f64,
    /// Male sex.
    pub male: f64,
    /// Glasgow Coma Scale, per SD.
    pub gcs: f64,
}

impl ClinicalConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        check_range("age_mean_years", self.age_mean_years, 20.0..=98.0)?;
        check_positive("age_sd_years", self.age_sd_years)?;
        check_interval("onset_to_ct_range_h", self.onset_to_ct_range_h, 0.1, 168.0)?;
        let [low, high] = self.onset_to_ct_range_h;
        check_range("onset_to_ct_median_h", self.onset_to_ct_median_h, low..=high)?;
        check_range("onset_to_ct_sigma_log", self.onset_to_ct_sigma_log, 0.01..=3.0)?;
        for (key, share) in [
            ("male_share", self.male_share),
            ("anticoagulation_share", self.anticoagulation_share),
            ("antiplatelet_share", self.antiplatelet_share),
            ("prior_ich_share", self.prior_ich_share),
            ("dementia_share", self.dementia_share),
            ("smoker_share", self.smoker_share),
            ("spot_sign_share", self.spot_sign_share),
            ("angiography_share", self.angiography_share),
            ("missing_share", self.missing_share),
        ] {
            check_fraction(key, share)?;
        }
        check_range("gcs_mean", self.gcs_mean, 3.0..=15.0)?;
        check_positive("gcs_sd", self.gcs_sd)?;
        check_range("gcs_per_volume_sd", self.gcs_per_volume_sd, -6.0..=6.0)?;
        check_range("gcs_with_ivh", self.gcs_with_ivh, -6.0..=6.0)?;
        check_interval("followup_interval_h", self.followup_interval_h, 0.5, 240.0)
    }
}

impl PerPredictor {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        // By their keys, as they are written; JSON has no NaN, so that one is not a number here either.
        let written = serde_json::to_value(self)
            .map_err(|error| ConfigError::new("", "numbers", error.to_string()))?;
        for (key, ratio) in written.as_object().into_iter().flatten() {
            check_range(key, ratio.as_f64().unwrap_or(f64::NAN), 0.01..=100.0)?;
        }
        Ok(())
    }

    /// The natural logarithm of each: odds ratios become the coefficients of a logistic model.
    pub(crate) fn ln(mut self) -> Self {
        self.numbers_mut().into_iter().for_each(|number| *number = number.ln());
        self
    }

    fn numbers_mut(&mut self) -> [&mut f64; 21] {
        [
            &mut self.volume,
            &mut self.irregularity,
            &mut self.heterogeneity,
            &mut self.black_hole,
            &mut self.blend,
            &mut self.island,
            &mut self.satellite,
            &mut self.swirl,
            &mut self.fluid_level,
            &mut self.ivh,
            &mut self.subarachnoid,
            &mut self.onset_to_ct,
            &mut self.anticoagulation,
            &mut self.antiplatelet,
            &mut self.prior_ich,
            &mut self.dementia,
            &mut self.smoker,
            &mut self.spot_sign,
            &mut self.age,
            &mut self.male,
            &mut self.gcs,
        ]
    }
}
