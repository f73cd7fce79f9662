//! Times the reference workload w5 or w6 and prints one line of JSON.
//!
//! w5 is the ingest of one `.nii.gz` of 512 × 512 × 32 int16 at 0.45 × 0.45 × 5 mm, white noise of
//! 40 HU: read, RAS+, resampled to 1 × 1 × 5 mm, window 0–100 HU to 0–1. w6 is a folder of DICOM files
//! to a volume in HU: `ingest_workload w6 FOLDER`. `cargo xtask bench w5` calls it; w6 takes the GE head
//! of the folder that `HEMEX_TEST_DATA` names.
//!
//! w6 is read as the stage reads it, in a worker process that lives from case to case.
#![expect(clippy::unwrap_used, reason = "a failed measurement may panic")]

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[path = "../tests/ingest/support/real.rs"]
#[expect(dead_code, reason = "tests use the rest")]
mod real;

use std::path::{Path, PathBuf};
use std::time::Instant;

use hemex_artifacts::nifti;
use hemex_ingest::dicom::worker::{ARGUMENT, Workers, serve};
use hemex_ingest::{DicomSettings, Sharpness, SliceThickness, UnevenSlices, canonical_grid};
use hemex_stage::DrawKey;
use hemex_volume::{Affine, Geometry, Image};
use rand::RngExt;

const RUNS: usize = 15;
const SPACING_MM: [f64; 3] = [5.0, 1.0, 1.0];

/// Twelve uniform numbers make a normal one of deviation 1.
fn white_noise(geometry: Geometry) -> Image {
    let mut rng = DrawKey::new(0, "ingest.bench").rng();
    let voxels = (0..geometry.n_voxels())
        .map(|_| 40.0 * ((0..12).map(|_| rng.random::<f32>()).sum::<f32>() - 6.0))
        .collect();
    Image::new(geometry, voxels).unwrap()
}

fn w5(folder: &Path) -> impl FnMut() {
    let path = folder.join("noise.nii.gz");
    let affine = Affine::from_spacing([5.0, 0.45, 0.45], [-115.2, -115.2, -77.5]).unwrap();
    let geometry = Geometry::new([32, 512, 512], affine).unwrap();
    nifti::write_image_i16(&path, &white_noise(geometry)).unwrap();
    move || {
        let native = nifti::read_image(&path).unwrap();
        let target = canonical_grid(native.geometry(), SPACING_MM).unwrap();
        let mut image = native.clip(0.0, 100.0).resample(&target, 0.0);
        image.voxels_mut().iter_mut().for_each(|hu| *hu /= 100.0);
        assert_eq!(image.geometry().shape(), [32, 230, 230]);
    }
}

fn w6() -> impl FnMut() {
    let data = std::env::var_os("HEMEX_TEST_DATA").expect("w6 needs HEMEX_TEST_DATA");
    let archive = PathBuf::from(data).join("headct_ge_tilt/dicom.tar.xz");
    let unpacked = real::unpacked(&archive);
    let files = hemex_stage::digest::list_files(unpacked.path()).unwrap();
    let settings = DicomSettings {
        slices: SliceThickness::Thick,
        kernel: Sharpness::Soft,
        uneven_slices: UnevenSlices::Resample,
        max_gap_mm: 15.0,
    };
    let workers = Workers::new(&std::env::current_exe().unwrap(), 2);
    move || {
        // The files live as long as they are read.
        assert!(unpacked.path().exists());
        let series = workers.read_series(&files, &settings).unwrap();
        assert_eq!(series.stack.depths_mm.len(), 28);
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().expect("w5 or w6");
    if name == ARGUMENT {
        return serve().unwrap();
    }
    rayon::ThreadPoolBuilder::new().num_threads(2).build_global().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut step: Box<dyn FnMut()> = match name.as_str() {
        "w5" => Box::new(w5(folder.path())),
        "w6" => Box::new(w6()),
        other => panic!("`{other}` is neither w5 nor w6"),
    };
    step();
    let mut ms: Vec<f64> = (0..RUNS)
        .map(|_| {
            let begin = Instant::now();
            step();
            begin.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    ms.sort_by(f64::total_cmp);
    let median = (ms[RUNS / 2] * 100.0).round() / 100.0;
    println!("{{\"workload\":\"{name}\",\"ms\":{median},\"runs\":{RUNS},\"threads\":2}}");
}
