//! Times the reference workloads w7 (HD95 of two masks) and w8 (95 % bootstrap interval of the AUROC, 2,000 scores,
//! 2,000 draws) and prints one line of JSON for each that is named. `cargo xtask bench w7` calls it.
#![expect(clippy::unwrap_used, reason = "a failed measurement may panic")]

use std::time::Instant;

use hemex_metrics::{Bootstrap, Confidence, Ranking, Strata, SurfaceDistances, jackknife};

#[path = "../benches/inputs/mod.rs"]
mod inputs;

const RUNS: usize = 25;

fn main() {
    rayon::ThreadPoolBuilder::new().num_threads(2).build_global().unwrap();
    for name in std::env::args().skip(1) {
        let ms = match name.as_str() {
            "w7" => w7(),
            "w8" => w8(),
            other => panic!("`{other}` is no workload of the metrics: give w7 or w8"),
        };
        println!(r#"{{"workload": "{name}", "peer": "hemex", "ms": {ms:.2}}}"#);
    }
}

fn w7() -> f64 {
    let [first, second] = inputs::masks().unwrap();
    median_ms(|| SurfaceDistances::new(&first, &[1], &second, &[1]).unwrap().unwrap().hd95_mm())
}

/// The bias-corrected and accelerated interval, jackknife included.
fn w8() -> f64 {
    let (scores, labels) = inputs::scores();
    median_ms(|| {
        let ranking = Ranking::new(&scores, &labels).unwrap();
        let auroc = |n_drawn: &[u32]| ranking.auroc(n_drawn);
        let bootstrap = Bootstrap { n_draws: 2000, seed: 1 };
        let draws = bootstrap.distribution(&Strata::new(&[(); 2000]), auroc);
        let left_out = jackknife(2000, auroc).unwrap();
        let observed = auroc(&[1; 2000]).unwrap();
        draws.bca_interval(observed, &left_out, Confidence::P95).unwrap()
    })
}

fn median_ms<T>(step: impl Fn() -> T) -> f64 {
    step();
    let mut times: Vec<f64> = (0..RUNS)
        .map(|_| {
            let begin = Instant::now();
            std::hint::black_box(step());
            begin.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[RUNS / 2]
}
