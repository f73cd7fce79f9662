//! Golden figures of two cases read by seeded networks; `cargo xtask regress -p predict`.
#![expect(clippy::unwrap_used, reason = "a failed figure may panic")]

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use hemex_artifacts::{GeometryRecord, ModelCard, PredictionRow, json, nifti, table};
use hemex_model::{Network, NetworkSpec, parse_device, save_weights};
use hemex_predict::RawConfig;
use hemex_stage::CONTRACT_VERSION;
use hemex_volume::{Affine, Geometry, Image, LabelMap};
use serde_json::{Value, json};

fn preparation() -> Value {
    json!({ "version": "1", "spacing_mm": [5.0, 2.0, 2.0], "window_hu": [-100.0, 200.0] })
}

/// Two textured heads with a disc of blood; their scans came with thinner slices, running leftwards.
fn write_cases(folder: &Path) {
    std::fs::create_dir_all(folder.join("images")).unwrap();
    std::fs::create_dir_all(folder.join("brain")).unwrap();
    let affine = Affine::from_spacing([5.0, 2.0, 2.0], [0.0; 3]).unwrap();
    let geometry = Geometry::new([4, 24, 20], affine).unwrap();
    let native = [[-1.0, 0.0, 0.0, 38.5], [0.0, 1.0, 0.0, -0.5], [0.0, 0.0, 2.5, -1.25]];
    let native = Geometry::new([8, 48, 40], Affine::new(native).unwrap()).unwrap();
    let mut rows = "case_id,patient_id,site,age_years,sex,onset_to_ct_h,anticoagulation,gcs,ivh,\
                    source_format,native_spacing_d_mm,native_spacing_h_mm,native_spacing_w_mm,\
                    convolution_kernel,noise_hu\n"
        .to_owned();
    for i in 0..2_usize {
        let hu = |at: usize| {
            let [d, h, w] = [at / 480, at / 20 % 24, at % 20];
            let blood = d > i && h.abs_diff(12).pow(2) + w.abs_diff(9).pow(2) < 30;
            (at * 17 % 23) as f32 + if blood { 60.0 } else { 20.0 }
        };
        let image = Image::new(geometry, (0..1920).map(hu).collect()).unwrap();
        let brain = (0..1920).map(|at| u8::from(at % 20 > 1)).collect();
        let brain = LabelMap::new(geometry, brain).unwrap();
        nifti::write_image(&folder.join(format!("images/c{i}.nii")), &image).unwrap();
        nifti::write_label_map(&folder.join(format!("brain/c{i}.nii")), &brain).unwrap();
        rows += &format!("c{i},p{i},A,,,,,,,nifti,2.5,1,1,,\n");
    }
    std::fs::write(folder.join("cases.csv"), rows).unwrap();
    let record = GeometryRecord::from(&native);
    json::write(&folder.join("geometry.json"), &json!({ "c0": record, "c1": record })).unwrap();
    json::write(&folder.join("preparation.json"), &preparation()).unwrap();
}

fn write_model(folder: &Path, kind: &str) {
    std::fs::create_dir_all(folder).unwrap();
    let architecture = json!({
        "kind": kind, "dims": "2d", "channels": [4, 8], "n_groups": 2, "n_planar_levels": 0,
        "pooling": "mean_max", "window": [1, 16, 16],
        "input": { "window_hu": [-10.0, 90.0], "brain_only": true },
    });
    let spec: NetworkSpec = serde_json::from_value(architecture.clone()).unwrap();
    let network = Network::new(&spec, 4, &parse_device("cpu").unwrap());
    save_weights(&network, &folder.join("model.safetensors")).unwrap();
    let card = json!({
        "format": ModelCard::FORMAT, "arm": kind, "architecture": architecture,
        "decision": { "mask_threshold": 0.005, "min_lesion_ml": 0.2, "min_presence": 0.3 },
        "preparation": preparation(), "regime": "patient", "fold": 0, "seed": 4,
        "prior_logit_offset": -0.75, "n_train": 4, "n_train_growth": 1, "best_epoch": 0,
        "n_parameters": 0, "simd": "any",
    });
    json::write(&folder.join("model.json"), &card).unwrap();
}

/// Runs the stage in a process of its own, since it talks on stdout, where figures go.
fn predictions(kind: &str) {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    write_cases(&root.join("cases"));
    write_model(&root.join("model"), kind);
    std::fs::create_dir(root.join("predictions")).unwrap();
    let input =
        |name: &str| json!([{ "path": root.join(name), "kind": format!("{name}/1"), "axes": {} }]);
    let output = json!({ "path": root.join("predictions"), "kind": "predictions/1" });
    let request = json!({
        "contract": CONTRACT_VERSION, "stage": "predict", "axes": {},
        "config": { "batch_size": 3 },
        "inputs": { "cases": input("cases"), "model": input("model") },
        "outputs": { "predictions": output },
        "seed": 1, "device": "cpu", "threads": 1, "scratch": root,
    });
    json::write(&root.join("request.json"), &request).unwrap();
    let mut stage = Command::new(std::env::current_exe().unwrap());
    let status = stage.arg(root.join("request.json")).stdout(Stdio::null()).status();
    assert!(status.unwrap().success());

    for row in table::read_rows::<PredictionRow>(&root.join("predictions/predictions.csv")).unwrap()
    {
        let name = format!("{kind}_{}", row.case_id);
        println!("{name}_status {}", row.status as u8);
        let figures = [
            ("probability", row.probability),
            ("logit", row.logit),
            ("uncertainty", row.uncertainty),
        ];
        for (figure, value) in figures {
            if let Some(value) = value {
                println!("{name}_{figure} {value}");
            }
        }
        if let Some(volume_ml) = row.volume_ml {
            println!("{name}_ml {volume_ml}");
        }
    }
}

fn main() -> ExitCode {
    if std::env::args().len() > 1 {
        return hemex_stage::main::<RawConfig, _>(hemex_predict::run);
    }
    predictions("joint_unet");
    predictions("vgg");
    ExitCode::SUCCESS
}
