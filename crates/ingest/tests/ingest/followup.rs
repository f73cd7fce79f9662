//! Follow-up masks on the grids of the cases.

use std::path::{Path, PathBuf};

use crate::support::{ALL, config, grid, head, lesion, marked, run, series, write_session};
use hemex_artifacts::nifti;
use hemex_ingest::Config;
use hemex_volume::{Image, LabelMap, RigidMotion};

const NONE: &str = "followup_masks = \"none\"";

fn registered() -> Config {
    config(&[(NONE, "followup_masks = \"registered\"")])
}

/// Where the head lies in the follow-up scan: 13 mm away. What a ball hides of a turn is left out.
fn moved() -> RigidMotion {
    RigidMotion::about([0.0; 3], [0.0; 3], [8.0, -6.0, 9.0])
}

/// The follow-up scan of a head that has moved.
fn followup(id: &str, lesion_mm: f64) -> (Image, LabelMap) {
    // What the scanner sees at a point is what the head has where the motion came from.
    let seen = grid().moved(&moved().inverse());
    let image = marked(head(seen, lesion_mm), id).into_voxels();
    let mask = lesion(seen, lesion_mm).into_voxels();
    (Image::new(grid(), image).unwrap(), LabelMap::new(grid(), mask).unwrap())
}

fn session(root: &Path, id: &str, session: &str) -> PathBuf {
    root.join(id).join(format!("ses-{session}")).join("ct")
}

/// A patient whose head has moved between the scans.
fn write_patient(root: &Path, id: &str, baseline_mm: f64, followup_mm: f64) {
    write_session(root, id, "baseline", baseline_mm);
    let folder = session(root, id, "followup");
    std::fs::create_dir_all(&folder).unwrap();
    let (image, mask) = followup(id, followup_mm);
    let file = |ending: &str| folder.join(format!("{id}_ses-followup_{ending}.nii.gz"));
    nifti::write_image_i16(&file("ct"), &image).unwrap();
    nifti::write_label_map(&file("dseg"), &mask).unwrap();
}

/// Twelve patients are enough for splits; the last six are as the first six.
fn write_cohort(root: &Path) {
    let mut table = "participant_id\tsite\tfollowup_interval_h\n".to_owned();
    for i in 0..12 {
        let id = format!("sub-Canary{i:02}");
        write_patient(root, &id, 14.0, if i % 2 == 0 { 14.0 } else { 18.0 });
        table += &format!("{id}\t{}\t24\n", ["A", "B", "C"][i / 2 % 3]);
    }
    std::fs::write(root.join("participants.tsv"), table).unwrap();
}

fn dice(a: &LabelMap, b: &LabelMap) -> f64 {
    let both = a.voxels().iter().zip(b.voxels()).filter(|(a, b)| **a == 1 && **b == 1).count();
    2.0 * both as f64 / (a.count(&[1]) + b.count(&[1])) as f64
}

fn summary(outputs: &crate::support::Outputs) -> serde_json::Value {
    let text = std::fs::read_to_string(outputs.path("labels").join("labels.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn a_follow_up_mask_is_carried_over_by_registration() {
    let raw = tempfile::tempdir().unwrap();
    write_cohort(raw.path());
    let as_scanned = config(&[(NONE, "followup_masks = \"as_scanned\"")]);
    let [registered, as_scanned] =
        [registered(), as_scanned].map(|config| run(raw.path(), &config, &ALL).unwrap());
    for (i, id) in ["sub-Canary00", "sub-Canary01"].into_iter().enumerate() {
        let file = format!("followup_masks/{}.nii", registered.case_id(id));
        assert_eq!(registered.row("labels/labels.csv", id)["followup_mask"], file);
        let (baseline, there) = (registered.mask(id), registered.followup_mask(id).unwrap());
        assert!(there.geometry().is_same_grid(registered.image(id).geometry()));
        let (with, without) =
            (dice(&baseline, &there), dice(&baseline, &as_scanned.followup_mask(id).unwrap()));
        let both = dice(&baseline, &lesion(*baseline.geometry(), if i == 0 { 14.0 } else { 18.0 }));
        assert!(with > both - 0.15 && without < 0.6, "{id}: {with} of {both}, {without}");
        let native_ml = lesion(grid(), if i == 0 { 14.0 } else { 18.0 }).volume_ml(&[1]);
        assert!((there.volume_ml(&[1]) / native_ml - 1.0).abs() < 0.15, "{id}");
    }
    let counts = &summary(&registered)["followup_masks"];
    assert_eq!(counts["n_carried"], 12, "{counts}");
    // The labels are of the volumes where they were scanned.
    let labels = |outputs: &crate::support::Outputs| {
        let mut rows = outputs.table("labels/labels.csv");
        rows.iter_mut().for_each(|row| drop(row.remove("followup_mask")));
        rows
    };
    assert_eq!(labels(&registered), labels(&as_scanned));
    let none = run(raw.path(), &config(&[]), &ALL).unwrap();
    assert_eq!(labels(&none), labels(&registered));
    assert!(none.table("labels/labels.csv").iter().all(|row| row["followup_mask"].is_empty()));
    assert!(!none.path("labels").join("followup_masks").exists());
    assert!(summary(&none).get("followup_masks").is_none());
}

#[test]
fn a_mask_that_cannot_be_carried_over_costs_nothing_else() {
    let raw = tempfile::tempdir().unwrap();
    write_cohort(raw.path());
    let file = |i: usize, ending: &str| {
        let id = format!("sub-Canary{i:02}");
        session(raw.path(), &id, "followup").join(format!("{id}_ses-followup_{ending}"))
    };
    std::fs::remove_file(file(0, "ct.nii.gz")).unwrap();
    std::fs::write(file(1, "ct.nii.gz"), "no image").unwrap();
    std::fs::copy(file(2, "ct.nii.gz"), file(2, "second_ct.nii.gz")).unwrap();
    // A brick of water with bone in it, and a mask of another grid.
    let mut brick = Image::filled(grid(), -1000.0);
    for d in 8..28 {
        for h in 20..70 {
            let begin = grid().offset([d, h, 15]);
            brick.voxels_mut()[begin..begin + 30].fill(if d % 7 == 0 { 900.0 } else { 0.0 });
        }
    }
    nifti::write_image_i16(&file(3, "ct.nii.gz"), &brick).unwrap();
    let coarse = grid().with_spacing([5.0, 2.5, 2.5]).unwrap();
    nifti::write_label_map(&file(4, "dseg.nii.gz"), &lesion(coarse, 14.0)).unwrap();
    std::fs::remove_file(file(5, "dseg.nii.gz")).unwrap();
    // A folder of DICOM files will do.
    std::fs::remove_file(file(6, "ct.nii.gz")).unwrap();
    let (image, _) = followup("sub-Canary06", 14.0);
    series::write(&file(6, "ct"), &image, &series::Series::default());

    let outputs = run(raw.path(), &registered(), &ALL).unwrap();
    assert_eq!(outputs.table("cases/exclusions.csv").len(), 0);
    for i in 0..8 {
        let id = format!("sub-Canary{i:02}");
        let row = outputs.row("labels/labels.csv", &id);
        assert_eq!(row["followup_mask"].is_empty(), i < 6, "{id}: {row:?}");
        let growth = if i == 5 { "" } else { ["0", "1"][i % 2] };
        assert_eq!(row["growth"], growth, "{id}");
        assert_eq!(outputs.followup_mask(&id).is_some(), i >= 6, "{id}");
    }
    assert!(
        dice(&outputs.mask("sub-Canary06"), &outputs.followup_mask("sub-Canary06").unwrap()) > 0.8
    );
    let expected = serde_json::json!({"n_carried": 6, "n_without_image": 1, "n_refused": 4});
    assert_eq!(summary(&outputs)["followup_masks"], expected);
}

#[test]
fn a_table_of_paths_names_follow_up_images() {
    let raw = tempfile::tempdir().unwrap();
    let file = |name: &str| raw.path().join(name);
    let mut rows =
        "case,image,mask,followup_mask,followup_image,site,followup_interval_h\n".to_owned();
    for i in 0..12 {
        let id = format!("p{i:02}");
        let (image, mask) = followup(&id, if i % 2 == 0 { 14.0 } else { 18.0 });
        nifti::write_image_i16(&file(&format!("{id}.nii")), &marked(head(grid(), 14.0), &id))
            .unwrap();
        nifti::write_label_map(&file(&format!("{id}_m.nii")), &lesion(grid(), 14.0)).unwrap();
        nifti::write_image_i16(&file(&format!("{id}_f.nii")), &image).unwrap();
        nifti::write_label_map(&file(&format!("{id}_fm.nii")), &mask).unwrap();
        let second = ["p00_f.nii", "", "../out.nii"]
            .get(i)
            .map_or(format!("{id}_f.nii"), |s| (*s).to_owned());
        let site = ["A", "B", "C"][i / 2 % 3];
        rows += &format!("{id},{id}.nii,{id}_m.nii,{id}_fm.nii,{second},{site},24\n");
    }
    std::fs::write(file("cases.csv"), rows).unwrap();
    let outputs = run(raw.path(), &registered(), &ALL).unwrap();
    assert!(dice(&outputs.mask("p00"), &outputs.followup_mask("p00").unwrap()) > 0.8);
    let expected = serde_json::json!({"n_carried": 10, "n_without_image": 1, "n_refused": 1});
    assert_eq!(summary(&outputs)["followup_masks"], expected);
}

/// What lies outside the dataset's folder does not count for the cache, so it is not read.
#[cfg(unix)]
#[test]
fn a_follow_up_image_that_leads_out_is_not_read() {
    let (raw, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_cohort(raw.path());
    let folder = session(raw.path(), "sub-Canary00", "followup");
    let image = folder.join("sub-Canary00_ses-followup_ct.nii.gz");
    let out = elsewhere.path().join("ct.nii.gz");
    std::fs::rename(&image, &out).unwrap();
    std::os::unix::fs::symlink(&out, &image).unwrap();
    let outputs = run(raw.path(), &registered(), &ALL).unwrap();
    assert!(outputs.followup_mask("sub-Canary00").is_none());
    assert_eq!(outputs.row("labels/labels.csv", "sub-Canary00")["growth"], "0");
    assert_eq!(summary(&outputs)["followup_masks"]["n_refused"], 1);
}
