//! The presets hold what they say, differ where they say, and stay as they are.

use std::collections::BTreeMap;
use std::path::Path;

use hemex_metrics::auroc;
use hemex_stage::{DrawKey, digest};
use rayon::prelude::*;
use serde_json::Value;

use super::{config, without_followup};
use crate::cohort::{Patient, draw_patients, scan_patient};
use crate::outcome::OutcomeModel;
use crate::texture::Texture;

/// Digests of what the configs hold. Results are compared across methods and versions on these cohorts: a
/// preset is never tuned; another cohort is a new preset.
const FROZEN: [(&str, &str); 9] = [
    ("phantom", "5ac09a8ff26247eb7f4ac6700a9b1eaebedaed71d892ba891f89db7935f8872c"),
    ("phantom-easy", "278c6001f30ad7e51520e8f26b478239eb9b5c8178cdc45b43956f89654bd007"),
    ("phantom-imbalance", "878da38623de3f1fa5854bcb2d02f0b76fbb158e312faff639cce576d818d0ca"),
    ("phantom-deformation", "abbae55e771c6b03fd6eadc733415e15fa8eb4bde2f4646f9614ece7a346cf10"),
    ("phantom-shift", "a7a1314e3175bbffa885b0ea32d0802856a1beab1b94ffa72a83606730e107cd"),
    ("phantom-small", "a96ff025412a1dce577f6f4a5bb09929639dd23e192a36ee4dc8e6426bd0df6c"),
    ("phantom-cue", "a0aeaf22e3efe39d5da7f521fa0a3bcbb8134e4c1731d7dca50a75f156236e2c"),
    ("phantom-paper", "a740d8dd9b59139f63317e54df9fc3f146a81bd68c58f8c8749b625c406c0cf5"),
    ("phantom-large", "005717f5ee5f9688aa7588196e26486e1fefc94111f8b19fae544b9ae12ef1fb"),
];

/// A preset, and which keys (a `*` at the end for any) it has otherwise than `easy`.
const DIFFERS: [(&str, &[&str]); 6] = [
    ("phantom-imbalance", &["prevalence"]),
    ("phantom-deformation", &["lesion.irregularity_range"]),
    ("phantom-shift", &["site.B.*", "site.C.*"]),
    ("phantom-small", &["n_patients"]),
    (
        "phantom-cue",
        &["cue.kind", "site.A.cue_correlation", "site.B.cue_correlation", "site.C.cue_correlation"],
    ),
    (
        "phantom-paper",
        &[
            "prevalence",
            "lesion.irregularity_range",
            "site.*",
            "n_patients",
            "cue.kind",
            "annotator_sd_mm",
        ],
    ),
];

fn written(name: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs");
    toml::from_str(&std::fs::read_to_string(folder.join(format!("{name}.toml"))).unwrap()).unwrap()
}

/// Every number by its path.
fn leaves(value: &Value, path: &str, into: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(table) => {
            for (key, value) in table {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                leaves(value, &path, into);
            }
        }
        leaf => drop(into.insert(path.to_owned(), leaf.clone())),
    }
}

fn of(name: &str) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    leaves(&written(name), "", &mut found);
    found
}

#[test]
fn presets_are_frozen() {
    let moved: Vec<String> = FROZEN
        .iter()
        .filter_map(|(name, frozen)| {
            config(&format!("{name}.toml"), |_| ());
            let lines = of(name).into_iter().map(|(key, value)| format!("{key} = {value}\n"));
            let found = digest::bytes(lines.collect::<String>().as_bytes());
            (found != *frozen).then(|| format!("(\"{name}\", \"{found}\"),"))
        })
        .collect();
    assert!(moved.is_empty(), "frozen presets have changed:\n{}", moved.join("\n"));
}

#[test]
fn each_difficulty_differs_from_easy_in_its_own_keys() {
    let easy = of("phantom-easy");
    for (name, keys) in DIFFERS {
        let preset = of(name);
        assert_eq!(easy.keys().collect::<Vec<_>>(), preset.keys().collect::<Vec<_>>());
        let changed: Vec<&String> = easy.keys().filter(|key| easy[*key] != preset[*key]).collect();
        for key in &changed {
            let stated = |known: &&str| match known.strip_suffix('*') {
                Some(start) => key.starts_with(start),
                None => key.as_str() == *known,
            };
            assert!(keys.iter().any(stated), "{name}: {key}");
        }
        for known in keys {
            let start = known.trim_end_matches('*');
            assert!(
                changed.iter().any(|key| key.starts_with(start)),
                "{name}: {known} is as in easy"
            );
        }
    }
}

/// What may tell two cohorts apart: of a patient as drawn, and as measured on a scan.
const FEATURES: [&str; 8] =
    ["growth", "volume", "irregularity", "heterogeneity", "signs", "age", "male", "texture"];

fn features(name: &str) -> Vec<[f64; FEATURES.len()]> {
    const N: usize = 90;
    const SEED: u64 = 21;
    let config = config(&format!("{name}.toml"), |raw| {
        without_followup(raw);
        raw.lesion_free_twins = false;
        raw.n_patients = N;
        raw.n_population = 4000;
        // Coarser by a factor, the same for all.
        for site in raw.site.values_mut() {
            site.share = 1.0;
            site.matrix /= 2;
            site.in_plane_mm *= 2.0;
        }
    });
    let (model, _) = OutcomeModel::solve(&config, SEED);
    let texture = Texture::draw(&mut DrawKey::new(SEED, "phantom.texture").rng());
    let patients = draw_patients(&config, &model, SEED);
    let measure = |patient: &Patient| {
        let scan = scan_patient(&config, SEED, patient, &texture).unwrap().baseline;
        let signs = &patient.signs;
        let n_signs = [signs.black_hole, signs.blend, signs.island, signs.satellite, signs.swirl];
        [
            f64::from(u8::from(patient.growth)),
            signs.volume_ml.ln(),
            signs.irregularity,
            signs.heterogeneity,
            n_signs.iter().filter(|sign| **sign).count() as f64,
            patient.clinical.age_years,
            f64::from(u8::from(patient.clinical.male)),
            roughness(scan.image.unwrap().voxels()),
        ]
    };
    patients.par_iter().map(measure).collect()
}

/// How much neighbours in the brain differ, HU.
fn roughness(hu: &[f32]) -> f64 {
    let brain = |hu: &f32| (15.0..60.0).contains(hu);
    let steps = hu.windows(2).filter(|pair| pair.iter().all(brain));
    let squares = steps.clone().map(|pair| f64::from(pair[1] - pair[0]).powi(2));
    (squares.sum::<f64>() / steps.count() as f64).sqrt()
}

/// AUROC of a logistic regression on some features that tells one cohort from the other; trained on the first
/// half of the patients, tested on the second.
fn told_apart(a: &[[f64; 8]], b: &[[f64; 8]], used: &[usize]) -> f64 {
    let rows: Vec<(&[f64; 8], bool)> =
        a.iter().map(|row| (row, false)).chain(b.iter().map(|row| (row, true))).collect();
    let scaled: Vec<Vec<f64>> = rows
        .iter()
        .map(|(row, _)| {
            let z = |j: &usize| {
                let column = || rows.iter().map(|(row, _)| row[*j]);
                let mean = column().sum::<f64>() / rows.len() as f64;
                let sd =
                    (column().map(|v| (v - mean).powi(2)).sum::<f64>() / rows.len() as f64).sqrt();
                (row[*j] - mean) / sd.max(1e-9)
            };
            // The square as well: a mixture may have the mean of what it is a mixture of.
            used.iter().flat_map(|j| [z(j), z(j).powi(2) - 1.0]).chain([1.0]).collect()
        })
        .collect();
    let is_trained = |i: usize| i % a.len() < a.len() / 2;
    let mut weights = vec![0.0; 2 * used.len() + 1];
    let score = |weights: &[f64], x: &[f64]| weights.iter().zip(x).map(|(w, v)| w * v).sum::<f64>();
    for _ in 0..300 {
        let mut gradient: Vec<f64> = weights.iter().map(|w| 0.01 * w).collect();
        for i in (0..rows.len()).filter(|i| is_trained(*i)) {
            let p = 1.0 / (1.0 + (-score(&weights, &scaled[i])).exp());
            let miss = p - f64::from(u8::from(rows[i].1));
            gradient.iter_mut().zip(&scaled[i]).for_each(|(g, x)| *g += miss * x / a.len() as f64);
        }
        weights.iter_mut().zip(gradient).for_each(|(w, g)| *w -= 0.5 * g);
    }
    let tested: Vec<usize> = (0..rows.len()).filter(|i| !is_trained(*i)).collect();
    let scores: Vec<f64> = tested.iter().map(|i| score(&weights, &scaled[*i])).collect();
    let truth: Vec<bool> = tested.iter().map(|i| rows[*i].1).collect();
    auroc(&scores, &truth).unwrap()
}

#[test]
fn a_classifier_sees_a_knob_in_its_own_features_and_nowhere_else() {
    let easy = features("phantom-easy");
    for (preset, own, follows) in [
        ("phantom-imbalance", &["growth"][..], &[][..]),
        ("phantom-deformation", &["irregularity"], &[]),
        // Another mix of patients has another share of growth.
        ("phantom-shift", &["volume", "age", "texture"], &["growth"]),
        ("phantom-cue", &["texture"], &[]),
        ("phantom-small", &[], &[]),
    ] {
        let other = features(preset);
        let index = |name: &&str| FEATURES.iter().position(|feature| feature == name).unwrap();
        let seen: Vec<usize> = own.iter().map(index).collect();
        let rest: Vec<usize> = (0..FEATURES.len())
            .filter(|j| !seen.contains(j) && !follows.contains(&FEATURES[*j]))
            .collect();
        let by_rest = told_apart(&easy, &other, &rest);
        // The same seed draws the same patients: what a knob leaves alone is equal, not only alike.
        assert!((by_rest - 0.5).abs() < 0.03, "{preset}: {by_rest} by the rest");
        if !seen.is_empty() {
            let by_own = told_apart(&easy, &other, &seen);
            assert!(by_own > 0.62, "{preset}: {by_own} by {own:?}");
        }
    }
}

#[test]
fn fewer_slices_of_the_same_head() {
    let n_slices = |coverage_mm: [f64; 2]| {
        let config = config("phantom-tiny.toml", |raw| raw.scan.coverage_mm = coverage_mm);
        let (model, _) = OutcomeModel::solve(&config, 1);
        let texture = Texture::draw(&mut DrawKey::new(1, "phantom.texture").rng());
        let patients = draw_patients(&config, &model, 1);
        let scan = scan_patient(&config, 1, &patients[0], &texture).unwrap().baseline;
        (scan.labels.geometry().shape(), scan.labels.geometry().spacing_mm(), patients[0].signs)
    };
    let (all, few) = (n_slices([-46.0, 84.0]), n_slices([-20.0, 50.0]));
    assert_eq!(few.0[0], (70.0 / few.1[0]).ceil() as usize);
    assert!(few.0[0] < all.0[0]);
    assert_eq!((few.0[1..].to_vec(), few.1, few.2), (all.0[1..].to_vec(), all.1, all.2));
}
