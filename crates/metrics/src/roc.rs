use crate::error::{check_classes, check_parallel, check_parameter};
use crate::{MetricError, Ranking};

/// AUROC: the chance that a positive case scores above a negative one, a tie counting one half.
///
/// Scores may be infinite.
///
/// # Errors
/// [`MetricError::OneClass`] if a class has no case, [`MetricError::LengthMismatch`],
/// [`MetricError::NotANumber`].
pub fn auroc(scores: &[f64], labels: &[bool]) -> Result<f64, MetricError> {
    let ranking = Ranking::new(scores, labels)?;
    let (n_positive, n_negative) = check_classes(labels)?;
    ranking.auroc(&vec![1; labels.len()]).ok_or(MetricError::OneClass { n_positive, n_negative })
}

/// An operating point: cases with a score of at least `threshold` are called positive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RocPoint {
    /// The lowest score called positive; `+∞` at the first point, which calls none.
    pub threshold: f64,
    /// Share of the negative cases called positive.
    pub false_positive_rate: f64,
    /// Share of the positive cases called positive.
    pub sensitivity: f64,
}

impl RocPoint {
    /// Share of the negative cases called negative.
    pub fn specificity(&self) -> f64 {
        1.0 - self.false_positive_rate
    }
}

/// What shares of cases may miss a limit by, to rounding: 0.9 of ten cases is nine.
const ROUNDING: f64 = 1e-12;

/// The receiver operating characteristic: a point a distinct score, from (0, 0) to (1, 1).
#[derive(Debug, Clone, PartialEq)]
pub struct RocCurve {
    points: Vec<RocPoint>,
}

impl RocCurve {
    /// The curve of these cases.
    ///
    /// # Errors
    /// As [`auroc`].
    pub fn new(scores: &[f64], labels: &[bool]) -> Result<Self, MetricError> {
        check_parallel(scores, labels.len())?;
        let (n_positive, n_negative) = check_classes(labels)?;
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
        let mut points =
            vec![RocPoint { threshold: f64::INFINITY, false_positive_rate: 0.0, sensitivity: 0.0 }];
        let (mut positive, mut negative) = (0_usize, 0_usize);
        for (position, &case) in order.iter().enumerate() {
            positive += usize::from(labels[case]);
            negative += usize::from(!labels[case]);
            let next = order.get(position + 1);
            if next.is_none_or(|next| scores[*next] != scores[case]) {
                points.push(RocPoint {
                    threshold: scores[case],
                    false_positive_rate: negative as f64 / n_negative as f64,
                    sensitivity: positive as f64 / n_positive as f64,
                });
            }
        }
        Ok(Self { points })
    }

    /// The points, from the highest threshold to the lowest.
    pub fn points(&self) -> &[RocPoint] {
        &self.points
    }

    /// The point of highest sensitivity among those with at least `specificity`; of equal ones the most
    /// specific.
    ///
    /// Points of the empirical curve alone: a threshold that exists, nothing interpolated. Cases of one
    /// score are called alike, so that ties may leave the specificity well above the limit.
    ///
    /// # Errors
    /// [`MetricError::BadParameter`] for a specificity outside [0, 1].
    pub fn at_specificity(&self, specificity: f64) -> Result<RocPoint, MetricError> {
        check_parameter("the specificity", specificity, 0.0..=1.0, "[0, 1]")?;
        let mut best = self.points[0];
        for point in &self.points {
            if point.specificity() + ROUNDING >= specificity && point.sensitivity > best.sensitivity
            {
                best = *point;
            }
        }
        Ok(best)
    }

    /// The point of highest specificity among those with at least `sensitivity`; of equal ones the most
    /// sensitive. Points of the empirical curve alone, as in [`RocCurve::at_specificity`].
    ///
    /// # Errors
    /// [`MetricError::BadParameter`] for a sensitivity outside [0, 1].
    pub fn at_sensitivity(&self, sensitivity: f64) -> Result<RocPoint, MetricError> {
        check_parameter("the sensitivity", sensitivity, 0.0..=1.0, "[0, 1]")?;
        let mut best = self.points[self.points.len() - 1];
        for point in self.points.iter().rev() {
            if point.sensitivity + ROUNDING >= sensitivity
                && point.specificity() > best.specificity()
            {
                best = *point;
            }
        }
        Ok(best)
    }

    /// Sensitivity at a false-positive rate in [0, 1], linear between points; at a vertical step
    /// its upper end. For averaging curves of several models vertically.
    pub fn sensitivity_at(&self, false_positive_rate: f64) -> f64 {
        let above = self.points.partition_point(|p| p.false_positive_rate <= false_positive_rate);
        let Some(left) = above.checked_sub(1).map(|i| self.points[i]) else { return 0.0 };
        let Some(right) = self.points.get(above) else { return left.sensitivity };
        let width = right.false_positive_rate - left.false_positive_rate;
        let part = (false_positive_rate - left.false_positive_rate) / width;
        left.sensitivity + part * (right.sensitivity - left.sensitivity)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
pub(crate) mod tests {
    use super::*;

    /// The cases of tests/reference/metrics.py.
    pub(crate) const FIRST: [f64; 20] = [
        0.10, 0.35, 0.40, 0.20, 0.80, 0.35, 0.05, 0.65, 0.35, 0.50, 0.15, 0.90, 0.40, 0.70, 0.25,
        0.30, 0.60, 0.55, 0.45, 0.12,
    ];
    pub(crate) const SECOND: [f64; 20] = [
        0.30, 0.20, 0.60, 0.50, 0.70, 0.10, 0.25, 0.30, 0.55, 0.45, 0.35, 0.60, 0.65, 0.40, 0.15,
        0.22, 0.75, 0.80, 0.05, 0.33,
    ];
    pub(crate) fn labels() -> Vec<bool> {
        [0, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 1, 0, 1, 0, 0, 0, 1, 0, 0].map(|y| y == 1).to_vec()
    }

    #[test]
    fn auroc_agrees_with_scikit_learn() {
        assert!((auroc(&FIRST, &labels()).unwrap() - 0.8956043956043956).abs() < 1e-15);
        assert!((auroc(&SECOND, &labels()).unwrap() - 0.8076923076923077).abs() < 1e-15);
    }

    #[test]
    fn curve_agrees_with_scikit_learn() {
        let curve = RocCurve::new(&FIRST, &labels()).unwrap();
        let expected = [
            (f64::INFINITY, 0.0, 0.0),
            (0.9, 0.0, 0.14285714285714285),
            (0.8, 0.0, 0.2857142857142857),
            (0.7, 0.0, 0.42857142857142855),
            (0.65, 0.0, 0.5714285714285714),
            (0.6, 0.07692307692307693, 0.5714285714285714),
            (0.55, 0.07692307692307693, 0.7142857142857143),
        ];
        for (point, (threshold, fpr, sensitivity)) in curve.points().iter().zip(expected) {
            assert_eq!(point.threshold, threshold);
            assert!((point.false_positive_rate - fpr).abs() < 1e-15);
            assert!((point.sensitivity - sensitivity).abs() < 1e-15);
        }
        let last = curve.points().last().unwrap();
        assert_eq!((last.false_positive_rate, last.sensitivity), (1.0, 1.0));
    }

    #[test]
    fn area_under_the_curve_is_the_auroc() {
        let curve = RocCurve::new(&FIRST, &labels()).unwrap();
        let area: f64 = curve
            .points()
            .windows(2)
            .map(|p| {
                (p[1].false_positive_rate - p[0].false_positive_rate)
                    * (p[0].sensitivity + p[1].sensitivity)
                    / 2.0
            })
            .sum();
        assert!((area - 0.8956043956043956).abs() < 1e-14);
    }

    #[test]
    fn sensitivity_takes_the_upper_end_of_a_step() {
        let curve = RocCurve::new(&[0.9, 0.8, 0.7, 0.1], &[true, false, true, false]).unwrap();
        assert_eq!(curve.sensitivity_at(0.0), 0.5);
        assert_eq!(curve.sensitivity_at(0.25), 0.5);
        assert_eq!(curve.sensitivity_at(0.5), 1.0);
        assert_eq!(curve.sensitivity_at(1.0), 1.0);
        let tied = RocCurve::new(&[0.5, 0.5], &[true, false]).unwrap();
        assert_eq!(tied.sensitivity_at(0.25), 0.25);
    }

    #[test]
    fn operating_points_are_points_of_the_curve() {
        let curve = RocCurve::new(&FIRST, &labels()).unwrap();
        let point = curve.at_specificity(0.9).unwrap();
        assert_eq!((point.threshold, point.sensitivity), (0.55, 5.0 / 7.0));
        assert!((point.specificity() - 12.0 / 13.0).abs() < 1e-15);
        // Of the points with all positives found, the most specific; the way back finds it too.
        let point = curve.at_sensitivity(1.0).unwrap();
        assert_eq!((point.threshold, point.sensitivity), (0.35, 1.0));
        assert_eq!(curve.at_specificity(point.specificity()).unwrap(), point);
        assert_eq!(curve.at_specificity(1.0).unwrap().threshold, 0.65);
        assert_eq!(curve.at_sensitivity(0.0).unwrap().threshold, 0.65);
        let tied = RocCurve::new(&[0.5, 0.5], &[true, false]).unwrap();
        assert_eq!(tied.at_specificity(0.4).unwrap().sensitivity, 0.0);
        assert_eq!(tied.at_sensitivity(0.4).unwrap().sensitivity, 1.0);
        for limit in [-0.1, 1.1, f64::NAN] {
            assert!(curve.at_specificity(limit).is_err() && curve.at_sensitivity(limit).is_err());
        }
    }

    #[test]
    fn one_class_and_nan_are_errors() {
        let one = MetricError::OneClass { n_positive: 2, n_negative: 0 };
        assert_eq!(auroc(&[0.1, 0.2], &[true, true]), Err(one.clone()));
        assert_eq!(RocCurve::new(&[0.1, 0.2], &[true, true]), Err(one));
        assert_eq!(
            auroc(&[0.1, f64::NAN], &[true, false]),
            Err(MetricError::NotANumber { index: 1 })
        );
        assert_eq!(auroc(&[f64::NEG_INFINITY, 0.2], &[false, true]), Ok(1.0));
    }
}
