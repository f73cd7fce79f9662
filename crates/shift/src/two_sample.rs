use hemex_stage::DrawKey;

use crate::ratio::{gaussians, median_distance, shuffled};

/// How far two samples lie from each other in the feature space of a Gaussian kernel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MeanDiscrepancy {
    /// Unbiased estimate of the squared maximum mean discrepancy; below 0 by chance where the samples are alike.
    pub squared: f64,
    /// Share of the permutations, and of the samples as they are, with a discrepancy as large.
    pub p_value: f64,
}

/// The maximum mean discrepancy of two samples and its permutation test (Gretton et al., JMLR 13, 2012, 723–773, lemma
/// 6); the kernel is as wide as the median distance of the cases. `None` with fewer than two cases a sample, or if
/// most cases are alike.
pub fn mean_discrepancy(
    train: &[Vec<f64>],
    target: &[Vec<f64>],
    n_permutations: usize,
    seed: u64,
) -> Option<MeanDiscrepancy> {
    if train.len() < 2 || target.len() < 2 {
        return None;
    }
    let rows = [train, target].concat();
    let kernels = gaussians(&rows, &rows, median_distance(&rows)?);
    let mut is_target: Vec<bool> = (0..rows.len()).map(|i| i >= train.len()).collect();
    let squared = discrepancy(&kernels, &is_target);
    let n_as_large = (0..n_permutations).filter(|permutation| {
        let key = DrawKey::new(seed, "shift.permutation").repeat(*permutation);
        for (position, i) in shuffled(rows.len(), &key).into_iter().enumerate() {
            is_target[i] = position >= train.len();
        }
        discrepancy(&kernels, &is_target) >= squared
    });
    let p_value = (1 + n_as_large.count()) as f64 / (1 + n_permutations) as f64;
    Some(MeanDiscrepancy { squared, p_value })
}

fn discrepancy(kernels: &[Vec<f64>], is_target: &[bool]) -> f64 {
    // Sums over ordered pairs of distinct cases: within the training cases, the target cases, and across.
    let (mut within, mut across) = ([0.0; 2], 0.0);
    for (i, row) in kernels.iter().enumerate() {
        for (value, other_is_target) in row[..i].iter().zip(is_target) {
            if is_target[i] == *other_is_target {
                within[usize::from(is_target[i])] += 2.0 * value;
            } else {
                across += value;
            }
        }
    }
    let n_target = is_target.iter().filter(|target| **target).count() as f64;
    let n_train = is_target.len() as f64 - n_target;
    within[0] / (n_train * (n_train - 1.0)) + within[1] / (n_target * (n_target - 1.0))
        - 2.0 * across / (n_train * n_target)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;
    use crate::ratio::tests::samples;

    #[test]
    fn the_discrepancy_agrees_with_its_definition() {
        let [train, target] = samples();
        let found = mean_discrepancy(&train, &target, 99, 1).unwrap();
        // `mean_discrepancy` of `tests/reference/shift.py`.
        assert!((found.squared - 0.14759890814800203).abs() < 1e-12, "{found:?}");
    }

    #[test]
    fn samples_of_one_law_have_any_p_value_and_others_the_least() {
        let rows = |from: usize, shift: f64| -> Vec<Vec<f64>> {
            (from..from + 40).map(|i| vec![(i * 37 % 41) as f64 / 10.0 + shift]).collect()
        };
        let alike = mean_discrepancy(&rows(0, 0.0), &rows(17, 0.0), 199, 1).unwrap();
        assert!(alike.p_value > 0.2 && alike.squared < 0.01, "{alike:?}");
        let apart = mean_discrepancy(&rows(0, 0.0), &rows(17, 3.0), 199, 1).unwrap();
        assert_eq!(apart.p_value, 1.0 / 200.0);
        assert_eq!(mean_discrepancy(&rows(0, 0.0)[..1], &rows(0, 0.0), 9, 1), None);
    }

    /// Under one law each p-value is as likely: of 200 tests a tenth lies at or below 0.1.
    #[test]
    fn the_test_keeps_its_level() {
        let n_below = (0..200)
            .filter(|trial| {
                let order = shuffled(60, &DrawKey::new(5, "test").repeat(*trial));
                let rows: Vec<Vec<f64>> = order.iter().map(|i| vec![*i as f64]).collect();
                let found = mean_discrepancy(&rows[..25], &rows[25..], 49, *trial as u64).unwrap();
                found.p_value <= 0.1
            })
            .count();
        // Binomial(200, 0.1): 20 with a standard deviation of 4.2.
        assert!((8..=33).contains(&n_below), "{n_below}");
    }
}
