//! The stage by its contract: artifacts in, a valid `cases/1` with pictures out.
#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use std::collections::BTreeMap;
use std::path::Path;

use hemex_artifacts::{CaseRow, Cases, LabelRow, Preparation, json, nifti, table};
use hemex_augment::{Config, ExampleRecord, RawConfig, run};
use hemex_stage::{CONTRACT_VERSION, InputArtifact, Kind, OutputArtifact, Request};
use hemex_volume::{Affine, Geometry, Image, LabelMap};

const SHIPPED: &str = include_str!("../../../configs/augment.toml");

/// A head in an ellipsoid with ventricles and a bleed of `radius_mm`.
fn head(radius_mm: f64) -> (Image, LabelMap, LabelMap) {
    let shape = [16, 96, 80];
    let affine = Affine::from_spacing([5.0, 2.0, 2.0], [-80.0, -96.0, 0.0]).unwrap();
    let geometry = Geometry::new(shape, affine).unwrap();
    let mut image = Image::filled(geometry, -100.0);
    let (mut brain, mut mask) = (LabelMap::empty(geometry), LabelMap::empty(geometry));
    for i in 0..geometry.n_voxels() {
        let at = [i / (96 * 80), i / 80 % 96, i % 80].map(|v| v as f64);
        let [x, y, z] = geometry.point_mm(at);
        let ellipsoid = |c: [f64; 3], r: [f64; 3]| {
            ((x - c[0]) / r[0]).powi(2) + ((y - c[1]) / r[1]).powi(2) + ((z - c[2]) / r[2]).powi(2)
        };
        let skull = ellipsoid([0.0, 0.0, 35.0], [70.0, 85.0, 60.0]);
        let inner = ellipsoid([0.0, 0.0, 35.0], [64.0, 79.0, 54.0]);
        let ventricle = ellipsoid([9.0, 5.0, 40.0], [6.0, 25.0, 12.0])
            .min(ellipsoid([-9.0, 5.0, 40.0], [6.0, 25.0, 12.0]));
        let bleed = ellipsoid([28.0, 0.0, 38.0], [radius_mm; 3]);
        image.voxels_mut()[i] = match () {
            () if bleed < 1.0 => 65.0,
            () if ventricle < 1.0 => 8.0,
            () if inner < 1.0 => 32.0,
            () if skull < 1.0 => 200.0,
            () => -100.0,
        };
        brain.voxels_mut()[i] = u8::from(inner < 1.0);
        mask.voxels_mut()[i] = u8::from(bleed < 1.0);
    }
    (image, brain, mask)
}

fn write_inputs(cases: &Path, labels: &Path) {
    for folder in [cases.join("images"), cases.join("brain"), labels.join("masks")] {
        std::fs::create_dir_all(folder).unwrap();
    }
    let (mut rows, mut label_rows) = (Vec::new(), Vec::new());
    let mut geometry = BTreeMap::new();
    for (case_id, radius_mm) in [("case-a", 18.0), ("case-b", 11.0), ("case-c", 0.0)] {
        let (image, brain, mask) = head(radius_mm);
        nifti::write_image(&cases.join(format!("images/{case_id}.nii")), &image).unwrap();
        nifti::write_label_map(&cases.join(format!("brain/{case_id}.nii")), &brain).unwrap();
        let has_mask = radius_mm > 0.0;
        if has_mask {
            nifti::write_label_map(&labels.join(format!("masks/{case_id}.nii")), &mask).unwrap();
        }
        geometry.insert(case_id, hemex_artifacts::GeometryRecord::from(image.geometry()));
        rows.push(CaseRow {
            case_id: case_id.to_owned(),
            patient_id: format!("patient-{case_id}"),
            site: "A".to_owned(),
            age_years: Some(71.0),
            sex: None,
            onset_to_ct_h: Some(2.5),
            anticoagulation: Some(false),
            gcs: None,
            ivh: Some(true),
            source_format: "nifti".to_owned(),
            native_spacing_d_mm: 5.0,
            native_spacing_h_mm: 0.45,
            native_spacing_w_mm: 0.45,
            slice_thickness_mm: None,
            convolution_kernel: None,
            tube_voltage_kvp: None,
            manufacturer: None,
            noise_hu: Some(4.0),
        });
        label_rows.push(LabelRow {
            case_id: case_id.to_owned(),
            growth: Some(true),
            growth_undefined_reason: None,
            baseline_volume_ml: Some(mask.volume_ml(&[1])),
            followup_volume_ml: None,
            followup_interval_h: None,
            mask: has_mask.then(|| format!("masks/{case_id}.nii")),
            true_probability: None,
            true_probability_image_signs: None,
            followup_mask: None,
        });
    }
    table::write_rows(&cases.join("cases.csv"), &CaseRow::COLUMNS, &rows).unwrap();
    table::write_rows(&labels.join("labels.csv"), &LabelRow::COLUMNS, &label_rows).unwrap();
    json::write(&cases.join("geometry.json"), &geometry).unwrap();
    let preparation = Preparation {
        version: "1".to_owned(),
        spacing_mm: [5.0, 2.0, 2.0],
        window_hu: [-100.0, 200.0],
    };
    json::write(&cases.join("preparation.json"), &preparation).unwrap();
}

fn request(root: &Path, output: &str) -> Request {
    let input = |folder: &str, kind| {
        vec![InputArtifact { path: root.join(folder), kind, axes: BTreeMap::new() }]
    };
    let path = root.join(output);
    std::fs::create_dir(&path).unwrap();
    Request {
        contract: CONTRACT_VERSION,
        stage: "examples".to_owned(),
        axes: BTreeMap::new(),
        config: serde_json::Value::Null,
        inputs: BTreeMap::from([
            ("cases".to_owned(), input("cases", Kind::Cases)),
            ("labels".to_owned(), input("labels", Kind::Labels)),
        ]),
        outputs: BTreeMap::from([(
            "examples".to_owned(),
            OutputArtifact { path, kind: Kind::Cases },
        )]),
        seed: 5,
        device: "cpu".to_owned(),
        threads: 2,
        scratch: root.to_owned(),
    }
}

/// The blood of each example against what its scaling and bending allow.
fn assert_blood_changes_as_stated(draws: &Path) {
    let text = std::fs::read_to_string(draws).unwrap();
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = lines.next().unwrap();
    let mut n_with_blood = 0;
    for row in lines {
        let cell = |name: &str| {
            let column = header.iter().position(|column| *column == name).unwrap();
            row[column].parse::<f64>()
        };
        let (before, after) = (cell("blood_before_ml").unwrap(), cell("blood_after_ml").unwrap());
        if before == 0.0 {
            assert_eq!(after, 0.0);
            continue;
        }
        n_with_blood += 1;
        let factor = after / before / cell("volume_factor").unwrap();
        // A tenth for the voxels on the surface of a small bleed.
        let most = 1.1 / cell("elastic_min_jacobian").unwrap_or(1.0);
        let least = 0.9 / cell("elastic_max_jacobian").unwrap_or(1.0);
        assert!((least..most).contains(&factor), "{factor} not in {least}..{most}: {row:?}");
    }
    assert_eq!(n_with_blood, 4, "nothing is planted where the own hematoma is not known");
}

/// Each example without a planted hematoma is made again from its source and its record alone; those with one name both
/// patients, in the table too.
fn assert_records_make_the_examples(root: &Path, source: &Cases, examples: &Cases) {
    let draws = std::fs::read_to_string(root.join("first/draws.csv")).unwrap();
    let mut n_planted = 0;
    for row in &examples.rows {
        let path = root.join(format!("first/draws/{}.json", row.case_id));
        let record: ExampleRecord = json::read(&path).unwrap();
        assert_eq!(record.case_id, row.case_id);
        let line = draws.lines().find(|line| line.starts_with(&row.case_id)).unwrap();
        if let Some(planted) = &record.transplant {
            n_planted += 1;
            assert_eq!(planted.recipient_case_id, record.source_case_id);
            assert_ne!(planted.donor_patient_id, planted.recipient_patient_id);
            let donor = format!(",{},{}", planted.drawn.donor_case_id, planted.donor_patient_id);
            assert!(line.ends_with(&donor), "{line}");
            continue;
        }
        assert!(line.ends_with(",,"), "{line}");
        let image = source.image(&record.source_case_id).unwrap();
        let again = record.drawn.apply_to_image(&image, [-100.0, 200.0]).unwrap();
        assert_eq!(examples.image(&row.case_id).unwrap().voxels(), again.voxels());
    }
    assert!((1..=4).contains(&n_planted), "{n_planted}");
}

#[test]
fn examples_are_valid_cases_with_pictures_and_the_same_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write_inputs(&root.join("cases"), &root.join("labels"));
    let mut raw: RawConfig = toml::from_str(SHIPPED).unwrap();
    (raw.n_cases, raw.n_draws) = (5, 2);
    let config = Config::try_from(raw).unwrap();
    let first = request(root, "first");
    run(&config, &first).unwrap();
    hemex_stage::validate::validate(Kind::Cases, &root.join("first")).unwrap();

    let examples = Cases::open(&root.join("first")).unwrap();
    let ids: Vec<&str> = examples.rows.iter().map(|row| row.case_id.as_str()).collect();
    let expected = ["a", "b", "c"].map(|c| ["01", "02"].map(|n| format!("case-{c}-aug{n}")));
    assert_eq!(ids, expected.as_flattened());
    assert_eq!(examples.rows[2].patient_id, "patient-case-b");
    assert_eq!(examples.rows[2].noise_hu, None);
    let source = Cases::open(&root.join("cases")).unwrap();
    let (image, original) =
        (examples.image("case-a-aug02").unwrap(), source.image("case-a").unwrap());
    assert!(image.geometry().is_same_grid(original.geometry()));
    assert_ne!(image.voxels(), original.voxels());
    assert!(root.join("first/png/case-c-aug01.png").metadata().unwrap().len() > 500);

    assert_blood_changes_as_stated(&root.join("first/draws.csv"));

    assert_records_make_the_examples(root, &source, &examples);

    run(&config, &request(root, "second")).unwrap();
    for file in [
        "cases.csv",
        "draws.csv",
        "draws/case-a-aug01.json",
        "images/case-a-aug01.nii",
        "png/case-b-aug02.png",
    ] {
        let [a, b] =
            ["first", "second"].map(|run| std::fs::read(root.join(run).join(file)).unwrap());
        assert!(a == b, "{file}");
    }
}

#[test]
fn cohorts_that_do_not_match_are_an_error_with_the_case() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write_inputs(&root.join("cases"), &root.join("labels"));
    let none: [LabelRow; 0] = [];
    table::write_rows(&root.join("labels/labels.csv"), &LabelRow::COLUMNS, &none).unwrap();
    let config = Config::try_from(toml::from_str::<RawConfig>(SHIPPED).unwrap()).unwrap();
    let error = run(&config, &request(root, "out")).unwrap_err().to_string();
    assert!(error.contains("case-a") && error.contains("labels.csv"), "{error}");
}
