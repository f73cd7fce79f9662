//! A small BIDS cohort through the whole stage.

use std::collections::BTreeMap;
use std::path::Path;

use crate::support::{
    ALL, UNLABELLED, config, grid, head, lesion, marked, run, run_program, series, write_bids,
    write_session,
};
use hemex_volume::Lesion;

/// 18 patients of three sites; every third grows from 10 to 12 mm (4.2 to 7.2 mL), site C is DICOM.
/// Names and dates are canaries.
fn write_cohort(root: &Path) {
    let mut table =
        "participant_id\tsite\tage\tsex\tfollowup_interval_h\tsurgery_before_followup\t\
                     baseline_datetime\tcolour\n"
            .to_owned();
    for i in 0..18 {
        let id = format!("sub-Canary{i:02}");
        let site = ["A", "B", "C"][i / 6];
        let followup = if i % 3 == 0 { 12.0 } else { 10.0 };
        write_bids(root, &id, 10.0, Some(followup));
        if site == "C" {
            let ct = root.join(&id).join("ses-baseline").join("ct");
            std::fs::remove_file(ct.join(format!("{id}_ses-baseline_ct.nii.gz"))).unwrap();
            let folder = ct.join(format!("{id}_ses-baseline_ct"));
            let image = marked(head(grid(), 10.0), &id);
            series::write(
                &folder,
                &image,
                &series::Series { canaries: true, ..Default::default() },
            );
        }
        let surgery = if i == 1 { "1" } else { "0" };
        let interval = if i == 2 { "200" } else { "24" };
        table += &format!("{id}\t{site}\t{}\tF\t{interval}\t{surgery}\t1999-12-31\tred\n", 50 + i);
    }
    // What a careless export adds: a wrong cell, a scan cut short, a patient without a scan.
    write_bids(root, "sub-CanaryAge", 10.0, Some(10.0));
    table += "sub-CanaryAge\tA\tunsure\tM\t24\t0\tn/a\tred\n";
    write_bids(root, "sub-CanaryCut", 10.0, Some(10.0));
    let cut = root.join("sub-CanaryCut/ses-baseline/ct/sub-CanaryCut_ses-baseline_ct.nii.gz");
    let bytes = std::fs::read(&cut).unwrap();
    std::fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    table += "CanaryGone\tA\t44\tM\t24\t0\tn/a\tred\n";
    std::fs::write(root.join("participants.tsv"), table).unwrap();
    let truth = r#"{"oracle": {"auroc_population": 0.8, "auroc_population_image_signs": 0.7},
        "cases": {"sub-Canary00": {"probability": 0.625, "probability_image_signs": 0.5}}}"#;
    std::fs::write(root.join("truth.json"), truth).unwrap();
}

/// Every file below a folder with its bytes, sorted.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let files = hemex_stage::digest::list_files(folder).unwrap();
    let name = |path: &Path| path.strip_prefix(folder).unwrap().to_string_lossy().into_owned();
    files.iter().map(|path| (name(path), std::fs::read(path).unwrap())).collect()
}

#[test]
fn a_cohort_becomes_cases_labels_and_splits() {
    let raw = tempfile::tempdir().unwrap();
    write_cohort(raw.path());
    let outputs = run(raw.path(), &config(&[]), &ALL).unwrap();

    assert_eq!(outputs.table("cases/cases.csv").len(), 18);
    assert_eq!(outputs.table("private/mapping.csv").len(), 21);
    let age = outputs.exclusion("sub-CanaryAge");
    assert!(age.contains("participants.tsv line 20, column `age`: expected years"), "{age}");
    let cut = outputs.exclusion("sub-CanaryCut");
    assert!(cut.contains("baseline CT: cut short within its voxels"), "{cut}");
    assert!(outputs.exclusion("sub-CanaryGone").contains("no baseline CT found"));

    let grown = outputs.row("labels/labels.csv", "sub-Canary00");
    let native = lesion(grid(), 10.0).volume_ml(&[Lesion::Intraparenchymal as u8]);
    assert_eq!(grown["growth"], "1");
    assert_eq!(grown["baseline_volume_ml"], native.to_string());
    assert_eq!(
        (grown["true_probability"].as_str(), grown["true_probability_image_signs"].as_str()),
        ("0.625", "0.5")
    );
    assert_eq!(outputs.row("labels/labels.csv", "sub-Canary04")["growth"], "0");
    let surgery = outputs.row("labels/labels.csv", "sub-Canary01");
    assert_eq!(surgery["growth_undefined_reason"], "surgery before the follow-up scan");
    let late = outputs.row("labels/labels.csv", "sub-Canary02");
    assert!(late["growth_undefined_reason"].contains("follow-up after 200 h"), "{late:?}");
    let summary = std::fs::read_to_string(outputs.path("labels").join("labels.json")).unwrap();
    let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
    assert_eq!((&summary["n_growth"], &summary["n_undefined"]), (&6.into(), &2.into()));
    assert_eq!(summary["oracle"]["auroc_population"], 0.8);

    let case = outputs.row("cases/cases.csv", "sub-Canary17");
    assert_eq!((case["source_format"].as_str(), case["site"].as_str()), ("dicom", "C"));
    assert_eq!(case["convolution_kernel"], "H31s");
    assert_eq!(
        ["tube_voltage_kvp", "manufacturer"].map(|name| case[name].as_str()),
        ["120.0", "GE"]
    );
    assert_eq!(case["slice_thickness_mm"], case["native_spacing_d_mm"]);
    let number = |row: &BTreeMap<String, String>, column: &str| row[column].parse::<f64>().unwrap();
    let described = outputs.row("cases/descriptors.csv", "sub-Canary17");
    // Brain of 34 HU and ventricles of 8 HU with grain; the hematoma alone is dense.
    assert!((number(&described, "brain_p50_hu") - 34.0).abs() < 1.5, "{described:?}");
    assert!((number(&described, "hyperdense_ml") / native - 1.0).abs() < 0.1, "{described:?}");
    let lesion = outputs.row("labels/lesions.csv", "sub-Canary17");
    assert_eq!((number(&lesion, "volume_ml"), lesion["n_components"].as_str()), (native, "1"));
    assert!((number(&lesion, "mean_hu") - 65.0).abs() < 0.5, "{lesion:?}");
    assert!((number(&lesion, "abc2_ml") / native - 1.0).abs() < 0.35, "{lesion:?}");
    for (axis, expected) in [("right_mm", 22.0), ("anterior_mm", 14.0), ("superior_mm", 8.0)] {
        assert!((number(&lesion, axis) - expected).abs() < 2.0, "{axis}: {lesion:?}");
    }
    let image = outputs.image("sub-Canary17");
    // The head's 75 voxels (single ones at its poles do not count) and 3 on every side.
    assert_eq!(image.geometry().shape()[1..], [81, 81]);
    assert!(image.voxels().iter().all(|hu| (-100.0..=200.0).contains(hu)));
    let mask = outputs.mask("sub-Canary17");
    assert!(mask.geometry().is_same_grid(image.geometry()));
    assert!((mask.volume_ml(&[1]) / native - 1.0).abs() < 1e-9, "same spacing: same voxels");
    let mapping = outputs.row("private/mapping.csv", "sub-Canary17");
    assert_eq!(mapping["baseline_datetime"], "1999-12-31");
    let path = "sub-Canary17/ses-baseline/ct/sub-Canary17_ses-baseline_ct";
    assert_eq!(mapping["source_path"], path);

    let splits = outputs.table("splits/splits.csv");
    let folds = |regime: &str| {
        let rows = splits.iter().filter(|row| row["regime"] == regime);
        rows.map(|row| row["fold"].clone()).collect::<std::collections::BTreeSet<_>>().len()
    };
    assert_eq!(["patient", "site", "same_patient"].map(folds), [3, 3, 3]);
}

#[test]
fn no_name_date_or_path_leaves_the_private_artifact() {
    let raw = tempfile::tempdir().unwrap();
    write_cohort(raw.path());
    let (outputs, printed) = run_program(raw.path(), &ALL);
    let root = raw.path().to_string_lossy().into_owned();
    let canaries = [
        "Canary",
        "CANARY",
        "1999-12-31",
        "19991231",
        "20200229",
        "1.2.3.1",
        "9.87.654",
        "unsure",
        &root,
    ];
    let holds = |bytes: &[u8], canary: &str| {
        bytes.windows(canary.len()).any(|window| window == canary.as_bytes())
    };
    for output in ["cases", "labels", "splits"] {
        for (name, bytes) in contents(&outputs.path(output)) {
            for canary in canaries {
                assert!(!name.contains(canary) && !holds(&bytes, canary), "{canary} in {name}");
            }
        }
    }
    for canary in canaries {
        assert!(!holds(&printed, canary), "{canary} in the log");
    }
    // The search itself finds what is there.
    let mapping = std::fs::read(outputs.path("private").join("mapping.csv")).unwrap();
    assert!(holds(&mapping, "Canary") && holds(&mapping, "1999-12-31"));
    let keys: Vec<String> =
        outputs.table("private/mapping.csv").iter().map(|row| row["key"].clone()).collect();
    let public = ["cases", "labels", "splits"].map(|output| contents(&outputs.path(output)));
    for (key, (name, bytes)) in
        keys.iter().flat_map(|key| public.iter().flatten().map(move |file| (key, file)))
    {
        assert!(key.len() == 64 && !holds(bytes, key), "a key is in {name}");
    }
}

#[test]
fn one_image_under_two_ids_is_an_error() {
    let raw = tempfile::tempdir().unwrap();
    for id in ["sub-1", "sub-2", "sub-3"] {
        write_bids(raw.path(), id, 10.0, None);
    }
    assert!(run(raw.path(), &config(&[]), &UNLABELLED).is_ok());
    let ct =
        |id: &str| raw.path().join(format!("{id}/ses-baseline/ct/{id}_ses-baseline_ct.nii.gz"));
    std::fs::copy(ct("sub-1"), ct("sub-3")).unwrap();
    let error = run(raw.path(), &config(&[]), &UNLABELLED).err().unwrap().to_string();
    assert!(error.starts_with("cases 1 and 3 of the dataset"), "{error}");
}

#[test]
fn a_head_without_its_hematoma_lies_on_the_grid_of_the_case() {
    let raw = tempfile::tempdir().unwrap();
    let mut table = "participant_id\tsite\tfollowup_interval_h\n".to_owned();
    for i in 1..=13 {
        let id = format!("sub-{i}");
        write_bids(raw.path(), &id, 14.0, Some(if i % 2 == 0 { 14.0 } else { 17.0 }));
        table += &format!("{id}\t{}\t24\n", ["A", "B", "C"][i % 3]);
    }
    std::fs::write(raw.path().join("participants.tsv"), table).unwrap();
    write_session(raw.path(), "sub-1", "twin", 0.0);
    write_session(raw.path(), "sub-2", "twin", 0.0);
    let broken = raw.path().join("sub-2/ses-twin/ct/sub-2_ses-twin_ct.nii.gz");
    std::fs::write(broken, "no image").unwrap();
    let outputs = run(raw.path(), &config(&[]), &ALL).unwrap();
    let (image, twin) = (outputs.image("sub-1"), outputs.twin("sub-1").unwrap());
    assert!(twin.geometry().is_same_grid(image.geometry()));
    let mask = outputs.mask("sub-1");
    let voxels = image.voxels().iter().zip(twin.voxels()).zip(mask.voxels());
    let differing = voxels.filter(|((image, twin), _)| image != twin);
    let (inside, outside): (Vec<_>, Vec<_>) = differing.partition(|(_, label)| **label > 0);
    // The hematoma alone differs, and what is resampled beside it.
    assert_eq!(inside.len(), mask.count(&[1]));
    assert!(outside.len() < inside.len(), "{} beside {}", outside.len(), inside.len());
    assert!(outputs.twin("sub-3").is_none());
    assert!(
        outputs.exclusion("sub-2").contains("lesion-free twin: "),
        "{}",
        outputs.exclusion("sub-2")
    );
}

#[test]
fn any_number_of_threads_writes_the_same_bytes() {
    let raw = tempfile::tempdir().unwrap();
    write_cohort(raw.path());
    let with_threads = |n: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
        let outputs = pool.install(|| run(raw.path(), &config(&[]), &ALL)).unwrap();
        ALL.map(|(output, _)| contents(&outputs.path(output)))
    };
    assert!(with_threads(1) == with_threads(2));
}

#[test]
fn without_labels_masks_are_not_looked_at() {
    let raw = tempfile::tempdir().unwrap();
    write_bids(raw.path(), "sub-1", 10.0, None);
    let mask = raw.path().join("sub-1/ses-baseline/ct/sub-1_ses-baseline_dseg.nii.gz");
    std::fs::write(mask, "no mask").unwrap();
    let outputs = run(raw.path(), &config(&[]), &UNLABELLED).unwrap();
    assert_eq!(outputs.table("cases/cases.csv").len(), 1);
    assert_eq!(outputs.row("cases/cases.csv", "sub-1")["site"], "unknown");
    let brain_ml = outputs.brain("sub-1").volume_ml(&[1]);
    assert!((1000.0..1150.0).contains(&brain_ml), "{brain_ml} of 1098 mL");

    let reasons = run(raw.path(), &config(&[]), &ALL).err().unwrap().to_string();
    assert!(reasons.contains("1 × baseline mask: "), "{reasons}");
    assert!(!reasons.contains(&*raw.path().to_string_lossy()), "{reasons}");
}
