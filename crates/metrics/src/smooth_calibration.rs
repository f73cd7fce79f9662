use crate::MetricError;
use crate::calibration::check_probabilities;
use crate::error::check_parameter;

/// The observed share of positive cases as a smooth function of the probability: loess of degree 1
/// (Cleveland, JASA 1979) with tricube weights and no robustness step, as Austin & Steyerberg
/// (Statistics in Medicine 2014, 33:517) use it.
#[derive(Debug, Clone, PartialEq)]
pub struct CalibrationCurve {
    // By rising probability.
    probabilities: Vec<f64>,
    outcomes: Vec<f64>,
    n_near: usize,
}

impl CalibrationCurve {
    /// A curve whose every value is fitted to the nearest `span` of the cases (rounded up to a case);
    /// 0.75 is usual.
    ///
    /// # Errors
    /// [`MetricError::BadParameter`] for a span outside (0, 1], [`MetricError::TooFew`] without a case,
    /// [`MetricError::OutOfRange`], [`MetricError::LengthMismatch`], [`MetricError::NotANumber`].
    pub fn new(probabilities: &[f64], labels: &[bool], span: f64) -> Result<Self, MetricError> {
        check_probabilities(probabilities, labels)?;
        check_parameter("the span", span, f64::MIN_POSITIVE..=1.0, "(0, 1]")?;
        let mut order: Vec<usize> = (0..labels.len()).collect();
        order.sort_by(|a, b| probabilities[*a].total_cmp(&probabilities[*b]));
        Ok(Self {
            probabilities: order.iter().map(|i| probabilities[*i]).collect(),
            outcomes: order.iter().map(|i| f64::from(u8::from(labels[*i]))).collect(),
            n_near: ((span * labels.len() as f64).ceil() as usize).clamp(1, labels.len()),
        })
    }

    /// The smoothed share at a probability.
    ///
    /// A local line, so that values may leave [0, 1] a little; they are not clipped. Where all cases
    /// that weigh have one probability it is their mean, and where the nearest all lie at one distance
    /// they weigh alike. `None` outside the probabilities of the
    /// cases: nothing is extrapolated.
    pub fn at(&self, probability: f64) -> Option<f64> {
        let (first, last) = (*self.probabilities.first()?, *self.probabilities.last()?);
        if !(first..=last).contains(&probability) {
            return None;
        }
        let distance = |p: f64| (p - probability).abs();
        let radius = self.radius(probability);
        let near = self.probabilities.partition_point(|p| *p < probability && distance(*p) > radius)
            ..self.probabilities.partition_point(|p| *p < probability || distance(*p) <= radius);
        // All at one distance: tricube weights would all be 0.
        let is_alike = near.clone().all(|i| distance(self.probabilities[i]) == radius);
        let weight = |p: f64| {
            if is_alike { 1.0 } else { (1.0 - (distance(p) / radius).powi(3)).powi(3) }
        };
        let cases: Vec<[f64; 3]> = near
            .map(|i| [weight(self.probabilities[i]), self.probabilities[i], self.outcomes[i]])
            .filter(|[weight, ..]| *weight > 0.0)
            .collect();
        Some(local_line(&cases, probability))
    }

    /// Mean distance between probability and smoothed share over the cases: the integrated calibration
    /// index (Austin & Steyerberg, Statistics in Medicine 2019, 38:4051).
    pub fn integrated_calibration_index(&self) -> f64 {
        let sum: f64 =
            self.probabilities.iter().filter_map(|p| Some((self.at(*p)? - p).abs())).sum();
        sum / self.probabilities.len() as f64
    }

    /// The distance of the last of the nearest cases, how far a case may lie to weigh.
    fn radius(&self, probability: f64) -> f64 {
        let p = &self.probabilities;
        let at = p.partition_point(|p| *p < probability);
        let (mut start, mut end) = (at, at);
        while end - start < self.n_near {
            let below = start.checked_sub(1).map(|i| probability - p[i]);
            let above = p.get(end).map(|p| p - probability);
            match (below, above) {
                (Some(below), Some(above)) if below <= above => start -= 1,
                (_, Some(_)) => end += 1,
                _ => start -= 1,
            }
        }
        (probability - p[start]).abs().max((p[end - 1] - probability).abs())
    }
}

/// The value at `at` of the weighted least-squares line through `[weight, x, y]`.
fn local_line(cases: &[[f64; 3]], at: f64) -> f64 {
    let total: f64 = cases.iter().map(|[w, ..]| w).sum();
    let mean = |column: usize| cases.iter().map(|c| c[0] * c[column]).sum::<f64>() / total;
    let (mean_x, mean_y) = (mean(1), mean(2));
    if cases.iter().all(|[_, x, _]| *x == cases[0][1]) {
        return mean_y;
    }
    let moment = |f: &dyn Fn(f64, f64) -> f64| {
        cases.iter().map(|[w, x, y]| w * f(x - mean_x, y - mean_y)).sum::<f64>()
    };
    mean_y + moment(&|x, y| x * y) / moment(&|x, _| x * x) * (at - mean_x)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    /// At each of nine probabilities, `n` of ten cases positive.
    fn cases(n_positive: impl Fn(usize) -> usize) -> (Vec<f64>, Vec<bool>) {
        (0..90).map(|i| ((i / 10 + 1) as f64 / 10.0, i % 10 < n_positive(i / 10 + 1))).unzip()
    }

    #[test]
    fn a_line_is_kept_whatever_the_span() {
        let (p, y) = cases(|k| k);
        for span in [0.3, 0.75, 1.0] {
            let curve = CalibrationCurve::new(&p, &y, span).unwrap();
            for at in [0.1, 0.35, 0.5, 0.9] {
                assert!((curve.at(at).unwrap() - at).abs() < 1e-12, "{span} {at}");
            }
            assert!(curve.integrated_calibration_index() < 1e-12);
            assert_eq!((curve.at(0.05), curve.at(0.95), curve.at(f64::NAN)), (None, None, None));
        }
    }

    #[test]
    fn ties_that_fill_the_span_give_their_mean() {
        let (p, y) = cases(|k| if k == 5 { 2 } else { 9 });
        let curve = CalibrationCurve::new(&p, &y, 0.05).unwrap();
        assert!((curve.at(0.5).unwrap() - 0.2).abs() < 1e-15);
        // Two cases, both as far: neither has a tricube weight, the line goes through both.
        let two = CalibrationCurve::new(&[0.25, 0.75], &[false, true], 1.0).unwrap();
        assert_eq!(two.at(0.5), Some(0.5));
        let one = CalibrationCurve::new(&[0.3; 4], &[true, false, false, false], 0.75).unwrap();
        assert_eq!((one.at(0.3), one.at(0.4)), (Some(0.25), None));
        assert!((one.integrated_calibration_index() - 0.05).abs() < 1e-15);
        assert!(CalibrationCurve::new(&p, &y, 0.0).is_err());
        assert!(CalibrationCurve::new(&[], &[], 0.5).is_err());
    }
}
