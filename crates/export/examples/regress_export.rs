//! Golden figures of a cohort in other tools' layouts; `cargo xtask regress -p export`.
#![expect(clippy::unwrap_used, reason = "a failed figure may panic")]

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use hemex_artifacts::nifti;
use hemex_export::{Config, RawConfig};
use hemex_stage::{CONTRACT_VERSION, digest};
use hemex_volume::{Affine, Geometry, Image, LabelMap};

fn write_inputs(root: &Path) {
    for folder in ["cases/images", "cases/brain", "labels/masks", "splits"] {
        std::fs::create_dir_all(root.join(folder)).unwrap();
    }
    let affine = Affine::from_spacing([5.0, 2.0, 2.0], [-9.0, 2.5, 40.0]).unwrap();
    let geometry = Geometry::new([4, 9, 8], affine).unwrap();
    let mut cases = "case_id,patient_id,site,age_years,sex,onset_to_ct_h,anticoagulation,gcs,ivh,\
                     source_format,native_spacing_d_mm,native_spacing_h_mm,native_spacing_w_mm,\
                     convolution_kernel,noise_hu\n"
        .to_owned();
    let mut labels =
        "case_id,growth,growth_undefined_reason,baseline_volume_ml,followup_volume_ml,\
                      followup_interval_h,mask,true_probability,true_probability_image_signs\n"
            .to_owned();
    let mut splits = "case_id,slice_idx,patient_id,site,regime,fold,role\n".to_owned();
    for i in 0..6 {
        let id = format!("case-{i}");
        let hu = (0..288).map(|at| ((at * 37 + i * 29) % 170) as f32 * 1.04 - 40.0).collect();
        let mask: Vec<u8> = (0..288).map(|at| ((at / 7 + i) % 5) as u8).collect();
        let (image, mask) = (Image::new(geometry, hu), LabelMap::new(geometry, mask));
        nifti::write_image(&root.join(format!("cases/images/{id}.nii")), &image.unwrap()).unwrap();
        let mask = mask.unwrap();
        nifti::write_label_map(&root.join(format!("cases/brain/{id}.nii")), &mask).unwrap();
        nifti::write_label_map(&root.join(format!("labels/masks/{id}.nii")), &mask).unwrap();
        cases += &format!("{id},patient-{},A,6{i}.5,F,,1,14,,nifti,5.0,0.5,0.5,,\n", i / 2);
        let path = if i == 5 { String::new() } else { format!("masks/{id}.nii") };
        labels += &format!("{id},{},,1{i}.25,,24.0,{path},,\n", i % 2);
        for fold in 0..3 {
            let role = ["train", "val", "test"][(i / 2 + fold) % 3];
            splits += &format!("{id},,patient-{},A,patient,{fold},{role}\n", i / 2);
        }
    }
    std::fs::write(root.join("cases/cases.csv"), cases).unwrap();
    std::fs::write(root.join("labels/labels.csv"), labels).unwrap();
    std::fs::write(root.join("splits/splits.csv"), splits).unwrap();
    let preparation =
        r#"{"version": "1", "spacing_mm": [5.0, 2.0, 2.0], "window_hu": [-100.0, 200.0]}"#;
    std::fs::write(root.join("cases/preparation.json"), preparation).unwrap();
    std::fs::write(root.join("cases/geometry.json"), "{}").unwrap();
}

/// Runs the stage in a process of its own, since it talks on stdout, where figures go.
fn run_stage(root: &Path, format: &str) {
    std::fs::create_dir(root.join(format)).unwrap();
    let artifact = |folder: &str, kind: &str| {
        format!(r#"{{"path": {:?}, "kind": "{kind}/1", "axes": {{}}}}"#, root.join(folder))
    };
    let input = |name: &str| format!("{name:?}: [{}]", artifact(name, name));
    let request = format!(
        r#"{{"contract": {CONTRACT_VERSION}, "stage": "export", "axes": {{}},
             "config": {{"format": {format:?}, "name": "Made",
                         "nnunet": {{"dataset_id": 3, "regime": "patient"}}}},
             "inputs": {{{}}}, "outputs": {{"dataset": {}}},
             "seed": 1, "device": "cpu", "threads": 1, "scratch": {root:?}}}"#,
        ["cases", "labels", "splits"].map(input).join(", "),
        artifact(format, "dataset")
    );
    std::fs::write(root.join("request.json"), request).unwrap();
    let mut stage = Command::new(std::env::current_exe().unwrap());
    let status = stage.arg(root.join("request.json")).stdout(Stdio::null()).status();
    assert!(status.unwrap().success());
}

fn main() -> ExitCode {
    if std::env::args().len() > 1 {
        return hemex_stage::main::<RawConfig, Config>(hemex_export::run);
    }
    let root = tempfile::tempdir().unwrap();
    write_inputs(root.path());
    for format in ["nnunet", "bids"] {
        run_stage(root.path(), format);
        let folder = root.path().join(format);
        let files = digest::list_files(&folder).unwrap();
        println!("{format}_n_files {}", files.len());
        // Names and bytes together, but for the version of hemex that BIDS writes down.
        let kept = files.iter().filter(|path| !path.ends_with("dataset_description.json"));
        let texts: Vec<String> = kept
            .map(|path| {
                let name = path.strip_prefix(&folder).unwrap().display().to_string();
                format!("{name} {}", digest::file(path).unwrap())
            })
            .collect();
        let digest = digest::bytes(texts.join("\n").as_bytes());
        println!("{format}_digest {}", u64::from_str_radix(&digest[..12], 16).unwrap());
    }
    ExitCode::SUCCESS
}
