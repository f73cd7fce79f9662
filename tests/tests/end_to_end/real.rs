//! A real head CT through the whole path.

use std::fs;
use std::path::{Path, PathBuf};

use hemex_artifacts::{PredictionStatus, nifti};
use hemex_tests::real_head::{self, Block, RealHead};
use hemex_tests::{Workbench, copy_folder, real_data, unpack};

use crate::finished;

/// The joint model of the tiny pipeline, made to see blood in nearly every voxel, so that there are
/// masks to look at.
fn eager_model(bench: &Workbench) -> PathBuf {
    let folder = bench.folder().join("model");
    let trained = finished().tasks("train");
    let joint = trained.iter().find(|task| task.title().contains("joint")).unwrap();
    copy_folder(&joint.output("model"), &folder);
    let card = folder.join("model.json");
    let mut json: serde_json::Value = serde_json::from_slice(&fs::read(&card).unwrap()).unwrap();
    json["decision"]["mask_threshold"] = 1e-6.into();
    json["decision"]["min_lesion_ml"] = 0.0.into();
    json["decision"]["min_focus_ml"] = 0.0.into();
    fs::write(&card, serde_json::to_vec(&json).unwrap()).unwrap();
    folder
}

fn build(bench: &Workbench, data: &Path, block: Block) -> (PathBuf, RealHead) {
    let raw = bench.folder().join("raw");
    let head = real_head::build(data, &raw, block).unwrap();
    (raw, head)
}

#[test]
fn a_real_head_comes_back_in_its_own_geometry() {
    let Some(data) = real_data("a_real_head_comes_back_in_its_own_geometry") else { return };
    let bench = Workbench::new();
    let (raw, head) = build(&bench, &data, Block::Upper);
    assert!(head.hematoma_ml > 0.8 * head.mask_ml, "{head:?}");
    unpack(&data.join("headct_ge_tilt/dicom.tar.xz"), &raw.join("tilted")).unwrap();

    let run = bench.predict(&raw, &eager_model(&bench)).succeeds();
    run.says(&["predictions: "]);

    let (rows, masks) = bench.predictions();
    assert_eq!(rows.keys().collect::<Vec<_>>(), ["plain", "semi_synthetic", "tilted"]);
    // The series as it came: its masks lean as the gantry did, and its volume is theirs.
    let tilted = &rows["tilted"];
    let mask = nifti::read_label_map(&masks.join(format!("{}.nii.gz", tilted.case_id))).unwrap();
    let [d, h, _] = mask.geometry().affine().axes_mm();
    let dot = |a: [f64; 3], b: [f64; 3]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let lean = (dot(d, h) / (dot(d, d) * dot(h, h)).sqrt()).abs().asin().to_degrees();
    assert!((lean - 18.5).abs() < 0.1, "{lean}°");
    let volume_ml = mask.volume_ml(&[1]);
    assert!((volume_ml - tilted.volume_ml.unwrap()).abs() < 1e-3, "{tilted:?} but {volume_ml} mL");
    for (name, path) in [("plain", &head.plain), ("semi_synthetic", &head.semi_synthetic)] {
        let row = &rows[name];
        assert_eq!(row.status, PredictionStatus::Ok, "{row:?}");
        let mask = nifti::read_label_map(&masks.join(format!("{}.nii.gz", row.case_id))).unwrap();
        let scan = nifti::read_image(path).unwrap();
        assert_eq!(mask.geometry().shape(), scan.geometry().shape());
        assert_eq!(mask.geometry().affine(), scan.geometry().affine(), "{name}");
        let volume_ml = mask.volume_ml(&[1]);
        assert!((volume_ml - row.volume_ml.unwrap()).abs() < 1e-6, "{row:?} but {volume_ml} mL");
        // The brain of this block, by far the most of what such a model can see.
        assert!(volume_ml > 100.0, "{row:?}");
    }
}

#[test]
fn the_model_as_trained_says_something_of_both_heads() {
    let Some(data) = real_data("the_model_as_trained_says_something_of_both_heads") else { return };
    let trained = finished().tasks("train");
    let fold = trained.iter().filter(|task| task.title().contains("fold=0"));
    for (task, block) in fold.zip([Block::Upper, Block::Lower]) {
        let bench = Workbench::new();
        let (raw, _) = build(&bench, &data, block);
        bench.predict(&raw, &task.output("model")).succeeds();
        let (rows, _) = bench.predictions();
        assert_eq!(rows.len(), 2);
        for (name, row) in rows {
            println!("{}, {block:?}, {name}: {row:?}", task.title());
            assert_ne!(row.status, PredictionStatus::Refused, "{row:?}");
            let is_ok = row.status == PredictionStatus::Ok;
            assert_eq!(row.probability.is_some(), is_ok, "{row:?}");
        }
    }
}

#[test]
fn a_dataset_of_scans_that_are_refused_is_one_plain_error() {
    let test = "a_dataset_of_scans_that_are_refused_is_one_plain_error";
    let Some(data) = real_data(test) else { return };
    let bench = Workbench::new();
    let raw = bench.folder().join("raw");
    unpack(&data.join("headct_ge_tilt/dicom.tar.xz"), &raw).unwrap();
    let model = eager_model(&bench);
    let call = bench.predict(&raw, &model);
    let failed = call.args(["--set", "ingest.dicom.uneven_slices=refuse"]).fails();
    failed.says(&["none of 1 scans can be used", "uneven slice distances"]);
    assert_eq!(bench.published(), Vec::<String>::new());
}

/// A model is applied only to images that were prepared as its own were.
#[test]
fn other_preparation_than_the_models_is_refused() {
    let bench = Workbench::new();
    let raw = finished().task("phantom").output("raw");
    let model = finished().tasks("train")[0].output("model");
    let call = bench.predict(&raw, &model).args(["--set", "ingest.spacing_mm=[5.0, 3.0, 3.0]"]);
    call.fails().says(&["[5.0, 3.0, 3.0]", "[5.0, 2.0, 2.0]", "ingest them with the model's"]);
    assert!(bench.tasks("predict").is_empty());
}
