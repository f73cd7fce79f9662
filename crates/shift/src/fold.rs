use hemex_artifacts::{FeatureBalance, ReportedFeature};
use hemex_metrics::{LogisticRegression, auroc};
use hemex_stage::DrawKey;

use crate::ratio::shuffled;
use crate::{Config, FEATURES, FeatureTable, mean_discrepancy, standardised_difference};

/// Weights of a fold's training cases, and how far they can be trusted.
#[derive(Debug, Clone)]
pub struct FoldWeights {
    /// A weight a training case, mean 1.
    pub weights: Vec<f64>,
    /// (Σw)² / Σw².
    pub effective_sample_size: f64,
    /// Cross-fitted AUROC of telling the domains apart.
    pub domain_auroc: Option<f64>,
    /// Share of target cases within the range of the training cases' scores.
    pub overlap: Option<f64>,
    /// Squared maximum mean discrepancy of the domains, and the share of permutations with as large a one.
    pub mean_discrepancy: Option<(f64, f64)>,
    /// The features in use, and how far the domains' means lie apart.
    pub features: Vec<FeatureBalance>,
    /// Features that are reported and not used.
    pub reported_only: Vec<ReportedFeature>,
    /// How many weights were clipped.
    pub n_clipped: usize,
    /// What a case at the clip weighs: none weighs more.
    pub most_weight: f64,
}

/// Weighs training cases toward the target cases; both are rows of the table.
///
/// Without target cases, or without a feature that can be used, every weight is 1. Ratios of densities are clipped
/// at `max_weight`, raised to `power` and then scaled to mean 1. `None` if they cannot be estimated.
pub fn weigh(
    table: &FeatureTable,
    train: &[usize],
    target: &[usize],
    config: &Config,
    seed: u64,
) -> Option<FoldWeights> {
    let mut result = FoldWeights {
        weights: vec![1.0; train.len()],
        effective_sample_size: train.len() as f64,
        domain_auroc: None,
        overlap: None,
        mean_discrepancy: None,
        features: Vec::new(),
        reported_only: Vec::new(),
        n_clipped: 0,
        most_weight: 1.0,
    };
    if target.is_empty() || train.is_empty() {
        return Some(result);
    }
    let cases: Vec<usize> = train.iter().chain(target).copied().collect();
    let is_target: Vec<bool> = (0..cases.len()).map(|i| i >= train.len()).collect();
    let (mut columns, mut names) = (Vec::new(), Vec::new());
    for name in &config.features {
        match column(table, &cases, &is_target, name, config) {
            Ok(values) => {
                names.push((name, columns.len()));
                columns.extend(values);
            }
            Err(reason) => {
                result.reported_only.push(ReportedFeature { name: name.clone(), reason });
            }
        }
    }
    if columns.is_empty() {
        return Some(result);
    }
    let rows: Vec<Vec<f64>> =
        (0..cases.len()).map(|i| columns.iter().map(|column| column[i]).collect()).collect();
    let (train_rows, target_rows) = rows.split_at(train.len());
    let ratios = config.estimator.ratios(train_rows, target_rows, seed)?;
    result.n_clipped = ratios.iter().filter(|w| **w > config.max_weight).count();
    (result.weights, result.most_weight) = weights(&ratios, config)?;
    result.effective_sample_size = effective_sample_size(&result.weights);
    let domains = LogisticRegression::fit(&rows, &is_target, &vec![1.0; rows.len()], config.l2())?;
    let logits: Vec<f64> = rows.iter().map(|row| domains.logit(row)).collect();
    result.overlap = Some(overlap(&logits, train.len()));
    result.domain_auroc = cross_fitted_auroc(&rows, &is_target, config, seed);
    result.mean_discrepancy =
        mean_discrepancy(train_rows, target_rows, config.n_permutations, seed)
            .map(|found| (found.squared, found.p_value));
    result.features = names
        .into_iter()
        .map(|(name, at)| {
            let (train, target) = columns[at].split_at(train.len());
            let difference = |weights: &[f64]| standardised_difference(train, weights, target);
            FeatureBalance {
                name: name.clone(),
                difference: difference(&vec![1.0; train.len()]),
                weighted_difference: difference(&result.weights),
            }
        })
        .collect();
    Some(result)
}

/// Ratios clipped, flattened and scaled to mean 1, and what a ratio at the clip becomes; `None` if all are 0.
fn weights(ratios: &[f64], config: &Config) -> Option<(Vec<f64>, f64)> {
    let flattened = |w: f64| w.clamp(0.0, config.max_weight).powf(config.power);
    let mean = ratios.iter().map(|w| flattened(*w)).sum::<f64>() / ratios.len() as f64;
    let scaled = |w: f64| flattened(w) / mean;
    let weights = || ratios.iter().map(|w| scaled(*w)).collect();
    (mean > 0.0).then(|| (weights(), scaled(config.max_weight)))
}

/// Kish's effective sample size, (Σw)² / Σw².
pub fn effective_sample_size(weights: &[f64]) -> f64 {
    let sum: f64 = weights.iter().sum();
    sum * sum / weights.iter().map(|w| w * w).sum::<f64>()
}

/// Share of target scores between the lowest and the highest training score.
fn overlap(logits: &[f64], n_train: usize) -> f64 {
    let (train, target) = logits.split_at(n_train);
    let low = train.iter().copied().fold(f64::INFINITY, f64::min);
    let high = train.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let within = target.iter().filter(|z| (low..=high).contains(*z)).count();
    within as f64 / target.len() as f64
}

/// The standardised columns of a feature: its values, the median where one is missing, and an
/// indicator of missing values where both domains have some. The reason if it cannot be used.
fn column(
    table: &FeatureTable,
    cases: &[usize],
    is_target: &[bool],
    name: &str,
    config: &Config,
) -> Result<Vec<Vec<f64>>, String> {
    let Some(feature) = FEATURES.iter().position(|known| *known == name) else {
        return Err("unknown".to_owned());
    };
    let values: Vec<Option<f64>> = cases.iter().map(|case| table.values[*case][feature]).collect();
    let known: Vec<(f64, bool)> =
        values.iter().zip(is_target).filter_map(|(v, t)| Some(((*v)?, *t))).collect();
    let n_known_target = known.iter().filter(|(_, target)| *target).count();
    if known.is_empty() {
        return Err("known of no case".to_owned());
    }
    if n_known_target == 0 || n_known_target == known.len() {
        return Err("known in one domain alone".to_owned());
    }
    let area = separation(&known);
    if area >= config.max_feature_auroc {
        return Err(format!("tells the domains apart with an AUROC of {area:.3}"));
    }
    let median = median(known.into_iter().map(|(value, _)| value).collect());
    let filled: Vec<f64> = values.iter().map(|v| v.unwrap_or(median)).collect();
    let mut columns = vec![standardise(filled).ok_or("constant")?];
    let is_missing = |target: bool| {
        values.iter().zip(is_target).any(|(value, t)| value.is_none() && *t == target)
    };
    if is_missing(false) && is_missing(true) {
        let missing = values.iter().map(|v| f64::from(u8::from(v.is_none()))).collect();
        columns.extend(standardise(missing));
    }
    Ok(columns)
}

/// The AUROC with which a feature alone tells the domains apart: by its value in either direction, or by
/// its distance from the target's median, as for a slice spacing that lies between those of two sites.
fn separation(known: &[(f64, bool)]) -> f64 {
    let labels: Vec<bool> = known.iter().map(|(_, target)| *target).collect();
    let target = known.iter().filter(|(_, target)| *target).map(|(value, _)| *value).collect();
    let centre = median(target);
    let by_value: Vec<f64> = known.iter().map(|(value, _)| *value).collect();
    let by_distance: Vec<f64> = by_value.iter().map(|value| -(value - centre).abs()).collect();
    let area = |scores: &[f64]| auroc(scores, &labels).unwrap_or(0.5);
    let value = area(&by_value);
    value.max(1.0 - value).max(area(&by_distance))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() % 2 {
        0 => (values[middle - 1] + values[middle]) / 2.0,
        _ => values[middle],
    }
}

/// Mean 0 and standard deviation 1; `None` for a constant.
fn standardise(values: Vec<f64>) -> Option<Vec<f64>> {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let sd = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
    (sd > 1e-9 * mean.abs().max(1.0)).then(|| values.iter().map(|v| (v - mean) / sd).collect())
}

/// AUROC of scores that no case had a part in: each fold is scored by a fit on the others.
fn cross_fitted_auroc(
    rows: &[Vec<f64>],
    is_target: &[bool],
    config: &Config,
    seed: u64,
) -> Option<f64> {
    let order = shuffled(rows.len(), &DrawKey::new(seed, "shift.cross_fit"));
    let mut scores = vec![0.0; rows.len()];
    for fold in 0..config.n_folds() {
        let held_out = |position: usize| position % config.n_folds() == fold;
        let kept: Vec<usize> =
            (0..order.len()).filter(|p| !held_out(*p)).map(|p| order[p]).collect();
        let fit_rows: Vec<Vec<f64>> = kept.iter().map(|i| rows[*i].clone()).collect();
        let fit_labels: Vec<bool> = kept.iter().map(|i| is_target[*i]).collect();
        let fit = LogisticRegression::fit(
            &fit_rows,
            &fit_labels,
            &vec![1.0; fit_rows.len()],
            config.l2(),
        )?;
        for position in (0..order.len()).filter(|p| held_out(*p)) {
            scores[order[position]] = fit.logit(&rows[order[position]]);
        }
    }
    auroc(&scores, is_target).ok()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use rand_distr::{Distribution, Normal};

    use super::*;
    use crate::{Estimator, Method};

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
}
