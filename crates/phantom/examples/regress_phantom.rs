//! Golden figures of a tiny cohort of nine and of each preset; `cargo xtask regress -p phantom`.
#![expect(clippy::unwrap_used, reason = "a failed figure may panic")]

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use hemex_artifacts::{json, nifti};
use hemex_phantom::{Config, RawConfig};
use hemex_stage::CONTRACT_VERSION;
use hemex_volume::Image;
use serde_json::{Value, json};

/// The frozen cohorts; see `configs/README.md`.
const PRESETS: [(&str, &str); 9] = [
    ("demo", include_str!("../../../configs/phantom.toml")),
    ("easy", include_str!("../../../configs/phantom-easy.toml")),
    ("imbalance", include_str!("../../../configs/phantom-imbalance.toml")),
    ("deformation", include_str!("../../../configs/phantom-deformation.toml")),
    ("shift", include_str!("../../../configs/phantom-shift.toml")),
    ("small", include_str!("../../../configs/phantom-small.toml")),
    ("cue", include_str!("../../../configs/phantom-cue.toml")),
    ("paper", include_str!("../../../configs/phantom-paper.toml")),
    ("large", include_str!("../../../configs/phantom-large.toml")),
];

/// Runs the stage in a process of its own, since it talks on stdout, where figures go.
fn make_cohort(root: &Path, config: &Value) {
    std::fs::create_dir(root.join("raw")).unwrap();
    let request = json!({
        "contract": CONTRACT_VERSION, "stage": "phantom", "axes": {}, "config": config,
        "inputs": {}, "outputs": { "raw": { "path": root.join("raw"), "kind": "dataset/1" } },
        "seed": 1, "device": "cpu", "threads": 2, "scratch": root,
    });
    json::write(&root.join("request.json"), &request).unwrap();
    let mut stage = Command::new(std::env::current_exe().unwrap());
    let status = stage.arg(root.join("request.json")).stdout(Stdio::null()).status();
    assert!(status.unwrap().success());
}

/// What is known of the patients: the model, its oracle, means over the cohort.
fn truth(truth: &Value) {
    println!("intercept {}", truth["model"]["intercept"]);
    println!("oracle_auroc {}", truth["oracle"]["auroc_population"]);
    println!("oracle_auroc_image_signs {}", truth["oracle"]["auroc_population_image_signs"]);
    let cases = truth["cases"].as_object().unwrap();
    let mean = |pointer: &str| {
        let found = cases.values().filter_map(|case| case.pointer(pointer)?.as_f64());
        found.clone().sum::<f64>() / found.count() as f64
    };
    for figure in [
        "growth",
        "probability",
        "probability_image_signs",
        "baseline_volume_ml",
        "followup_volume_ml",
        "signs/irregularity",
        "signs/heterogeneity",
        "signs/age_years",
        "signs/onset_to_ct_h",
        "signs/gcs",
    ] {
        println!("{figure} {}", mean(&format!("/{figure}")));
    }
}

/// What the scanners show of them: volumes in the masks, mean HU in the NIfTI and DICOM files.
fn scans(raw: &Path, truth: &Value) {
    let (mut lesions_ml, mut images_hu, mut slices_hu) = ([0.0; 3], Vec::new(), Vec::new());
    for id in truth["cases"].as_object().unwrap().keys() {
        let stem = raw.join(format!("{id}/ses-baseline/ct/{id}_ses-baseline"));
        let file = |ending: &str| Path::new(&format!("{}{ending}", stem.display())).to_owned();
        let labels = nifti::read_label_map(&file("_dseg.nii.gz")).unwrap();
        for (ml, label) in lesions_ml.iter_mut().zip(1..) {
            *ml += labels.volume_ml(&[label]);
        }
        if let Ok(image) = nifti::read_image(&file("_ct.nii.gz")) {
            images_hu.push(weighted_mean(&image));
        } else {
            // The pixels of the slice are the last 84 × 84 words; 0 stands for −1024 HU.
            let bytes = std::fs::read(file("_ct/0008.dcm")).unwrap();
            let words = bytes[bytes.len() - 2 * 84 * 84..].as_chunks::<2>().0;
            let sum: f64 = words.iter().map(|word| f64::from(u16::from_le_bytes(*word))).sum();
            slices_hu.push(sum / words.len() as f64 - 1024.0);
        }
    }
    for (name, ml) in
        ["intraparenchymal_ml", "intraventricular_ml", "edema_ml"].iter().zip(lesions_ml)
    {
        println!("{name} {ml}");
    }
    println!("nifti_hu {}", images_hu.iter().sum::<f64>() / images_hu.len() as f64);
    println!("dicom_slice_hu {}", slices_hu.iter().sum::<f64>() / slices_hu.len() as f64);
}

/// The tiny cohort of the tests, with patients of every fate.
fn tiny() -> Value {
    let mut config: Value =
        toml::from_str(include_str!("../../../configs/phantom-tiny.toml")).unwrap();
    config["n_patients"] = json!(9);
    config["n_population"] = json!(4000);
    config["surgery_share"] = json!(0.25);
    config["no_followup_share"] = json!(0.25);
    config
}

/// What the oracle reaches on a preset, and what a scan of it measures.
fn preset(name: &str, text: &str) {
    let mut config: Value = toml::from_str(text).unwrap();
    config["n_patients"] = json!(3);
    config["n_population"] = json!(4000);
    config["lesion_free_twins"] = json!(false);
    config["followup_image"] = json!(false);
    let root = tempfile::tempdir().unwrap();
    make_cohort(root.path(), &config);
    let known: Value = json::read(&root.path().join("raw/truth.json")).unwrap();
    println!("{name}/oracle_auroc {}", known["oracle"]["auroc_population"]);
    println!("{name}/oracle_auroc_image_signs {}", known["oracle"]["auroc_population_image_signs"]);
    let (mut lesion_ml, mut hu, mut n_images) = (0.0, 0.0, 0);
    for id in known["cases"].as_object().unwrap().keys() {
        let stem = root.path().join(format!("raw/{id}/ses-baseline/ct/{id}_ses-baseline"));
        let file = |ending: &str| Path::new(&format!("{}{ending}", stem.display())).to_owned();
        lesion_ml += nifti::read_label_map(&file("_dseg.nii.gz")).unwrap().volume_ml(&[1]);
        if let Ok(image) = nifti::read_image(&file("_ct.nii.gz")) {
            hu += weighted_mean(&image);
            n_images += 1;
        }
    }
    println!("{name}/intraparenchymal_ml {lesion_ml}");
    println!("{name}/nifti_hu {}", hu / f64::from(n_images));
}

/// Weights from 0 to 2 that differ from voxel to voxel show a shift, too.
fn weighted_mean(image: &Image) -> f64 {
    let weight = |i: usize| (i * 7919 % 101) as f64 / 50.0;
    let terms = image.voxels().iter().enumerate().map(|(i, v)| weight(i) * f64::from(*v));
    terms.sum::<f64>() / image.voxels().len() as f64
}

fn main() -> ExitCode {
    if std::env::args().len() > 1 {
        return hemex_stage::main::<RawConfig, Config>(hemex_phantom::run);
    }
    let root = tempfile::tempdir().unwrap();
    make_cohort(root.path(), &tiny());
    let raw = root.path().join("raw");
    let known: Value = json::read(&raw.join("truth.json")).unwrap();
    truth(&known);
    scans(&raw, &known);
    PRESETS.iter().for_each(|(name, text)| preset(name, text));
    ExitCode::SUCCESS
}
