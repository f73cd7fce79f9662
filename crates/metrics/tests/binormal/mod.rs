//! Cohorts of known AUROC: normal scores, the positive class shifted.

use hemex_metrics::{Confidence, DeLong};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const AUROC: f64 = 0.75;
/// √2 Φ⁻¹(0.75).
const SHIFT: f64 = 0.953_872_552_417_445_3;
const PREVALENCE: f64 = 0.25;

/// What became of the intervals of many cohorts.
pub(crate) struct Coverage {
    pub(crate) n_held: usize,
    pub(crate) n_intervals: usize,
    /// Cohorts with fewer than two cases of a class, or ranked perfectly.
    pub(crate) n_undefined: usize,
}

/// DeLong's 95 % intervals of cohorts of `n_cases`, cohort `i` from stream `i`.
pub(crate) fn delong_coverage(n_cases: usize, n_cohorts: u64) -> Coverage {
    let mut coverage = Coverage { n_held: 0, n_intervals: 0, n_undefined: 0 };
    for cohort in 0..n_cohorts {
        let mut rng = ChaCha8Rng::seed_from_u64(n_cases as u64);
        rng.set_stream(cohort);
        let labels: Vec<bool> = (0..n_cases).map(|_| rng.random_bool(PREVALENCE)).collect();
        let scores: Vec<f64> = labels
            .iter()
            .map(|label| normal(&mut rng) + if *label { SHIFT } else { 0.0 })
            .collect();
        let delong = DeLong::new(&scores, &labels).ok();
        match delong.and_then(|delong| delong.interval(Confidence::P95)) {
            Some(interval) => {
                coverage.n_intervals += 1;
                coverage.n_held += usize::from(interval.contains(AUROC));
            }
            None => coverage.n_undefined += 1,
        }
    }
    coverage
}

/// Box & Muller.
fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let (u, v): (f64, f64) = (rng.random(), rng.random());
    (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}
