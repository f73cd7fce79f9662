//! The stage on a cohort of two cases: what is refused, what is no lesion, which units are read.

#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

mod fixture;
#[path = "fixture/run.rs"]
mod run;

use std::fs;
use std::path::Path;

use fixture::Model;
use hemex_artifacts::{PredictionRow, PredictionStatus, Regime, Role, json, nifti};
use hemex_predict::{Config, PredictError};
use hemex_stage::Request;
use run::{cohort, run, run_with, write_splits};

fn image_path(root: &Path, case_id: &str) -> std::path::PathBuf {
    root.join(format!("cases/images/{case_id}.nii"))
}

/// Sets every voxel of a slice of a case's image.
fn fill_slice(root: &Path, case_id: &str, d: usize, hu: f32) {
    let path = image_path(root, case_id);
    let mut image = nifti::read_image(&path).unwrap();
    let [_, h, w] = image.geometry().shape();
    image.voxels_mut()[d * h * w..(d + 1) * h * w].fill(hu);
    nifti::write_image(&path, &image).unwrap();
}

#[test]
fn a_case_that_cannot_be_read_is_refused_without_its_path() {
    let root = cohort(&Model::new("joint_unet"));
    let root = root.path();
    let whole = fs::read(image_path(root, "c0")).unwrap();
    let mut not_a_number = whole.clone();
    let at = not_a_number.len() - 4;
    not_a_number[at..].copy_from_slice(&f32::NAN.to_le_bytes());
    let cases: [(&[u8], &str); 3] = [
        (&not_a_number, "image: voxel 1919 is NaN"),
        (&whole[..whole.len() / 2], "image: cut short"),
        (b"", "image: cut short within its header"),
    ];
    for (bytes, expected) in cases {
        fs::write(image_path(root, "c0"), bytes).unwrap();
        let (rows, card) = run(root).unwrap();
        let [refused, other] = &rows[..] else { panic!("{rows:?}") };
        assert_eq!(
            (refused.status, other.status),
            (PredictionStatus::Refused, PredictionStatus::Ok)
        );
        let reason = refused.reason.as_ref().unwrap();
        assert!(reason.starts_with(expected), "{reason}");
        assert!(
            !reason.contains(&root.display().to_string()) && !reason.contains(".nii"),
            "{reason}"
        );
        assert_eq!((refused.probability, refused.volume_ml), (None, None));
        assert!(card.has_masks && !root.join("predictions/masks/c0.nii.gz").exists());
    }
    fs::remove_file(root.join("cases/brain/c1.nii")).unwrap();
    let (rows, card) = run(root).unwrap();
    assert_eq!(rows[1].reason.as_deref(), Some("brain mask: the file does not exist"));
    assert!(!card.has_masks);
}

#[test]
fn a_mask_that_cannot_be_written_stops_the_stage() {
    let root = cohort(&Model::new("joint_unet"));
    let request: Request = serde_json::from_value(fixture::request(root.path())).unwrap();
    // Not even the superuser can make a folder where a file is.
    fs::write(root.path().join("predictions/masks"), "").unwrap();
    let raw: hemex_predict::RawConfig = serde_json::from_value(request.config.clone()).unwrap();
    let error = hemex_predict::run(&Config::try_from(raw).unwrap(), &request).unwrap_err();
    assert!(format!("{error:#}").contains("predictions/masks"), "{error:#}");
    assert!(error.to_string().starts_with("case `c0`: "), "{error}");
    assert!(!root.path().join("predictions/predictions.csv").exists());
}

#[test]
fn only_parts_too_small_are_no_lesion() {
    let root = cohort(&Model { min_lesion_ml: 1e6, ..Model::new("joint_unet") });
    let (rows, _) = run(root.path()).unwrap();
    assert_eq!(rows.len(), 2);
    for row in rows {
        assert_eq!(row.status, PredictionStatus::NoLesion, "{row:?}");
        assert_eq!((row.probability, row.logit, row.uncertainty), (None, None, None));
        assert_eq!(row.volume_ml, Some(0.0));
    }
}

#[test]
fn the_hematoma_at_follow_up_is_foretold_where_one_is_found() {
    let model = |min_lesion_ml, regime| {
        cohort(&Model { followup: true, min_lesion_ml, regime, ..Model::new("joint_unet") })
    };
    let (root, plain_root) = (model(0.2, Regime::Patient), cohort(&Model::new("joint_unet")));
    let (rows, _) = run(root.path()).unwrap();
    let (plain, _) = run(plain_root.path()).unwrap();
    assert_eq!(rows.len(), 2);
    for (row, plain) in rows.iter().zip(&plain) {
        let mask = |folder| {
            let name = format!("predictions/{folder}/{}.nii.gz", row.case_id);
            nifti::read_label_map(&root.path().join(name)).unwrap()
        };
        let (now, later) = (mask("masks"), mask("followup_masks"));
        assert!(later.geometry().is_same_grid(now.geometry()), "that of the scan");
        let ml = row.predicted_followup_ml.unwrap();
        assert!((later.volume_ml(&[1]) - ml).abs() < 1e-9, "{row:?}");
        assert!(ml > 0.0 && now != later, "{row:?}");
        // The other heads are drawn alike, and nothing of theirs has changed.
        let without = PredictionRow { predicted_followup_ml: None, ..row.clone() };
        assert_eq!(&without, plain);
    }
    assert!(!plain_root.path().join("predictions/followup_masks").exists());

    // Neither where no hematoma is found nor of some slices of a case.
    let root = model(1e6, Regime::Patient);
    let (rows, _) = run(root.path()).unwrap();
    assert!(rows.iter().all(|row| row.predicted_followup_ml.is_none()), "{rows:?}");
    assert!(!root.path().join("predictions/followup_masks").exists());
    let root = model(0.2, Regime::SamePatient);
    write_splits(root.path(), Regime::SamePatient, &[("c0", Some(1), Role::Test)]);
    let (rows, _) = run(root.path()).unwrap();
    assert_eq!((rows[0].status, rows[0].predicted_followup_ml), (PredictionStatus::Ok, None));
}

/// Has the model tell growth from the volume of the hematoma and the patient's dementia, of which the cases say
/// nothing: 0.3 + ln mL + 0.25.
fn read_volume(model: &Path) {
    let path = model.join("model.json");
    let mut card: serde_json::Value = json::read(&path).unwrap();
    let feature = |name: &str, unknown: f64| {
        serde_json::json!({
            "name": name, "mean": 0.0, "sd": 1.0, "coefficient": 1.0, "unknown": unknown,
        })
    };
    let features = [feature("ln_volume_ml", 0.0), feature("dementia", 0.25)];
    card["growth_regression"] = serde_json::json!({ "intercept": 0.3, "features": features });
    json::write(&path, &card).unwrap();
}

#[test]
fn growth_may_be_told_from_the_mask_and_the_patient() {
    let root = cohort(&Model::new("joint_unet"));
    read_volume(&root.path().join("model"));
    let (rows, _) = run(root.path()).unwrap();
    for row in &rows {
        // The prior offset of the network's own logit is not added.
        let expected = 0.3 + row.volume_ml.unwrap().ln() + 0.25;
        assert!((row.logit.unwrap() - expected).abs() < 1e-9, "{row:?}");
        assert_eq!(row.uncertainty, None);
    }
    // Slices are no whole hematoma.
    let model = Model { regime: Regime::SamePatient, ..Model::new("joint_unet") };
    let root = cohort(&model);
    read_volume(&root.path().join("model"));
    write_splits(root.path(), Regime::SamePatient, &[("c0", Some(1), Role::Test)]);
    let (rows, _) = run(root.path()).unwrap();
    assert_eq!(rows[0].status, PredictionStatus::Refused);
    assert!(rows[0].reason.as_ref().unwrap().contains("whole hematoma"), "{rows:?}");
}

#[test]
fn heads_without_hematoma_are_read_of_the_roles_that_are_asked_for() {
    let root = cohort(&Model::new("joint_unet"));
    read_volume(&root.path().join("model"));
    fs::create_dir(root.path().join("cases/twins")).unwrap();
    let twin = |case_id: &str| root.path().join(format!("cases/twins/{case_id}.nii"));
    // The first head stands for its own twin; that of the other, which validates, is not opened.
    fs::copy(image_path(root.path(), "c0"), twin("c0")).unwrap();
    fs::write(twin("c1"), "no image").unwrap();
    let roles = [("c0", None, Role::Test), ("c1", None, Role::Test)];
    write_splits(root.path(), Regime::Patient, &[roles[0]]);
    let (rows, _) = run(root.path()).unwrap();
    assert!(rows[0].twin_logit.is_some() && rows[0].twin_logit == rows[0].logit, "{rows:?}");
    write_splits(root.path(), Regime::Patient, &[("c1", None, Role::Val)]);
    let (rows, _) = run(root.path()).unwrap();
    assert_eq!((rows[0].status, rows[0].twin_logit), (PredictionStatus::Ok, None));
    write_splits(root.path(), Regime::Patient, &roles);
    let (rows, _) = run(root.path()).unwrap();
    assert_eq!(rows[1].status, PredictionStatus::Refused);
    assert!(rows[1].reason.as_ref().unwrap().starts_with("lesion-free twin: "), "{rows:?}");
}

#[test]
fn heads_are_read_with_the_found_hematoma_filled_in() {
    let root = cohort(&Model::new("joint_unet"));
    let asked = [("inpainted_roles", serde_json::json!(["test"]))];
    let (plain, _) = run(root.path()).unwrap();
    let (rows, card) = run_with(root.path(), &asked).unwrap();
    for (plain, row) in plain.iter().zip(&rows) {
        assert!(row.volume_ml.unwrap() > 0.0 && row.inpainted_logit.is_some(), "{row:?}");
        assert_ne!(row.inpainted_logit, row.logit);
        let without = PredictionRow { inpainted_logit: None, ..row.clone() };
        assert_eq!(&without, plain, "nothing else has changed");
    }
    assert!(card.has_masks && run_with(root.path(), &asked).unwrap().0 == rows);
    // A network without masks finds no outline, and of one that finds nothing there is nothing to fill.
    for model in [Model::new("vgg"), Model { min_lesion_ml: 1e6, ..Model::new("joint_unet") }] {
        let (rows, _) = run_with(cohort(&model).path(), &asked).unwrap();
        assert!(rows.iter().all(|row| row.inpainted_logit.is_none()), "{rows:?}");
    }
    let config = fixture::request(root.path())["config"].clone();
    let raw: hemex_predict::RawConfig = serde_json::from_value(config).unwrap();
    let far = Config::try_from(hemex_predict::RawConfig { inpainted_margin_mm: 31.0, ..raw });
    assert_eq!(far.unwrap_err().key, "inpainted_margin_mm");
}

#[test]
fn maps_of_what_a_logit_rests_on_are_written_on_request() {
    for kind in ["joint_unet", "vgg"] {
        let root = cohort(&Model::new(kind));
        let map =
            |case_id: &str| root.path().join(format!("predictions/saliency/{case_id}.nii.gz"));
        let (plain, _) = run(root.path()).unwrap();
        assert!(!map("c0").exists());
        let asked = [("saliency_roles", serde_json::json!(["test"]))];
        assert_eq!(run_with(root.path(), &asked).unwrap().0, plain);
        let image = nifti::read_image(&image_path(root.path(), "c0")).unwrap();
        let found = nifti::read_image(&map("c0")).unwrap();
        assert!(found.geometry().is_same_grid(image.geometry()));
        assert!(
            found.voxels().iter().all(|v| *v >= 0.0) && found.voxels().iter().any(|v| *v > 0.0)
        );
        // The first two columns are no brain, and the network is shown nothing else.
        assert!(found.voxels().chunks(20).all(|row| row[..2] == [0.0; 2]), "{kind}");
        // A network twice is the network.
        Model::new(kind).write(&root.path().join("model-b"));
        run_with(root.path(), &asked).unwrap();
        let twice = nifti::read_image(&map("c0")).unwrap();
        let near = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-6;
        assert!(found.voxels().iter().zip(twice.voxels()).all(near), "{kind}");
    }
    // Nothing found, nothing to rest on.
    let root = cohort(&Model { min_lesion_ml: 1e6, ..Model::new("joint_unet") });
    run_with(root.path(), &[("saliency_roles", serde_json::json!(["test"]))]).unwrap();
    assert!(!root.path().join("predictions/saliency").exists());
}

#[test]
fn test_units_are_read_before_validation_units_and_no_others() {
    let root = cohort(&Model::new("vgg"));
    write_splits(
        root.path(),
        Regime::Patient,
        &[("c0", None, Role::Train), ("c1", None, Role::Val)],
    );
    let (rows, card) = run(root.path()).unwrap();
    let [row] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!((row.case_id.as_str(), row.status), ("c1", PredictionStatus::Ok));
    assert_eq!((row.volume_ml, card.has_masks), (None, false), "a VGG has no mask");
}

#[test]
fn of_slices_of_one_patient_only_the_tested_ones_are_read() {
    let model = Model { regime: Regime::SamePatient, ..Model::new("joint_unet") };
    let root = cohort(&model);
    let root = root.path();
    let roles = [Role::Train, Role::Val, Role::Test, Role::Test];
    let units: Vec<_> =
        roles.into_iter().enumerate().map(|(d, role)| ("c0", Some(d), role)).collect();
    write_splits(root, Regime::SamePatient, &units);
    let (before, card) = run(root).unwrap();
    assert_eq!((before.len(), before[0].status), (1, PredictionStatus::Ok), "{before:?}");
    // Some slices of a case give no volume and no mask of it.
    assert_eq!((before[0].volume_ml, card.has_masks), (None, false));
    assert!(!root.join("predictions/masks").exists());

    fill_slice(root, "c0", 0, 60.0);
    fill_slice(root, "c0", 1, 60.0);
    assert_eq!(run(root).unwrap().0, before, "slices that train or validate are not read");
    fill_slice(root, "c0", 3, 60.0);
    assert_ne!(run(root).unwrap().0, before, "those that test are");
}

#[test]
fn splits_without_the_models_fold_are_an_error() {
    let root = cohort(&Model { fold: 3, ..Model::new("vgg") });
    write_splits(
        root.path(),
        Regime::Patient,
        &[("c0", None, Role::Test), ("c1", None, Role::Val)],
    );
    let error = run(root.path()).unwrap_err();
    let found = error.downcast_ref::<PredictError>();
    assert!(matches!(found, Some(PredictError::NoUnits { fold: 3, .. })), "{error:#}");
    let text = error.to_string();
    assert!(text.contains("splits.csv") && text.contains("regime `patient`, fold 3"), "{text}");
}
