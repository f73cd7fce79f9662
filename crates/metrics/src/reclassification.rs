use crate::calibration::check_probabilities;
use crate::error::{check_classes, check_parameter};
use crate::{Confidence, Interval, MetricError, normal};

/// How a second model moves the cases of a first: net reclassification improvement (Pencina et al.,
/// Statistics in Medicine 2008, 27:157; category-free 2011, 30:11).
///
/// It rewards a badly calibrated second model (Hilden & Gerds, Statistics in Medicine 2014): report it
/// beside calibration and net benefit, never alone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reclassification {
    /// Positive cases that moved up, and down.
    pub n_positive_up_down: [usize; 2],
    /// Negative cases that moved up, and down.
    pub n_negative_up_down: [usize; 2],
    /// Cases of the positive class.
    pub n_positive: usize,
    /// Cases of the negative class.
    pub n_negative: usize,
}

impl Reclassification {
    /// Category-free: any rise is up, any fall down; an equal probability is neither.
    ///
    /// # Errors
    /// [`MetricError::OneClass`], [`MetricError::OutOfRange`] for a value outside [0, 1],
    /// [`MetricError::LengthMismatch`], [`MetricError::NotANumber`].
    pub fn category_free(
        first: &[f64],
        second: &[f64],
        labels: &[bool],
    ) -> Result<Self, MetricError> {
        Self::by(first, second, labels, |a, b| a.total_cmp(&b))
    }

    /// By categories of risk: `cuts` are their inner limits, rising; a probability on a limit belongs
    /// to the category above. Moves of several categories count once.
    ///
    /// # Errors
    /// As [`Reclassification::category_free`]; [`MetricError::BadParameter`] for a cut outside (0, 1)
    /// or not above the one before.
    pub fn by_category(
        first: &[f64],
        second: &[f64],
        labels: &[bool],
        cuts: &[f64],
    ) -> Result<Self, MetricError> {
        let mut least = f64::MIN_POSITIVE;
        for &cut in cuts {
            check_parameter("a category's limit", cut, least..1.0, "(limit before, 1)")?;
            least = cut.next_up();
        }
        let category = |p: f64| cuts.partition_point(|cut| *cut <= p);
        Self::by(first, second, labels, |a, b| category(a).cmp(&category(b)))
    }

    fn by(
        first: &[f64],
        second: &[f64],
        labels: &[bool],
        order: impl Fn(f64, f64) -> std::cmp::Ordering,
    ) -> Result<Self, MetricError> {
        let (n_positive, n_negative) = check_models(first, second, labels)?;
        let mut moves = [[0; 2]; 2];
        for ((a, b), label) in first.iter().zip(second).zip(labels) {
            match order(*a, *b) {
                std::cmp::Ordering::Less => moves[usize::from(*label)][0] += 1,
                std::cmp::Ordering::Greater => moves[usize::from(*label)][1] += 1,
                std::cmp::Ordering::Equal => {}
            }
        }
        let [n_negative_up_down, n_positive_up_down] = moves;
        Ok(Self { n_positive_up_down, n_negative_up_down, n_positive, n_negative })
    }

    /// Share of positive cases moved up less share moved down.
    pub fn of_positive(&self) -> f64 {
        net(self.n_positive_up_down, self.n_positive)
    }

    /// Share of negative cases moved down less share moved up.
    pub fn of_negative(&self) -> f64 {
        -net(self.n_negative_up_down, self.n_negative)
    }

    /// The net reclassification improvement, in [−2, 2].
    pub fn improvement(&self) -> f64 {
        self.of_positive() + self.of_negative()
    }

    /// Standard error of the improvement: `Σ (up + down − (up − down)²) / n` over the classes, the
    /// multinomial variance at the observed shares (2008, eq. 8 gives it at no improvement). 0 if all
    /// cases of a class move alike.
    pub fn standard_error(&self) -> f64 {
        let variance = |[up, down]: [usize; 2], n: usize| {
            ((up + down) as f64 / n as f64 - net([up, down], n).powi(2)) / n as f64
        };
        let sum = variance(self.n_positive_up_down, self.n_positive)
            + variance(self.n_negative_up_down, self.n_negative);
        sum.max(0.0).sqrt()
    }

    /// Wald's interval of the improvement.
    pub fn interval(&self, confidence: Confidence) -> Interval {
        wald(self.improvement(), self.standard_error(), confidence)
    }
}

/// Integrated discrimination improvement (Pencina et al., Statistics in Medicine 2008, eq. 13): how
/// much farther a second model's mean probabilities of the classes lie apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DiscriminationImprovement {
    /// Mean change of probability in positive cases less that in negative ones.
    pub improvement: f64,
    /// Its standard error, from the variance of the changes within each class; 0 if they are all the same.
    pub standard_error: f64,
}

impl DiscriminationImprovement {
    /// From the probabilities of both models.
    ///
    /// # Errors
    /// As [`Reclassification::category_free`]; [`MetricError::TooFew`] with fewer than two cases of a
    /// class.
    pub fn new(first: &[f64], second: &[f64], labels: &[bool]) -> Result<Self, MetricError> {
        let (n_positive, n_negative) = check_models(first, second, labels)?;
        for (what, found) in [("positive cases", n_positive), ("negative cases", n_negative)] {
            if found < 2 {
                return Err(MetricError::TooFew { what, needed: 2, found });
            }
        }
        let [(mean_0, error_0), (mean_1, error_1)] = [false, true].map(|class| {
            let changes = first.iter().zip(second).zip(labels);
            let changes: Vec<f64> =
                changes.filter(|(_, l)| **l == class).map(|((a, b), _)| b - a).collect();
            let n = changes.len() as f64;
            let mean = changes.iter().sum::<f64>() / n;
            let squares: f64 = changes.iter().map(|c| (c - mean).powi(2)).sum();
            (mean, squares / (n - 1.0) / n)
        });
        Ok(Self { improvement: mean_1 - mean_0, standard_error: (error_0 + error_1).sqrt() })
    }

    /// Wald's interval of the improvement.
    pub fn interval(&self, confidence: Confidence) -> Interval {
        wald(self.improvement, self.standard_error, confidence)
    }

    /// Two-sided p-value of no improvement; `None` if the standard error is 0 (to rounding).
    pub fn p_value(&self) -> Option<f64> {
        let error = self.standard_error;
        (error > 1e-12).then(|| 2.0 * normal::upper_tail((self.improvement / error).abs()))
    }
}

fn net([up, down]: [usize; 2], n: usize) -> f64 {
    (up as f64 - down as f64) / n as f64
}

fn wald(value: f64, standard_error: f64, confidence: Confidence) -> Interval {
    let half = confidence.z() * standard_error;
    Interval { low: value - half, high: value + half }
}

fn check_models(
    first: &[f64],
    second: &[f64],
    labels: &[bool],
) -> Result<(usize, usize), MetricError> {
    check_probabilities(first, labels)?;
    check_probabilities(second, labels)?;
    check_classes(labels)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    const FIRST: [f64; 6] = [0.2, 0.3, 0.5, 0.4, 0.6, 0.1];
    const SECOND: [f64; 6] = [0.6, 0.3, 0.4, 0.2, 0.7, 0.1];
    const LABELS: [bool; 6] = [true, true, true, false, false, false];

    #[test]
    fn moves_by_hand() {
        let free = Reclassification::category_free(&FIRST, &SECOND, &LABELS).unwrap();
        assert_eq!((free.n_positive_up_down, free.n_negative_up_down), ([1, 1], [1, 1]));
        assert_eq!(free.improvement(), 0.0);
        assert!((free.standard_error() - (4.0_f64 / 9.0).sqrt()).abs() < 1e-15);
        let cut = Reclassification::by_category(&FIRST, &SECOND, &LABELS, &[0.25, 0.5]).unwrap();
        // 0.2 → 0.6 is up; 0.5 → 0.4 down (0.5 belongs above); 0.4 → 0.2 down.
        assert_eq!((cut.n_positive_up_down, cut.n_negative_up_down), ([1, 1], [0, 1]));
        assert!((cut.improvement() - 1.0 / 3.0).abs() < 1e-15);
        assert!(cut.interval(Confidence::P95).contains(0.0));
    }

    #[test]
    fn discrimination_by_hand() {
        let idi = DiscriminationImprovement::new(&FIRST, &SECOND, &LABELS).unwrap();
        assert!((idi.improvement - (0.1 + 0.1 / 3.0)).abs() < 1e-15);
        let same = DiscriminationImprovement::new(&FIRST, &FIRST, &LABELS).unwrap();
        assert_eq!((same.improvement, same.standard_error, same.p_value()), (0.0, 0.0, None));
    }

    #[test]
    fn limits_rise_and_classes_are_two() {
        for cuts in [[0.5, 0.5], [0.5, 0.2], [0.0, 0.5], [0.5, 1.0], [0.5, f64::NAN]] {
            assert!(Reclassification::by_category(&FIRST, &SECOND, &LABELS, &cuts).is_err());
        }
        let one = [true; 6];
        assert!(Reclassification::category_free(&FIRST, &SECOND, &one).is_err());
        let few = [true, false, false, false, false, false];
        assert!(matches!(
            DiscriminationImprovement::new(&FIRST, &SECOND, &few),
            Err(MetricError::TooFew { .. })
        ));
    }
}
