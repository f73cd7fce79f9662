use crate::calibration::{brier, check_probabilities};
use crate::{CalibrationBin, MetricError};

/// Murphy's parts of the Brier score (Journal of Applied Meteorology 12, 1973, eq. 9 for two classes):
/// `Brier = reliability − resolution + uncertainty`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BrierDecomposition {
    /// Mean squared distance between probability and observed share; 0 is perfect calibration.
    pub reliability: f64,
    /// Mean squared distance between observed shares and the prevalence; higher is better.
    pub resolution: f64,
    /// `p (1 − p)` at the prevalence `p`: what no model changes.
    pub uncertainty: f64,
}

impl BrierDecomposition {
    /// Over the groups of cases of one probability: the parts add up to the Brier score exactly.
    ///
    /// Where most probabilities occur once, nearly all of resolution and reliability is noise: see
    /// [`BrierDecomposition::of_bins`].
    ///
    /// # Errors
    /// As [`brier`].
    pub fn new(probabilities: &[f64], labels: &[bool]) -> Result<Self, MetricError> {
        check_probabilities(probabilities, labels)?;
        let mut order: Vec<usize> = (0..labels.len()).collect();
        order.sort_by(|a, b| probabilities[*a].total_cmp(&probabilities[*b]));
        let groups = order.chunk_by(|a, b| probabilities[*a] == probabilities[*b]).map(|group| {
            let n_positive = group.iter().filter(|i| labels[**i]).count();
            (group.len(), n_positive, probabilities[group[0]])
        });
        Ok(Self::of_groups(&groups.collect::<Vec<_>>()))
    }

    /// Over bins, with the mean probability of each. The parts add up to the Brier score but for what
    /// varies within bins ([`BrierDecomposition::within_bins`]).
    ///
    /// # Errors
    /// [`MetricError::TooFew`] without a bin.
    pub fn of_bins(bins: &[CalibrationBin]) -> Result<Self, MetricError> {
        if bins.is_empty() {
            return Err(MetricError::TooFew { what: "bins", needed: 1, found: 0 });
        }
        let groups: Vec<(usize, usize, f64)> =
            bins.iter().map(|bin| (bin.n, bin.n_positive, bin.mean_probability)).collect();
        Ok(Self::of_groups(&groups))
    }

    /// What the parts say the Brier score is.
    pub fn brier(&self) -> f64 {
        self.reliability - self.resolution + self.uncertainty
    }

    /// The Brier score of the cases less the parts over bins: variance of probabilities within bins
    /// less twice their covariance with outcomes (Stephenson et al., Weather and Forecasting 23, 2008).
    ///
    /// # Errors
    /// As [`brier`].
    pub fn within_bins(&self, probabilities: &[f64], labels: &[bool]) -> Result<f64, MetricError> {
        Ok(brier(probabilities, labels)? - self.brier())
    }

    /// From `(cases, positive cases, probability)`, at least one case.
    fn of_groups(groups: &[(usize, usize, f64)]) -> Self {
        let n: usize = groups.iter().map(|(n, _, _)| n).sum();
        let n_positive: usize = groups.iter().map(|(_, positive, _)| positive).sum();
        let prevalence = n_positive as f64 / n as f64;
        let mean = |distance: &dyn Fn(f64, f64) -> f64| {
            let squares = groups.iter().map(|(n, positive, probability)| {
                *n as f64 * distance(*positive as f64 / *n as f64, *probability).powi(2)
            });
            squares.sum::<f64>() / n as f64
        };
        Self {
            reliability: mean(&|observed, probability| probability - observed),
            resolution: mean(&|observed, _| observed - prevalence),
            uncertainty: prevalence * (1.0 - prevalence),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;
    use crate::roc::tests::{FIRST, labels};
    use crate::{Confidence, equal_mass_bins};

    #[test]
    fn parts_add_up() {
        let parts = BrierDecomposition::new(&FIRST, &labels()).unwrap();
        assert!((parts.brier() - brier(&FIRST, &labels()).unwrap()).abs() < 1e-15);
        let bins = equal_mass_bins(&FIRST, &labels(), 4, Confidence::P95).unwrap();
        let binned = BrierDecomposition::of_bins(&bins).unwrap();
        assert!(binned.resolution < parts.resolution && binned.uncertainty == parts.uncertainty);
        assert!(binned.within_bins(&FIRST, &labels()).unwrap().abs() > 1e-6);
    }

    #[test]
    fn a_constant_forecast_resolves_nothing() {
        let y = [true, false, false, false];
        let parts = BrierDecomposition::new(&[0.25; 4], &y).unwrap();
        assert_eq!((parts.reliability, parts.resolution, parts.uncertainty), (0.0, 0.0, 0.1875));
        let certain = BrierDecomposition::new(&[1.0; 3], &[true; 3]).unwrap();
        assert_eq!((certain.brier(), certain.uncertainty), (0.0, 0.0));
        assert!(BrierDecomposition::new(&[], &[]).is_err());
        assert!(BrierDecomposition::of_bins(&[]).is_err());
    }
}
