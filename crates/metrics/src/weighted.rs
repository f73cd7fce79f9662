use crate::error::{check_lengths, check_parallel};
use crate::{MetricError, Recalibration};

/// Cases that stand for more or fewer than one case each: importance weights of a domain shift,
/// inverse sampling rates.
///
/// Every figure is that of a cohort in which a case occurs as often as its weight says; weights of 1
/// give the unweighted figure, and multiplying all by a constant changes nothing. A weight of 0 leaves
/// a case out: a class whose weights are all 0 has no case.
#[derive(Debug, Clone, PartialEq)]
pub struct WeightedCases {
    scores: Vec<f64>,
    labels: Vec<bool>,
    weights: Vec<f64>,
    // Cases by rising score.
    order: Vec<usize>,
}

impl WeightedCases {
    /// Puts scores, labels and weights together.
    ///
    /// # Errors
    /// [`MetricError::LengthMismatch`], [`MetricError::NotANumber`] for a score,
    /// [`MetricError::OutOfRange`] for a weight that is negative or not finite.
    pub fn new(scores: &[f64], labels: &[bool], weights: &[f64]) -> Result<Self, MetricError> {
        check_parallel(scores, labels.len())?;
        check_lengths(weights.len(), labels.len())?;
        if let Some(index) = weights.iter().position(|w| !(*w >= 0.0 && w.is_finite())) {
            let range = "[0, ∞)";
            return Err(MetricError::OutOfRange { index, value: weights[index], range });
        }
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|a, b| scores[*a].total_cmp(&scores[*b]));
        Ok(Self {
            scores: scores.to_vec(),
            labels: labels.to_vec(),
            weights: weights.to_vec(),
            order,
        })
    }

    /// Kish's effective sample size `(Σw)² / Σw²` (Survey Sampling, 1965): so many equally weighted
    /// cases tell as much. `None` if all weights are 0.
    pub fn effective_sample_size(&self) -> Option<f64> {
        effective_sample_size(&self.weights)
    }

    /// The effective sample size of a class alone; `None` if it has no weight.
    pub fn effective_sample_size_of(&self, label: bool) -> Option<f64> {
        let of_class: Vec<f64> = (0..self.weights.len())
            .filter(|i| self.labels[*i] == label)
            .map(|i| self.weights[i])
            .collect();
        effective_sample_size(&of_class)
    }

    /// Weighted share of the positive class; `None` if all weights are 0.
    pub fn prevalence(&self) -> Option<f64> {
        let [negative, positive] = self.class_weights();
        (negative + positive > 0.0).then(|| positive / (negative + positive))
    }

    /// AUROC: the weighted share of pairs of a positive and a negative case, each pair weighing the
    /// product of its two, in which the positive scores higher; a tie counts one half.
    ///
    /// # Errors
    /// [`MetricError::OneClass`] if a class has no weight.
    pub fn auroc(&self) -> Result<f64, MetricError> {
        let [n_negative, n_positive] = self.checked_class_weights()?;
        let (mut below, mut wins) = (0.0, 0.0);
        self.for_each_score(|_, [negative, positive]| {
            wins += positive * (below + 0.5 * negative);
            below += negative;
        });
        // Rounding must not lift a perfect ranking above 1.
        Ok((wins / (n_negative * n_positive)).clamp(0.0, 1.0))
    }

    /// Average precision as [`average_precision`](crate::average_precision()) has it.
    ///
    /// # Errors
    /// [`MetricError::OneClass`] if a class has no weight.
    pub fn average_precision(&self) -> Result<f64, MetricError> {
        let [_, n_positive] = self.checked_class_weights()?;
        let mut groups = Vec::new();
        self.for_each_score(|_, group| groups.push(group));
        let (mut above, mut sum) = ([0.0, 0.0], 0.0);
        for [negative, positive] in groups.into_iter().rev() {
            above = [above[0] + negative, above[1] + positive];
            if positive > 0.0 {
                sum += positive * above[1] / (above[0] + above[1]);
            }
        }
        Ok((sum / n_positive).clamp(0.0, 1.0))
    }

    /// Weighted mean squared distance between probability and outcome.
    ///
    /// # Errors
    /// [`MetricError::OutOfRange`] if a score is no probability, [`MetricError::TooFew`] if all
    /// weights are 0.
    pub fn brier(&self) -> Result<f64, MetricError> {
        self.mean(|p, label| (p - f64::from(u8::from(label))).powi(2))
    }

    /// Weighted mean negative log-likelihood of the outcomes, natural logarithm. Infinite if a
    /// probability of exactly 0 or 1 was wrong in a case with weight.
    ///
    /// # Errors
    /// As [`WeightedCases::brier`].
    pub fn log_loss(&self) -> Result<f64, MetricError> {
        self.mean(|p, label| if label { -p.ln() } else { -(-p).ln_1p() })
    }

    /// Logistic recalibration by weighted maximum likelihood.
    ///
    /// # Errors
    /// As [`Recalibration::fit`], of the cases with weight.
    pub fn recalibration(&self) -> Result<Recalibration, MetricError> {
        Recalibration::fit_weighted(&self.scores, &self.labels, &self.weights)
    }

    /// Expected calibration error over `n_bins` of equal width (limits as in
    /// [`equal_width_bins`](crate::equal_width_bins)): the weighted mean distance between a bin's mean
    /// probability and its share of positives, both weighted.
    ///
    /// # Errors
    /// As [`WeightedCases::brier`]; [`MetricError::TooFew`] for 0 bins.
    pub fn expected_calibration_error(&self, n_bins: usize) -> Result<f64, MetricError> {
        self.check_probabilities()?;
        if n_bins == 0 {
            return Err(MetricError::TooFew { what: "bins", needed: 1, found: 0 });
        }
        // Weighted sum of probability less outcome: a bin's distance times its weight.
        let mut excess = vec![0.0; n_bins];
        self.for_each_score(|p, [negative, positive]| {
            let place = ((p * n_bins as f64) as usize).min(n_bins - 1);
            excess[place] += p * (negative + positive) - positive;
        });
        let total: f64 = self.class_weights().iter().sum();
        if total == 0.0 {
            return Err(MetricError::TooFew { what: "cases with weight", needed: 1, found: 0 });
        }
        Ok(excess.iter().map(|sum| sum.abs()).sum::<f64>() / total)
    }

    /// Checks that every score is a probability.
    pub(crate) fn check_probabilities(&self) -> Result<(), MetricError> {
        match self.scores.iter().position(|p| !(0.0..=1.0).contains(p)) {
            Some(index) => {
                Err(MetricError::OutOfRange { index, value: self.scores[index], range: "[0, 1]" })
            }
            None => Ok(()),
        }
    }

    /// Weight of the negative and of the positive class.
    pub(crate) fn class_weights(&self) -> [f64; 2] {
        let mut sums = [0.0; 2];
        for (label, weight) in self.labels.iter().zip(&self.weights) {
            sums[usize::from(*label)] += weight;
        }
        sums
    }

    /// Calls `visit(score, [negative, positive])` with the weights at each score, lowest score first.
    pub(crate) fn for_each_score(&self, mut visit: impl FnMut(f64, [f64; 2])) {
        for tied in self.order.chunk_by(|a, b| self.scores[*a] == self.scores[*b]) {
            let mut sums = [0.0; 2];
            for &case in tied {
                sums[usize::from(self.labels[case])] += self.weights[case];
            }
            visit(self.scores[tied[0]], sums);
        }
    }

    fn checked_class_weights(&self) -> Result<[f64; 2], MetricError> {
        let sums = self.class_weights();
        if sums.contains(&0.0) {
            let n = |class: bool| {
                self.labels
                    .iter()
                    .zip(&self.weights)
                    .filter(|(l, w)| **l == class && **w > 0.0)
                    .count()
            };
            return Err(MetricError::OneClass { n_positive: n(true), n_negative: n(false) });
        }
        Ok(sums)
    }

    fn mean(&self, value: impl Fn(f64, bool) -> f64) -> Result<f64, MetricError> {
        self.check_probabilities()?;
        let (mut sum, mut total) = (0.0, 0.0);
        for ((p, label), weight) in self.scores.iter().zip(&self.labels).zip(&self.weights) {
            // A case without weight must not turn an infinite loss into NaN.
            if *weight > 0.0 {
                sum += weight * value(*p, *label);
                total += weight;
            }
        }
        if total == 0.0 {
            return Err(MetricError::TooFew { what: "cases with weight", needed: 1, found: 0 });
        }
        Ok(sum / total)
    }
}

fn effective_sample_size(weights: &[f64]) -> Option<f64> {
    let (sum, squares) =
        weights.iter().fold((0.0, 0.0), |(sum, squares), w| (sum + w, squares + w * w));
    (squares > 0.0).then(|| sum * sum / squares)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;
    use crate::roc::tests::{FIRST, labels};
    use crate::{
        Confidence, auroc, average_precision, brier, equal_width_bins, expected_calibration_error,
        log_loss,
    };

    #[test]
    fn a_weight_is_a_repetition() {
        let weights: Vec<f64> = (0..20).map(|i| f64::from(i % 4)).collect();
        let (mut scores, mut repeated) = (Vec::new(), Vec::new());
        for (i, (score, label)) in FIRST.iter().zip(labels()).enumerate() {
            scores.extend(std::iter::repeat_n(*score, i % 4));
            repeated.extend(std::iter::repeat_n(label, i % 4));
        }
        let cases = WeightedCases::new(&FIRST, &labels(), &weights).unwrap();
        let close = |a: Result<f64, MetricError>, b: Result<f64, MetricError>| {
            assert!((a.unwrap() - b.unwrap()).abs() < 1e-14);
        };
        close(cases.auroc(), auroc(&scores, &repeated));
        close(cases.average_precision(), average_precision(&scores, &repeated));
        close(cases.brier(), brier(&scores, &repeated));
        close(cases.log_loss(), log_loss(&scores, &repeated));
        let bins = equal_width_bins(&scores, &repeated, 4, Confidence::P95).unwrap();
        close(cases.expected_calibration_error(4), Ok(expected_calibration_error(&bins)));
        let (a, b) =
            (cases.recalibration().unwrap(), Recalibration::fit(&scores, &repeated).unwrap());
        assert!((a.slope - b.slope).abs() < 1e-8 && (a.intercept - b.intercept).abs() < 1e-8);
    }

    #[test]
    fn a_tie_counts_one_half_of_its_weight() {
        let cases = WeightedCases::new(
            &[0.5, 0.5, 0.2, 0.7],
            &[true, false, false, false],
            &[2.0, 3.0, 1.0, 4.0],
        );
        // Of eight parts of negative weight one lies below and three are tied.
        assert_eq!(cases.unwrap().auroc(), Ok((1.0 + 0.5 * 3.0) / 8.0));
    }

    #[test]
    fn kish_counts_equal_weights_in_full() {
        let of = |w: &[f64]| {
            WeightedCases::new(&vec![0.5; w.len()], &vec![true; w.len()], w)
                .unwrap()
                .effective_sample_size()
        };
        assert_eq!(of(&[3.0; 7]), Some(7.0));
        assert_eq!(of(&[1.0, 3.0]), Some(1.6));
        assert_eq!((of(&[0.0, 2.0]), of(&[0.0]), of(&[])), (Some(1.0), None, None));
        let cases =
            WeightedCases::new(&[0.1, 0.2, 0.3], &[true, false, true], &[1.0, 2.0, 3.0]).unwrap();
        assert_eq!(cases.effective_sample_size_of(true), Some(1.6));
        assert_eq!(cases.effective_sample_size_of(false), Some(1.0));
        assert_eq!(cases.prevalence(), Some(4.0 / 6.0));
    }

    #[test]
    fn a_class_without_weight_is_no_class() {
        let cases = WeightedCases::new(&[0.1, 0.9], &[false, true], &[0.0, 1.0]).unwrap();
        let one = MetricError::OneClass { n_positive: 1, n_negative: 0 };
        assert_eq!(cases.auroc(), Err(one.clone()));
        assert_eq!(cases.average_precision(), Err(one));
        assert!(cases.recalibration().is_err());
        // The certain and wrong case weighs nothing.
        let cases = WeightedCases::new(&[1.0, 0.5], &[false, true], &[0.0, 1.0]).unwrap();
        assert_eq!(cases.log_loss(), Ok(std::f64::consts::LN_2));
        let none = WeightedCases::new(&[0.5], &[true], &[0.0]).unwrap();
        assert!(matches!(none.brier(), Err(MetricError::TooFew { .. })));
        assert_eq!(none.prevalence(), None);
        assert!(matches!(none.expected_calibration_error(5), Err(MetricError::TooFew { .. })));
        assert!(cases.expected_calibration_error(0).is_err());
        for weight in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(WeightedCases::new(&[0.5], &[true], &[weight]).is_err(), "{weight}");
        }
    }
}
