use hemex_stage::DrawKey;
use rand::RngExt;
use serde::Deserialize;

use crate::TrainError;

/// How cases are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SamplerKind {
    /// In proportion to their weight.
    Instance,
    /// Classes equally often, cases within a class in proportion to their weight.
    ClassBalanced,
}

/// Draws training cases, each draw under a key of its own.
#[derive(Debug, Clone)]
pub struct Sampler {
    /// Cumulative probabilities by case, in the cohort's order; ends at 1.
    cumulative: Vec<f64>,
    prior_logit_offset: f64,
}

impl Sampler {
    /// A sampler of cases with these labels and domain-shift weights.
    ///
    /// With balanced classes the network learns under a prior of one half; the offset that restores
    /// the true prior of the weighted cohort is log(Σ₁w / Σ₀w).
    ///
    /// # Errors
    /// [`TrainError::EmptyClass`] if a class has no case or no weight.
    pub fn new(kind: SamplerKind, growth: &[bool], weights: &[f64]) -> Result<Self, TrainError> {
        let total = |class: bool| {
            let members = growth.iter().zip(weights).filter(|(label, _)| **label == class);
            members.map(|(_, weight)| weight).sum::<f64>()
        };
        let totals = [total(false), total(true)];
        if let Some(class) = totals.iter().position(|total| *total <= 0.0) {
            return Err(TrainError::EmptyClass { class: class as u8 });
        }
        let probability = |label: bool, weight: f64| match kind {
            SamplerKind::Instance => weight / (totals[0] + totals[1]),
            SamplerKind::ClassBalanced => 0.5 * weight / totals[usize::from(label)],
        };
        let mut sum = 0.0;
        let cumulative = growth.iter().zip(weights).map(|(label, weight)| {
            sum += probability(*label, *weight);
            sum
        });
        let cumulative = cumulative.collect();
        let prior_logit_offset = match kind {
            SamplerKind::Instance => 0.0,
            SamplerKind::ClassBalanced => (totals[1] / totals[0]).ln(),
        };
        Ok(Self { cumulative, prior_logit_offset })
    }

    /// Index of the case of this draw.
    pub fn draw(&self, key: &DrawKey) -> usize {
        let u: f64 = key.rng().random();
        // Rounding may leave the last sum a little below 1.
        self.cumulative.partition_point(|sum| *sum <= u).min(self.cumulative.len() - 1)
    }

    /// What is added to a growth logit so that it speaks of the true prior.
    pub fn prior_logit_offset(&self) -> f64 {
        self.prior_logit_offset
    }
}

/// Effective-number class weights `w_c ∝ (1 − β) / (1 − β^n_c)`, mean 1 (Cui et al., CVPR 2019, eq. 2).
///
/// # Errors
/// [`TrainError::EmptyClass`] if any `n_c` is 0: a weight for an unseen class would be invented.
pub fn effective_number_weights(n_cases: [usize; 2], beta: f64) -> Result<[f64; 2], TrainError> {
    if let Some(class) = n_cases.iter().position(|n| *n == 0) {
        return Err(TrainError::EmptyClass { class: class as u8 });
    }
    let weights = n_cases.map(|n| (1.0 - beta) / (1.0 - beta.powf(n as f64)));
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

    const GROWTH: [bool; 4] = [true, false, false, false];
    const WEIGHTS: [f64; 4] = [1.0, 1.0, 2.0, 0.0];

    #[test]
    fn classes_are_drawn_equally_and_cases_by_weight() {
        let sampler = Sampler::new(SamplerKind::ClassBalanced, &GROWTH, &WEIGHTS).unwrap();
        let n = 40_000;
        // Four standard deviations of a share of one half.
        let tolerance = 4.0 * (0.25 / n as f64).sqrt();
        for (found, expected) in counts(&sampler, n).iter().zip([0.5, 1.0 / 6.0, 1.0 / 3.0, 0.0]) {
            assert!((found - expected).abs() < tolerance, "{found} for {expected}");
        }
        assert!((sampler.prior_logit_offset() - (1.0f64 / 3.0).ln()).abs() < 1e-12);
    }

    #[test]
    fn instances_are_drawn_by_weight_and_need_no_offset() {
        let sampler = Sampler::new(SamplerKind::Instance, &GROWTH, &WEIGHTS).unwrap();
        let n = 40_000;
        let tolerance = 4.0 * (0.25 / n as f64).sqrt();
        for (found, expected) in counts(&sampler, n).iter().zip([0.25, 0.25, 0.5, 0.0]) {
            assert!((found - expected).abs() < tolerance, "{found} for {expected}");
        }
        assert_eq!(sampler.prior_logit_offset(), 0.0);
    }

    #[test]
    fn a_missing_class_is_an_error() {
        let one_class = Sampler::new(SamplerKind::Instance, &[true, true], &[1.0, 1.0]);
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
