use rayon::prelude::*;

use crate::bootstrap::percentile_of_sorted;
use crate::{Confidence, Distribution, Interval, MetricError, normal};

/// The statistic with each patient (all its cases) left out in turn.
///
/// `statistic` is given how often each patient counts, as in
/// [`Bootstrap::distribution`](crate::Bootstrap::distribution). `None` if it is undefined without some
/// patient: an acceleration over the rest would hide that.
pub fn jackknife<S>(n_patients: usize, statistic: S) -> Option<Vec<f64>>
where
    S: Fn(&[u32]) -> Option<f64> + Sync,
{
    (0..n_patients)
        .into_par_iter()
        .with_min_len(64)
        .map_init(
            || vec![1; n_patients],
            |n_drawn, patient| {
                n_drawn[patient] = 0;
                let value = statistic(n_drawn).filter(|value| !value.is_nan());
                n_drawn[patient] = 1;
                value
            },
        )
        .collect()
}

impl Distribution {
    /// Bias-corrected and accelerated interval (Efron, JASA 1987), over the draws in which the
    /// statistic is defined.
    ///
    /// The acceleration is that of one sample, also where draws are stratified (as SciPy has it).
    ///
    /// `observed` is the statistic of the cohort as it is, `left_out` that of [`jackknife`]. Draws that
    /// equal `observed` count half below it. The percentiles are linear between order statistics.
    ///
    /// # Errors
    /// [`MetricError::NoDefinedDraw`]; [`MetricError::OneSided`] if all draws lie on one side of
    /// `observed`, so that the bias correction is infinite; [`MetricError::NoSpread`] if all values of
    /// `left_out` are the same, so that there is no acceleration.
    pub fn bca_interval(
        &self,
        observed: f64,
        left_out: &[f64],
        confidence: Confidence,
    ) -> Result<Interval, MetricError> {
        let sorted = self.sorted()?;
        let below = sorted.partition_point(|value| *value < observed);
        let to = sorted.partition_point(|value| *value <= observed);
        let share = (below + to) as f64 / (2 * sorted.len()) as f64;
        if !(share > 0.0 && share < 1.0) {
            return Err(MetricError::OneSided { n_draws: sorted.len() });
        }
        let (bias, acceleration) = (normal::quantile(share), acceleration(left_out)?);
        let end = |z: f64| {
            let shifted = bias + z;
            let z = bias + shifted / (1.0 - acceleration * shifted);
            percentile_of_sorted(&sorted, 1.0 - normal::upper_tail(z))
        };
        let z = confidence.z();
        Ok(Interval { low: end(-z), high: end(z) })
    }
}

/// A sixth of the skewness of the jackknife values, turned about.
fn acceleration(left_out: &[f64]) -> Result<f64, MetricError> {
    let mean = left_out.iter().sum::<f64>() / left_out.len() as f64;
    let sum = |power: i32| left_out.iter().map(|v| (mean - v).powi(power)).sum::<f64>();
    if left_out.iter().all(|value| *value == left_out[0]) {
        return Err(MetricError::NoSpread { what: "statistics with a patient left out" });
    }
    Ok(sum(3) / (6.0 * sum(2).powf(1.5)))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;
    use crate::{Bootstrap, Ranking, Strata};

    #[test]
    fn without_bias_or_skew_it_is_the_percentile_interval() {
        let distribution: Distribution = (0..=1000).map(|i| Some(f64::from(i))).collect();
        let bca = distribution.bca_interval(500.0, &[1.0, 2.0, 3.0], Confidence::P95).unwrap();
        let plain = distribution.interval(Confidence::P95).unwrap();
        assert!((bca.low - plain.low).abs() < 1e-9 && (bca.high - plain.high).abs() < 1e-9);
        // Most draws below the observed value: the interval moves up.
        let up = distribution.bca_interval(600.0, &[1.0, 2.0, 3.0], Confidence::P95).unwrap();
        assert!(up.low > plain.low && up.high > plain.high);
        // Left-out values skewed to the left: the patients that matter lift it.
        let skewed = distribution.bca_interval(500.0, &[0.0, 3.0, 3.0], Confidence::P95).unwrap();
        assert!(skewed.high > plain.high);
    }

    #[test]
    fn leaves_patients_out_with_all_their_cases() {
        let ranking = Ranking::of_patients(
            &[0.2, 0.6, 0.65, 0.7],
            &[false, true, false, true],
            &[0, 0, 1, 2],
            3,
        )
        .unwrap();
        let values = jackknife(3, |n| ranking.auroc(n)).unwrap();
        assert_eq!(values, [1.0, 1.0, 0.5]);
        // Without patient 1 there is no negative case left.
        let few = Ranking::new(&[0.1, 0.2, 0.3], &[true, false, true]).unwrap();
        assert_eq!(jackknife(3, |n| few.auroc(n)), None);
    }

    #[test]
    fn one_sided_draws_have_no_correction() {
        let distribution: Distribution = [Some(1.0), Some(2.0), None].into_iter().collect();
        let of = |observed, left_out: &[f64]| {
            distribution.bca_interval(observed, left_out, Confidence::P95)
        };
        assert_eq!(of(0.5, &[1.0, 2.0]), Err(MetricError::OneSided { n_draws: 2 }));
        assert_eq!(of(2.5, &[1.0, 2.0]), Err(MetricError::OneSided { n_draws: 2 }));
        assert!(matches!(of(1.5, &[1.0, 1.0]), Err(MetricError::NoSpread { .. })));
        assert!(matches!(of(1.5, &[]), Err(MetricError::NoSpread { .. })));
        let none: Distribution = [None].into_iter().collect();
        assert!(none.bca_interval(1.0, &[1.0, 2.0], Confidence::P95).is_err());
    }

    #[test]
    fn stays_near_the_percentile_interval_of_an_auroc() {
        let scores: Vec<f64> = (0..80).map(|i| f64::from(i * 37 % 61)).collect();
        let labels: Vec<bool> = (0..80).map(|i| (i * 37 % 61) + (i * 11 % 40) > 55).collect();
        let ranking = Ranking::new(&scores, &labels).unwrap();
        let draws = Bootstrap { n_draws: 1000, seed: 4 }
            .distribution(&Strata::new(&labels), |n| ranking.auroc(n));
        let left_out = jackknife(80, |n| ranking.auroc(n)).unwrap();
        let observed = ranking.auroc(&[1; 80]).unwrap();
        let bca = draws.bca_interval(observed, &left_out, Confidence::P95).unwrap();
        let plain = draws.interval(Confidence::P95).unwrap();
        assert!(bca.contains(observed));
        assert!((bca.low - plain.low).abs() < 0.05 && (bca.high - plain.high).abs() < 0.05);
    }
}
