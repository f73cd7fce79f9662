use crate::error::check_parameter;
use crate::{MetricError, WeightedCases};

/// Net benefit at a threshold probability (Vickers & Elkin, Medical Decision Making 2006): true minus
/// false positives a case, a false positive weighing the odds of the threshold. Treating none has 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NetBenefit {
    /// The probability from which on (included) a case is treated.
    pub threshold: f64,
    /// Of treating by the model.
    pub model: f64,
    /// Of treating all.
    pub all: f64,
}

impl NetBenefit {
    /// Net benefit over the better of treating all and none; below 0 the model does harm.
    pub fn gain(&self) -> f64 {
        self.model - self.all.max(0.0)
    }
}

/// Net benefit at each threshold, in their order.
///
/// Defined with one class too: without positives every treatment costs.
///
/// # Errors
/// [`MetricError::TooFew`] without a case, [`MetricError::OutOfRange`] for a probability outside
/// [0, 1], [`MetricError::BadParameter`] for a threshold outside (0, 1), else as
/// [`WeightedCases::new`].
pub fn decision_curve(
    probabilities: &[f64],
    labels: &[bool],
    thresholds: &[f64],
) -> Result<Vec<NetBenefit>, MetricError> {
    WeightedCases::new(probabilities, labels, &vec![1.0; labels.len()])?.decision_curve(thresholds)
}

impl WeightedCases {
    /// Weighted net benefit at each threshold, in their order.
    ///
    /// # Errors
    /// As [`decision_curve`]; [`MetricError::TooFew`] if all weights are 0.
    pub fn decision_curve(&self, thresholds: &[f64]) -> Result<Vec<NetBenefit>, MetricError> {
        self.check_probabilities()?;
        let [all_negative, all_positive] = self.class_weights();
        let total = all_negative + all_positive;
        if total == 0.0 {
            return Err(MetricError::TooFew { what: "cases with weight", needed: 1, found: 0 });
        }
        // Weights of both classes at and above each score, highest first.
        let mut groups = Vec::new();
        self.for_each_score(|score, weights| groups.push((score, weights)));
        let mut at_and_above = vec![[0.0; 2]; groups.len() + 1];
        for i in (0..groups.len()).rev() {
            at_and_above[i] = [0, 1].map(|class| at_and_above[i + 1][class] + groups[i].1[class]);
        }
        let benefit = |threshold: f64, [negative, positive]: [f64; 2]| {
            (positive - negative * threshold / (1.0 - threshold)) / total
        };
        thresholds
            .iter()
            .map(|&threshold| {
                let open = f64::MIN_POSITIVE..1.0;
                check_parameter("a decision threshold", threshold, open, "(0, 1)")?;
                let first = groups.partition_point(|(score, _)| *score < threshold);
                Ok(NetBenefit {
                    threshold,
                    model: benefit(threshold, at_and_above[first]),
                    all: benefit(threshold, [all_negative, all_positive]),
                })
            })
            .collect()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    #[test]
    fn net_benefit_by_hand() {
        let p = [0.1, 0.2, 0.2, 0.7];
        let y = [false, true, false, true];
        let curve = decision_curve(&p, &y, &[0.2, 0.5, 0.05, 0.9]).unwrap();
        // Two true and one false positive, a false one weighing 1 / 4.
        assert!((curve[0].model - (2.0 - 0.25) / 4.0).abs() < 1e-15);
        assert!((curve[0].all - (2.0 - 0.5) / 4.0).abs() < 1e-15);
        assert!((curve[0].gain() - 0.0625).abs() < 1e-15);
        assert_eq!((curve[1].model, curve[1].all, curve[1].gain()), (0.25, 0.0, 0.25));
        assert_eq!(curve[2].model, curve[2].all);
        assert_eq!(curve[3].model, 0.0);
        assert!(curve[3].all < 0.0 && curve[3].gain() == 0.0);
    }

    #[test]
    fn one_class_has_a_benefit_and_no_case_has_none() {
        assert!(decision_curve(&[0.9], &[false], &[0.5]).unwrap()[0].model < 0.0);
        assert!(matches!(decision_curve(&[], &[], &[0.5]), Err(MetricError::TooFew { .. })));
        assert!(decision_curve(&[1.5], &[true], &[0.5]).is_err());
        for threshold in [0.0, 1.0, f64::NAN] {
            let error = decision_curve(&[0.5], &[true], &[threshold]).unwrap_err();
            assert!(matches!(error, MetricError::BadParameter { .. }));
        }
    }
}
