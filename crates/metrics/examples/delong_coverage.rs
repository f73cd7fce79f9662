//! How often DeLong's 95 % interval on the logit scale holds the true AUROC, over 10,000 cohorts of 200
//! and of 40.

#[path = "../tests/binormal/mod.rs"]
mod binormal;

fn main() {
    for n_cases in [200, 40] {
        let coverage = binormal::delong_coverage(n_cases, 10_000);
        println!(
            "{n_cases} cases: {:.2} % of {} intervals hold the AUROC, {} cohorts have none",
            100.0 * coverage.n_held as f64 / coverage.n_intervals as f64,
            coverage.n_intervals,
            coverage.n_undefined
        );
    }
}
