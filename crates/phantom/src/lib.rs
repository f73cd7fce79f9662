//! A synthetic cohort of head CTs with intracerebral hemorrhage and a known truth.
//!
//! No paired cohort of growing and stable hematomas may be redistributed, so this one is made: heads of
//! analytic shapes, hematomas with the published signs of growth, three kinds of scanners, an outcome
//! drawn from a stated logistic model. The true probability of every patient is written down, and with
//! it the AUROC that the best possible predictor reaches.
//!
//! # Rooms
//! - who: `signs` (what is drawn), `outcome` (the model and its oracle), `cohort` (patients)
//! - what: `anatomy` (the head), `lesion` (the hematoma), `body` (both together)
//! - what misleads: `confound` (cues beside the point, annotators)
//! - how: `scanner` (grid, slice profile, kernel, noise), `write` (BIDS, NIfTI, DICOM)

mod anatomy;
mod body;
mod cohort;
mod config;
mod confound;
mod error;
mod lesion;
mod outcome;
mod scanner;
mod shape;
mod signs;
mod texture;
mod write;

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests;

use hemex_stage::Request;

pub use config::{
    ClinicalConfig, Config, LesionConfig, PerPredictor, RawConfig, ScanConfig, SignShares,
};
pub use confound::{Cue, CueKind};
pub use error::PhantomError;
pub use scanner::{Format, Orientation, Site};

/// The stage: draws the cohort under the request's seed and writes it to the output `raw`.
///
/// # Errors
/// If the output is not declared or cannot be written, or a hematoma does not fit into its head.
pub fn run(config: &Config, request: &Request) -> anyhow::Result<()> {
    let folder = request.output("raw")?;
    let (model, oracle) = outcome::OutcomeModel::solve(config, request.seed);
    hemex_stage::log(format_args!(
        "oracle AUROC {:.3} with all inputs, {:.3} with image signs alone (population of {})",
        oracle.auroc_population, oracle.auroc_population_image_signs, oracle.n_population
    ));
    let patients = cohort::draw_patients(config, &model, request.seed);
    let n_growth = patients.iter().filter(|patient| patient.growth).count();
    hemex_stage::log(format_args!("{n_growth} of {} hematomas grow", patients.len()));
    write::bids::tables(folder, &patients)?;
    write::truth::truth(folder, &model, &oracle, &patients)?;
    cohort::scan_all(config, request.seed, &patients, |patient, scans| {
        write::patient(folder, request.seed, patient, scans)
    })?;
    Ok(())
}
