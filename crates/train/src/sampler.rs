use std::collections::BTreeMap;

use hemex_stage::DrawKey;
use rand::RngExt;
use serde::Deserialize;

use crate::TrainError;

/// How often the classes are drawn; within a class, cases are drawn in proportion to their weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SamplerKind {
    /// As often as they are met: cases in proportion to their weight alone.
    Instance,
    /// In proportion to the square roots of their weights (Mahajan et al., ECCV 2018, section 2.2).
    SquareRoot,
    /// In proportion to their effective numbers of cases, `(1 − β^n) / (1 − β)` (Cui et al., CVPR 2019, eq. 2).
    EffectiveNumber,
    /// Equally often.
    ClassBalanced,
    /// Each class of each site equally often, so that neither tells the other.
    SiteClassBalanced,
}

/// How it comes that cases count by the shares of a [`SamplerKind`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Balancing {
    /// They are drawn so: the mask is learnt from the same windows.
    Resampling,
    /// All are drawn equally often, and the loss of growth counts them so: the mask is learnt from all cases alike.
    Reweighting,
}

/// What is known of a case that is drawn.
#[derive(Debug, Clone, Copy)]
pub struct DrawnCase<'a> {
    /// Its label.
    pub growth: bool,
    /// Its domain-shift weight.
    pub weight: f64,
    /// Where it was scanned.
    pub site: &'a str,
}

/// Draws training cases, each draw under a key of its own.
#[derive(Debug, Clone)]
pub struct Sampler {
    /// Cumulative probabilities by case, in the cohort's order; ends at 1.
    cumulative: Vec<f64>,
    /// What a case counts in the loss of growth, mean 1 over the draws.
    weights: Vec<f64>,
    prior_logit: f64,
    prior_logit_offset: f64,
}

impl Sampler {
    /// A sampler of these cases; `beta` counts for effective numbers alone.
    ///
    /// Drawn so, a class has another prior than in the weighted cohort, and the network learns under that; the offset
    /// that restores the cohort's is the difference of the log-odds: log(Σ₁w / Σ₀w) where classes are balanced.
    ///
    /// # Errors
    /// [`TrainError::EmptyClass`] if a class has no case or no weight.
    pub fn new(kind: SamplerKind, beta: f64, cases: &[DrawnCase<'_>]) -> Result<Self, TrainError> {
        let group = |case: &DrawnCase<'_>| match kind {
            SamplerKind::SiteClassBalanced => (case.growth, case.site.to_owned()),
            _ => (case.growth, String::new()),
        };
        let mut groups: BTreeMap<(bool, String), Group> = BTreeMap::new();
        for case in cases.iter().filter(|case| case.weight > 0.0) {
            let group = groups.entry(group(case)).or_default();
            group.weight += case.weight;
            group.n += 1;
        }
        let total = |growth: bool, value: &dyn Fn(&Group) -> f64| {
            groups.iter().filter(|(key, _)| key.0 == growth).map(|(_, g)| value(g)).sum::<f64>()
        };
        for growth in [false, true] {
            if total(growth, &|g| g.weight) == 0.0 {
                return Err(TrainError::EmptyClass { class: u8::from(growth) });
            }
        }
        let share = |group: &Group| match kind {
            SamplerKind::Instance => group.weight,
            SamplerKind::SquareRoot => group.weight.sqrt(),
            SamplerKind::EffectiveNumber => effective_number(group.n, beta),
            SamplerKind::ClassBalanced | SamplerKind::SiteClassBalanced => 1.0,
        };
        let sum_of_shares = total(false, &share) + total(true, &share);
        let mut sum = 0.0;
        let cumulative = cases.iter().map(|case| {
            if let Some(group) = groups.get(&group(case)) {
                sum += share(group) / sum_of_shares * case.weight / group.weight;
            }
            sum
        });
        let cumulative = cumulative.collect();
        let log_odds =
            |value: &dyn Fn(&Group) -> f64| (total(true, value) / total(false, value)).ln();
        let prior_logit = log_odds(&|g| g.weight);
        let prior_logit_offset = match kind {
            SamplerKind::Instance => 0.0,
            _ => prior_logit - log_odds(&share),
        };
        let weights = vec![1.0; cases.len()];
        Ok(Self { cumulative, weights, prior_logit, prior_logit_offset })
    }

    /// The same shares, brought about otherwise.
    #[must_use]
    pub fn by(self, balancing: Balancing) -> Self {
        if balancing == Balancing::Resampling {
            return self;
        }
        let n = self.cumulative.len() as f64;
        let before = std::iter::once(0.0).chain(self.cumulative.iter().copied());
        let weights = self.cumulative.iter().zip(before).map(|(sum, before)| n * (sum - before));
        let cumulative = (1..=self.cumulative.len()).map(|i| i as f64 / n).collect();
        Self { weights: weights.collect(), cumulative, ..self }
    }

    /// What the case of this index counts in the loss of growth.
    pub fn weight(&self, case_idx: usize) -> f64 {
        self.weights[case_idx]
    }

    /// Index of the case of this draw.
    pub fn draw(&self, key: &DrawKey) -> usize {
        let u: f64 = key.rng().random();
        // Rounding may leave the last sum a little below 1.
        self.cumulative.partition_point(|sum| *sum <= u).min(self.cumulative.len() - 1)
    }

    /// Log-odds of growth in the weighted cohort.
    pub fn prior_logit(&self) -> f64 {
        self.prior_logit
    }

    /// What is added to a growth logit so that it speaks of the true prior.
    pub fn prior_logit_offset(&self) -> f64 {
        self.prior_logit_offset
    }
}

/// Cases that share one probability of being drawn from.
#[derive(Default)]
struct Group {
    /// Of all its cases together.
    weight: f64,
    n: usize,
}

fn effective_number(n: usize, beta: f64) -> f64 {
    (1.0 - beta.powf(n as f64)) / (1.0 - beta)
}

/// Class weights in inverse proportion to the effective numbers of cases, `w_c ∝ (1 − β) / (1 − β^n_c)`, mean 1 (Cui
/// et al., CVPR 2019, eq. 2).
///
/// # Errors
/// [`TrainError::EmptyClass`] if any `n_c` is 0: a weight for an unseen class would be invented.
pub fn effective_number_weights(n_cases: [usize; 2], beta: f64) -> Result<[f64; 2], TrainError> {
    if let Some(class) = n_cases.iter().position(|n| *n == 0) {
        return Err(TrainError::EmptyClass { class: class as u8 });
    }
    let weights = n_cases.map(|n| 1.0 / effective_number(n, beta));
    let mean = (weights[0] + weights[1]) / 2.0;
    Ok(weights.map(|weight| weight / mean))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    fn counts(sampler: &Sampler, n_draws: usize) -> Vec<f64> {
        let mut counts = vec![0.0; sampler.cumulative.len()];
        for i in 0..n_draws {
            counts[sampler.draw(&DrawKey::new(7, "test").repeat(i))] += 1.0 / n_draws as f64;
        }
        counts
    }

    fn case(growth: bool, weight: f64, site: &str) -> DrawnCase<'_> {
        DrawnCase { growth, weight, site }
    }

    fn cases() -> [DrawnCase<'static>; 4] {
        let stable = |weight, site| case(false, weight, site);
        [case(true, 1.0, "A"), stable(1.0, "A"), stable(2.0, "B"), stable(0.0, "B")]
    }

    fn assert_drawn(kind: SamplerKind, beta: f64, cases: &[DrawnCase<'_>], expected: &[f64]) {
        let sampler = Sampler::new(kind, beta, cases).unwrap();
        let n = 40_000;
        // Four standard deviations of a share of one half.
        let tolerance = 4.0 * (0.25 / n as f64).sqrt();
        for (found, expected) in counts(&sampler, n).iter().zip(expected) {
            assert!((found - expected).abs() < tolerance, "{kind:?}: {found} for {expected}");
        }
        // The network learns under the prior of the draws; the offset leads back to that of the weights.
        let share = |value: &dyn Fn(usize) -> f64, growth: bool| {
            (0..cases.len()).filter(|i| cases[*i].growth == growth).map(value).sum::<f64>()
        };
        let log_odds =
            |value: &dyn Fn(usize) -> f64| (share(value, true) / share(value, false)).ln();
        let offset = log_odds(&|i| cases[i].weight) - log_odds(&|i| expected[i]);
        assert!((sampler.prior_logit_offset() - offset).abs() < 1e-12, "{kind:?}");
        assert!((sampler.prior_logit() - log_odds(&|i| cases[i].weight)).abs() < 1e-12);
    }

    #[test]
    fn classes_are_drawn_equally_and_cases_by_weight() {
        let expected = [0.5, 1.0 / 6.0, 1.0 / 3.0, 0.0];
        assert_drawn(SamplerKind::ClassBalanced, 0.0, &cases(), &expected);
    }

    #[test]
    fn instances_are_drawn_by_weight_and_need_no_offset() {
        assert_drawn(SamplerKind::Instance, 0.0, &cases(), &[0.25, 0.25, 0.5, 0.0]);
        let sampler = Sampler::new(SamplerKind::Instance, 0.0, &cases()).unwrap();
        assert_eq!(sampler.prior_logit_offset(), 0.0);
    }

    #[test]
    fn reweighting_counts_each_case_as_resampling_draws_it() {
        let drawn = Sampler::new(SamplerKind::ClassBalanced, 0.0, &cases()).unwrap();
        let weighted = drawn.clone().by(Balancing::Reweighting);
        let often = counts(&weighted, 40_000);
        for (i, share) in [0.5, 1.0 / 6.0, 1.0 / 3.0, 0.0].into_iter().enumerate() {
            // Four standard deviations of a share of a quarter of 40,000 draws.
            assert!((often[i] - 0.25).abs() < 0.0087, "{often:?}");
            assert!((weighted.weight(i) - 4.0 * share).abs() < 1e-12, "{weighted:?}");
            assert_eq!(drawn.weight(i), 1.0);
        }
        // What the network learns of the prior is the same.
        assert_eq!(weighted.prior_logit_offset(), drawn.prior_logit_offset());
    }

    #[test]
    fn roots_and_effective_numbers_lie_between_both() {
        // Weights 1 and 3: the growing class is drawn with 1 / (1 + √3).
        let root = 1.0 / (1.0 + 3f64.sqrt());
        let stable = |share: f64| [(1.0 - share) / 3.0, (1.0 - share) * 2.0 / 3.0];
        let [a, b] = stable(root);
        assert_drawn(SamplerKind::SquareRoot, 0.0, &cases(), &[root, a, b, 0.0]);
        // One case and two with weight: effective numbers 1 and 1 + β.
        let share = 1.0 / 2.5;
        let [a, b] = stable(share);
        assert_drawn(SamplerKind::EffectiveNumber, 0.5, &cases(), &[share, a, b, 0.0]);
    }

    #[test]
    fn each_class_of_each_site_is_drawn_equally() {
        // Three groups: growing of A, stable of A, stable of B.
        let third = 1.0 / 3.0;
        assert_drawn(SamplerKind::SiteClassBalanced, 0.0, &cases(), &[third, third, third, 0.0]);
    }

    #[test]
    fn a_missing_class_is_an_error() {
        let alike = [case(true, 1.0, "A"), case(true, 1.0, "A"), case(false, 0.0, "A")];
        let one_class = Sampler::new(SamplerKind::Instance, 0.0, &alike);
        assert!(matches!(one_class, Err(TrainError::EmptyClass { class: 0 })));
        assert!(matches!(
            effective_number_weights([3, 0], 0.9),
            Err(TrainError::EmptyClass { class: 1 })
        ));
    }

    #[test]
    fn effective_numbers_follow_the_formula() {
        // β = 0.5, n = 1 and 2: (1 − β) / (1 − β^n) = 1 and 2/3, mean 5/6.
        let [a, b] = effective_number_weights([1, 2], 0.5).unwrap();
        assert!((a - 1.2).abs() < 1e-12 && (b - 0.8).abs() < 1e-12, "{a} {b}");
    }
}
