//! Golden figures of a head prepared, of labels and of splits, and where `HEMEX_TEST_DATA` names them of
//! real series; `cargo xtask regress -p ingest`.
#![expect(clippy::unwrap_used, reason = "a failed figure may panic")]

#[path = "../tests/ingest/support/real.rs"]
#[expect(dead_code, reason = "tests use the rest")]
mod real;

use std::path::Path;

use hemex_artifacts::{Regime, Role};
use hemex_ingest::dicom::read_series;
use hemex_ingest::labels::{Volumes, growth};
use hemex_ingest::layout::Clinical;
use hemex_ingest::splits::{Unit, split};
use hemex_ingest::{
    DicomSettings, GrowthRule, LabelRule, LabelSource, PreparationSettings, Sharpness,
    SliceThickness, SplitSettings, UnevenSlices, prepare,
};
use hemex_stage::digest;
use hemex_volume::{Affine, BrainDescriptors, Geometry, Image};

/// A head made of balls, its neck below, on a headrest; LPS, whole HU with some grain.
fn head() -> Image {
    let rows = [[-1.6, 0.0, 0.0, 95.0], [0.0, -1.6, 0.0, 108.0], [0.0, 0.0, 4.4, -96.0]];
    let geometry = Geometry::new([44, 132, 118], Affine::new(rows).unwrap()).unwrap();
    let [_, n_h, n_w] = geometry.shape();
    let hu = |i: usize| {
        let index = [i / (n_h * n_w), i / n_w % n_h, i % n_w].map(|at| at as f64);
        let [x, y, z] = geometry.point_mm(index);
        let distance =
            |c: [f64; 3]| ((x - c[0]).powi(2) + (y - c[1]).powi(2) + (z - c[2]).powi(2)).sqrt();
        let r = distance([0.0; 3]);
        let foramen = z < 0.0 && x.hypot(y) < 9.0;
        let hu = match r {
            r if r > 76.0 && z < -40.0 && x.hypot(y + 15.0) < 38.0 => 45.0,
            r if r > 76.0 && y < -84.0 && y > -87.0 => 120.0,
            r if r > 76.0 => -1000.0,
            r if r > 73.0 => -90.0,
            r if r > 70.0 => 50.0,
            r if r > 64.0 && !foramen => 1000.0,
            _ if distance([22.0, 14.0, 8.0]) < 17.0 => 65.0,
            r if r < 12.0 => 8.0,
            _ => 34.0,
        };
        // A grain from −6 to 6 HU.
        let grain = (i as u32).wrapping_mul(2_654_435_761) >> 16;
        hu as f32 + (grain % 13) as f32 - 6.0
    };
    Image::new(geometry, (0..geometry.n_voxels()).map(hu).collect()).unwrap()
}

fn settings() -> PreparationSettings {
    PreparationSettings {
        spacing_mm: [5.0, 2.0, 2.0],
        window_hu: [-100.0, 200.0],
        margin_mm: 6.0,
        brain_ml: [300.0, 2200.0],
    }
}

fn preparation() {
    let prepared = prepare(head(), &settings()).unwrap();
    let shape = prepared.image.geometry().shape();
    for (axis, n) in ["d", "h", "w"].iter().zip(shape) {
        println!("prepared_n_{axis} {n}");
    }
    let [x, y, z] = prepared.image.geometry().point_mm([0.0; 3]);
    println!("prepared_first_voxel_mm {}", x + 2.0 * y + 3.0 * z);
    // Weights from 0 to 2 that differ from voxel to voxel show a shift, too.
    let terms = prepared.image.voxels().iter().enumerate();
    let sum: f64 = terms.map(|(i, v)| (i * 7919 % 101) as f64 / 50.0 * f64::from(*v)).sum();
    println!("prepared_hu {}", sum / prepared.image.voxels().len() as f64);
    println!("brain_ml {}", prepared.brain.volume_ml(&[1]));
    println!("noise_hu {}", prepared.noise_hu.unwrap());
}

fn labels() {
    let rule = LabelRule {
        source: LabelSource::Auto,
        rule: GrowthRule::Either,
        relative_growth: 0.33,
        absolute_growth_ml: 6.0,
        ivh_growth_ml: 1.0,
        count_intraventricular: false,
        followup_window_h: [6.0, 72.0],
    };
    let mut n = [0, 0, 0];
    for i in 0..400 {
        let baseline = f64::from(i % 20) * 2.0;
        let gain = f64::from(i / 20) * 0.75 - 2.0;
        let followup_ml = Some((baseline + gain).max(0.0));
        let volumes = Volumes { baseline_ml: Some(baseline), followup_ml, ..Volumes::default() };
        let clinical = Clinical {
            followup_interval_h: Some(f64::from(i % 90)),
            surgery_before_followup: Some(i % 31 == 0),
            ..Clinical::default()
        };
        match growth(&rule, volumes, &clinical) {
            Ok(grew) => n[usize::from(grew)] += 1,
            Err(_) => n[2] += 1,
        }
    }
    println!("n_stable {}\nn_grown {}\nn_undefined {}", n[0], n[1], n[2]);
}

fn splits() {
    let unit = |i: usize| Unit {
        case_id: format!("case-{i:02}"),
        // Some patients have two scans.
        patient_id: format!("patient-{:02}", i - usize::from(i % 9 == 1)),
        site: ["A", "B", "C"][i % 3].into(),
        growth: (i % 13 != 5).then_some(i % 4 == 1),
        n_slices: 4 + i % 3,
        has_mask: true,
        scanned: None,
        given: Vec::new(),
    };
    let units: Vec<Unit> = (0..45).map(unit).collect();
    let settings = SplitSettings {
        n_folds: 3,
        n_repeats: 1,
        n_inner_folds: 1,
        val_fraction: 0.2,
        calibration_fraction: 0.0,
        target_fraction: 0.5,
        time_test_fraction: 0.3,
    };
    let rows = split(&units, &settings, 1).unwrap().rows;
    for regime in [Regime::Patient, Regime::Site, Regime::SamePatient] {
        let own = || rows.iter().filter(|row| row.regime == regime).enumerate();
        let name = regime.name();
        for (role, what) in [(Role::Train, "train"), (Role::Val, "val"), (Role::Test, "test")] {
            println!("{name}_n_{what} {}", own().filter(|(_, row)| row.role == role).count());
        }
        // Who has which role.
        println!(
            "{name}_roles {}",
            own().map(|(i, row)| i % 101 * row.role as usize).sum::<usize>()
        );
    }
}

/// The first 48 bits of a digest over grid and voxels.
fn image_digest(image: &Image) -> u64 {
    let affine = image.geometry().affine().rows();
    let numbers = affine.as_flattened().iter().map(|v| (v * 1e6).round() as i64);
    let mut bytes: Vec<u8> = numbers.flat_map(i64::to_le_bytes).collect();
    bytes.extend(image.voxels().iter().flat_map(|v| v.to_le_bytes()));
    u64::from_str_radix(&digest::bytes(&bytes)[..12], 16).unwrap()
}

/// Real series, as they are and, where they show a head, prepared. The two of `geometry` have random
/// pixels, and the Philips head is a phantom without a brain.
fn real_series(data: &Path) {
    let dicom = DicomSettings {
        slices: SliceThickness::Thick,
        kernel: Sharpness::Soft,
        uneven_slices: UnevenSlices::Resample,
        max_gap_mm: 15.0,
    };
    for (name, archive, folder) in [
        ("ge", "headct_ge_tilt/dicom.tar.xz", ""),
        ("philips", "headphantom_philips/S21570.tar.xz", ""),
        ("tilt", "geometry/tilt_and_missing_slice.tar.xz", "gantrytilting/001"),
        ("gap", "geometry/tilt_and_missing_slice.tar.xz", "sliceincrement/001"),
    ] {
        let unpacked = real::unpacked(&data.join(archive));
        let files = digest::list_files(&unpacked.path().join(folder)).unwrap();
        let series = read_series(&files, &dicom).unwrap();
        println!("real_{name}_tilt_degrees {}", series.stack.tilt_degrees());
        println!("real_{name}_extent_mm {}", series.stack.extent_mm());
        let image = series.stack.into_image(series.voxels, &dicom).unwrap();
        println!("real_{name}_native_digest {}", image_digest(&image));
        if let Ok(prepared) = prepare(image, &settings()) {
            println!("real_{name}_prepared_digest {}", image_digest(&prepared.image));
            println!("real_{name}_brain_ml {}", prepared.brain.volume_ml(&[1]));
            println!("real_{name}_noise_hu {}", prepared.noise_hu.unwrap());
            let brain = BrainDescriptors::of(&prepared.image, &prepared.brain).unwrap().unwrap();
            println!("real_{name}_brain_median_hu {}", brain.percentiles_hu[2]);
            println!("real_{name}_hyperdense_ml {}", brain.hyperdense_ml);
        }
    }
}

fn main() {
    preparation();
    labels();
    splits();
    if let Some(data) = std::env::var_os("HEMEX_TEST_DATA") {
        real_series(Path::new(&data));
    }
}
