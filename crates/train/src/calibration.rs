use hemex_artifacts::LogitCalibration;
use hemex_metrics::{LogisticRegression, temperature};

use crate::config::Calibration;

/// Platt's line is held back by this much, or logits that separate the classes would have none.
const PLATT_L2: f64 = 1e-3;

impl Calibration {
    /// What makes these logits, whose prior has this log-odds, fit the labels best. `None` with one class.
    pub(crate) fn fit(
        self,
        logits: &[f64],
        prior_logit: f64,
        labels: &[bool],
    ) -> Option<LogitCalibration> {
        match self {
            Self::None => Some(LogitCalibration::default()),
            Self::Temperature => {
                let slope = 1.0 / temperature(logits, prior_logit, labels).ok()?;
                Some(LogitCalibration { intercept: prior_logit * (1.0 - slope), slope })
            }
            Self::Platt => {
                if labels.iter().all(|label| *label) || !labels.contains(&true) {
                    return None;
                }
                let rows: Vec<Vec<f64>> = logits.iter().map(|z| vec![*z]).collect();
                let fit = LogisticRegression::fit(&rows, labels, &vec![1.0; rows.len()], PLATT_L2)?;
                let (slopes, intercept) = fit.coefficients();
                Some(LogitCalibration { intercept, slope: *slopes.first()? })
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    const LOGITS: [f64; 8] = [2.0, 2.0, 2.0, 2.0, -1.0, -1.0, -1.0, -1.0];
    const LABELS: [bool; 8] = [true, true, true, false, false, false, false, true];

    #[test]
    fn a_line_through_two_shares_is_found() {
        let found = Calibration::Platt.fit(&LOGITS, -1.0, &LABELS).unwrap();
        // Three in four at 2, one in four at −1; the penalty bends that by little.
        for (logit, expected) in [(2.0, 3f64.ln()), (-1.0, -(3f64.ln()))] {
            assert!((found.apply(logit) - expected).abs() < 0.02, "{found:?}");
        }
        assert!(Calibration::Platt.fit(&[1.0, -1.0], 0.0, &[true, false]).unwrap().slope > 0.0);
    }

    #[test]
    fn a_temperature_leaves_the_prior_where_it_is() {
        let found = Calibration::Temperature.fit(&LOGITS, -1.3, &LABELS).unwrap();
        assert!((found.apply(-1.3) + 1.3).abs() < 1e-12 && found.slope < 1.0, "{found:?}");
        let as_it_is = Calibration::None.fit(&LOGITS, -1.3, &LABELS).unwrap();
        assert_eq!(as_it_is.apply(0.7), 0.7);
    }

    #[test]
    fn one_class_calibrates_nothing() {
        for kind in [Calibration::Temperature, Calibration::Platt] {
            assert_eq!(kind.fit(&[1.0, 2.0], 0.0, &[true, true]), None);
            assert_eq!(kind.fit(&[], 0.0, &[]), None);
        }
    }
}
