//! The stage on a cohort of two cases: what is refused, what is no lesion, which units are read.

#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

mod fixture;

use std::fs;
use std::path::Path;

use fixture::Model;
use hemex_artifacts::{
    PredictionCard, PredictionRow, PredictionStatus, Regime, Role, SplitRow, json, nifti, table,
};
use hemex_predict::{Config, Doubt, PredictError};
use hemex_stage::Request;
use tempfile::TempDir;

/// The two cases and the model, in a folder of their own.
fn cohort(model: &Model) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    fixture::write_cases(&root.path().join("cases"));
    model.write(&root.path().join("model"));
    root
}

fn run(root: &Path) -> anyhow::Result<(Vec<PredictionRow>, PredictionCard)> {
    run_with(root, &[])
}

/// With some values of the config otherwise.
fn run_with(
    root: &Path,
    changes: &[(&str, serde_json::Value)],
) -> anyhow::Result<(Vec<PredictionRow>, PredictionCard)> {
    let mut request: Request = serde_json::from_value(fixture::request(root)).unwrap();
    for (key, value) in changes {
        request.config[key] = value.clone();
    }
    let raw: hemex_predict::RawConfig = serde_json::from_value(request.config.clone()).unwrap();
    hemex_predict::run(&Config::try_from(raw).unwrap(), &request)?;
    let output = root.join("predictions");
    let rows = table::read_rows(&output.join("predictions.csv")).unwrap();
    Ok((rows, json::read(&output.join("predictions.json")).unwrap()))
}

fn image_path(root: &Path, case_id: &str) -> std::path::PathBuf {
    root.join(format!("cases/images/{case_id}.nii"))
}

fn write_splits(root: &Path, regime: Regime, rows: &[(&str, Option<usize>, Role)]) {
    let rows: Vec<SplitRow> = rows
        .iter()
        .map(|(case_id, slice_idx, role)| SplitRow {
            case_id: (*case_id).to_owned(),
            slice_idx: *slice_idx,
            patient_id: format!("p-{case_id}"),
            site: "A".to_owned(),
            regime,
            fold: 0,
            role: *role,
        })
        .collect();
    fs::create_dir_all(root.join("splits")).unwrap();
    table::write_rows(&root.join("splits/splits.csv"), &SplitRow::COLUMNS, &rows).unwrap();
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
fn the_logit_is_calibrated() {
    let root = cohort(&Model::new("vgg"));
    let (plain, _) = run(root.path()).unwrap();
    let path = root.path().join("model/model.json");
    let mut card: serde_json::Value = json::read(&path).unwrap();
    card["calibration"] = serde_json::json!({ "intercept": -0.75, "slope": 0.25 });
    json::write(&path, &card).unwrap();
    let (calibrated, _) = run(root.path()).unwrap();
    for (plain, calibrated) in plain.iter().zip(&calibrated) {
        let expected = -0.75 + plain.logit.unwrap() / 4.0;
        assert!((calibrated.logit.unwrap() - expected).abs() < 1e-12, "{plain:?} {calibrated:?}");
    }
}

#[test]
fn probabilities_of_test_cases_follow_how_frequent_growth_is_among_target_cases() {
    let root = cohort(&Model::new("vgg"));
    let path = root.path().join("model/model.json");
    let mut card: serde_json::Value = json::read(&path).unwrap();
    let asked = |kind: &str| {
        run_with(root.path(), &[("label_shift", kind.into())]).map_err(|e| e.to_string())
    };
    let error = asked("likelihood").unwrap_err();
    assert!(error.contains("prior_logit") && error.contains("label_shift"), "{error}");
    card["prior_logit"] = 0.0.into();
    card["mean_probabilities"] = serde_json::json!([0.01, 0.12]);
    json::write(&path, &card).unwrap();
    write_splits(root.path(), Regime::Patient, &[("c0", None, Role::Test)]);
    assert!(asked("confusion").unwrap_err().contains("target cases"));

    let units = [("c0", None, Role::Test), ("c1", None, Role::Target)];
    write_splits(root.path(), Regime::Patient, &units);
    let (plain, card) = run(root.path()).unwrap();
    assert_eq!(card.label_shift, None);
    let (shifted, card) = asked("confusion").unwrap();
    // The one target case has a probability p; of means 0.01 and 0.12 the share (p − 0.01) / 0.11 gives it.
    write_splits(root.path(), Regime::Patient, &[("c1", None, Role::Test)]);
    let p = run(root.path()).unwrap().0[0].probability.unwrap();
    let found = card.label_shift.unwrap();
    assert_eq!(found.target_share_ci95.map(|[low, high]| low == high), Some(true), "one case");
    assert!((found.target_share - (p - 0.01) / 0.11).abs() < 1e-12, "{found:?}, {p}");
    assert_eq!((found.n_target, found.training_share), (1, 0.5));
    let moved = shifted[0].logit.unwrap() - plain[0].logit.unwrap();
    assert!((moved - found.logit_offset).abs() < 1e-12 && moved != 0.0, "{found:?}");
    // Validation cases are of the training's domain.
    let units = [("c0", None, Role::Val), ("c1", None, Role::Target)];
    write_splits(root.path(), Regime::Patient, &units);
    assert_eq!(asked("likelihood").unwrap().0[0].logit, plain[0].logit);
}

#[test]
fn models_that_speak_as_one_give_the_mean_of_their_logits() {
    let (a, b) = (Model::new("vgg"), Model { seed: 5, ..Model::new("vgg") });
    let alone = |model: &Model| run(cohort(model).path()).unwrap().0;
    let (of_a, of_b) = (alone(&a), alone(&b));
    let root = cohort(&a);
    b.write(&root.path().join("model-b"));
    let (together, card) = run(root.path()).unwrap();
    assert_eq!(card.n_models, 2);
    for ((a, b), both) in of_a.iter().zip(&of_b).zip(&together) {
        let (a, b, both_logit) = (a.logit.unwrap(), b.logit.unwrap(), both.logit.unwrap());
        assert!(a != b && (both_logit - (a + b) / 2.0).abs() < 1e-9, "{a} {b} {both:?}");
        assert!((both.uncertainty.unwrap() - (a - b).abs() / 2.0).abs() < 1e-9);
        let doubt = Doubt::of([a, b]).unwrap();
        assert_eq!(both.entropy_nats, Some(doubt.entropy_nats));
        assert_eq!(both.mutual_information_nats, doubt.mutual_information_nats);
    }
    let shifted = run_with(root.path(), &[("label_shift", "likelihood".into())]);
    assert!(shifted.unwrap_err().to_string().contains("several models"));
    // A network twice is the network, mask and all.
    let joint = Model::new("joint_unet");
    let root = cohort(&joint);
    let once = run(root.path()).unwrap().0;
    joint.write(&root.path().join("model-b"));
    let twice = run(root.path()).unwrap().0;
    for (once, twice) in once.iter().zip(&twice) {
        assert_eq!((once.logit, once.volume_ml), (twice.logit, twice.volume_ml));
    }
}

#[test]
fn models_that_cannot_speak_as_one_are_refused_by_name() {
    let root = cohort(&Model::new("vgg"));
    Model::new("joint_unet").write(&root.path().join("model-b"));
    let error = run(root.path()).unwrap_err().to_string();
    assert!(error.contains("model-b") && error.contains("`arm`"), "{error}");
    Model { fold: 1, ..Model::new("vgg") }.write(&root.path().join("model-b"));
    assert!(run(root.path()).is_ok(), "new cases are no test cases of a fold");
    write_splits(root.path(), Regime::Patient, &[("c0", None, Role::Test)]);
    let error = run(root.path()).unwrap_err().to_string();
    assert!(error.contains("folds [0, 1]"), "{error}");
}

#[test]
fn sets_of_labels_rest_on_one_models_calibration_cases() {
    let root = cohort(&Model::new("vgg"));
    let path = root.path().join("model/model.json");
    let p_values = |row: &PredictionRow| row.p_value_stable.zip(row.p_value_growth);
    let (plain, _) = run(root.path()).unwrap();
    assert!(plain.iter().all(|row| p_values(row).is_none()), "no calibration cases, no claim");
    let logit = plain[0].logit.unwrap();
    let mut card: serde_json::Value = json::read(&path).unwrap();
    card["conformal"] = serde_json::json!({
        "stable": [[logit - 2.0, 1.0], [logit - 1.0, 1.0], [logit + 1.0, 2.0]],
        "growth": [[logit - 1.0, 1.0], [logit + 1.0, 1.0]],
        "most_weight": 1.0,
    });
    json::write(&path, &card).unwrap();
    let (rows, _) = run(root.path()).unwrap();
    // Of stable cases 2 of 4 weigh in above it, of those that grew 1 of 2 below; it weighs 1 itself.
    assert_eq!(p_values(&rows[0]), Some((3.0 / 5.0, 2.0 / 3.0)));
    assert_eq!(rows[0].logit, plain[0].logit);
    // Other logits than the calibration cases had.
    let (rows, _) = run_with(root.path(), &[("mirrored", true.into())]).unwrap();
    assert!(rows.iter().all(|row| p_values(row).is_none()));
    Model { seed: 5, ..Model::new("vgg") }.write(&root.path().join("model-b"));
    assert!(run(root.path()).unwrap().0.iter().all(|row| p_values(row).is_none()));
    fs::remove_dir_all(root.path().join("model-b")).unwrap();
    card["conformal"]["stable"][0][1] = (-1.0).into();
    json::write(&path, &card).unwrap();
    let error = run(root.path()).unwrap_err().to_string();
    assert!(error.contains("model.json") && error.contains("conformal"), "{error}");
}

#[test]
fn windows_may_go_through_mirrored_too() {
    let root = cohort(&Model::new("joint_unet"));
    let (plain, _) = run(root.path()).unwrap();
    let (both, _) = run_with(root.path(), &[("mirrored", true.into())]).unwrap();
    assert!(plain.iter().zip(&both).any(|(a, b)| a.logit != b.logit), "{both:?}");
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
