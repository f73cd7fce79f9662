//! Workloads w7 and w8, and AUROC with DeLong.

use criterion::{Criterion, criterion_group, criterion_main};
use hemex_metrics::{
    Bootstrap, Confidence, DeLong, Ranking, Strata, SurfaceDistances, SurfaceElements, jackknife,
};

mod inputs;

fn hausdorff(criterion: &mut Criterion) {
    let Ok([first, second]) = inputs::masks() else { return };
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
    let (scores, labels) = inputs::scores();
    criterion.bench_function("AUROC with DeLong 2000", |bencher| {
        bencher
            .iter(|| DeLong::new(&scores, &labels).map(|delong| delong.interval(Confidence::P95)));
    });
}

fn bootstrap_auroc(criterion: &mut Criterion) {
    let (scores, labels) = inputs::scores();
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
    let (scores, labels) = inputs::scores();
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
