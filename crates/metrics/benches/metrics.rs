//! Workloads w7 and w8 (a peer's times stand in the workspace's notes), and AUROC with DeLong.

use criterion::{Criterion, criterion_group, criterion_main};
use hemex_metrics::{
    Bootstrap, Confidence, DeLong, Ranking, Strata, SurfaceDistances, SurfaceElements, jackknife,
};
use hemex_volume::{Affine, Geometry, LabelMap, VolumeError};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const SHAPE: [usize; 3] = [32, 192, 192];

fn scores() -> (Vec<f64>, Vec<bool>) {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let scores: Vec<f64> = (0..2000).map(|_| rng.random()).collect();
    let labels: Vec<bool> = (0..2000).map(|_| rng.random_bool(0.25)).collect();
    (scores, labels)
}

/// Noise after three moving means along each axis: close to a Gaussian blur of 1.5, 6 and 6 voxels.
fn smooth_noise(rng: &mut ChaCha8Rng) -> Vec<f32> {
    let n = SHAPE.iter().product();
    let mut field: Vec<f32> = (0..n).map(|_| rng.random::<f32>() - 0.5).collect();
    for (axis, half) in [(0, 1), (1, 5), (2, 5)] {
        let stride: usize = SHAPE[axis + 1..].iter().product();
        for _ in 0..3 {
            let from = field.clone();
            for (i, value) in field.iter_mut().enumerate() {
                let at = i / stride % SHAPE[axis];
                let (low, high) = (at.saturating_sub(half), (at + half).min(SHAPE[axis] - 1));
                let sum: f32 = (low..=high).map(|k| from[i - at * stride + k * stride]).sum();
                *value = sum / (2 * half + 1) as f32;
            }
        }
    }
    field
}

/// The highest 3 % of the voxels.
fn mask(field: &[f32]) -> Result<LabelMap, VolumeError> {
    let mut sorted = field.to_vec();
    sorted.sort_by(f32::total_cmp);
    let limit = sorted[sorted.len() * 97 / 100];
    let geometry = Geometry::new(SHAPE, Affine::from_spacing([5.0, 1.0, 1.0], [0.0; 3])?)?;
    LabelMap::new(geometry, field.iter().map(|v| u8::from(*v > limit)).collect())
}

fn hausdorff(criterion: &mut Criterion) {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let field = smooth_noise(&mut rng);
    let noise = smooth_noise(&mut rng);
    let other: Vec<f32> = field.iter().zip(&noise).map(|(a, b)| a + 0.3 * b).collect();
    let (Ok(first), Ok(second)) = (mask(&field), mask(&other)) else { return };
    criterion.bench_function("w7 HD95 192x192x32", |bencher| {
        bencher.iter(|| {
            SurfaceDistances::new(&first, &[1], &second, &[1]).map(|d| d.map(|d| d.hd95_mm()))
        });
    });
    criterion.bench_function("w7 HD95 and surface Dice by area 192x192x32", |bencher| {
        bencher.iter(|| {
            let elements = SurfaceElements::new(&first, &[1], &second, &[1]);
            elements.map(|e| e.map(|e| (e.hd95_mm(), e.surface_dice(1.0))))
        });
    });
}

fn delong(criterion: &mut Criterion) {
    let (scores, labels) = scores();
    criterion.bench_function("AUROC with DeLong 2000", |bencher| {
        bencher
            .iter(|| DeLong::new(&scores, &labels).map(|delong| delong.interval(Confidence::P95)));
    });
}

fn bootstrap_auroc(criterion: &mut Criterion) {
    let (scores, labels) = scores();
    criterion.bench_function("w8 bootstrap AUROC 2000x2000", |bencher| {
        bencher.iter(|| -> Result<_, hemex_metrics::MetricError> {
            // Sorting is part of the work: the peer is given unsorted scores too.
            let ranking = Ranking::new(&scores, &labels)?;
            let bootstrap = Bootstrap { n_draws: 2000, seed: 1 };
            bootstrap
                .distribution(&Strata::new(&labels), |n_drawn| ranking.auroc(n_drawn))
                .interval(Confidence::P95)
        });
    });
}

fn bca_auroc(criterion: &mut Criterion) {
    let (scores, labels) = scores();
    criterion.bench_function("w8 BCa bootstrap AUROC 2000x2000", |bencher| {
        bencher.iter(|| -> Result<_, hemex_metrics::MetricError> {
            let ranking = Ranking::new(&scores, &labels)?;
            let auroc = |n_drawn: &[u32]| ranking.auroc(n_drawn);
            let draws =
                Bootstrap { n_draws: 2000, seed: 1 }.distribution(&Strata::new(&labels), auroc);
            let observed = auroc(&[1; 2000]);
            let left_out = jackknife(2000, auroc);
            observed
                .zip(left_out)
                .map(|(value, left_out)| draws.bca_interval(value, &left_out, Confidence::P95))
                .transpose()
        });
    });
}

criterion_group!(benches, hausdorff, delong, bootstrap_auroc, bca_auroc);
criterion_main!(benches);
