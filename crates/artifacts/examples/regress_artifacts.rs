//! Golden figures of volumes and tables as they lie on the disk; `cargo xtask regress -p artifacts`.
#![expect(clippy::unwrap_used, reason = "a failed figure may panic")]

use std::path::Path;

use hemex_artifacts::{CaseRow, Preparation, Sex, json, nifti, table};
use hemex_volume::{Affine, Geometry, Image, LabelMap};

/// Mean with weights from 0 to 2 that differ from place to place, so that a shift shows.
fn weighted_mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let n = values.len() as f64;
    values.enumerate().map(|(i, value)| (i * 7919 % 101) as f64 / 50.0 * value).sum::<f64>() / n
}

fn of_bytes(bytes: &[u8]) -> f64 {
    weighted_mean(bytes.iter().map(|byte| f64::from(*byte)))
}

fn of_file(path: &Path) -> f64 {
    of_bytes(&std::fs::read(path).unwrap())
}

fn case() -> CaseRow {
    CaseRow {
        case_id: "case-a".into(),
        patient_id: "patient-a".into(),
        site: "A".into(),
        age_years: Some(67.25),
        sex: Some(Sex::F),
        onset_to_ct_h: Some(1.1),
        anticoagulation: Some(true),
        gcs: None,
        ivh: Some(false),
        source_format: "dicom".into(),
        native_spacing_d_mm: 5.0,
        native_spacing_h_mm: 0.45,
        native_spacing_w_mm: 1.0 / 3.0,
        slice_thickness_mm: None,
        convolution_kernel: None,
        tube_voltage_kvp: None,
        manufacturer: None,
        noise_hu: Some(4.5),
    }
}

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    // A tilted gantry: D leans to the front.
    let rows = [[-0.5, 0.0, 0.0, 60.0], [0.0, 0.6, 1.5, -40.0], [0.0, 0.0, 4.8, 12.5]];
    let geometry = Geometry::new([5, 9, 11], Affine::new(rows).unwrap()).unwrap();
    let hu = (0..geometry.n_voxels()).map(|i| (i * 37 % 211) as f32 * 0.7 - 60.3).collect();
    let image = Image::new(geometry, hu).unwrap();
    let labels = (0..geometry.n_voxels()).map(|i| (i / 7 % 5) as u8).collect();
    let labels = LabelMap::new(geometry, labels).unwrap();

    nifti::write_image(&path("image.nii.gz"), &image).unwrap();
    let read = nifti::read_image(&path("image.nii.gz")).unwrap();
    println!("image_hu {}", weighted_mean(read.voxels().iter().map(|v| f64::from(*v))));
    let [x, y, z] = read.geometry().point_mm([4.0, 8.0, 10.0]);
    println!("last_voxel_mm {}", x + 2.0 * y + 3.0 * z);
    nifti::write_image_i16(&path("image.nii"), &image).unwrap();
    let read = nifti::read_image(&path("image.nii")).unwrap();
    println!("rounded_hu {}", weighted_mean(read.voxels().iter().map(|v| f64::from(*v))));
    println!("header_bytes {}", of_bytes(&std::fs::read(path("image.nii")).unwrap()[..352]));
    nifti::write_label_map(&path("labels.nii.gz"), &labels).unwrap();
    println!("labels_gz_bytes {}", of_file(&path("labels.nii.gz")));
    let read = nifti::read_label_map(&path("labels.nii.gz")).unwrap();
    println!("labels_ml {}", read.volume_ml(&[1, 3]));

    table::write_rows(&path("cases.csv"), &CaseRow::COLUMNS, &[case()]).unwrap();
    println!("table_bytes {}", of_file(&path("cases.csv")));
    let version = "1".to_owned();
    let preparation =
        Preparation { version, spacing_mm: [5.0, 2.0, 2.0], window_hu: [-100.0, 200.0] };
    json::write(&path("preparation.json"), &preparation).unwrap();
    println!("json_bytes {}", of_file(&path("preparation.json")));
}
