//! Golden figures of a cohort of nine; `cargo xtask regress -p phantom`.
#![expect(clippy::unwrap_used, reason = "a failed figure may panic")]

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use hemex_artifacts::{json, nifti};
use hemex_phantom::{Config, RawConfig};
use hemex_stage::CONTRACT_VERSION;
use serde_json::{Value, json};

/// Runs the stage in a process of its own, since it talks on stdout, where figures go.
fn make_cohort(root: &Path) {
    std::fs::create_dir(root.join("raw")).unwrap();
    let text = include_str!("../../../configs/phantom-tiny.toml");
    let mut config: Value = toml::from_str(text).unwrap();
    config["n_patients"] = json!(9);
    config["n_population"] = json!(4000);
    config["surgery_share"] = json!(0.25);
    config["no_followup_share"] = json!(0.25);
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
            // Weights from 0 to 2 that differ from voxel to voxel show a shift, too.
            let weight = |i: usize| (i * 7919 % 101) as f64 / 50.0;
            let terms = image.voxels().iter().enumerate().map(|(i, v)| weight(i) * f64::from(*v));
            images_hu.push(terms.sum::<f64>() / image.voxels().len() as f64);
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

fn main() -> ExitCode {
    if std::env::args().len() > 1 {
        return hemex_stage::main::<RawConfig, Config>(hemex_phantom::run);
    }
    let root = tempfile::tempdir().unwrap();
    make_cohort(root.path());
    let raw = root.path().join("raw");
    let known: Value = json::read(&raw.join("truth.json")).unwrap();
    truth(&known);
    scans(&raw, &known);
    ExitCode::SUCCESS
}
