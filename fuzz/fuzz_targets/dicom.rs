//! Any bytes as a DICOM file, in this process: a worker would hide what becomes of it.
#![no_main]

use hemex_ingest::dicom::read_series;
use hemex_ingest::{DicomSettings, Sharpness, SliceThickness, UnevenSlices, Unusable};
use libfuzzer_sys::fuzz_target;

const SETTINGS: DicomSettings = DicomSettings {
    slices: SliceThickness::Thick,
    kernel: Sharpness::Soft,
    uneven_slices: UnevenSlices::Resample,
    max_gap_mm: 15.0,
};

fuzz_target!(|bytes: &[u8]| {
    let Ok(file) = tempfile::NamedTempFile::new() else { return };
    if std::fs::write(file.path(), bytes).is_err() {
        return;
    }
    // Twice the same file has no extent: the pixels of the first are decoded before that is found.
    let result = read_series(&[file.path().to_owned()], &SETTINGS);
    assert_ne!(result.err(), Some(Unusable::Panic));
});
