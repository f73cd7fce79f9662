//! The stage as a whole: what a cohort must hold, read back from what was drawn and written.

mod knobs;
mod ncct_signs;
mod presets;
mod signs;

use std::collections::BTreeMap;
use std::path::Path;

use hemex_artifacts::nifti;
use hemex_stage::{DrawKey, Kind, OutputArtifact, Request};
use hemex_volume::{Connectivity, LabelMap};

use crate::cohort::{Patient, Scans, draw_patients, scan_patient};
use crate::outcome::OutcomeModel;
use crate::scanner::Scan;
use crate::texture::Texture;
use crate::{Config, RawConfig, run};

/// A config of the repository, changed.
pub(crate) fn config(name: &str, change: impl FnOnce(&mut RawConfig)) -> Config {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs").join(name);
    let mut raw: RawConfig = toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    change(&mut raw);
    Config::try_from(raw).unwrap()
}

fn request(folder: &Path, seed: u64) -> Request {
    let output = OutputArtifact { path: folder.to_owned(), kind: Kind::Dataset };
    Request {
        contract: hemex_stage::CONTRACT_VERSION,
        stage: "phantom".into(),
        axes: BTreeMap::new(),
        config: serde_json::Value::Null,
        inputs: BTreeMap::new(),
        outputs: BTreeMap::from([("raw".into(), output)]),
        seed,
        device: "cpu".into(),
        threads: 1,
        scratch: folder.to_owned(),
    }
}

/// Every file below a folder with its bytes.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                found.insert(name, std::fs::read(path).unwrap());
            }
        }
    }
    found
}

fn made(seed: u64, n_threads: usize) -> BTreeMap<String, Vec<u8>> {
    let config = config("phantom-tiny.toml", |raw| {
        raw.n_patients = 7;
        raw.n_population = 2500;
    });
    let folder = tempfile::tempdir().unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
    pool.install(|| run(&config, &request(folder.path(), seed))).unwrap();
    hemex_stage::validate::validate(Kind::Dataset, folder.path()).unwrap();
    files(folder.path())
}

#[test]
fn the_seed_alone_decides_every_byte() {
    let one = made(1, 1);
    assert!(one == made(1, 2), "two threads make another cohort");
    let other = made(2, 2);
    for name in ["truth.json", "participants.tsv"] {
        assert_ne!(one[name], other[name], "{name}");
    }
    let dicom = one.keys().filter(|name| name.ends_with("_ct/0001.dcm")).count();
    let nifti = one.keys().filter(|name| name.ends_with("_ct.nii.gz")).count();
    assert!(dicom > 0 && nifti > 0, "{dicom} series, {nifti} volumes");
}

/// The scans of a few patients of the demo, at its own resolution.
fn demo(n: usize, change: impl FnOnce(&mut RawConfig)) -> (Config, u64, Texture, usize) {
    let config = config("phantom.toml", |raw| {
        raw.n_patients = n;
        raw.n_population = 5000;
        change(raw);
    });
    (config, 5, Texture::draw(&mut DrawKey::new(5, "phantom.texture").rng()), n)
}

fn without_followup(raw: &mut RawConfig) {
    raw.surgery_share = 0.0;
    raw.no_followup_share = 1.0;
}

fn each_patient(
    (config, seed, texture, _): &(Config, u64, Texture, usize),
    mut look: impl FnMut(&Patient, &Scan, Option<&Scan>),
) {
    let (model, _) = OutcomeModel::solve(config, *seed);
    for patient in draw_patients(config, &model, *seed) {
        let scans = scan_patient(config, *seed, &patient, texture).unwrap();
        look(&patient, &scans.baseline, scans.followup.as_ref());
    }
}

#[test]
fn masks_hold_the_drawn_volumes_and_the_growth_rule() {
    let cohort = demo(14, |raw| {
        raw.prevalence = 0.5;
        raw.surgery_share = 0.0;
        raw.no_followup_share = 0.0;
        raw.followup_image = false;
    });
    let mut n_growth = 0;
    each_patient(&cohort, |patient, baseline, followup| {
        let followup = followup.unwrap();
        assert!(followup.image.is_none());
        let before_ml = baseline.labels.volume_ml(&[1]);
        let after_ml = followup.labels.volume_ml(&[1]);
        let drawn = [patient.signs.volume_ml, patient.followup.unwrap().volume_ml];
        for (found, drawn) in [before_ml, after_ml].into_iter().zip(drawn) {
            // Half a voxel of rounding all around a small hematoma is a tenth of it.
            assert!((found / drawn - 1.0).abs() < 0.1, "{}: {found} {drawn}", patient.id);
        }
        let grew = after_ml - before_ml > 6.0 || after_ml / before_ml > 1.33;
        assert_eq!(grew, patient.growth, "{}: {before_ml} {after_ml}", patient.id);
        assert_eq!(baseline.labels.count(&[2]) > 0, patient.signs.ivh, "{}", patient.id);
        n_growth += usize::from(grew);
    });
    assert!((2..=12).contains(&n_growth), "{n_growth}");
}

#[test]
fn labels_do_not_depend_on_whether_the_image_is_made() {
    let with = demo(2, |raw| raw.no_followup_share = 0.0);
    let without = demo(2, |raw| {
        raw.no_followup_share = 0.0;
        raw.followup_image = false;
    });
    let mut labels = Vec::new();
    each_patient(&with, |_, _, followup| labels.push(followup.unwrap().labels.clone()));
    let mut again = Vec::new();
    each_patient(&without, |_, _, followup| again.push(followup.unwrap().labels.clone()));
    assert!(labels == again);
}

/// HU of the voxels that pass, sorted.
fn sorted_hu(scan: &Scan, pass: impl Fn(u8, f32) -> bool) -> Vec<f32> {
    let image = scan.image.as_ref().unwrap();
    let voxels = image.voxels().iter().zip(scan.labels.voxels());
    let mut hu: Vec<f32> =
        voxels.filter(|(hu, label)| pass(**label, **hu)).map(|(hu, _)| *hu).collect();
    hu.sort_by(f32::total_cmp);
    hu
}

fn n_pieces(labels: &LabelMap) -> usize {
    // A single voxel at a jagged margin is no satellite.
    let pieces = labels.components(&[1], Connectivity::TwentySix);
    pieces.volumes_ml().iter().filter(|ml| **ml > 0.03).count()
}

#[test]
fn a_scan_looks_like_a_head_and_shows_its_signs() {
    let cohort = demo(10, |raw| {
        raw.lesion.volume_range_ml = [15.0, 60.0];
        raw.lesion.volume_median_ml = 25.0;
        raw.signs.satellite = 0.5;
        without_followup(raw);
    });
    each_patient(&cohort, |patient, scan, _| {
        let id = &patient.id;
        let voxel_ml = scan.labels.geometry().voxel_ml();
        let soft = sorted_hu(scan, |label, hu| label == 0 && (0.0..75.0).contains(&hu));
        let brain_hu = soft[soft.len() / 2];
        // White matter has about 30, grey about 38; the halo of the bone adds to both.
        assert!((28.0..41.0).contains(&brain_hu), "{id}: brain {brain_hu}");
        let soft_ml = soft.len() as f64 * voxel_ml;
        assert!((900.0..2000.0).contains(&soft_ml), "{id}: {soft_ml} mL");
        let bone_ml = sorted_hu(scan, |_, hu| hu > 400.0).len() as f64 * voxel_ml;
        assert!((300.0..1100.0).contains(&bone_ml), "{id}: {bone_ml} mL of bone");
        let air = sorted_hu(scan, |_, hu| hu < -900.0);
        assert!((air[air.len() / 2] + 1000.0).abs() < 30.0, "{id}: air");

        let blood = sorted_hu(scan, |label, _| label == 1);
        let blood_hu = blood[blood.len() / 2];
        assert!((48.0..72.0).contains(&blood_hu), "{id}: blood {blood_hu}");
        let edema = sorted_hu(scan, |label, _| label == 3);
        assert!(edema[edema.len() / 2] < brain_hu, "{id}: edema");
        assert_eq!(n_pieces(&scan.labels) > 1, patient.signs.satellite, "{id}: satellites");
    });
}

#[test]
fn a_black_hole_changes_nothing_but_its_own_voxels() {
    let scans = |share: f64| {
        let cohort = demo(3, |raw| {
            without_followup(raw);
            raw.lesion.volume_range_ml = [10.0, 60.0];
            raw.signs.black_hole = share;
            // The slice profile carries every density over into the next slice.
            raw.site.values_mut().for_each(|site| site.slice_blur_mm = 0.0);
        });
        let mut scans = Vec::new();
        each_patient(&cohort, |_, scan, _| {
            scans.push((scan.image.clone().unwrap(), scan.labels.clone()));
        });
        scans
    };
    for ((image, labels), (holed, same_labels)) in scans(0.0).into_iter().zip(scans(1.0)) {
        assert!(labels == same_labels, "the hole moves labels");
        let pairs = image.voxels().iter().zip(holed.voxels()).map(|(a, b)| b - a);
        let mut changes: Vec<f32> = pairs.filter(|change| *change != 0.0).collect();
        changes.sort_by(f32::total_cmp);
        assert!(changes[0] < -28.0, "{}", changes[0]);
        // 0.42³ of the hematoma; fewer, where the slice shows it in part only.
        let n_deep = changes.iter().filter(|change| **change < -14.0).count();
        let share = n_deep as f64 / labels.count(&[1]) as f64;
        assert!((0.04..0.1).contains(&share), "{share}");
        // One more than 14, since both scans are rounded to whole HU.
        let n_outside = image.voxels().iter().zip(holed.voxels()).zip(labels.voxels());
        let n_outside =
            n_outside.filter(|((a, b), label)| **label != 1 && (**b - **a).abs() > 15.0);
        assert_eq!(n_outside.count(), 0);
    }
}

#[test]
fn written_scans_read_back() {
    let files = tempfile::tempdir().unwrap();
    let cohort = demo(4, |raw| {
        without_followup(raw);
        raw.site.get_mut("C").unwrap().tilt_deg = -12.0;
    });
    each_patient(&cohort, |patient, scan, _| {
        let baseline = Scan { image: scan.image.clone(), labels: scan.labels.clone() };
        let scans = Scans { baseline, followup: None, twin: None };
        crate::write::patient(files.path(), cohort.1, patient, &scans).unwrap();
        let image = scan.image.as_ref().unwrap();
        let stem = format!("{}/ses-baseline/ct/{}_ses-baseline", patient.id, patient.id);
        let labels = nifti::read_label_map(&files.path().join(format!("{stem}_dseg.nii.gz")));
        assert!(labels.unwrap().voxels() == scan.labels.voxels(), "{stem}");
        let volume = files.path().join(format!("{stem}_ct.nii.gz"));
        if volume.exists() {
            let read = nifti::read_image(&volume).unwrap();
            assert!(read.voxels() == image.voxels(), "{stem}");
            assert!(read.geometry().is_same_grid(image.geometry()));
        } else {
            read_series(&files.path().join(format!("{stem}_ct")), image, &patient.id);
        }
    });
}

fn read_series(folder: &Path, image: &hemex_volume::Image, id: &str) {
    let [n_d, n_h, n_w] = image.geometry().shape();
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), n_d);
    let mut uids = std::collections::BTreeSet::new();
    for d in 0..n_d {
        let file = dicom_object::open_file(folder.join(format!("{:04}.dcm", d + 1))).unwrap();
        let text = |name: &str| file.element_by_name(name).unwrap().to_str().unwrap().into_owned();
        let number = |name: &str| text(name).trim().parse::<f64>().unwrap();
        assert_eq!(text("PatientID"), id);
        assert!(uids.insert(text("SOPInstanceUID")), "a UID twice");
        assert_eq!((number("Rows"), number("Columns")), (n_h as f64, n_w as f64));
        let position: Vec<f64> =
            text("ImagePositionPatient").split('\\').map(|v| v.trim().parse().unwrap()).collect();
        let [x, y, z] = image.geometry().point_mm([d as f64, 0.0, 0.0]);
        for (found, expected) in position.iter().zip([-x, -y, z]) {
            assert!((found - expected).abs() < 1e-3, "{found} {expected}");
        }
        // Rows run to the patient's left, columns to the back, as the orientation says.
        let orientation: Vec<f64> = text("ImageOrientationPatient")
            .split('\\')
            .map(|v| v.trim().parse().unwrap())
            .collect();
        let [h_mm, w_mm] = [1, 2].map(|axis| image.geometry().spacing_mm()[axis]);
        let next = image.geometry().point_mm([d as f64, 1.0, 1.0]);
        for (i, sign) in [-1.0, -1.0, 1.0].into_iter().enumerate() {
            let found = position[i] + w_mm * orientation[i] + h_mm * orientation[i + 3];
            assert!((found - sign * next[i]).abs() < 1e-3, "{orientation:?}");
        }
        let stored = file.element_by_name("PixelData").unwrap().to_multi_int::<u16>().unwrap();
        let (slope, intercept) = (number("RescaleSlope"), number("RescaleIntercept"));
        let hu: Vec<f32> =
            stored.iter().map(|v| (slope * f64::from(*v) + intercept) as f32).collect();
        assert!(hu == image.slice(d), "{id}, slice {d}");
    }
}

#[test]
fn a_tilted_gantry_turns_the_slices_and_nothing_else() {
    let at = |tilt_deg: f64| {
        let cohort = demo(4, |raw| {
            without_followup(raw);
            raw.lesion.volume_range_ml = [8.0, 60.0];
            raw.site.values_mut().for_each(|site| site.tilt_deg = tilt_deg);
        });
        let mut scans = Vec::new();
        each_patient(&cohort, |_, scan, _| {
            scans.push((scan.image.clone().unwrap(), scan.labels.clone()));
        });
        scans
    };
    for ((_, upright), (image, tilted)) in at(0.0).iter().zip(at(18.0)) {
        let [along_d, along_h, _] = tilted.geometry().affine().axes_mm();
        let sine = along_h[2].abs() / tilted.geometry().spacing_mm()[1];
        assert!((sine - 18f64.to_radians().sin()).abs() < 1e-9);
        assert_eq!([along_d[0], along_d[1]], [0.0, 0.0], "the table moves straight");
        let factor = tilted.volume_ml(&[1]) / upright.volume_ml(&[1]);
        assert!((factor - 1.0).abs() < 0.05, "{factor}");
        let [a, b] = [upright, &tilted].map(|labels| labels.centroid_mm(&[1]).unwrap());
        assert!((0..3).all(|i| (a[i] - b[i]).abs() < 1.0), "{a:?} {b:?}");
        // Blood is bright where the tilted labels say so.
        let voxels = image.voxels().iter().zip(tilted.voxels());
        let blood: Vec<f32> = voxels.filter(|(_, l)| **l == 1).map(|(hu, _)| *hu).collect();
        let mean_hu = blood.iter().sum::<f32>() / blood.len() as f32;
        assert!((45.0..70.0).contains(&mean_hu), "{mean_hu}");
    }
}

#[test]
fn sites_share_the_patients_as_configured() {
    let config = config("phantom-tiny.toml", |raw| {
        raw.n_patients = 11;
        raw.site.get_mut("A").unwrap().share = 2.0;
    });
    let (model, _) = OutcomeModel::solve(&config, 3);
    let mut counts = BTreeMap::new();
    for patient in draw_patients(&config, &model, 3) {
        *counts.entry(patient.site_name).or_insert(0) += 1;
    }
    assert_eq!(counts.into_iter().collect::<Vec<_>>(), [("A", 5), ("B", 3), ("C", 3)]);
}

#[test]
fn a_config_that_cannot_be_used_names_its_key() {
    let key = |change: fn(&mut RawConfig)| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/phantom.toml");
        let mut raw: RawConfig = toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        change(&mut raw);
        Config::try_from(raw).unwrap_err().key
    };
    assert_eq!(key(|raw| raw.prevalence = 0.0), "prevalence");
    assert_eq!(key(|raw| raw.lesion.stable_factor = [0.9, 1.3]), "lesion.stable_factor");
    assert_eq!(key(|raw| raw.site.get_mut("B").unwrap().noise_hu = -1.0), "site.B.noise_hu");
    assert_eq!(key(|raw| raw.odds_ratio.age = f64::NAN), "odds_ratio.age");
    let ras = |raw: &mut RawConfig| {
        raw.site.get_mut("C").unwrap().orientation = crate::Orientation::Ras;
    };
    assert_eq!(key(ras), "site.C.orientation");
    assert_eq!(key(|raw| raw.site.clear()), "site");
}
