use crate::normal;
use crate::special::incomplete_beta;
use crate::{MetricError, error::check_lengths};

/// McNemar's test of two classifiers on the same cases (Psychometrika 1947): only cases that one calls
/// right and the other wrong speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct McNemar {
    /// Cases that only the first calls right.
    pub n_first_only: usize,
    /// Cases that only the second calls right.
    pub n_second_only: usize,
}

impl McNemar {
    /// From whether each case was called right by the first and by the second.
    ///
    /// # Errors
    /// [`MetricError::LengthMismatch`].
    pub fn new(first_right: &[bool], second_right: &[bool]) -> Result<Self, MetricError> {
        check_lengths(first_right.len(), second_right.len())?;
        let n = |only: bool| {
            first_right.iter().zip(second_right).filter(|(a, b)| **a == only && **b != only).count()
        };
        Ok(Self { n_first_only: n(true), n_second_only: n(false) })
    }

    fn n_discordant(&self) -> usize {
        self.n_first_only + self.n_second_only
    }

    /// Two-sided p-value by the binomial distribution: twice its smaller tail, at most 1.
    ///
    /// `None` if the two never differ: there is nothing to go by.
    pub fn exact_p_value(&self) -> Option<f64> {
        let n = self.n_discordant();
        let fewer = self.n_first_only.min(self.n_second_only);
        // P(X ≤ k) of n fair coins is I_{1/2}(n − k, k + 1).
        (n > 0)
            .then(|| (2.0 * incomplete_beta((n - fewer) as f64, fewer as f64 + 1.0, 0.5)).min(1.0))
    }

    /// `(|b − c| − 1)² / (b + c)`, with Edwards' correction for continuity (Psychometrika 1948), 0
    /// where `b = c`. `None` if the two never differ.
    pub fn corrected_chi_squared(&self) -> Option<f64> {
        let n = self.n_discordant();
        let apart = self.n_first_only.abs_diff(self.n_second_only).saturating_sub(1);
        (n > 0).then(|| (apart * apart) as f64 / n as f64)
    }

    /// Two-sided p-value of [`McNemar::corrected_chi_squared`] on one degree of freedom.
    pub fn chi_squared_p_value(&self) -> Option<f64> {
        self.corrected_chi_squared().map(|value| 2.0 * normal::upper_tail(value.sqrt()))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    #[test]
    fn small_tables_by_hand() {
        let test = McNemar { n_first_only: 1, n_second_only: 5 };
        assert!((test.exact_p_value().unwrap() - 2.0 * 7.0 / 64.0).abs() < 1e-15);
        assert_eq!(test.corrected_chi_squared(), Some(1.5));
        let even = McNemar { n_first_only: 3, n_second_only: 3 };
        assert_eq!((even.exact_p_value(), even.chi_squared_p_value()), (Some(1.0), Some(1.0)));
        let none = McNemar::new(&[true, false], &[true, false]).unwrap();
        assert_eq!((none.exact_p_value(), none.chi_squared_p_value()), (None, None));
        let some = McNemar::new(&[true, true, false], &[false, false, true]).unwrap();
        assert_eq!(some, McNemar { n_first_only: 2, n_second_only: 1 });
        assert!(McNemar::new(&[true], &[]).is_err());
    }
}
