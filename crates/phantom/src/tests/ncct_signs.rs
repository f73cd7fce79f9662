//! What is measured on a scan of the demo is what was drawn, as far as thick slices and noise let it be seen.

use hemex_metrics::{KappaWeights, auroc, cohen_kappa};
use hemex_stage::DrawKey;
use hemex_volume::NcctSigns;
use rayon::prelude::*;

use super::{config, without_followup};
use crate::cohort::{draw_patients, scan_patient};
use crate::outcome::OutcomeModel;
use crate::signs::ImageSigns;
use crate::texture::Texture;

/// Where a paper states no threshold, it was set by reasoning and a look at the cohort of the seed 21, not at this
/// one.
const SEED: u64 = 24;
const N_PATIENTS: usize = 60;
/// Pixels of the canonical grid, mm; slices stay as thick as they are.
const PIXEL_MM: f64 = 1.0;

/// A sign as drawn, as measured, and the least kappa between the two. On 420 patients (the seeds 22 and 25) they
/// are 0.79, 0.80, 0.90, 0.60, 0.60 and 0.67; on 60 they stray from that by about 0.1.
type Sign = (&'static str, fn(&ImageSigns) -> bool, fn(&NcctSigns) -> bool, f64);
const SIGNS: [Sign; 6] = [
    ("black hole", |drawn| drawn.black_hole, |found| found.black_hole, 0.45),
    ("blend", |drawn| drawn.blend, |found| found.blend, 0.6),
    ("satellite", |drawn| drawn.satellite, |found| found.satellite, 0.7),
    ("swirl", |drawn| drawn.swirl, |found| found.swirl, 0.25),
    // Both are hypodense and enclosed.
    ("hypodensity", |drawn| drawn.black_hole || drawn.swirl, |found| found.hypodensity, 0.25),
    ("irregular", |drawn| drawn.irregularity > 0.17, |found| found.irregular, 0.4),
];

/// The signs of each patient of the demo, drawn and measured on the baseline scan.
fn drawn_and_found() -> Vec<(ImageSigns, NcctSigns)> {
    let config = config("phantom.toml", |raw| {
        without_followup(raw);
        (raw.n_patients, raw.n_population) = (N_PATIENTS, 5000);
    });
    let (model, _) = OutcomeModel::solve(&config, SEED);
    let texture = Texture::draw(&mut DrawKey::new(SEED, "phantom.texture").rng());
    let measure = |patient: &crate::cohort::Patient| {
        let scan = scan_patient(&config, SEED, patient, &texture).unwrap().baseline;
        let upright = scan.labels.geometry().to_ras();
        let [slice_mm, ..] = upright.spacing_mm();
        let grid = upright.with_spacing([slice_mm, PIXEL_MM, PIXEL_MM]).unwrap();
        let (image, labels) =
            (scan.image.unwrap().resample(&grid, -1000.0), scan.labels.resample(&grid));
        (patient.signs, NcctSigns::of(&image, &labels, &[1]).unwrap().unwrap())
    };
    draw_patients(&config, &model, SEED).par_iter().map(measure).collect()
}

#[test]
fn drawn_signs_are_measured() {
    let patients = drawn_and_found();
    for (name, is_drawn, is_found, least) in SIGNS {
        let rated = |pair: &(ImageSigns, NcctSigns)| [is_drawn(&pair.0), is_found(&pair.1)];
        let pairs: Vec<[bool; 2]> = patients.iter().map(rated).collect();
        let [drawn, found] = [0, 1]
            .map(|rater| pairs.iter().map(|pair| usize::from(pair[rater])).collect::<Vec<usize>>());
        let kappa = cohen_kappa(&drawn, &found, KappaWeights::Equal).unwrap();
        let n = |pair: [bool; 2]| pairs.iter().filter(|other| **other == pair).count();
        let [hits, missed, wrong] = [[true, true], [true, false], [false, true]].map(n);
        assert!(kappa > least, "{name}: {kappa}, {hits} found, {missed} missed, {wrong} wrong");
    }
    // Few are drawn.
    let n_wrong = patients.iter().filter(|(drawn, found)| !drawn.fluid_level && found.fluid_level);
    assert!(n_wrong.count() <= N_PATIENTS / 20);
    // The lobes of an irregular outline are buds too, so a threshold tells little: kappa 0.29 on the 420.
    let is_island: Vec<bool> = patients.iter().map(|(drawn, _)| drawn.island).collect();
    let n_small = patients.iter().map(|(_, found)| (found.n_islands_apart + found.n_buds) as f64);
    let area = auroc(&n_small.collect::<Vec<f64>>(), &is_island).unwrap();
    assert!(area > 0.55, "{area}");
}
