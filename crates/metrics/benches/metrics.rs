//! Workload w8: a 95 % bootstrap interval of the AUROC, 2,000 scores, 2,000 draws.

use criterion::{Criterion, criterion_group, criterion_main};
use hemex_metrics::{Bootstrap, Confidence, Ranking, Strata};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn bootstrap_auroc(criterion: &mut Criterion) {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let scores: Vec<f64> = (0..2000).map(|_| rng.random()).collect();
    let labels: Vec<bool> = (0..2000).map(|_| rng.random_bool(0.25)).collect();
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

criterion_group!(benches, bootstrap_auroc);
criterion_main!(benches);
