//! NIfTI files of other programs against what nibabel reads of them.

use std::path::Path;

use crate::support::real::data;
use hemex_artifacts::nifti;
use serde_json::Value;

/// Files that hold what no head CT is, and a word of the refusal.
const REFUSED: [(&str, &str); 19] = [
    ("analyze.hdr", "ANALYZE"),
    ("example4d.nii.gz", "one volume"),
    ("example_nifti2.nii.gz", "one volume"),
    ("nifti1.hdr", ".img file"),
    ("nifti2.hdr", ".img file"),
    ("5D_small.nii", "one volume"),
    ("5D_zeros.nii.gz", "one volume"),
    ("not-nifti.nii", "no NIfTI"),
    ("complex_complex32.nii", "complex"),
    ("complex_complex64.nii", "complex"),
    ("fuzz_artifacts_crash-1.nii", "datatype -9510"),
    ("minimal.hdr", "neither sform nor qform"),
    ("minimal.hdr.gz", "neither sform nor qform"),
    ("minimal.nii", "neither sform nor qform"),
    ("minimal.nii.gz", "neither sform nor qform"),
    ("minimal2.hdr", "neither sform nor qform"),
    ("minimal_extended_hdr.nii", "2 axes"),
    ("rgb_3D.nii", "RGB"),
    ("rgb_4D.nii", "RGB"),
];

#[test]
fn every_file_is_read_as_nibabel_reads_it_or_refused_by_name() {
    let Some(data) = data("NIfTI files of other programs") else { return };
    let peers: Value =
        serde_json::from_slice(&std::fs::read(data.join("peers.json")).unwrap()).unwrap();
    let files = peers["nifti"].as_object().unwrap();
    let (mut n_read, mut n_refused) = (0, 0);
    for (name, peer) in files {
        match nifti::read_foreign_image(&data.join(name)) {
            Ok(read) => {
                n_read += 1;
                compare(name, &read.volume, peer);
                let differ = peer["q_s_differ"].as_bool().unwrap_or(false);
                assert_eq!(read.warning.is_some(), differ, "{name}: {:?}", read.warning);
            }
            Err(error) => {
                n_refused += 1;
                let text = error.to_string();
                let file = Path::new(name).file_name().unwrap().to_str().unwrap();
                let known = REFUSED.iter().chain(&[("rgba_4D.nii", "RGBA")]);
                let word = known.into_iter().find(|(refused, _)| *refused == file);
                let (_, word) = word.unwrap_or_else(|| panic!("{name} is refused: {text}"));
                assert!(text.contains(word), "{word}: {text}");
            }
        }
    }
    assert_eq!((n_read, n_refused), (files.len() - REFUSED.len() - 1, REFUSED.len() + 1));
    // Either file of a pair may be named.
    let pair =
        |name: &str| nifti::read_image(&data.join("nifti/nifti-reader-js").join(name)).unwrap();
    assert_eq!(pair("air.img.gz").voxels(), pair("air.hdr.gz").voxels());
    for crash in
        ["08123ef33416bd6f0c5fa63d44b681b8581d62a0", "98aa054390f8d3f932f190dc22ef62c6ff2d6619"]
    {
        let file = data.join("nifti/nifti-rs").join(format!("fuzz_artifacts_crash-{crash}"));
        assert!(file.is_file() && nifti::read_image(&file).is_err(), "{crash}");
    }
}

fn compare(name: &str, image: &hemex_volume::Image, peer: &Value) {
    let numbers = |value: &Value| -> Vec<f64> {
        value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
    };
    let geometry = image.geometry();
    let mut shape = geometry.shape().map(|n| n as f64);
    shape.reverse();
    assert_eq!(shape.to_vec(), numbers(&peer["shape"])[..3], "{name}");
    for (row, expected) in geometry.affine().rows().iter().zip(peer["affine"].as_array().unwrap()) {
        for (found, expected) in row.iter().zip(numbers(expected)) {
            // The peer's are written with five decimals.
            assert!((found - expected).abs() < 1e-4, "{name}: {row:?}");
        }
    }
    let voxels = image.voxels();
    let n = voxels.len() as f64;
    let mean = voxels.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
    let square = voxels.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / n;
    let lowest = voxels.iter().copied().fold(f32::INFINITY, f32::min);
    let highest = voxels.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let found = [f64::from(lowest), f64::from(highest), mean, square.sqrt()];
    for (found, key) in found.into_iter().zip(["min", "max", "mean", "std"]) {
        let expected = peer[key].as_f64().unwrap();
        let tolerance = 1e-6 * expected.abs().max(1.0);
        assert!((found - expected).abs() <= tolerance, "{name} {key}: {found} for {expected}");
    }
}
