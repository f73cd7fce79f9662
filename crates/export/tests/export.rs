//! The stage by its contract: prepared cases in, another tool's layout out.
#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use std::collections::BTreeMap;
use std::path::Path;

use hemex_artifacts::{
    CaseRow, ClinicalRow, GeometryRecord, LabelRow, Preparation, Regime, Role, Sex, SplitRow, json,
    nifti, table,
};
use hemex_export::{Config, Format, run};
use hemex_stage::{CONTRACT_VERSION, InputArtifact, Kind, OutputArtifact, Request};
use hemex_volume::{Affine, Geometry, Image, LabelMap};
use serde_json::Value;

/// Case, patient, whether it has a mask, role in fold 0 and in fold 1.
type Case = (&'static str, &'static str, bool, [Role; 2]);

const CASES: [Case; 4] = [
    ("case-a1", "patient-p1", true, [Role::Train, Role::Test]),
    ("case-a2", "patient-p1", true, [Role::Train, Role::Test]),
    ("case-b1", "patient-p2", true, [Role::Val, Role::Train]),
    ("case-c1", "patient-p3", false, [Role::Test, Role::Val]),
];

fn geometry() -> Geometry {
    let affine = Affine::from_spacing([5.0, 2.0, 2.0], [-6.0, 4.0, 9.0]).unwrap();
    Geometry::new([3, 4, 5], affine).unwrap()
}

fn image(case: usize) -> Image {
    Image::new(geometry(), (0..60).map(|i| (i * (case + 1)) as f32 * 0.5).collect()).unwrap()
}

fn mask(case: usize) -> LabelMap {
    LabelMap::new(geometry(), (0..60).map(|i| u8::from(i % (case + 2) == 0) * 2).collect()).unwrap()
}

fn case_row((case_id, patient_id, _, _): &Case) -> CaseRow {
    CaseRow {
        case_id: (*case_id).to_owned(),
        patient_id: (*patient_id).to_owned(),
        site: "A".to_owned(),
        age_years: Some(71.5),
        sex: Some(Sex::F),
        onset_to_ct_h: None,
        anticoagulation: Some(true),
        gcs: Some(14.0),
        ivh: None,
        source_format: "nifti".to_owned(),
        native_spacing_d_mm: 5.0,
        native_spacing_h_mm: 0.5,
        native_spacing_w_mm: 0.5,
        slice_thickness_mm: None,
        convolution_kernel: None,
        tube_voltage_kvp: None,
        manufacturer: None,
        noise_hu: None,
    }
}

fn label_row((case_id, _, has_mask, _): &Case) -> LabelRow {
    LabelRow {
        case_id: (*case_id).to_owned(),
        growth: has_mask.then_some(true),
        growth_undefined_reason: (!has_mask).then(|| "no mask".to_owned()),
        baseline_volume_ml: has_mask.then_some(0.25),
        followup_volume_ml: None,
        followup_interval_h: None,
        mask: has_mask.then(|| format!("masks/{case_id}.nii")),
        true_probability: None,
        true_probability_image_signs: None,
        followup_mask: None,
    }
}

fn write_inputs(root: &Path, rows: &[CaseRow]) {
    for folder in ["cases/images", "cases/brain", "labels/masks", "splits"] {
        std::fs::create_dir_all(root.join(folder)).unwrap();
    }
    let (mut labels, mut splits, mut grids) = (Vec::new(), Vec::new(), BTreeMap::new());
    for (i, (case, row)) in CASES.iter().zip(rows).enumerate() {
        let id = &row.case_id;
        nifti::write_image(&root.join(format!("cases/images/{id}.nii")), &image(i)).unwrap();
        nifti::write_label_map(&root.join(format!("cases/brain/{id}.nii")), &mask(i)).unwrap();
        nifti::write_label_map(&root.join(format!("labels/masks/{id}.nii")), &mask(i)).unwrap();
        grids.insert(id.clone(), GeometryRecord::from(&geometry()));
        labels.push(LabelRow { case_id: id.clone(), ..label_row(case) });
        for (fold, role) in case.3.into_iter().enumerate() {
            splits.push(SplitRow {
                case_id: id.clone(),
                slice_idx: None,
                patient_id: row.patient_id.clone(),
                site: "A".to_owned(),
                regime: Regime::Patient,
                fold,
                role,
            });
        }
    }
    table::write_rows(&root.join("cases/cases.csv"), &CaseRow::COLUMNS, rows).unwrap();
    table::write_rows(&root.join("labels/labels.csv"), &LabelRow::COLUMNS, &labels).unwrap();
    table::write_rows(&root.join("splits/splits.csv"), &SplitRow::COLUMNS, &splits).unwrap();
    json::write(&root.join("cases/geometry.json"), &grids).unwrap();
    let preparation = Preparation {
        version: "1".to_owned(),
        spacing_mm: [5.0, 2.0, 2.0],
        window_hu: [-100.0, 200.0],
    };
    json::write(&root.join("cases/preparation.json"), &preparation).unwrap();
}

fn export(root: &Path, format: Format, regime: Regime, inputs: &[&str]) -> Result<(), String> {
    let kind = |name: &str| format!("{name}/1").parse::<Kind>().unwrap();
    let input = |name: &str| {
        vec![InputArtifact { path: root.join(name), kind: kind(name), axes: BTreeMap::new() }]
    };
    let path = root.join("out");
    std::fs::create_dir(&path).unwrap();
    let request = Request {
        contract: CONTRACT_VERSION,
        stage: "export".to_owned(),
        axes: BTreeMap::new(),
        config: Value::Null,
        inputs: inputs.iter().map(|name| ((*name).to_owned(), input(name))).collect(),
        outputs: BTreeMap::from([(
            "dataset".to_owned(),
            OutputArtifact { path, kind: Kind::Dataset },
        )]),
        seed: 1,
        device: "cpu".to_owned(),
        threads: 2,
        scratch: root.to_owned(),
    };
    let config = Config { format, name: "Hematoma".to_owned(), dataset_id: 7, regime };
    run(&config, &request).map_err(|error| format!("{error:#}"))
}

const ALL: [&str; 3] = ["cases", "labels", "splits"];

fn inputs() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    write_inputs(root.path(), &CASES.each_ref().map(case_row));
    let known = ClinicalRow {
        case_id: CASES[1].0.to_owned(),
        prior_ich: Some(true),
        spot_sign: Some(false),
        ..ClinicalRow::default()
    };
    let path = root.path().join("cases/clinical.csv");
    table::write_rows(&path, &ClinicalRow::COLUMNS, &[known]).unwrap();
    root
}

#[test]
fn nnunet_finds_what_its_format_asks_for() {
    let root = inputs();
    export(root.path(), Format::Nnunet, Regime::Patient, &ALL).unwrap();
    let dataset = root.path().join("out/Dataset007_Hematoma");
    let description: Value = json::read(&dataset.join("dataset.json")).unwrap();
    assert_eq!(description["channel_names"], serde_json::json!({"0": "CT"}));
    assert_eq!(description["numTraining"], 3);
    assert_eq!(description["file_ending"], ".nii.gz");
    let labels = serde_json::json!({
        "background": 0, "intraparenchymal": 1, "intraventricular": 2, "edema": 3, "extra-axial": 4
    });
    assert_eq!(description["labels"], labels);
    for (i, (case_id, _, has_mask, _)) in CASES.iter().enumerate() {
        let folder = if *has_mask { "imagesTr" } else { "imagesTs" };
        let path = dataset.join(folder).join(format!("{case_id}_0000.nii.gz"));
        assert_eq!(nifti::read_image(&path).unwrap(), image(i));
        let path = dataset.join("labelsTr").join(format!("{case_id}.nii.gz"));
        assert_eq!(path.exists(), *has_mask);
        assert!(!has_mask || nifti::read_label_map(&path).unwrap() == mask(i));
    }
    let table = std::fs::read_to_string(dataset.join("participants.tsv")).unwrap();
    let second = table.lines().nth(2).unwrap();
    assert_eq!(
        second,
        "case-a2\tpatient-p1\t71.5\tF\tA\tn/a\t1\t14\tn/a\tn/a\t1\tn/a\tn/a\tn/a\t0\t5\t1\tn/a\t0.25\tn/a\tn/a"
    );
    // A case without a mask cannot validate a segmentation.
    let folds: Value = json::read(&dataset.join("splits_final.json")).unwrap();
    let expected = serde_json::json!([
        {"train": ["case-a1", "case-a2"], "val": ["case-b1"]},
        {"train": ["case-b1"], "val": []},
    ]);
    assert_eq!(folds, expected);
}

#[test]
fn nnunet_says_what_it_lacks() {
    let failed = |regime, inputs: &[&str]| {
        export(self::inputs().path(), Format::Nnunet, regime, inputs).unwrap_err()
    };
    let error = failed(Regime::Patient, &["cases"]);
    assert_eq!(error, "the layout `nnunet` needs the input `labels`: wire it in the pipeline");
    assert!(failed(Regime::Site, &ALL).contains("no whole cases under the regime `site`"));
    let root = inputs();
    let none: Vec<LabelRow> =
        CASES.iter().map(|case| LabelRow { mask: None, ..label_row(case) }).collect();
    table::write_rows(&root.path().join("labels/labels.csv"), &LabelRow::COLUMNS, &none).unwrap();
    let error = export(root.path(), Format::Nnunet, Regime::Patient, &ALL).unwrap_err();
    assert!(error.starts_with("none of 4 cases has a reference mask"), "{error}");
    // Splits alone may be left out.
    let root = inputs();
    export(root.path(), Format::Nnunet, Regime::Site, &["cases", "labels"]).unwrap();
    assert!(!root.path().join("out/Dataset007_Hematoma/splits_final.json").exists());
}

#[test]
fn bids_names_patients_and_sessions() {
    let root = inputs();
    export(root.path(), Format::Bids, Regime::Patient, &["cases", "labels"]).unwrap();
    let out = root.path().join("out");
    let text = |path: &str| std::fs::read_to_string(out.join(path)).unwrap();
    assert_eq!(
        text("participants.tsv"),
        "participant_id\tage\tsex\tsite\nsub-p1\t71.5\tF\tA\nsub-p2\t71.5\tF\tA\nsub-p3\t71.5\tF\tA\n"
    );
    let sessions = text("sub-p1/sub-p1_sessions.tsv");
    assert!(
        sessions.contains(
            "\nses-a1\tn/a\t1\t14\tn/a\tn/a\tn/a\tn/a\tn/a\tn/a\tn/a\t5\t1\tn/a\t0.25\tn/a\tn/a\n"
        ),
        "{sessions}"
    );
    assert_eq!(sessions.lines().count(), 3);
    assert!(text("sub-p3/sub-p3_sessions.tsv").ends_with("\tn/a\tno mask\tn/a\tn/a\tn/a\n"));
    let description: Value = json::read(&out.join("dataset_description.json")).unwrap();
    assert_eq!(description["DatasetType"], "derivative");
    assert_eq!(description["GeneratedBy"][0]["Name"], "hemex");
    assert!(text("desc-hematoma_dseg.tsv").starts_with("index\tname\n1\tintraparenchymal\n"));
    let stem = "sub-p2/ses-b1/ct/sub-p2_ses-b1_desc";
    let path = |ending: &str| out.join(format!("{stem}-{ending}"));
    assert_eq!(nifti::read_image(&path("prepared_ct.nii.gz")).unwrap(), image(2));
    assert_eq!(nifti::read_label_map(&path("hematoma_dseg.nii.gz")).unwrap(), mask(2));
    assert_eq!(nifti::read_label_map(&path("brain_mask.nii.gz")).unwrap(), mask(2));
    let sidecar: Value = json::read(&path("prepared_ct.json")).unwrap();
    assert_eq!(sidecar["WindowHU"], serde_json::json!([-100.0, 200.0]));
    assert!(!out.join("sub-p3/ses-c1/ct/sub-p3_ses-c1_desc-hematoma_dseg.nii.gz").exists());
}

#[test]
fn ids_that_bids_cannot_tell_apart_are_an_error() {
    let root = tempfile::tempdir().unwrap();
    let mut rows = CASES.each_ref().map(case_row);
    rows[1].case_id = "case-a_1".to_owned();
    write_inputs(root.path(), &rows);
    let error = export(root.path(), Format::Bids, Regime::Patient, &["cases"]).unwrap_err();
    assert!(error.starts_with("`case-a1` and `case-a_1` are both `a1` in BIDS"), "{error}");
}
