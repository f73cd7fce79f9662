//! Workload w5: one `.nii.gz` of 512 × 512 × 32 int16 at 0.45 × 0.45 × 5 mm, read, RAS+, resampled to
//! 1 × 1 × 5 mm, window 0–100 HU to 0–1, the voxels being white noise of 40 HU as for the peers; and
//! the whole preparation of a head on the same grid.

#![expect(clippy::unwrap_used, reason = "a failed bench may panic")]

#[path = "../tests/ingest/support/phantom_head.rs"]
mod phantom_head;

use criterion::{Criterion, criterion_group, criterion_main};
use hemex_artifacts::nifti;
use hemex_ingest::{PreparationSettings, canonical_grid, prepare};
use hemex_stage::DrawKey;
use hemex_volume::{Affine, Geometry, Image};
use rand::RngExt;

const SPACING_MM: [f64; 3] = [5.0, 1.0, 1.0];

/// Twelve uniform numbers make a normal one of deviation 1.
fn white_noise(geometry: Geometry) -> Image {
    let mut rng = DrawKey::new(0, "ingest.bench").rng();
    let voxels = (0..geometry.n_voxels())
        .map(|_| 40.0 * ((0..12).map(|_| rng.random::<f32>()).sum::<f32>() - 6.0))
        .collect();
    Image::new(geometry, voxels).unwrap()
}

fn ingest(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let [noise, head] = ["noise.nii.gz", "head.nii.gz"].map(|name| folder.path().join(name));
    let affine = Affine::from_spacing([5.0, 0.45, 0.45], [-115.2, -115.2, -77.5]).unwrap();
    let geometry = Geometry::new([32, 512, 512], affine).unwrap();
    nifti::write_image_i16(&head, &phantom_head::head(geometry, 20.0)).unwrap();
    nifti::write_image_i16(&noise, &white_noise(geometry)).unwrap();

    let mut group = criterion.benchmark_group("ingest");
    group.sample_size(20);
    group.bench_function("w5 read, resample, window", |bencher| {
        bencher.iter(|| {
            let native = nifti::read_image(&noise).unwrap();
            let target = canonical_grid(native.geometry(), SPACING_MM).unwrap();
            let mut image = native.clip(0.0, 100.0).resample(&target, 0.0);
            image.voxels_mut().iter_mut().for_each(|hu| *hu /= 100.0);
            image
        });
    });
    group.bench_function("read alone", |bencher| {
        bencher.iter(|| nifti::read_image(&noise).unwrap());
    });
    let settings = PreparationSettings {
        spacing_mm: SPACING_MM,
        window_hu: [-100.0, 200.0],
        margin_mm: 6.0,
        brain_ml: [300.0, 2200.0],
    };
    group.bench_function("read and prepare with head, brain and noise", |bencher| {
        bencher.iter(|| prepare(nifti::read_image(&head).unwrap(), &settings).unwrap());
    });
    group.finish();
}

criterion_group!(benches, ingest);
criterion_main!(benches);
