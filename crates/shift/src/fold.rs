use hemex_artifacts::{FeatureBalance, ReportedFeature};
use hemex_metrics::{LogisticRegression, auroc};
use hemex_stage::DrawKey;

use crate::ratio::shuffled;
use crate::{Config, FEATURES, FeatureTable, NoRatio, mean_discrepancy, standardised_difference};

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
    /// How many ratios reach the clip.
    pub n_clipped: usize,
    /// What a case at the clip weighs: none weighs more.
    pub most_weight: f64,
}

/// Weighs training cases toward the target cases; both are rows of the table.
///
/// Without target cases, or without a feature that can be used, every weight is 1. Ratios of densities are clipped
/// at `max_weight`, raised to `power` and then scaled to mean 1.
///
/// # Errors
/// [`NoRatio`] if they cannot be estimated.
pub fn weigh(
    table: &FeatureTable,
    train: &[usize],
    target: &[usize],
    config: &Config,
    seed: u64,
) -> Result<FoldWeights, NoRatio> {
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
        return Ok(result);
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
        return Ok(result);
    }
    let rows: Vec<Vec<f64>> =
        (0..cases.len()).map(|i| columns.iter().map(|column| column[i]).collect()).collect();
    let (train_rows, target_rows) = rows.split_at(train.len());
    let ratios = config.estimator.ratios(train_rows, target_rows, seed)?;
    // Mean matching gives none above it.
    result.n_clipped = ratios.iter().filter(|w| **w >= config.max_weight).count();
    (result.weights, result.most_weight) = weights(&ratios, config).ok_or(NoRatio::NoWeight)?;
    result.effective_sample_size = effective_sample_size(&result.weights);
    let domains = LogisticRegression::fit(&rows, &is_target, &vec![1.0; rows.len()], config.l2());
    let domains = domains.ok_or(NoRatio::Regression)?;
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
    Ok(result)
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
    let missing: Vec<f64> = values.iter().map(|v| f64::from(u8::from(v.is_none()))).collect();
    let absence: Vec<(f64, bool)> =
        missing.iter().copied().zip(is_target.iter().copied()).collect();
    // Where values are missing in one domain, the median in their place would tell it as well as an indicator.
    for (what, scores) in [("", &known), ("that it is missing ", &absence)] {
        let area = separation(scores);
        if area >= config.max_feature_auroc {
            return Err(format!("{what}tells the domains apart with an AUROC of {area:.3}"));
        }
    }
    let median = median(known.into_iter().map(|(value, _)| value).collect());
    let filled: Vec<f64> = values.iter().map(|v| v.unwrap_or(median)).collect();
    let mut columns = vec![standardise(filled).ok_or("constant")?];
    let is_missing = |target: bool| {
        values.iter().zip(is_target).any(|(value, t)| value.is_none() && *t == target)
    };
    if is_missing(false) && is_missing(true) {
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
mod tests;
