use crate::error::check_classes;
use crate::{MetricError, Ranking};

/// Area under the precision–recall curve as average precision: `Σ (Rₙ − Rₙ₋₁) Pₙ` over the distinct
/// scores from the highest down, stepwise as in scikit-learn (no interpolation, which flatters).
///
/// A ranking that knows nothing has the prevalence as its expected value.
///
/// # Errors
/// [`MetricError::OneClass`] if a class has no case (without negatives it would be 1 whatever the
/// scores are), [`MetricError::LengthMismatch`], [`MetricError::NotANumber`].
pub fn average_precision(scores: &[f64], labels: &[bool]) -> Result<f64, MetricError> {
    let ranking = Ranking::new(scores, labels)?;
    let (n_positive, n_negative) = check_classes(labels)?;
    ranking
        .average_precision(&vec![1; labels.len()])
        .ok_or(MetricError::OneClass { n_positive, n_negative })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;
    use crate::roc::tests::{FIRST, SECOND, labels};

    #[test]
    fn agrees_with_scikit_learn() {
        let first = average_precision(&FIRST, &labels()).unwrap();
        let second = average_precision(&SECOND, &labels()).unwrap();
        assert!((first - 0.853113553113553).abs() < 1e-14, "{first}");
        assert!((second - 0.6877551020408164).abs() < 1e-14, "{second}");
    }

    #[test]
    fn one_score_for_all_gives_the_prevalence() {
        let labels = [true, false, false, true, false];
        assert!((average_precision(&[0.3; 5], &labels).unwrap() - 0.4).abs() < 1e-15);
        assert!(average_precision(&[0.3, 0.2], &[true, true]).is_err());
    }
}
