//! What the outcome depends on: image signs and clinical values, drawn and standardised.
//!
//! A continuous value is standardised by the mean and SD of its distribution in the config, the same for
//! every site: a site with another case mix shifts the signs and leaves the outcome's law alone (covariate
//! shift). Log-normal values are standardised by their logarithm; a sign is there (1) or not (0).

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use crate::config::{ClinicalConfig, Config, LesionConfig, PerPredictor};
use crate::scanner::Site;

/// What a hemisphere of the cerebellum can hold, mL.
const CEREBELLUM_HOLDS_ML: f64 = 36.0;

/// Where in the brain a hematoma lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Location {
    Deep,
    Thalamic,
    Lobar,
    Cerebellar,
}

impl Location {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Location::Deep => "deep",
            Location::Thalamic => "thalamic",
            Location::Lobar => "lobar",
            Location::Cerebellar => "cerebellar",
        }
    }

    /// A hematoma that would outgrow the cerebellum is a lobar one.
    fn draw(rng: &mut impl Rng, config: &LesionConfig, volume_ml: f64) -> Self {
        let mut place: f64 = rng.random();
        let [_, most_growth] = config.growth_factor;
        for (location, share) in [
            (Location::Deep, config.deep_share),
            (Location::Thalamic, config.thalamic_share),
            (Location::Cerebellar, config.cerebellar_share),
        ] {
            let fits =
                location != Location::Cerebellar || volume_ml * most_growth < CEREBELLUM_HOLDS_ML;
            if place < share && fits {
                return location;
            }
            place -= share;
        }
        Location::Lobar
    }

    /// Whether it may break into the lateral and third ventricles.
    fn is_central(self) -> bool {
        matches!(self, Location::Deep | Location::Thalamic)
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
    pub(crate) blend: bool,
    pub(crate) island: bool,
    pub(crate) satellite: bool,
    pub(crate) swirl: bool,
    pub(crate) fluid_level: bool,
    pub(crate) ivh: bool,
    pub(crate) subarachnoid: bool,
}

impl ImageSigns {
    pub(crate) fn draw(rng: &mut impl Rng, config: &Config, site: &Site) -> Self {
        let (lesion, shares) = (&config.lesion, &config.signs);
        let volume_ml = draw_volume_ml(rng, lesion, site);
        let location = Location::draw(rng, lesion, volume_ml);
        let [ivh, subarachnoid] = [shares.ivh, shares.subarachnoid].map(|share| flag(rng, share));
        Self {
            location,
            volume_ml,
            irregularity: uniform(rng, lesion.irregularity_range),
            heterogeneity: rng.random(),
            black_hole: flag(rng, shares.black_hole),
            blend: flag(rng, shares.blend),
            island: flag(rng, shares.island),
            satellite: flag(rng, shares.satellite),
            swirl: flag(rng, shares.swirl),
            fluid_level: flag(rng, shares.fluid_level),
            ivh: ivh && location.is_central(),
            subarachnoid: subarachnoid && !location.is_central(),
        }
    }

    fn volume_z(&self, config: &LesionConfig) -> f64 {
        (self.volume_ml / config.volume_median_ml).ln() / config.volume_sigma_log
    }

    /// Σ coefficient · sign.
    pub(crate) fn score(&self, config: &LesionConfig, coefficients: &PerPredictor) -> f64 {
        let c = coefficients;
        c.volume * self.volume_z(config)
            + c.irregularity * uniform_z(self.irregularity, config.irregularity_range)
            + c.heterogeneity * uniform_z(self.heterogeneity, [0.0, 1.0])
            + sum_present([
                (self.black_hole, c.black_hole),
                (self.blend, c.blend),
                (self.island, c.island),
                (self.satellite, c.satellite),
                (self.swirl, c.swirl),
                (self.fluid_level, c.fluid_level),
                (self.ivh, c.ivh),
                (self.subarachnoid, c.subarachnoid),
            ])
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
    pub(crate) antiplatelet: bool,
    pub(crate) prior_ich: bool,
    pub(crate) dementia: bool,
    pub(crate) smoker: bool,
    pub(crate) spot_sign: bool,
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
    antiplatelet_u: f64,
    prior_ich_u: f64,
    dementia_u: f64,
    smoker_u: f64,
    spot_sign_u: f64,
    gcs_z: f64,
}

impl ClinicalDraw {
    pub(crate) fn draw(rng: &mut impl Rng) -> Self {
        Self {
            age_z: rng.sample(StandardNormal),
            male_u: rng.random(),
            onset_z: rng.sample(StandardNormal),
            anticoagulation_u: rng.random(),
            antiplatelet_u: rng.random(),
            prior_ich_u: rng.random(),
            dementia_u: rng.random(),
            smoker_u: rng.random(),
            spot_sign_u: rng.random(),
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
            antiplatelet: draw.antiplatelet_u < config.antiplatelet_share,
            prior_ich: draw.prior_ich_u < config.prior_ich_share,
            dementia: draw.dementia_u < config.dementia_share,
            smoker: draw.smoker_u < config.smoker_share,
            spot_sign: draw.spot_sign_u < config.spot_sign_share,
            gcs: gcs.round().clamp(3.0, 15.0),
        }
    }

    /// Σ coefficient · value.
    pub(crate) fn score(&self, config: &ClinicalConfig, coefficients: &PerPredictor) -> f64 {
        let c = coefficients;
        let onset_z =
            (self.onset_to_ct_h / config.onset_to_ct_median_h).ln() / config.onset_to_ct_sigma_log;
        c.onset_to_ct * onset_z
            + c.age * (self.age_years - config.age_mean_years) / config.age_sd_years
            + c.gcs * (self.gcs - config.gcs_mean) / config.gcs_sd
            + sum_present([
                (self.anticoagulation, c.anticoagulation),
                (self.antiplatelet, c.antiplatelet),
                (self.prior_ich, c.prior_ich),
                (self.dementia, c.dementia),
                (self.smoker, c.smoker),
                (self.spot_sign, c.spot_sign),
                (self.male, c.male),
            ])
    }
}

fn sum_present<const N: usize>(signs: [(bool, f64); N]) -> f64 {
    signs.into_iter().map(|(present, coefficient)| f64::from(u8::from(present)) * coefficient).sum()
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
