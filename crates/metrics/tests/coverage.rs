//! An interval of 95 % must hold the truth in 95 of 100 cohorts.

mod binormal;

#[test]
fn delong_holds_the_true_auroc_as_often_as_it_says() {
    let coverage = binormal::delong_coverage(200, 10_000);
    assert_eq!(coverage.n_undefined, 0);
    let share = coverage.n_held as f64 / coverage.n_intervals as f64;
    assert!((0.94..=0.96).contains(&share), "{share}");
}
