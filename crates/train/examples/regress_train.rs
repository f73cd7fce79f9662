//! Golden figures of losses, sampling and a training of six steps; `cargo xtask regress -p train`.
#![expect(clippy::unwrap_used, reason = "a failed figure may panic")]

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use burn::nn::LinearConfig;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use hemex_artifacts::{HistoryRow, ModelCard, json, nifti, table};
use hemex_stage::{CONTRACT_VERSION, DrawKey};
use hemex_train::{
    DrawnCase, RawConfig, Sampler, SamplerKind, Schedule, bce_with_logits, clip_gradients,
    effective_number_weights,
};
use hemex_volume::{Affine, Geometry, Image, LabelMap};
use serde_json::json;

fn parts() {
    let device = Device::flex();
    let logits = || Tensor::<1>::from_data([0.3, -2.0, 1.5, 4.0], &device);
    let targets = || Tensor::<1>::from_data([1.0, 0.0, 0.0, 1.0], &device);
    let scalar = |tensor: Tensor<1>| tensor.into_scalar::<f32>();
    println!("cross_entropy {}", scalar(bce_with_logits(logits(), targets()).mean()));
    let [logits, targets] = [logits(), targets()].map(|t| t.reshape([1, 1, 1, 1, 4]));
    println!("dice_loss {}", scalar(hemex_kernels::mask_losses(logits, targets).narrow(0, 0, 1)));
    println!("class_weight {}", effective_number_weights([90, 30], 0.99).unwrap()[1]);

    let cases = (0..12).map(|i| DrawnCase {
        growth: i % 4 == 0,
        weight: 0.5 + f64::from(i % 5) / 4.0,
        site: if i < 5 { "A" } else { "B" },
    });
    let cases: Vec<DrawnCase<'_>> = cases.collect();
    for (name, kind) in [
        ("instance", SamplerKind::Instance),
        ("square_root", SamplerKind::SquareRoot),
        ("effective_number", SamplerKind::EffectiveNumber),
        ("class_balanced", SamplerKind::ClassBalanced),
        ("site_class_balanced", SamplerKind::SiteClassBalanced),
    ] {
        let sampler = Sampler::new(kind, 0.9, &cases).unwrap();
        let drawn = (0..50).map(|i| i * sampler.draw(&DrawKey::new(1, "train.regress").repeat(i)));
        println!("{name}_drawn {}", drawn.sum::<usize>());
        println!("{name}_prior_logit_offset {}", sampler.prior_logit_offset());
    }
    let schedule =
        Schedule { learning_rate: 1e-3, warmup_steps: 10, n_steps: 100, held_from: None };
    println!("warmup_rate {}", schedule.at(4));
    println!("decay_rate {}", schedule.at(40));

    // The gradient of a linear layer's output is its input.
    let device = device.autodiff();
    let linear = LinearConfig::new(3, 1).with_bias(false).init(&device);
    let output = linear.forward(Tensor::<2>::from_data([[1.0, -2.0, 3.0]], &device));
    let gradients = GradientsParams::from_grads(output.sum().backward(), &linear);
    let (clipped, norm) = clip_gradients(&linear, gradients, 1.5);
    println!("gradient_norm {norm}");
    println!("clipped_gradient_norm {}", clip_gradients(&linear, clipped, 1.5).1);
}

/// Seven cases of `cases/1`, `labels/1` and `splits/1`; every other one grew, from a larger lesion.
fn write_cohort(root: &Path) {
    for folder in ["cases/images", "cases/brain", "labels/masks", "splits", "model", "scratch"] {
        std::fs::create_dir_all(root.join(folder)).unwrap();
    }
    let affine = Affine::from_spacing([5.0, 2.0, 2.0], [0.0; 3]).unwrap();
    let geometry = Geometry::new([4, 24, 20], affine).unwrap();
    let mut cases = "case_id,patient_id,site,age_years,sex,onset_to_ct_h,anticoagulation,gcs,ivh,\
                     source_format,native_spacing_d_mm,native_spacing_h_mm,native_spacing_w_mm,\
                     convolution_kernel,noise_hu\n"
        .to_owned();
    let mut labels =
        "case_id,growth,growth_undefined_reason,baseline_volume_ml,followup_volume_ml,\
                      followup_interval_h,mask,true_probability,true_probability_image_signs\n"
            .to_owned();
    let mut splits = "case_id,slice_idx,patient_id,site,regime,fold,role\n".to_owned();
    for i in 0..7_usize {
        let lesion = |at: usize| {
            let [d, h, w] = [at / 480, at / 20 % 24, at % 20];
            d > 0 && h.abs_diff(12).pow(2) + w.abs_diff(10).pow(2) < 10 + 20 * (i % 2) + i
        };
        let hu = |at: usize| (at * 17 % 23) as f32 + if lesion(at) { 55.0 } else { 20.0 };
        let image = Image::new(geometry, (0..1920).map(hu).collect()).unwrap();
        let mask = LabelMap::new(geometry, (0..1920).map(|at| u8::from(lesion(at))).collect());
        let brain = LabelMap::new(geometry, (0..1920).map(|at| u8::from(at % 20 > 1)).collect());
        nifti::write_image(&root.join(format!("cases/images/c{i}.nii")), &image).unwrap();
        nifti::write_label_map(&root.join(format!("cases/brain/c{i}.nii")), &brain.unwrap())
            .unwrap();
        nifti::write_label_map(&root.join(format!("labels/masks/c{i}.nii")), &mask.unwrap())
            .unwrap();
        cases += &format!("c{i},p{i},A,,,,,,,nifti,5,2,2,,\n");
        labels += &format!("c{i},{},,,,,masks/c{i}.nii,,\n", i % 2);
        splits += &format!("c{i},,p{i},A,patient,0,{}\n", if i < 5 { "train" } else { "val" });
    }
    std::fs::write(root.join("cases/cases.csv"), cases).unwrap();
    std::fs::write(root.join("labels/labels.csv"), labels).unwrap();
    std::fs::write(root.join("splits/splits.csv"), splits).unwrap();
    let preparation =
        json!({ "version": "1", "spacing_mm": [5.0, 2.0, 2.0], "window_hu": [-100.0, 200.0] });
    json::write(&root.join("cases/preparation.json"), &preparation).unwrap();
    json::write(&root.join("cases/geometry.json"), &json!({})).unwrap();
}

fn config() -> serde_json::Value {
    let network = |kind: &str| {
        json!({ "kind": kind, "dims": "2d", "channels": [4, 8], "n_groups": 2,
                "n_planar_levels": 0, "pooling": "mean_max", "window": [1, 16, 16],
                "input": { "windows_hu": [[-10.0, 90.0]], "brain_only": true, "n_neighbours": 0 } })
    };
    json!({
        "regime": "patient", "n_epochs": 2, "steps_per_epoch": 3, "batch_size": 4, "precision": "single", "batches_per_step": 1,
        "select_by": "loss", "patience_epochs": 5, "calibration": "temperature", "lesion_window_share": 0.7,
        "conformal": { "shift_weights": false },
        "sampler": { "kind": "instance", "shift_weights": true, "by": "resampling" },
        "loss": { "mask_weight": 1.0, "label_weight": 0.5, "label_warmup_steps": 0,
                  "reconstruction_weight": 0.0, "sign_weight": 0.0, "followup_weight": 0.0,
                  "effective_number_beta": 0.9, "reweight_from_epoch": 0, "focal_gamma": 0.0,
                  "ldam_margin": 0.0, "logit_adjustment": 0.0, "across": "mean", "across_strength": 0.0, "task_rate": 0.0,
                  "align": { "kind": "none" } },
        "optimizer": { "learning_rate": { "joint": 3e-3, "vgg": 3e-3 }, "weight_decay": 0.1, "warmup_steps": 2,
                       "max_gradient_norm": 0.5, "average": { "kind": "none" } },
        "decision": { "mask_threshold": 0.5, "min_lesion_ml": 0.0, "min_focus_ml": 0.0, "min_presence": 0.4 },
        "augment": { "flip_probability": 0.5, "rotation_deg": [12.0, 0.0, 0.0], "scale": 0.05,
                     "translation_mm": [0.0, 4.0, 4.0], "noise_hu": 3.0, "blur_mm": 1.0,
                     "gain": 0.05, "offset_hu": 3.0,
                     "elastic": { "probability": 0.5, "control_points": [2, 4, 4],
                                  "max_displacement_mm": [0.0, 3.0, 3.0] },
                     "lesion": { "probability": 0.0, "volume_change": 0.0, "stretch": 0.0,
                                 "lobe": 0.0, "reach_mm": 25.0 },
                     "scanner": { "gamma": 0.0,
                                  "thick_slices": { "probability": 0.0, "max_mm": 10.0 },
                                  "coarse_pixels": { "probability": 0.0, "max_mm": 3.0 },
                                  "streaks": { "probability": 0.0, "amplitude_hu": 20.0,
                                               "width_mm": 2.0, "reach_mm": 40.0 },
                                  "noise_fwhm_mm": [1.2, 1.2],
                                  "noise_edge_enhancement": [0.3, 0.3] },
                     "site_probability": 0.0, "site": {} },
        "transplant": { "probability": 0.0, "edge_mm": 4.0, "gap_mm": 5.0, "csf_hu": 16.0,
                        "csf_share": 0.05, "n_tries": 200 },
        "growth": { "relative": 0.33, "absolute_ml": 6.0 },
        "growth_regression": { "established": ["ln_volume_ml"], "established_penalty": 0.2 },
        "finetune": {},
        "growth_from": {
            "joint": { "scan": "network", "clinical": [] },
            "vgg": { "scan": "network", "clinical": [] },
        },
        "arm": { "joint": network("joint_unet"), "vgg": network("vgg") },
    })
}

/// Runs the stage for one arm in a process of its own, since it talks on stdout, where figures go.
fn training(arm: &str) {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    write_cohort(root);
    let input = |name: &str, kind| json!([{ "path": root.join(name), "kind": kind, "axes": {} }]);
    let request = json!({
        "contract": CONTRACT_VERSION, "stage": "train", "axes": { "arm": arm, "fold": 0 },
        "config": config(),
        "inputs": { "cases": input("cases", "cases/1"), "labels": input("labels", "labels/1"),
                    "splits": input("splits", "splits/1") },
        "outputs": { "model": { "path": root.join("model"), "kind": "model/1" } },
        "seed": 1, "device": "cpu", "threads": 1, "scratch": root.join("scratch"),
    });
    json::write(&root.join("request.json"), &request).unwrap();
    let mut stage = Command::new(std::env::current_exe().unwrap());
    let status = stage.arg(root.join("request.json")).stdout(Stdio::null()).status();
    assert!(status.unwrap().success());

    let card: ModelCard = json::read(&root.join("model/model.json")).unwrap();
    println!("{arm}_prior_logit_offset {}", card.prior_logit_offset);
    for row in table::read_rows::<HistoryRow>(&root.join("model/history.csv")).unwrap() {
        println!("{arm}_train_loss_{} {}", row.epoch, row.train_loss);
        println!("{arm}_val_loss_{} {}", row.epoch, row.val_loss);
    }
}

fn main() -> ExitCode {
    if std::env::args().len() > 1 {
        return hemex_stage::main::<RawConfig, _>(hemex_train::run);
    }
    parts();
    training("joint");
    training("vgg");
    ExitCode::SUCCESS
}
