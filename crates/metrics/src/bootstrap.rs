use std::collections::BTreeMap;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::{Confidence, Interval, MetricError};

/// Patients in groups within which they stand for each other in a draw.
///
/// Grouping by class (and by fold) keeps the number of each fixed, so that no draw loses a class.
#[derive(Debug, Clone)]
pub struct Strata {
    members: Vec<Vec<u32>>,
    n_patients: usize,
}

impl Strata {
    /// Patients `0..keys.len()`; those of one key form a stratum.
    pub fn new<K: Ord>(keys: &[K]) -> Self {
        let mut members: BTreeMap<&K, Vec<u32>> = BTreeMap::new();
        for (patient, key) in keys.iter().enumerate() {
            members.entry(key).or_default().push(patient as u32);
        }
        Self { members: members.into_values().collect(), n_patients: keys.len() }
    }

    /// How many patients there are in all.
    pub fn n_patients(&self) -> usize {
        self.n_patients
    }

    /// Draws with replacement as many patients of each stratum as it has; `n_drawn[p]` becomes how
    /// often patient `p` was drawn.
    fn draw(&self, rng: &mut ChaCha8Rng, n_drawn: &mut [u32]) {
        n_drawn.fill(0);
        for members in &self.members {
            let n = members.len() as u32;
            for _ in 0..n {
                let patient = members[rng.random_range(0..n) as usize];
                n_drawn[patient as usize] += 1;
            }
        }
    }
}

/// A stratified bootstrap over patients.
///
/// Draw `i` comes from stream `i` of a generator seeded with `seed`: the result does not depend on
/// the number of threads, and two statistics under the same seed and strata see the same draws, so
/// that their difference is paired ([`Distribution::minus`]).
#[derive(Debug, Clone, Copy)]
pub struct Bootstrap {
    /// How many draws.
    pub n_draws: usize,
    /// Seed of the draws.
    pub seed: u64,
}

impl Bootstrap {
    /// The statistic of each draw.
    ///
    /// `statistic` is given how often each patient was drawn (all of a patient's cases come and go
    /// together) and returns `None` where it is undefined.
    pub fn distribution<S>(&self, strata: &Strata, statistic: S) -> Distribution
    where
        S: Fn(&[u32]) -> Option<f64> + Sync,
    {
        let seeded = ChaCha8Rng::seed_from_u64(self.seed);
        let draws = (0..self.n_draws as u64)
            .into_par_iter()
            .map_init(
                || vec![0; strata.n_patients],
                |n_drawn, draw| {
                    let mut rng = seeded.clone();
                    rng.set_stream(draw);
                    strata.draw(&mut rng, n_drawn);
                    statistic(n_drawn).filter(|value| !value.is_nan())
                },
            )
            .collect();
        Distribution { draws }
    }
}

/// A statistic over bootstrap draws, in the order of the draws.
#[derive(Debug, Clone, PartialEq)]
pub struct Distribution {
    draws: Vec<Option<f64>>,
}

impl Distribution {
    /// How many draws were made.
    pub fn n_draws(&self) -> usize {
        self.draws.len()
    }

    /// In how many of them the statistic is undefined. They are no part of the interval, so a
    /// number above 0 belongs beside it.
    pub fn n_undefined(&self) -> usize {
        self.draws.iter().filter(|draw| draw.is_none()).count()
    }

    /// Percentile interval over the draws in which the statistic is defined, linear between order
    /// statistics (numpy's default).
    ///
    /// # Errors
    /// [`MetricError::NoDefinedDraw`].
    pub fn interval(&self, confidence: Confidence) -> Result<Interval, MetricError> {
        let sorted = self.sorted()?;
        let tail = 0.5 * (1.0 - confidence.value());
        Ok(Interval {
            low: percentile_of_sorted(&sorted, tail),
            high: percentile_of_sorted(&sorted, 1.0 - tail),
        })
    }

    /// The defined draws in rising order, at least one.
    pub(crate) fn sorted(&self) -> Result<Vec<f64>, MetricError> {
        let mut sorted: Vec<f64> = self.draws.iter().flatten().copied().collect();
        if sorted.is_empty() {
            return Err(MetricError::NoDefinedDraw { n_draws: self.draws.len() });
        }
        sorted.sort_by(f64::total_cmp);
        Ok(sorted)
    }

    /// The difference to another statistic over the same draws, undefined where either is.
    ///
    /// # Errors
    /// [`MetricError::LengthMismatch`] if the numbers of draws differ.
    pub fn minus(&self, other: &Self) -> Result<Self, MetricError> {
        if self.draws.len() != other.draws.len() {
            return Err(MetricError::LengthMismatch {
                n_values: self.draws.len(),
                n_labels: other.draws.len(),
            });
        }
        let draws = self.draws.iter().zip(&other.draws).map(|(a, b)| Some((*a)? - (*b)?)).collect();
        Ok(Self { draws })
    }

    /// Two-sided p-value of the hypothesis that the statistic is 0: twice the smaller share of draws
    /// on either side of it, at least `2 / (n + 1)` and at most 1 (Davison & Hinkley 1997, §4.2).
    ///
    /// # Errors
    /// [`MetricError::NoDefinedDraw`].
    pub fn p_value_of_zero(&self) -> Result<f64, MetricError> {
        let defined = || self.draws.iter().flatten();
        let n = defined().count();
        if n == 0 {
            return Err(MetricError::NoDefinedDraw { n_draws: self.draws.len() });
        }
        let below = defined().filter(|value| **value <= 0.0).count();
        let above = defined().filter(|value| **value >= 0.0).count();
        Ok((2.0 * (below.min(above) + 1) as f64 / (n + 1) as f64).min(1.0))
    }
}

/// Draws that were made elsewhere; a NaN is undefined.
impl FromIterator<Option<f64>> for Distribution {
    fn from_iter<I: IntoIterator<Item = Option<f64>>>(draws: I) -> Self {
        let defined = |draw: Option<f64>| draw.filter(|value| !value.is_nan());
        Self { draws: draws.into_iter().map(defined).collect() }
    }
}

/// The `fraction` percentile of sorted, non-empty values, linear between neighbours.
pub(crate) fn percentile_of_sorted(sorted: &[f64], fraction: f64) -> f64 {
    let position = fraction * (sorted.len() - 1) as f64;
    let (below, above) = (position.floor() as usize, position.ceil() as usize);
    // Without this, two infinite neighbours would differ by NaN.
    if sorted[below] == sorted[above] {
        return sorted[below];
    }
    sorted[below] + (position - below as f64) * (sorted[above] - sorted[below])
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    fn mean<'a>(values: &'a [f64]) -> impl Fn(&[u32]) -> Option<f64> + Sync + 'a {
        |n_drawn| {
            let sum: f64 = values.iter().zip(n_drawn).map(|(v, n)| v * f64::from(*n)).sum();
            Some(sum / values.len() as f64)
        }
    }

    #[test]
    fn a_draw_keeps_the_size_of_each_stratum() {
        let keys: Vec<usize> = (0..50).map(|i| i % 3).collect();
        let strata = Strata::new(&keys);
        let sizes = |n_drawn: &[u32], key| -> u32 {
            n_drawn.iter().zip(&keys).filter(|(_, k)| **k == key).map(|(n, _)| *n).sum()
        };
        let all_kept = Bootstrap { n_draws: 200, seed: 3 }.distribution(&strata, |n_drawn| {
            Some(f64::from(u8::from((0..3).all(|key| {
                sizes(n_drawn, key) as usize == keys.iter().filter(|k| **k == key).count()
            }))))
        });
        assert_eq!(all_kept.interval(Confidence::P95).unwrap(), Interval { low: 1.0, high: 1.0 });
    }

    #[test]
    fn interval_of_a_mean_has_the_width_of_theory() {
        let values: Vec<f64> = (0..400).map(|i| f64::from(i % 20)).collect();
        let strata = Strata::new(&[0; 400]);
        let bootstrap = Bootstrap { n_draws: 4000, seed: 1 };
        let interval =
            bootstrap.distribution(&strata, mean(&values)).interval(Confidence::P95).unwrap();
        let error = (399.0_f64 / 12.0 / 400.0).sqrt(); // variance of 0..20 is (20² − 1) / 12
        assert!(((interval.high - interval.low) / (2.0 * 1.96 * error) - 1.0).abs() < 0.05);
        assert!(interval.contains(9.5));
    }

    #[test]
    fn does_not_depend_on_the_number_of_threads() {
        let values: Vec<f64> = (0..30).map(|i| f64::from(i * i % 17)).collect();
        let strata = Strata::new(&[0; 30]);
        let bootstrap = Bootstrap { n_draws: 100, seed: 9 };
        let on = |n_threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
            pool.install(|| bootstrap.distribution(&strata, mean(&values)))
        };
        assert_eq!(on(1), on(4));
        let other = Bootstrap { seed: 10, ..bootstrap }.distribution(&strata, mean(&values));
        assert_ne!(on(1), other);
    }

    #[test]
    fn undefined_draws_are_counted() {
        let strata = Strata::new(&[0; 2]);
        let bootstrap = Bootstrap { n_draws: 1000, seed: 2 };
        // Undefined where patient 0 was not drawn: in a quarter of the draws.
        let some = bootstrap.distribution(&strata, |n| (n[0] > 0).then_some(1.0));
        assert!((200..300).contains(&some.n_undefined()), "{}", some.n_undefined());
        assert_eq!(some.interval(Confidence::P95).unwrap(), Interval { low: 1.0, high: 1.0 });
        let none = bootstrap.distribution(&strata, |_| None);
        assert_eq!(
            none.interval(Confidence::P95),
            Err(MetricError::NoDefinedDraw { n_draws: 1000 })
        );
        assert_eq!(some.minus(&none).unwrap().n_undefined(), 1000);
    }

    #[test]
    fn p_value_is_the_smaller_tail_twice() {
        let of = |draws: &[f64]| {
            Distribution { draws: draws.iter().map(|d| Some(*d)).collect() }
                .p_value_of_zero()
                .unwrap()
        };
        assert_eq!(of(&[1.0, 2.0, -1.0, 3.0, 4.0, 5.0, 6.0]), 2.0 * 2.0 / 8.0);
        assert_eq!(of(&[1.0; 9]), 0.2);
        assert_eq!(of(&[0.0; 9]), 1.0);
    }

    #[test]
    fn percentiles_are_linear_between_order_statistics() {
        let sorted = [1.0, 2.0, 4.0, 8.0];
        assert_eq!(percentile_of_sorted(&sorted, 0.5), 3.0);
        assert_eq!(percentile_of_sorted(&sorted, 1.0), 8.0);
        assert_eq!(percentile_of_sorted(&[5.0], 0.975), 5.0);
    }
}
