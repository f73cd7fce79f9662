//! Golden figures of the weights of a fold of two sites; `cargo xtask regress -p shift`.
#![expect(clippy::unwrap_used, reason = "a failed figure may panic")]

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use hemex_artifacts::{
    CaseRow, DescriptorRow, FeatureBalance, Sex, WeightRow, WeightSummary, json, table,
};
use hemex_shift::{Config, FEATURES, RawConfig};
use hemex_stage::CONTRACT_VERSION;
use hemex_volume::BrainDescriptors;

/// Cases of site A train, those of site C are the target: older, noisier, in thicker slices.
fn case(i: usize) -> CaseRow {
    let target = i >= 30;
    let spread = (i * 17 % 23) as f64 / 22.0;
    CaseRow {
        case_id: format!("c{i:02}"),
        patient_id: format!("p{i:02}"),
        site: if target { "C" } else { "A" }.into(),
        age_years: Some(50.0 + 30.0 * spread + if target { 9.0 } else { 0.0 }),
        sex: Some(if i.is_multiple_of(3) { Sex::F } else { Sex::M }),
        onset_to_ct_h: (!i.is_multiple_of(6)).then_some(1.0 + 8.0 * spread * spread),
        anticoagulation: Some(i.is_multiple_of(4)),
        gcs: Some(15.0 - (i * 11 % 10) as f64),
        ivh: None,
        source_format: "nifti".into(),
        native_spacing_d_mm: if target { 5.0 } else { 4.0 },
        native_spacing_h_mm: 0.5,
        native_spacing_w_mm: 0.5,
        slice_thickness_mm: None,
        convolution_kernel: None,
        tube_voltage_kvp: None,
        manufacturer: None,
        noise_hu: Some(3.0 + (i * 7 % 13) as f64 / 6.0 + if target { 0.6 } else { 0.0 }),
    }
}

fn descriptors(i: usize) -> DescriptorRow {
    let target = if i >= 30 { 1.0 } else { 0.0 };
    let brain = BrainDescriptors {
        volume_ml: 1250.0 + (i * 13 % 19) as f64 * 17.0 - 60.0 * target,
        mean_hu: 31.0 + (i * 5 % 11) as f64 * 0.3,
        sd_hu: 9.0 + (i * 3 % 7) as f64 * 0.4 + target,
        percentiles_hu: [8.0, 25.0, 31.0, 37.0, 45.0],
        hyperdense_ml: 4.0 + (i * 19 % 29) as f64 * 1.7,
    };
    DescriptorRow::new(&format!("c{i:02}"), &brain)
}

fn write_inputs(root: &Path) {
    for folder in ["cases", "splits", "weights"] {
        std::fs::create_dir_all(root.join(folder)).unwrap();
    }
    let mut splits = "case_id,slice_idx,patient_id,site,regime,fold,role\n".to_owned();
    for i in 0..48 {
        let role = if i < 30 { "train" } else { "target" };
        splits += &format!("c{i:02},,p{i:02},A,site,0,{role}\n");
    }
    let rows: Vec<CaseRow> = (0..48).map(case).collect();
    table::write_rows(&root.join("cases/cases.csv"), &CaseRow::COLUMNS, &rows).unwrap();
    let rows: Vec<DescriptorRow> = (0..48).map(descriptors).collect();
    let path = root.join("cases/descriptors.csv");
    table::write_rows(&path, &DescriptorRow::COLUMNS, &rows).unwrap();
    std::fs::write(root.join("splits/splits.csv"), splits).unwrap();
    let preparation =
        r#"{"version": "1", "spacing_mm": [5.0, 2.0, 2.0], "window_hu": [-100.0, 200.0]}"#;
    std::fs::write(root.join("cases/preparation.json"), preparation).unwrap();
    std::fs::write(root.join("cases/geometry.json"), "{}").unwrap();
}

/// Runs the stage in a process of its own, since it talks on stdout, where figures go.
fn run_stage(root: &Path) {
    let artifact = |name: &str| {
        format!(r#"{{"path": {:?}, "kind": "{name}/1", "axes": {{}}}}"#, root.join(name))
    };
    let (cases, splits) = (artifact("cases"), artifact("splits"));
    let request = format!(
        r#"{{"contract": {CONTRACT_VERSION}, "stage": "shift", "axes": {{}},
             "config": {{"features": {FEATURES:?}, "max_feature_auroc": 0.9,
                         "method": "logistic", "l2": 0.01, "relative_alpha": 0.1, "n_folds": 4,
                         "n_permutations": 99, "max_weight": 3.0, "power": 1.0, "min_effective_share": 0.3}},
             "inputs": {{"cases": [{cases}], "splits": [{splits}]}},
             "outputs": {{"weights": {}}},
             "seed": 1, "device": "cpu", "threads": 1, "scratch": {root:?}}}"#,
        artifact("weights")
    );
    std::fs::write(root.join("request.json"), request).unwrap();
    let mut stage = Command::new(std::env::current_exe().unwrap());
    let status = stage.arg(root.join("request.json")).stdout(Stdio::null()).status();
    assert!(status.unwrap().success());
}

fn main() -> ExitCode {
    if std::env::args().len() > 1 {
        return hemex_stage::main::<RawConfig, Config>(hemex_shift::run);
    }
    let root = tempfile::tempdir().unwrap();
    write_inputs(root.path());
    run_stage(root.path());
    let folder = root.path().join("weights");

    let weights: Vec<WeightRow> = table::read_rows(&folder.join("weights.csv")).unwrap();
    let terms = weights.iter().enumerate().map(|(i, row)| i as f64 * row.weight);
    println!("weights {}", terms.sum::<f64>());
    println!("largest_weight {}", weights.iter().map(|row| row.weight).fold(0.0, f64::max));
    let summaries: Vec<WeightSummary> = json::read(&folder.join("weights.json")).unwrap();
    println!("effective_sample_size {}", summaries[0].effective_sample_size);
    println!("domain_auroc {}", summaries[0].domain_auroc.unwrap());
    println!("overlap {}", summaries[0].overlap.unwrap());
    let (squared, p_value) = summaries[0].mean_discrepancy.unwrap();
    println!("mean_discrepancy {squared}");
    println!("mean_discrepancy_p {p_value}");
    let difference = |of: fn(&FeatureBalance) -> Option<f64>| {
        summaries[0].features.iter().filter_map(of).map(f64::abs).fold(0.0, f64::max)
    };
    println!("largest_difference {}", difference(|f| f.difference));
    println!("largest_weighted_difference {}", difference(|f| f.weighted_difference));
    println!("n_clipped {}", summaries[0].n_clipped);
    println!("n_features {}", summaries[0].features.len());
    // The last columns are descriptors of the image.
    let features = std::fs::read_to_string(folder.join("features.csv")).unwrap();
    for (name, column) in FEATURES[8..].iter().zip(9..) {
        let cell = |line: &str| line.split(',').nth(column)?.parse::<f64>().ok();
        println!("{name} {}", features.lines().skip(1).filter_map(cell).sum::<f64>());
    }
    ExitCode::SUCCESS
}
