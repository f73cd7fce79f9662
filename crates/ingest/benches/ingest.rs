//! A head of 512 × 512 × 32 voxels at 0.45 × 0.45 × 5 mm: read, and prepared with all that belongs to it.
//! The reference workloads w5 and w6 are the example `ingest_workload`.

#![expect(clippy::unwrap_used, reason = "a failed bench may panic")]

#[path = "../tests/ingest/support/phantom_head.rs"]
mod phantom_head;

use criterion::{Criterion, criterion_group, criterion_main};
use hemex_artifacts::nifti;
use hemex_ingest::{PreparationSettings, prepare};
use hemex_volume::{Affine, Geometry};

const SPACING_MM: [f64; 3] = [5.0, 1.0, 1.0];

fn ingest(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let head = folder.path().join("head.nii.gz");
    let affine = Affine::from_spacing([5.0, 0.45, 0.45], [-115.2, -115.2, -77.5]).unwrap();
    let geometry = Geometry::new([32, 512, 512], affine).unwrap();
    nifti::write_image_i16(&head, &phantom_head::head(geometry, 20.0)).unwrap();

    let mut group = criterion.benchmark_group("ingest");
    group.sample_size(20);
    group.bench_function("read", |bencher| {
        bencher.iter(|| nifti::read_image(&head).unwrap());
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
