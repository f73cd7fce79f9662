#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use rand_distr::{Distribution, Normal};

use super::*;
use crate::{Estimator, Method, ShiftError};

fn config(features: &[&str]) -> Config {
    Config {
        features: features.iter().map(|f| (*f).to_owned()).collect(),
        max_feature_auroc: 0.95,
        estimator: Estimator {
            method: Method::Logistic,
            l2: 1e-6,
            alpha: 0.1,
            max_ratio: 1e6,
            n_folds: 5,
        },
        n_permutations: 19,
        max_weight: 1e6,
        power: 1.0,
        min_effective_share: 0.3,
    }
}

/// Ages of two domains, everything else unknown.
fn ages(domains: [&[f64]; 2]) -> (FeatureTable, Vec<usize>, Vec<usize>) {
    let ages: Vec<f64> = domains.concat();
    let mut values = vec![[None; FEATURES.len()]; ages.len()];
    for (row, age) in values.iter_mut().zip(&ages) {
        row[0] = Some(*age);
    }
    let case_ids = (0..ages.len()).map(|i| format!("case-{i}")).collect();
    let n = domains[0].len();
    (FeatureTable { case_ids, values }, (0..n).collect(), (n..ages.len()).collect())
}

fn normal(mean: f64, n: usize, key: usize) -> Vec<f64> {
    let rng = &mut DrawKey::new(1, "test").repeat(key).rng();
    Normal::new(mean, 1.0).unwrap().sample_iter(rng).take(n).collect()
}

#[test]
fn the_ratio_of_two_gaussians_is_recovered() {
    // N(m, 1) over N(0, 1) has the log ratio m x − m² / 2.
    let m = 0.8;
    let train = normal(0.0, 4000, 0);
    let (table, train_rows, target_rows) = ages([&train, &normal(m, 4000, 1)]);
    let found = weigh(&table, &train_rows, &target_rows, &config(&["age_years"]), 1).unwrap();
    let truth: Vec<f64> = train.iter().map(|x| (m * x - m * m / 2.0).exp()).collect();
    let scale = truth.len() as f64 / truth.iter().sum::<f64>();
    for (w, t) in found.weights.iter().zip(&truth) {
        // Three standard errors of the slope (about 0.027) three units from the mean.
        assert!((w / (t * scale)).ln().abs() < 0.25, "{w} for {}", t * scale);
    }
    // AUROC of two normals: Φ(m / √2) = 0.714.
    assert!((found.domain_auroc.unwrap() - 0.714).abs() < 0.02);
    let mean = found.weights.iter().sum::<f64>() / 4000.0;
    assert!((mean - 1.0).abs() < 1e-12);
    // n / E[w²] with E[w²] = exp(m²).
    let share = found.effective_sample_size / 4000.0;
    assert!((share - (-m * m).exp()).abs() < 0.1, "{share}");
}

#[test]
fn a_feature_without_overlap_is_reported_and_not_used() {
    let (table, train, target) = ages([&normal(0.0, 50, 0), &normal(9.0, 50, 1)]);
    let found = weigh(&table, &train, &target, &config(&["age_years"]), 1).unwrap();
    assert!(found.features.is_empty() && found.domain_auroc.is_none());
    assert!(found.reported_only[0].reason.contains("AUROC of 1.000"));
    assert_eq!(found.weights, vec![1.0; 50]);
}

#[test]
fn a_target_between_two_domains_is_apart_too() {
    let mixed = [normal(-20.0, 30, 0), normal(20.0, 30, 1)].concat();
    let (table, train, target) = ages([&mixed, &normal(0.0, 30, 2)]);
    let found = weigh(&table, &train, &target, &config(&["age_years"]), 1).unwrap();
    assert!(found.features.is_empty(), "{found:?}");
}

#[test]
fn no_target_means_weights_of_one() {
    let (table, train, _) = ages([&[60.0, 70.0], &[]]);
    let found = weigh(&table, &train, &[], &config(&["age_years"]), 1).unwrap();
    assert_eq!((found.weights, found.effective_sample_size), (vec![1.0, 1.0], 2.0));
}

#[test]
fn weights_are_clipped_and_have_mean_one() {
    let (table, train, target) = ages([&normal(0.0, 200, 0), &normal(1.5, 200, 1)]);
    let config = Config { max_weight: 2.0, ..config(&["age_years"]) };
    let found = weigh(&table, &train, &target, &config, 1).unwrap();
    assert!(found.n_clipped > 0);
    let largest = found.weights.iter().copied().fold(0.0, f64::max);
    let at_largest = found.weights.iter().filter(|w| **w == largest).count();
    assert_eq!(at_largest, found.n_clipped);
    assert!((found.weights.iter().sum::<f64>() / 200.0 - 1.0).abs() < 1e-12);
}

#[test]
fn a_power_flattens_weights_and_leaves_more_cases() {
    let (table, train, target) = ages([&normal(0.0, 200, 0), &normal(1.5, 200, 1)]);
    let weigh = |power| {
        let config = Config { power, ..config(&["age_years"]) };
        weigh(&table, &train, &target, &config, 1).unwrap()
    };
    let (whole, root) = (weigh(1.0), weigh(0.5));
    // Up to the scale, the root of each.
    let log_ratio = |w: &[f64], i: usize| (w[i] / w[0]).ln();
    for i in 1..200 {
        let [whole, root] = [&whole, &root].map(|found| log_ratio(&found.weights, i));
        assert!((root - 0.5 * whole).abs() < 1e-9);
    }
    assert!((root.weights.iter().sum::<f64>() / 200.0 - 1.0).abs() < 1e-12);
    assert!(root.effective_sample_size > 1.5 * whole.effective_sample_size);
}

#[test]
fn missing_values_take_the_median_and_an_indicator_where_both_domains_miss() {
    let (mut table, train, target) = ages([&[1.0, 2.0, 6.0, 4.0], &[3.0, 5.0, 2.0, 7.0]]);
    let cases: Vec<usize> = train.iter().chain(&target).copied().collect();
    let is_target = [false, false, false, false, true, true, true, true];
    let n_columns = |table: &FeatureTable| {
        column(table, &cases, &is_target, "age_years", &config(&[])).unwrap().len()
    };
    table.values[0][0] = None;
    assert_eq!(n_columns(&table), 1);
    table.values[5][0] = None;
    assert_eq!(n_columns(&table), 2);
    assert_eq!(
        column(&table, &cases, &is_target, "gcs", &config(&[])).unwrap_err(),
        "known of no case"
    );
    table.values[7][4] = Some(15.0);
    assert_eq!(
        column(&table, &cases, &is_target, "gcs", &config(&[])).unwrap_err(),
        "known in one domain alone"
    );
    assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
    assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
}

#[test]
fn the_effective_sample_size_follows_its_formula() {
    assert_eq!(effective_sample_size(&[1.0, 1.0, 1.0]), 3.0);
    assert_eq!(effective_sample_size(&[3.0, 0.0, 0.0]), 1.0);
}

/// That values are missing tells the domains apart by half their share, where one domain misses them alone.
#[test]
fn a_feature_whose_absence_tells_the_domains_apart_is_reported_and_not_used() {
    let (mut table, train, target) = ages([&normal(0.0, 50, 0), &normal(0.1, 50, 1)]);
    let config = Config { max_feature_auroc: 0.9, ..config(&["age_years"]) };
    let mut missing = |cases: std::ops::Range<usize>| {
        cases.for_each(|case| table.values[case][0] = None);
        weigh(&table, &train, &target, &config, 1).unwrap()
    };
    assert_eq!(missing(50..85).features.len(), 1, "0.85");
    let found = missing(85..90);
    assert!(found.features.is_empty());
    let reason = &found.reported_only[0].reason;
    assert_eq!(reason, "that it is missing tells the domains apart with an AUROC of 0.900");
    assert_eq!(missing(0..2).features.len(), 1, "0.88: some training cases miss it too");
}

#[test]
fn what_mean_matching_holds_at_the_clip_is_counted_as_clipped() {
    let (table, train, target) = ages([&normal(0.0, 50, 0), &normal(1.0, 50, 1)]);
    let config = config(&["age_years"]);
    let estimator = Estimator { method: Method::MeanMatching, max_ratio: 2.0, ..config.estimator };
    let config = Config { max_weight: 2.0, estimator, ..config };
    let found = weigh(&table, &train, &target, &config, 1).unwrap();
    let at_clip = found.weights.iter().filter(|w| **w == found.most_weight).count();
    assert!(at_clip > 0 && found.n_clipped == at_clip, "{found:?}");
}

#[test]
fn what_cannot_be_estimated_says_why_and_where() {
    let (table, train, target) = ages([&normal(0.0, 50, 0), &[-1.0, 0.5, 2.0]]);
    let config = config(&["age_years"]);
    let estimator = Estimator { method: Method::Kliep, ..config.estimator };
    let config = Config { estimator, ..config };
    let reason = weigh(&table, &train, &target, &config, 1).unwrap_err();
    assert_eq!(reason, NoRatio::FewCases { n_train: 50, n_target: 3, n_folds: 5 });
    let error = ShiftError::NotFitted { regime: "site", fold: 2, reason }.to_string();
    for part in ["regime `site`, fold 2", "3 target cases", "5 folds", "`n_folds`"] {
        assert!(error.contains(part), "{error}");
    }
    assert!(!error.contains("l2"), "{error}");
}
