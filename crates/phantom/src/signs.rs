//! What the outcome depends on: image signs and clinical values, drawn and standardised.
//!
//! A sign is standardised by the mean and SD of its distribution in the config, the same for every
//! site: a site with another case mix shifts the signs and leaves the outcome's law alone (covariate
//! shift). Log-normal values are standardised by their logarithm, booleans by their stated share.

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use crate::config::{ClinicalConfig, Coefficients, LesionConfig};
use crate::scanner::Site;

/// Where in the brain a hematoma lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Location {
    Deep,
    Thalamic,
    Lobar,
}

impl Location {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Location::Deep => "deep",
            Location::Thalamic => "thalamic",
            Location::Lobar => "lobar",
        }
    }
}

/// What a scan shows of the hematoma.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ImageSigns {
    pub(crate) location: Location,
    pub(crate) volume_ml: f64,
    pub(crate) irregularity: f64,
    /// 0 to 1.
    pub(crate) heterogeneity: f64,
    pub(crate) black_hole: bool,
    pub(crate) satellite: bool,
    pub(crate) ivh: bool,
}

impl ImageSigns {
    pub(crate) fn draw(rng: &mut impl Rng, config: &LesionConfig, site: &Site) -> Self {
        let place: f64 = rng.random();
        let location = if place < config.deep_share {
            Location::Deep
        } else if place < config.deep_share + config.thalamic_share {
            Location::Thalamic
        } else {
            Location::Lobar
        };
        let ivh: f64 = rng.random();
        Self {
            location,
            volume_ml: draw_volume_ml(rng, config, site),
            irregularity: uniform(rng, config.irregularity_range),
            heterogeneity: rng.random(),
            black_hole: flag(rng, config.black_hole_share),
            satellite: flag(rng, config.satellite_share),
            ivh: location != Location::Lobar && ivh < config.ivh_share,
        }
    }

    fn volume_z(&self, config: &LesionConfig) -> f64 {
        (self.volume_ml / config.volume_median_ml).ln() / config.volume_sigma_log
    }

    /// Σ coefficient · standardised sign.
    pub(crate) fn score(&self, config: &LesionConfig, weights: &Coefficients) -> f64 {
        let ivh_share = config.ivh_share * (config.deep_share + config.thalamic_share);
        weights.volume * self.volume_z(config)
            + weights.irregularity * uniform_z(self.irregularity, config.irregularity_range)
            + weights.heterogeneity * uniform_z(self.heterogeneity, [0.0, 1.0])
            + weights.black_hole * flag_z(self.black_hole, config.black_hole_share)
            + weights.satellite * flag_z(self.satellite, config.satellite_share)
            + weights.ivh * flag_z(self.ivh, ivh_share)
    }
}

/// Volumes outside the range are drawn again: cut off, not piled up at its ends.
fn draw_volume_ml(rng: &mut impl Rng, config: &LesionConfig, site: &Site) -> f64 {
    let [low, high] = config.volume_range_ml;
    let median_ml = config.volume_median_ml * site.volume_factor;
    for _ in 0..1000 {
        let z: f64 = rng.sample(StandardNormal);
        let volume_ml = median_ml * (config.volume_sigma_log * z).exp();
        if (low..=high).contains(&volume_ml) {
            return volume_ml;
        }
    }
    median_ml.clamp(low, high)
}

/// What is known of the patient besides the image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Clinical {
    pub(crate) age_years: f64,
    pub(crate) male: bool,
    pub(crate) onset_to_ct_h: f64,
    pub(crate) anticoagulation: bool,
    pub(crate) gcs: f64,
}

/// The random part of the clinical values, before site and image signs shape them.
///
/// A fixed set of these gives the average over the clinical columns for any image signs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClinicalDraw {
    age_z: f64,
    male_u: f64,
    onset_z: f64,
    anticoagulation_u: f64,
    gcs_z: f64,
}

impl ClinicalDraw {
    pub(crate) fn draw(rng: &mut impl Rng) -> Self {
        Self {
            age_z: rng.sample(StandardNormal),
            male_u: rng.random(),
            onset_z: rng.sample(StandardNormal),
            anticoagulation_u: rng.random(),
            gcs_z: rng.sample(StandardNormal),
        }
    }
}

impl Clinical {
    /// Values are rounded as a table holds them: years, tenths of an hour, whole GCS points.
    pub(crate) fn new(
        draw: &ClinicalDraw,
        signs: &ImageSigns,
        lesion: &LesionConfig,
        config: &ClinicalConfig,
        site: &Site,
    ) -> Self {
        let age = config.age_mean_years + site.age_shift_years + config.age_sd_years * draw.age_z;
        let [low_h, high_h] = config.onset_to_ct_range_h;
        let onset =
            config.onset_to_ct_median_h * (config.onset_to_ct_sigma_log * draw.onset_z).exp();
        let ivh = if signs.ivh { config.gcs_with_ivh } else { 0.0 };
        let gcs = config.gcs_mean
            + config.gcs_per_volume_sd * signs.volume_z(lesion)
            + ivh
            + config.gcs_sd * draw.gcs_z;
        Self {
            age_years: age.round().clamp(20.0, 98.0),
            male: draw.male_u < config.male_share,
            onset_to_ct_h: (10.0 * onset).round().clamp(10.0 * low_h, 10.0 * high_h) / 10.0,
            anticoagulation: draw.anticoagulation_u
                < config.anticoagulation_share * site.anticoagulation_factor,
            gcs: gcs.round().clamp(3.0, 15.0),
        }
    }

    /// Σ coefficient · standardised value.
    pub(crate) fn score(&self, config: &ClinicalConfig, weights: &Coefficients) -> f64 {
        let onset_z =
            (self.onset_to_ct_h / config.onset_to_ct_median_h).ln() / config.onset_to_ct_sigma_log;
        weights.onset_to_ct * onset_z
            + weights.anticoagulation * flag_z(self.anticoagulation, config.anticoagulation_share)
            + weights.age * (self.age_years - config.age_mean_years) / config.age_sd_years
            + weights.male * flag_z(self.male, config.male_share)
            + weights.gcs * (self.gcs - config.gcs_mean) / config.gcs_sd
    }
}

/// Uniform in `[low, high]`.
pub(crate) fn uniform(rng: &mut impl Rng, [low, high]: [f64; 2]) -> f64 {
    low + (high - low) * rng.random::<f64>()
}

/// True with this chance. It takes one number from the generator whatever the chance is (`random_bool`
/// takes none for 1), so that a share in the config moves nothing but its own flag.
pub(crate) fn flag(rng: &mut impl Rng, share: f64) -> bool {
    rng.random::<f64>() < share
}

fn uniform_z(value: f64, [low, high]: [f64; 2]) -> f64 {
    (value - (low + high) / 2.0) / ((high - low) / 12f64.sqrt())
}

/// A flag that all or none have tells nothing: 0.
fn flag_z(flag: bool, share: f64) -> f64 {
    let sd = (share * (1.0 - share)).sqrt();
    if sd > 0.0 { (f64::from(u8::from(flag)) - share) / sd } else { 0.0 }
}
