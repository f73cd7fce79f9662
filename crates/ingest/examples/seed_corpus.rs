//! Writes the seeds of the fuzz targets: small files of our own making, one a kind that is read.
//!
//! `cargo run --release -p hemex-ingest --example seed_corpus`
#![expect(clippy::unwrap_used, reason = "a failed seed may panic")]

#[path = "../tests/ingest/support/phantom_head.rs"]
mod phantom_head;
#[path = "../tests/ingest/support/series.rs"]
mod series;

use std::path::Path;

use dicom_dictionary_std::uids;
use hemex_artifacts::nifti;
use hemex_volume::{Affine, Geometry, Image, LabelMap};

fn main() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    let affine = Affine::from_spacing([5.0, 12.0, 12.0], [-40.0, -40.0, 0.0]).unwrap();
    let image: Image = phantom_head::head(Geometry::new([2, 6, 7], affine).unwrap(), 10.0);
    let folder = corpus.join("nifti");
    std::fs::create_dir_all(&folder).unwrap();
    nifti::write_image(&folder.join("f32.nii"), &image).unwrap();
    nifti::write_image_i16(&folder.join("i16.nii"), &image).unwrap();
    nifti::write_image_i16(&folder.join("i16.nii.gz"), &image).unwrap();
    let labels = LabelMap::empty(*image.geometry());
    nifti::write_label_map(&folder.join("u8.nii"), &labels).unwrap();
    std::fs::write(
        folder.join("v2.nii"),
        version_2(&std::fs::read(folder.join("i16.nii")).unwrap()),
    )
    .unwrap();

    let scratch = tempfile::tempdir().unwrap();
    let folder = corpus.join("dicom");
    std::fs::create_dir_all(&folder).unwrap();
    for (name, transfer_syntax) in [
        ("implicit", uids::IMPLICIT_VR_LITTLE_ENDIAN),
        ("explicit", uids::EXPLICIT_VR_LITTLE_ENDIAN),
        ("big_endian", "1.2.840.10008.1.2.2"),
        ("deflated", uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN),
    ] {
        let written = series::Series { transfer_syntax, ..Default::default() };
        series::write(scratch.path(), &image, &written);
        std::fs::copy(scratch.path().join("2-001"), folder.join(format!("{name}.dcm"))).unwrap();
    }
}

/// The same volume with the header of version 2 (nifti2.h).
fn version_2(v1: &[u8]) -> Vec<u8> {
    let mut header = vec![0u8; 544];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &540i32.to_le_bytes());
    put(4, b"n+2\0\r\n\x1a\n");
    put(12, &v1[70..74]);
    let half = |at: usize| i16::from_le_bytes([v1[at], v1[at + 1]]);
    let float = |at: usize| f32::from_le_bytes([v1[at], v1[at + 1], v1[at + 2], v1[at + 3]]);
    for i in 0..8 {
        put(16 + 8 * i, &i64::from(half(40 + 2 * i)).to_le_bytes());
        put(104 + 8 * i, &f64::from(float(76 + 4 * i)).to_le_bytes());
    }
    put(168, &544i64.to_le_bytes());
    put(176, &1f64.to_le_bytes());
    put(348, &1i32.to_le_bytes());
    for i in 0..12 {
        put(400 + 8 * i, &f64::from(float(280 + 4 * i)).to_le_bytes());
    }
    put(500, &2i32.to_le_bytes());
    header.extend(&v1[352..]);
    header
}
