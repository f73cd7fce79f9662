use crate::MetricError;

/// P-values adjusted by Holm's step-down method (Scandinavian Journal of Statistics 1979): rejecting
/// those at most α keeps the chance of any false rejection at α, whatever their dependence.
///
/// In the order given; empty for none.
///
/// # Errors
/// [`MetricError::OutOfRange`] for a value outside [0, 1] or not a number.
pub fn holm(p_values: &[f64]) -> Result<Vec<f64>, MetricError> {
    let order = by_size(p_values)?;
    let mut adjusted = vec![0.0; p_values.len()];
    let mut least = 0.0_f64;
    for (rank, &i) in order.iter().enumerate() {
        least = least.max(p_values[i] * (p_values.len() - rank) as f64).min(1.0);
        adjusted[i] = least;
    }
    Ok(adjusted)
}

/// P-values adjusted by Benjamini & Hochberg's step-up method (JRSS B 1995): rejecting those at most q
/// keeps the expected share of false among all rejections at q, for independent or positively
/// dependent tests.
///
/// In the order given; empty for none.
///
/// # Errors
/// As [`holm`].
pub fn benjamini_hochberg(p_values: &[f64]) -> Result<Vec<f64>, MetricError> {
    let order = by_size(p_values)?;
    let mut adjusted = vec![0.0; p_values.len()];
    let mut most = 1.0_f64;
    for (rank, &i) in order.iter().enumerate().rev() {
        most = most.min(p_values[i] * p_values.len() as f64 / (rank + 1) as f64);
        adjusted[i] = most;
    }
    Ok(adjusted)
}

fn by_size(p_values: &[f64]) -> Result<Vec<usize>, MetricError> {
    if let Some(index) = p_values.iter().position(|p| !(0.0..=1.0).contains(p)) {
        return Err(MetricError::OutOfRange { index, value: p_values[index], range: "[0, 1]" });
    }
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|a, b| p_values[*a].total_cmp(&p_values[*b]));
    Ok(order)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    #[test]
    fn adjusts_by_hand() {
        let p = [0.04, 0.01, 0.03, 0.5];
        let close = |found: Vec<f64>, expected: [f64; 4]| {
            for (a, b) in found.iter().zip(expected) {
                assert!((a - b).abs() < 1e-15, "{found:?}");
            }
        };
        close(holm(&p).unwrap(), [0.09, 0.04, 0.09, 0.5]);
        close(benjamini_hochberg(&p).unwrap(), [0.16 / 3.0, 0.04, 0.16 / 3.0, 0.5]);
        close(holm(&[0.5; 4]).unwrap(), [1.0; 4]);
        close(benjamini_hochberg(&[0.5; 4]).unwrap(), [0.5; 4]);
        assert_eq!(holm(&[]), Ok(vec![]));
        for p in [-0.1, 1.1, f64::NAN] {
            assert!(holm(&[0.5, p]).is_err() && benjamini_hochberg(&[p]).is_err());
        }
    }
}
