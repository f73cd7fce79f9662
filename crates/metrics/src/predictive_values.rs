use crate::MetricError;
use crate::error::check_parameter;

/// What a test result means at a prevalence (Altman & Bland, BMJ 1994, 309:102).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PredictiveValues {
    /// Chance of the disease after a positive result; `None` if no result is positive.
    pub positive: Option<f64>,
    /// Chance of no disease after a negative result; `None` if no result is negative.
    pub negative: Option<f64>,
}

impl PredictiveValues {
    /// By Bayes' theorem, from a sensitivity and a specificity measured at any prevalence.
    ///
    /// # Errors
    /// [`MetricError::BadParameter`] for a value outside [0, 1].
    pub fn new(sensitivity: f64, specificity: f64, prevalence: f64) -> Result<Self, MetricError> {
        check_parameter("the sensitivity", sensitivity, 0.0..=1.0, "[0, 1]")?;
        check_parameter("the specificity", specificity, 0.0..=1.0, "[0, 1]")?;
        check_parameter("the prevalence", prevalence, 0.0..=1.0, "[0, 1]")?;
        let share = |right: f64, wrong: f64| {
            let all = right + wrong;
            (all > 0.0).then(|| right / all)
        };
        Ok(Self {
            positive: share(sensitivity * prevalence, (1.0 - specificity) * (1.0 - prevalence)),
            negative: share(specificity * (1.0 - prevalence), (1.0 - sensitivity) * prevalence),
        })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    #[test]
    fn a_rare_disease_makes_positives_doubtful() {
        let rare = PredictiveValues::new(0.9, 0.9, 0.1).unwrap();
        assert!((rare.positive.unwrap() - 0.5).abs() < 1e-15);
        assert!((rare.negative.unwrap() - 0.81 / 0.82).abs() < 1e-15);
        let never = PredictiveValues::new(0.0, 1.0, 0.3).unwrap();
        assert_eq!((never.positive, never.negative), (None, Some(0.7)));
        let always = PredictiveValues::new(1.0, 0.0, 0.3).unwrap();
        assert_eq!((always.positive, always.negative), (Some(0.3), None));
        assert!(PredictiveValues::new(0.9, 1.1, 0.1).is_err());
        assert!(PredictiveValues::new(0.9, 0.9, f64::NAN).is_err());
    }
}
