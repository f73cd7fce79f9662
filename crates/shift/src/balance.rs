/// Standardised difference of a feature's means, target less training cases: `(m₁ − m₀) / √((s₁² + s₀²) / 2)` with the
/// sample variances before any weighting (Austin, Stat Med 28, 2009, 3083–3107); weights, one a training case, enter
/// the mean alone. `None` with fewer than two cases a domain, or for a constant.
pub fn standardised_difference(train: &[f64], weights: &[f64], target: &[f64]) -> Option<f64> {
    if train.len() < 2 || target.len() < 2 {
        return None;
    }
    let spread = ((variance(train) + variance(target)) / 2.0).sqrt();
    let sum: f64 = weights.iter().sum();
    let weighted = train.iter().zip(weights).map(|(x, w)| x * w).sum::<f64>() / sum;
    let difference = mean(target) - weighted;
    (spread > 0.0 && sum > 0.0).then(|| difference / spread)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn variance(values: &[f64]) -> f64 {
    let mean = mean(values);
    values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (values.len() - 1) as f64
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_counted_in_pooled_deviations_and_weights_can_close_it() {
        // Means 2 and 4, variances 4 and 1.
        let (train, target) = ([0.0, 2.0, 4.0], [3.0, 4.0, 5.0]);
        let found = standardised_difference(&train, &[1.0; 3], &target).unwrap();
        assert!((found - 2.0 / 2.5f64.sqrt()).abs() < 1e-12, "{found}");
        assert_eq!(standardised_difference(&train, &[0.0, 0.0, 5.0], &target), Some(0.0));
        assert_eq!(standardised_difference(&[1.0, 1.0], &[1.0; 2], &[1.0, 1.0]), None);
        assert_eq!(standardised_difference(&[1.0], &[1.0], &target), None);
    }
}
