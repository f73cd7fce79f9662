use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::MetricError;

/// A permutation test of the hypothesis that two models are exchangeable within each patient
/// (Fisher, The Design of Experiments, 1935; for ROC curves Venkatraman & Begg, Biometrika 1996).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PermutationTest {
    /// The difference as it is.
    pub observed: f64,
    /// Permutations at least as far from 0 as `observed`.
    pub n_as_extreme: u64,
    /// Permutations in which the difference is defined.
    pub n_defined: u64,
    /// Permutations in which it is not: they are no part of the p-value.
    pub n_undefined: u64,
    /// Whether all permutations were looked at, not a draw of them.
    pub is_exact: bool,
}

impl PermutationTest {
    /// Two-sided p-value: the share of all permutations at least as extreme, or with drawn ones
    /// `(extreme + 1) / (defined + 1)` (Phipson & Smyth 2010), which is never 0.
    pub fn p_value(&self) -> f64 {
        let more = u64::from(!self.is_exact);
        (self.n_as_extreme + more) as f64 / (self.n_defined + more) as f64
    }
}

/// Patients up to which all 2ⁿ permutations are looked at.
const N_EXACT: usize = 14;

/// Tests a paired difference by swapping the two models in some patients.
///
/// `difference(swapped)` is first minus second, with the two exchanged where `swapped[patient]`;
/// `None` where undefined. With up to 14 patients all 2ⁿ permutations are used, else `n_draws` drawn
/// ones: draw `i` from stream `i` of `seed`, whatever the number of threads. Values that differ from
/// the observed by less than 1e-12 of it count as extreme: sums depend on their order.
///
/// # Errors
/// [`MetricError::TooFew`] without a patient or (where they are drawn) a draw,
/// [`MetricError::NoDefinedDraw`] if the observed difference is undefined.
pub fn paired_permutation<S>(
    n_patients: usize,
    n_draws: u64,
    seed: u64,
    difference: S,
) -> Result<PermutationTest, MetricError>
where
    S: Fn(&[bool]) -> Option<f64> + Sync,
{
    if n_patients == 0 {
        return Err(MetricError::TooFew { what: "patients", needed: 1, found: 0 });
    }
    let is_exact = n_patients <= N_EXACT;
    let n = if is_exact { 1 << n_patients } else { n_draws };
    if n == 0 {
        return Err(MetricError::TooFew { what: "draws", needed: 1, found: 0 });
    }
    let defined = |swapped: &[bool]| difference(swapped).filter(|value| !value.is_nan());
    let observed =
        defined(&vec![false; n_patients]).ok_or(MetricError::NoDefinedDraw { n_draws: 1 })?;
    let limit = observed.abs() * (1.0 - 1e-12);
    let seeded = ChaCha8Rng::seed_from_u64(seed);
    let [n_as_extreme, n_defined] = (0..n)
        .into_par_iter()
        .map_init(
            || vec![false; n_patients],
            |swapped, draw| {
                let mut rng = seeded.clone();
                rng.set_stream(draw);
                for (patient, swapped) in swapped.iter_mut().enumerate() {
                    *swapped = if is_exact { draw >> patient & 1 == 1 } else { rng.random() };
                }
                match defined(swapped) {
                    Some(value) => [u64::from(value.abs() >= limit), 1],
                    None => [0, 0],
                }
            },
        )
        .reduce(|| [0, 0], |a, b| [a[0] + b[0], a[1] + b[1]]);
    Ok(PermutationTest { observed, n_as_extreme, n_defined, n_undefined: n - n_defined, is_exact })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    fn mean<'a>(differences: &'a [f64]) -> impl Fn(&[bool]) -> Option<f64> + Sync + 'a {
        |swapped| {
            let signed = differences.iter().zip(swapped).map(|(d, s)| if *s { -d } else { *d });
            Some(signed.sum::<f64>() / differences.len() as f64)
        }
    }

    #[test]
    fn few_patients_are_permuted_in_every_way() {
        let test = paired_permutation(4, 0, 0, mean(&[1.0, 2.0, 3.0, 4.0])).unwrap();
        // All four alike, to either side.
        assert_eq!((test.n_as_extreme, test.n_defined, test.p_value()), (2, 16, 0.125));
        let test = paired_permutation(3, 0, 0, mean(&[0.0; 3])).unwrap();
        assert_eq!(test.p_value(), 1.0);
    }

    #[test]
    fn drawn_permutations_come_near_a_normal_test() {
        let differences: Vec<f64> = (0..60).map(|i| f64::from(i * 17 % 31) - 12.0).collect();
        let squares: f64 = differences.iter().map(|d| d * d).sum();
        let z = differences.iter().sum::<f64>() / squares.sqrt();
        let test = paired_permutation(60, 20_000, 3, mean(&differences)).unwrap();
        let expected = 2.0 * crate::normal::upper_tail(z.abs());
        assert!((test.p_value() - expected).abs() < 0.01, "{} {expected}", test.p_value());
        assert!(!test.is_exact && test.n_undefined == 0);
        let again = paired_permutation(60, 20_000, 3, mean(&differences)).unwrap();
        assert_eq!(test, again);
    }

    #[test]
    fn undefined_permutations_are_counted() {
        let test =
            paired_permutation(2, 0, 0, |swapped| (!swapped[0] || swapped[1]).then_some(1.0))
                .unwrap();
        assert_eq!((test.n_defined, test.n_undefined, test.p_value()), (3, 1, 1.0));
        assert!(paired_permutation(2, 9, 0, |_| None).is_err());
        assert!(paired_permutation(0, 9, 0, |_| Some(1.0)).is_err());
        assert!(paired_permutation(20, 0, 0, |_| Some(1.0)).is_err());
    }
}
