use crate::MetricError;
use crate::error::check_parallel;

/// How strange calibration cases of one class are to it, for p-values of the hypothesis that another case is of that
/// class: class-conditional conformal prediction (Vovk, Asian Conference on Machine Learning 2012, section 3), with
/// case weights under covariate shift (Tibshirani et al., NeurIPS 2019, eq. 7).
///
/// The set of all classes with a p-value above ε misses the true one of at most a share ε of the cases of each class
/// that are exchangeable with the calibration cases; with weights, of those of the domain toward which these weigh.
#[derive(Debug, Clone, PartialEq)]
pub struct ConformalScores {
    /// Ascending, each with the sum of its weight and all above it.
    scores: Vec<(f64, f64)>,
    weight_of_case: f64,
}

impl ConformalScores {
    /// Of calibration cases: a score each, the higher the stranger, and a weight. `weight_of_case` is that of a case
    /// in question. One that is larger than the case's own makes p-values larger and keeps the promise: where weights
    /// have a limit, that will do for every case.
    ///
    /// # Errors
    /// [`MetricError::LengthMismatch`]; [`MetricError::NotANumber`]; [`MetricError::OutOfRange`] for a weight that is
    /// negative or not finite.
    pub fn new(scores: &[f64], weights: &[f64], weight_of_case: f64) -> Result<Self, MetricError> {
        check_parallel(scores, weights.len())?;
        let all = weights.iter().chain([&weight_of_case]).enumerate();
        if let Some((index, value)) = all.into_iter().find(|(_, w)| !(w.is_finite() && **w >= 0.0))
        {
            let range = "0 and above";
            return Err(MetricError::OutOfRange { index, value: *value, range });
        }
        let mut scores: Vec<(f64, f64)> =
            scores.iter().copied().zip(weights.iter().copied()).collect();
        scores.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut above = 0.0;
        for (_, weight) in scores.iter_mut().rev() {
            above += *weight;
            *weight = above;
        }
        Ok(Self { scores, weight_of_case })
    }

    /// The weighted share of calibration cases, the one in question among them, that are as strange or stranger. 1
    /// without calibration cases: nothing speaks against the class then.
    pub fn p_value(&self, score: f64) -> f64 {
        let as_strange = self.scores.partition_point(|(other, _)| *other < score);
        let above = self.scores.get(as_strange).map_or(0.0, |(_, above)| *above);
        let all = self.scores.first().map_or(0.0, |(_, all)| *all) + self.weight_of_case;
        match all > 0.0 {
            true => (above + self.weight_of_case) / all,
            false => 1.0,
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_p_value_is_the_share_that_is_as_strange() {
        let scores = ConformalScores::new(&[3.0, 1.0, 2.0, 2.0], &[1.0; 4], 1.0).unwrap();
        let found = [0.5, 1.0, 2.0, 2.5, 3.0, 9.0].map(|score| scores.p_value(score));
        assert_eq!(found, [1.0, 1.0, 0.8, 0.4, 0.4, 0.2]);
    }

    #[test]
    fn weights_count_and_a_heavier_case_is_told_less() {
        let at = |weight_of_case| {
            let scores =
                ConformalScores::new(&[1.0, 2.0, 3.0], &[1.0, 2.0, 4.0], weight_of_case).unwrap();
            [1.5, 3.5].map(|score| scores.p_value(score))
        };
        assert_eq!(at(1.0), [7.0 / 8.0, 1.0 / 8.0]);
        assert_eq!(at(3.0), [9.0 / 10.0, 3.0 / 10.0]);
    }

    #[test]
    fn without_calibration_cases_nothing_is_excluded() {
        assert_eq!(ConformalScores::new(&[], &[], 1.0).unwrap().p_value(9.0), 1.0);
        assert_eq!(ConformalScores::new(&[], &[], 0.0).unwrap().p_value(9.0), 1.0);
        assert!(ConformalScores::new(&[1.0], &[], 1.0).is_err());
        assert!(ConformalScores::new(&[f64::NAN], &[1.0], 1.0).is_err());
        let negative = ConformalScores::new(&[1.0], &[-1.0], 1.0);
        assert!(matches!(negative, Err(MetricError::OutOfRange { index: 0, .. })));
    }

    proptest! {
        /// Of exchangeable cases, each in turn in question, a share of at most ε has a p-value of at most ε: the
        /// promise itself, exact for every ε.
        #[test]
        fn p_values_keep_their_promise(scores in prop::collection::vec(-3..3i32, 2..30), miss in 0.0..1.0f64) {
            let scores: Vec<f64> = scores.into_iter().map(f64::from).collect();
            let p_value_of = |left_out: usize| {
                let mut others = scores.clone();
                let score = others.remove(left_out);
                let weights = vec![1.0; others.len()];
                ConformalScores::new(&others, &weights, 1.0).unwrap().p_value(score)
            };
            let missed = (0..scores.len()).filter(|i| p_value_of(*i) <= miss).count();
            prop_assert!(missed as f64 <= miss * scores.len() as f64 + 1e-9);
        }

        /// The same of cases that are met in proportion to their weight.
        #[test]
        fn weighted_p_values_keep_their_promise(
            cases in prop::collection::vec((-3..3i32, 0.1..5.0f64), 2..30), miss in 0.0..1.0f64,
        ) {
            let missed = |left_out: usize| {
                let mut others = cases.clone();
                let (score, weight) = others.remove(left_out);
                let (scores, weights): (Vec<f64>, Vec<f64>) =
                    others.into_iter().map(|(score, weight)| (f64::from(score), weight)).unzip();
                let scores = ConformalScores::new(&scores, &weights, weight).unwrap();
                if scores.p_value(f64::from(score)) <= miss { weight } else { 0.0 }
            };
            let all: f64 = cases.iter().map(|(_, weight)| weight).sum();
            let missed: f64 = (0..cases.len()).map(missed).sum();
            prop_assert!(missed <= miss * all + 1e-9);
        }
    }
}
