//! The distribution of hematomas and of their signs.

use hemex_stage::{ConfigError, check_fraction, check_range};
use serde::Deserialize;

use super::check_interval;

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
    /// Share of hematomas in the thalamus.
    pub thalamic_share: f64,
    /// Share of hematomas in the cerebellum, as far as it can hold what they grow to; the rest is lobar.
    pub cerebellar_share: f64,
    /// Amplitude of the outline's lobes, share of the radius.
    pub irregularity_range: [f64; 2],
    /// SD of the density within the most heterogeneous hematoma, HU.
    pub heterogeneity_hu: f64,
    /// How far a black hole lies below the hematoma around it, HU.
    pub black_hole_drop_hu: [f64; 2],
    /// How far the fainter part of a hematoma with the blend sign lies below the other, HU.
    pub blend_drop_hu: [f64; 2],
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

/// Shares of hematomas with a sign, 0 to 1; signs come independently of each other. Definitions stand where
/// they are drawn, in `lesion`.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignShares {
    /// Black hole: an enclosed hypodense region at least 28 HU below the rest (Li et al., Stroke 2016).
    pub black_hole: f64,
    /// Blend sign: two adjacent densities at least 18 HU apart with a sharp border, neither enclosed (Li et
    /// al., Stroke 2015).
    pub blend: f64,
    /// Island sign: four or more small hematomas that bud from the main one (Li et al., Stroke 2017).
    pub island: f64,
    /// Satellites: one or two foci under 10 mm, 1 to 20 mm apart from the main one (Shimoda et al.,
    /// Cerebrovasc Dis 2017).
    pub satellite: f64,
    /// Swirl sign: streaks as dense as brain within (Selariu et al., BMC Neurol 2012).
    pub swirl: f64,
    /// Fluid level: faint above, dense below a level line in the lying patient.
    pub fluid_level: f64,
    /// Of deep and thalamic hematomas: blood in the ventricles.
    pub ivh: f64,
    /// Of lobar and cerebellar hematomas: blood in the subarachnoid space beside them.
    pub subarachnoid: f64,
}

impl LesionConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        check_interval("volume_range_ml", self.volume_range_ml, 0.2, 100.0)?;
        let [low, high] = self.volume_range_ml;
        check_range("volume_median_ml", self.volume_median_ml, low..=high)?;
        check_range("volume_sigma_log", self.volume_sigma_log, 0.01..=3.0)?;
        check_fraction("deep_share", self.deep_share)?;
        check_fraction("thalamic_share", self.thalamic_share)?;
        check_fraction("cerebellar_share", self.cerebellar_share)?;
        let placed = self.deep_share + self.thalamic_share + self.cerebellar_share;
        check_fraction("cerebellar_share", placed)?;
        check_interval("irregularity_range", self.irregularity_range, 0.0, 0.4)?;
        check_range("heterogeneity_hu", self.heterogeneity_hu, 0.0..=20.0)?;
        // The definitions of the two signs: at least 28 HU, at least 18 HU.
        check_interval("black_hole_drop_hu", self.black_hole_drop_hu, 28.0, 60.0)?;
        check_interval("blend_drop_hu", self.blend_drop_hu, 18.0, 60.0)?;
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

impl SignShares {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        check_fraction("black_hole", self.black_hole)?;
        check_fraction("blend", self.blend)?;
        check_fraction("island", self.island)?;
        check_fraction("satellite", self.satellite)?;
        check_fraction("swirl", self.swirl)?;
        check_fraction("fluid_level", self.fluid_level)?;
        check_fraction("ivh", self.ivh)?;
        check_fraction("subarachnoid", self.subarachnoid).map(drop)
    }
}
