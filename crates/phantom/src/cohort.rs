//! Patients: drawn, scanned, written.

use hemex_stage::{DrawKey, Progress};
use rand::RngExt;
use rand::seq::SliceRandom;
use rayon::prelude::*;

use crate::PhantomError;
use crate::anatomy::Head;
use crate::body::Body;
use crate::config::{ClinicalConfig, Config};
use crate::confound::annotated;
use crate::lesion::{Extent, Lesion};
use crate::outcome::OutcomeModel;
use crate::scanner::{Pose, Scan, Site, scan};
use crate::signs::{Clinical, ClinicalDraw, ImageSigns, flag, uniform};
use crate::texture::Texture;

/// A patient before any image is made.
#[derive(Debug)]
pub(crate) struct Patient<'a> {
    /// `sub-0001`, …
    pub(crate) id: String,
    pub(crate) site_name: &'a str,
    pub(crate) site: &'a Site,
    pub(crate) signs: ImageSigns,
    pub(crate) clinical: Clinical,
    pub(crate) known: Known,
    pub(crate) probability: f64,
    pub(crate) probability_image_signs: f64,
    pub(crate) growth: bool,
    /// What the follow-up scan tells, with label noise not always the truth.
    pub(crate) recorded_growth: bool,
    /// Whether the cue is there.
    pub(crate) cue: bool,
    pub(crate) followup: Option<FollowUp>,
}

/// What the table knows of the patient.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Known {
    pub(crate) onset_to_ct: bool,
    pub(crate) gcs: bool,
    pub(crate) anticoagulation: bool,
    pub(crate) antiplatelet: bool,
    pub(crate) prior_ich: bool,
    pub(crate) dementia: bool,
    pub(crate) smoker: bool,
    /// Whether there was a CT angiography.
    pub(crate) spot_sign: bool,
}

impl Known {
    fn draw(rng: &mut impl rand::Rng, config: &ClinicalConfig) -> Self {
        let mut known = || !flag(rng, config.missing_share);
        Self {
            onset_to_ct: known(),
            gcs: known(),
            anticoagulation: known(),
            antiplatelet: known(),
            prior_ich: known(),
            dementia: known(),
            smoker: known(),
            spot_sign: flag(rng, config.angiography_share),
        }
    }
}

/// The second scan.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct FollowUp {
    pub(crate) interval_h: f64,
    pub(crate) surgery_before: bool,
    pub(crate) volume_ml: f64,
}

/// Draws all patients. Names tell neither site nor outcome.
pub(crate) fn draw_patients<'a>(
    config: &'a Config,
    model: &OutcomeModel,
    seed: u64,
) -> Vec<Patient<'a>> {
    let sites = assign_sites(config, seed);
    let draw = |(i, site): (usize, &'a String)| {
        draw_patient(config, model, seed, format!("sub-{:04}", i + 1), site)
    };
    sites.into_iter().enumerate().map(draw).collect()
}

fn draw_patient<'a>(
    config: &'a Config,
    model: &OutcomeModel,
    seed: u64,
    id: String,
    site_name: &'a str,
) -> Patient<'a> {
    let site = &config.site[site_name];
    let key = |purpose| DrawKey::new(seed, purpose).case(&id).rng();
    let (mut rng, mut admission) = (key("phantom.patient"), key("phantom.admission"));
    let (signs, clinical, growth) = loop {
        let signs = ImageSigns::draw(&mut rng, config, site);
        let draw = ClinicalDraw::draw(&mut rng);
        let clinical = Clinical::new(&draw, &signs, &config.lesion, &config.clinical, site);
        let growth = flag(&mut rng, model.probability_everywhere(&signs, &clinical));
        if site.admits(growth, &mut admission) {
            break (signs, clinical, growth);
        }
    };
    let recorded_growth = growth ^ flag(&mut key("phantom.label_noise"), config.label_noise);
    let cue = config.cue.draw(&mut key("phantom.cue"), recorded_growth, site.cue_correlation);
    let known = Known::draw(&mut rng, &config.clinical);
    let fate: f64 = rng.random();
    let surgery_before = fate < config.surgery_share;
    let lost = !surgery_before && fate < config.surgery_share + config.no_followup_share;
    let interval_h = uniform(&mut rng, config.clinical.followup_interval_h);
    let volume_ml =
        followup_volume_ml(&mut rng, config, signs.volume_ml, recorded_growth, surgery_before);
    let followup =
        FollowUp { interval_h: (10.0 * interval_h).round() / 10.0, surgery_before, volume_ml };
    Patient {
        site_name,
        site,
        probability_image_signs: model.probability_image_signs(&signs, site),
        signs,
        clinical,
        known,
        probability: model.probability(&signs, &clinical, site),
        growth,
        recorded_growth,
        cue,
        followup: (!lost).then_some(followup),
        id,
    }
}

fn followup_volume_ml(
    rng: &mut impl rand::Rng,
    config: &Config,
    baseline_ml: f64,
    growth: bool,
    surgery_before: bool,
) -> f64 {
    let lesion = &config.lesion;
    let grown = uniform(rng, lesion.growth_factor);
    let stable = uniform(rng, lesion.stable_factor);
    let left = uniform(rng, [0.1, 0.4]);
    if surgery_before {
        left * baseline_ml
    } else if growth {
        (grown * baseline_ml).min(lesion.followup_max_ml)
    } else {
        let most = lesion.stable_max_ml;
        baseline_ml + ((stable - 1.0) * baseline_ml).clamp(-most, most)
    }
}

/// The site of each patient: shares by the largest remainder, the order shuffled.
fn assign_sites(config: &Config, seed: u64) -> Vec<&String> {
    let total: f64 = config.site.values().map(|site| site.share).sum();
    let exact = |site: &Site| config.n_patients as f64 * site.share / total;
    let mut sites: Vec<&String> = Vec::with_capacity(config.n_patients);
    let mut remainders = Vec::new();
    for (name, site) in &config.site {
        let whole = exact(site).floor();
        sites.extend(std::iter::repeat_n(name, whole as usize));
        remainders.push((exact(site) - whole, name));
    }
    remainders.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    let missing = config.n_patients - sites.len();
    sites.extend(remainders.iter().map(|(_, name)| *name).take(missing));
    sites.shuffle(&mut DrawKey::new(seed, "phantom.sites").rng());
    sites
}

/// Makes the scans of all patients and hands each patient's to `write`, on all threads.
///
/// # Errors
/// The first error of a patient, in the order of patients.
pub(crate) fn scan_all(
    config: &Config,
    seed: u64,
    patients: &[Patient],
    write: impl Fn(&Patient, &Scans) -> Result<(), PhantomError> + Sync,
) -> Result<(), PhantomError> {
    let texture = Texture::draw(&mut DrawKey::new(seed, "phantom.texture").rng());
    let progress = Progress::new(patients.len(), "patient");
    let results: Vec<Result<(), PhantomError>> = patients
        .par_iter()
        .map(|patient| {
            write(patient, &scan_patient(config, seed, patient, &texture)?)?;
            progress.add(1);
            Ok(())
        })
        .collect();
    results.into_iter().collect()
}

/// The scans of a patient.
pub(crate) struct Scans {
    pub(crate) baseline: Scan,
    pub(crate) followup: Option<Scan>,
    /// The baseline scan as it would be without the hematoma: the same pose, noise and cue.
    pub(crate) twin: Option<Scan>,
}

/// Makes the scans of a patient.
///
/// # Errors
/// If the hematoma does not fit into the head, or the site's grid is unsound.
pub(crate) fn scan_patient(
    config: &Config,
    seed: u64,
    patient: &Patient,
    texture: &Texture,
) -> Result<Scans, PhantomError> {
    let id = patient.id.as_str();
    let key = |purpose| DrawKey::new(seed, purpose).case(id);
    let head = Head::draw(&mut key("phantom.head").rng(), patient.clinical.age_years);
    let lesion = Lesion::draw(seed, id, &patient.signs, &config.lesion, &head, texture)?;
    let baseline_ml = patient.signs.volume_ml;
    let followup_ml = patient.followup.map_or(0.0, |followup| followup.volume_ml);
    let extent = Extent::measure(&lesion, &head, texture, 1.05 * baseline_ml.max(followup_ml));
    let cue = patient.cue.then_some(&config.cue);
    let body_of = |volume_ml: f64| -> Result<Body<'_>, PhantomError> {
        let radius_mm = extent.radius_mm(id, volume_ml)?;
        Ok(Body::new(&head, texture, &lesion, radius_mm, &config.lesion))
    };
    let scan_of = |body: &Body<'_>, repeat: usize, with_image: bool| {
        let pose = Pose::draw(&mut key("phantom.pose").repeat(repeat).rng(), &config.scan);
        let noise = with_image.then(|| key("phantom.noise").repeat(repeat));
        scan(body, &pose, patient.site, &config.scan, cue, noise)
    };
    let scan_at = |volume_ml: f64, repeat: usize, with_image: bool| -> Result<Scan, PhantomError> {
        let scanned = scan_of(&body_of(volume_ml)?, repeat, with_image).and_then(|scan| {
            let mut rng = key("phantom.annotator").repeat(repeat).rng();
            let labels = annotated(scan.labels, config.annotator_sd_mm, texture, &mut rng)?;
            Ok(Scan { labels, ..scan })
        });
        scanned.map_err(PhantomError::volume(id))
    };
    let twin = || {
        let twin = scan_of(&body_of(baseline_ml)?.without_lesion(), 0, true);
        twin.map_err(PhantomError::volume(id))
    };
    Ok(Scans {
        baseline: scan_at(baseline_ml, 0, true)?,
        followup: patient
            .followup
            .map(|followup| scan_at(followup.volume_ml, 1, config.followup_image))
            .transpose()?,
        twin: config.lesion_free_twins.then(twin).transpose()?,
    })
}
