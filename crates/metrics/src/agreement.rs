use crate::error::check_parallel;
use crate::{Interval, MetricError};

/// Agreement of two measurements of the same quantity (Bland & Altman, Lancet 1986), in its unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BlandAltman {
    /// Pairs compared.
    pub n: usize,
    /// Mean of measured minus reference.
    pub mean_difference: f64,
    /// Standard deviation of the differences (n − 1).
    pub sd_of_differences: f64,
    /// Mean difference ± 1.96 standard deviations: where about 95 % of differences lie.
    pub limits_of_agreement: Interval,
}

/// Bland–Altman agreement of `measured` with `reference`.
///
/// # Errors
/// [`MetricError::TooFew`] with fewer than two pairs, [`MetricError::LengthMismatch`],
/// [`MetricError::NotANumber`].
pub fn bland_altman(measured: &[f64], reference: &[f64]) -> Result<BlandAltman, MetricError> {
    check_pairs(measured, reference)?;
    let differences: Vec<f64> = measured.iter().zip(reference).map(|(m, r)| m - r).collect();
    let n = differences.len();
    let mean_difference = mean(&differences);
    let sum_of_squares: f64 = differences.iter().map(|d| (d - mean_difference).powi(2)).sum();
    let sd = (sum_of_squares / (n - 1) as f64).sqrt();
    Ok(BlandAltman {
        n,
        mean_difference,
        sd_of_differences: sd,
        limits_of_agreement: Interval {
            low: mean_difference - 1.96 * sd,
            high: mean_difference + 1.96 * sd,
        },
    })
}

/// Pearson's correlation.
///
/// # Errors
/// [`MetricError::NoSpread`] if all values of a side are the same, else as [`bland_altman`].
pub fn pearson(measured: &[f64], reference: &[f64]) -> Result<f64, MetricError> {
    check_pairs(measured, reference)?;
    let moments = Moments::new(measured, reference);
    for (what, variance) in
        [("measured", moments.variance_measured), ("reference", moments.variance_reference)]
    {
        if variance == 0.0 {
            return Err(MetricError::NoSpread { what });
        }
    }
    Ok(moments.covariance / (moments.variance_measured * moments.variance_reference).sqrt())
}

/// Lin's concordance correlation coefficient (Biometrics 1989): correlation with the line of
/// identity, with moments over n.
///
/// # Errors
/// [`MetricError::NoSpread`] if all values of both sides are one value, else as [`bland_altman`].
pub fn concordance(measured: &[f64], reference: &[f64]) -> Result<f64, MetricError> {
    check_pairs(measured, reference)?;
    let moments = Moments::new(measured, reference);
    let scale =
        moments.variance_measured + moments.variance_reference + moments.mean_difference.powi(2);
    if scale == 0.0 {
        return Err(MetricError::NoSpread { what: "measurements" });
    }
    Ok(2.0 * moments.covariance / scale)
}

/// First and second moments of pairs, over n.
struct Moments {
    mean_difference: f64,
    variance_measured: f64,
    variance_reference: f64,
    covariance: f64,
}

impl Moments {
    fn new(measured: &[f64], reference: &[f64]) -> Self {
        let (mean_m, mean_r) = (mean(measured), mean(reference));
        let n = measured.len() as f64;
        let average = |f: &dyn Fn(f64, f64) -> f64| {
            measured.iter().zip(reference).map(|(m, r)| f(m - mean_m, r - mean_r)).sum::<f64>() / n
        };
        Self {
            mean_difference: mean_m - mean_r,
            variance_measured: average(&|m, _| m * m),
            variance_reference: average(&|_, r| r * r),
            covariance: average(&|m, r| m * r),
        }
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn check_pairs(measured: &[f64], reference: &[f64]) -> Result<(), MetricError> {
    check_parallel(measured, reference.len())?;
    check_parallel(reference, measured.len())?;
    if measured.len() < 2 {
        return Err(MetricError::TooFew { what: "pairs", needed: 2, found: measured.len() });
    }
    Ok(())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    const MEASURED: [f64; 7] = [12.1, 30.4, 5.2, 44.8, 18.3, 60.9, 25.0];
    const REFERENCE: [f64; 7] = [11.0, 33.0, 4.8, 40.1, 20.2, 66.5, 24.1];

    // tests/reference/metrics.py, part `agreement`.
    #[test]
    fn agrees_with_scipy() {
        let agreement = bland_altman(&MEASURED, &REFERENCE).unwrap();
        assert!((agreement.mean_difference + 0.4285714285714296).abs() < 1e-12);
        assert!((agreement.sd_of_differences - 3.284161123592185).abs() < 1e-12);
        assert!((agreement.limits_of_agreement.low + 6.865527230812113).abs() < 1e-12);
        assert!((agreement.limits_of_agreement.high - 6.008384373669253).abs() < 1e-12);
        assert!((pearson(&MEASURED, &REFERENCE).unwrap() - 0.9885693290665222).abs() < 1e-12);
        assert!((concordance(&MEASURED, &REFERENCE).unwrap() - 0.9862567570944287).abs() < 1e-12);
    }

    #[test]
    fn concordance_falls_with_a_shift_and_correlation_does_not() {
        let shifted = REFERENCE.map(|v| v + 20.0);
        assert!((pearson(&shifted, &REFERENCE).unwrap() - 1.0).abs() < 1e-12);
        assert!(concordance(&shifted, &REFERENCE).unwrap() < 0.7);
        assert!((concordance(&REFERENCE, &REFERENCE).unwrap() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn too_little_is_an_error() {
        assert!(matches!(bland_altman(&[1.0], &[1.0]), Err(MetricError::TooFew { .. })));
        assert!(matches!(pearson(&[1.0, 1.0], &[1.0, 2.0]), Err(MetricError::NoSpread { .. })));
        assert!(matches!(concordance(&[1.0, 1.0], &[1.0, 1.0]), Err(MetricError::NoSpread { .. })));
        assert_eq!(
            pearson(&[1.0, 2.0], &[f64::NAN, 1.0]),
            Err(MetricError::NotANumber { index: 0 })
        );
    }
}
