use hemex_artifacts::ConformalCalibration;
use hemex_metrics::{ConformalScores, MetricError};

/// How strange a case is to those that stayed stable and to those that grew, by the calibration cases of a model.
#[derive(Debug)]
pub(crate) struct Conformal {
    stable: ConformalScores,
    growth: ConformalScores,
}

impl Conformal {
    /// # Errors
    /// If a weight or a logit is no number that can count.
    pub(crate) fn new(calibration: &ConformalCalibration) -> Result<Self, MetricError> {
        let scores = |cases: &[[f64; 2]], sign: f64| {
            let strangeness: Vec<f64> = cases.iter().map(|[logit, _]| sign * logit).collect();
            let weights: Vec<f64> = cases.iter().map(|[_, weight]| *weight).collect();
            ConformalScores::new(&strangeness, &weights, calibration.most_weight)
        };
        // A high logit is strange to stable cases, a low one to those that grew.
        Ok(Self {
            stable: scores(&calibration.stable, 1.0)?,
            growth: scores(&calibration.growth, -1.0)?,
        })
    }

    /// P-values of staying stable and of growing, from the calibrated logit without any label shift: a rank within a
    /// class does not ask how frequent the classes are.
    pub(crate) fn p_values(&self, logit: f64) -> [f64; 2] {
        [self.stable.p_value(logit), self.growth.p_value(-logit)]
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    #[test]
    fn each_class_is_asked_from_its_own_side() {
        let cases = |logits: [f64; 4]| logits.map(|logit| [logit, 1.0]).to_vec();
        let calibration = ConformalCalibration {
            stable: cases([-3.0, -2.0, -1.0, 0.5]),
            growth: cases([-0.5, 1.0, 2.0, 3.0]),
            most_weight: 1.0,
        };
        let conformal = Conformal::new(&calibration).unwrap();
        assert_eq!(conformal.p_values(-2.5), [0.8, 0.2]);
        assert_eq!(conformal.p_values(0.0), [0.4, 0.4]);
        assert_eq!(conformal.p_values(2.5), [0.2, 0.8]);
        let broken = ConformalCalibration { stable: vec![[0.0, -1.0]], ..calibration };
        assert!(Conformal::new(&broken).is_err());
    }
}
