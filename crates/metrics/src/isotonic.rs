use crate::MetricError;
use crate::error::{check_classes, check_parallel};

/// The rising step function of a score that fits labels best, with straight lines between its steps: isotonic
/// calibration (Zadrozny and Elkan, KDD 2002, section 3) by pooling adjacent violators (Ayer et al., Ann Math Stat 26,
/// 1955, 641–647).
///
/// Cases of one score count as one. Between two neighbouring knots the share is to be interpolated, and beyond the lowest
/// and the highest it stays, as scikit-learn's `IsotonicRegression` predicts.
#[derive(Debug, Clone, PartialEq)]
pub struct Isotonic {
    /// Score and share of positives, both rising: the first and the last score of each step.
    knots: Vec<[f64; 2]>,
}

/// Scores that share a level.
#[derive(Clone, Copy)]
struct Step {
    first: f64,
    last: f64,
    n: f64,
    n_positive: f64,
}

impl Step {
    fn share(&self) -> f64 {
        self.n_positive / self.n
    }
}

impl Isotonic {
    /// Fits it; a value and a label a case.
    ///
    /// # Errors
    /// [`MetricError::OneClass`], [`MetricError::LengthMismatch`], [`MetricError::NotANumber`].
    pub fn fit(scores: &[f64], labels: &[bool]) -> Result<Self, MetricError> {
        check_parallel(scores, labels.len())?;
        check_classes(labels)?;
        let mut cases: Vec<(f64, bool)> =
            scores.iter().copied().zip(labels.iter().copied()).collect();
        cases.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut steps: Vec<Step> = Vec::new();
        for tied in cases.chunk_by(|a, b| a.0 == b.0) {
            let n_positive = tied.iter().filter(|(_, label)| *label).count() as f64;
            let score = tied[0].0;
            let mut step = Step { first: score, last: score, n: tied.len() as f64, n_positive };
            while let Some(before) = steps.pop_if(|before| before.share() >= step.share()) {
                step = Step {
                    first: before.first,
                    n: before.n + step.n,
                    n_positive: before.n_positive + step.n_positive,
                    ..step
                };
            }
            steps.push(step);
        }
        let ends = steps.iter().flat_map(|step| {
            let last = (step.last > step.first).then_some(step.last);
            std::iter::once(step.first).chain(last).map(|score| [score, step.share()])
        });
        Ok(Self { knots: ends.collect() })
    }

    /// Score and share at both ends of every step, rising; one knot for a step of one score.
    pub fn knots(&self) -> &[[f64; 2]] {
        &self.knots
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::roc::tests::{FIRST, labels};

    /// `isotonic` of `tests/reference/metrics.py`: scores and shares.
    const EXPECTED: [[f64; 2]; 8] = [
        [0.05, 0.0],
        [0.3, 0.0],
        [0.35, 2.0 / 7.0],
        [0.5, 2.0 / 7.0],
        [0.55, 0.5],
        [0.6, 0.5],
        [0.65, 1.0],
        [0.9, 1.0],
    ];

    #[test]
    fn agrees_with_scikit_learn() {
        let fit = Isotonic::fit(&FIRST, &labels()).unwrap();
        assert_eq!(fit.knots().len(), EXPECTED.len());
        for (found, expected) in fit.knots().iter().zip(EXPECTED) {
            assert!((found[0] - expected[0]).abs() < 1e-12, "{found:?} for {expected:?}");
            assert!((found[1] - expected[1]).abs() < 1e-12, "{found:?} for {expected:?}");
        }
    }

    #[test]
    fn cases_of_one_score_have_one_share_and_one_class_none() {
        let fit = Isotonic::fit(&[1.0, 1.0, 1.0, 2.0], &[true, false, false, true]).unwrap();
        assert_eq!(fit.knots(), [[1.0, 1.0 / 3.0], [2.0, 1.0]]);
        assert!(matches!(Isotonic::fit(&[1.0], &[true]), Err(MetricError::OneClass { .. })));
        assert!(Isotonic::fit(&[f64::NAN, 1.0], &[true, false]).is_err());
    }

    proptest! {
        /// Shares rise, and their mean is that of the labels.
        #[test]
        fn shares_rise_and_keep_the_mean(cases in prop::collection::vec((0..12i32, any::<bool>()), 2..60)) {
            let (scores, labels): (Vec<f64>, Vec<bool>) =
                cases.into_iter().map(|(score, label)| (f64::from(score), label)).unzip();
            prop_assume!(labels.contains(&true) && labels.contains(&false));
            let fit = Isotonic::fit(&scores, &labels).unwrap();
            prop_assert!(fit.knots().is_sorted_by(|a, b| a[0] < b[0] && a[1] <= b[1]));
            // Every knot from a step's first score to its last has the step's share.
            let share = |score: &f64| {
                let knot = fit.knots().iter().find(|[at, _]| at >= score);
                knot.map_or(0.0, |[_, share]| *share)
            };
            let shares: f64 = scores.iter().map(share).sum();
            let n_positive = labels.iter().filter(|label| **label).count() as f64;
            prop_assert!((shares - n_positive).abs() < 1e-9);
        }
    }
}
