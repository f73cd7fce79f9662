use hemex_artifacts::LogitCalibration;
use hemex_metrics::{Isotonic, LogisticRegression, temperature};

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
                Some(LogitCalibration::Line { intercept: prior_logit * (1.0 - slope), slope })
            }
            Self::Platt => {
                if labels.iter().all(|label| *label) || !labels.contains(&true) {
                    return None;
                }
                let rows: Vec<Vec<f64>> = logits.iter().map(|z| vec![*z]).collect();
                let fit = LogisticRegression::fit(&rows, labels, &vec![1.0; rows.len()], PLATT_L2)?;
                let (slopes, intercept) = fit.coefficients();
                Some(LogitCalibration::Line { intercept, slope: *slopes.first()? })
            }
            Self::Isotonic => {
                let fit = Isotonic::fit(logits, labels).ok()?;
                // A share of nought or one, which no sample of `n` cases shows, is held away from it.
                let least = 0.5 / (labels.len() + 1) as f64;
                let knot = |[logit, share]: &[f64; 2]| [*logit, share.clamp(least, 1.0 - least)];
                Some(LogitCalibration::Knots { knots: fit.knots().iter().map(knot).collect() })
            }
        }
    }

    /// Whether it has a prior of its own, that of the cases it is fitted to, whatever the logits say of it.
    pub(crate) fn moves_prior(self) -> bool {
        matches!(self, Self::Platt | Self::Isotonic)
    }

    /// Log-odds of growth among the labels that it is fitted to, where it moves the prior there; `None` with one class.
    pub(crate) fn fitted_prior_logit(self, labels: &[bool]) -> Option<f64> {
        let n_growth = labels.iter().filter(|label| **label).count();
        let n_stable = labels.len() - n_growth;
        let moves = self.moves_prior() && n_growth > 0 && n_stable > 0;
        moves.then(|| (n_growth as f64 / n_stable as f64).ln())
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
        let found = Calibration::Platt.fit(&[1.0, -1.0], 0.0, &[true, false]).unwrap();
        assert!(matches!(found, LogitCalibration::Line { slope, .. } if slope > 0.0), "{found:?}");
    }

    #[test]
    fn a_temperature_leaves_the_prior_where_it_is() {
        let found = Calibration::Temperature.fit(&LOGITS, -1.3, &LABELS).unwrap();
        assert!((found.apply(-1.3) + 1.3).abs() < 1e-12, "{found:?}");
        assert!(matches!(found, LogitCalibration::Line { slope, .. } if slope < 1.0), "{found:?}");
        let as_it_is = Calibration::None.fit(&LOGITS, -1.3, &LABELS).unwrap();
        assert_eq!(as_it_is.apply(0.7), 0.7);
    }

    #[test]
    fn shares_of_steps_are_found_and_held_away_from_nought_and_one() {
        let found = Calibration::Isotonic.fit(&LOGITS, -1.0, &LABELS).unwrap();
        let probability = |logit: f64| 1.0 / (1.0 + (-found.apply(logit)).exp());
        for (logit, expected) in [(-9.0, 0.25), (-1.0, 0.25), (0.5, 0.5), (2.0, 0.75)] {
            assert!((probability(logit) - expected).abs() < 1e-12, "{found:?} at {logit}");
        }
        let sure = Calibration::Isotonic.fit(&[1.0, -1.0], 0.0, &[true, false]).unwrap();
        assert_eq!(
            sure,
            LogitCalibration::Knots { knots: vec![[-1.0, 1.0 / 6.0], [1.0, 5.0 / 6.0]] }
        );
    }

    #[test]
    fn one_class_calibrates_nothing() {
        for kind in [Calibration::Temperature, Calibration::Platt, Calibration::Isotonic] {
            assert_eq!(kind.fit(&[1.0, 2.0], 0.0, &[true, true]), None);
            assert_eq!(kind.fit(&[], 0.0, &[]), None);
        }
    }
}
