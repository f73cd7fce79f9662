//! Any bytes as a NIfTI file, and as the two files of a pair.
#![no_main]

use std::path::Path;

use hemex_artifacts::nifti::image_of_bytes;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // An error is an answer; a panic is none.
    let _ = image_of_bytes(Path::new("fuzzed"), bytes, None);
    let (header, image) = bytes.split_at(bytes.len().min(352));
    let _ = image_of_bytes(Path::new("fuzzed"), header, Some(image));
});
