use crate::special::{noncentral_t_quantile, t_quantile};
use crate::{BlandAltman, Confidence, Interval};

/// How well limits of agreement are known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AgreementIntervals {
    /// Of the mean difference.
    pub mean_difference: Interval,
    /// Of the lower limit of agreement.
    pub lower_limit: Interval,
    /// Of the upper limit of agreement.
    pub upper_limit: Interval,
}

impl BlandAltman {
    /// Approximate intervals (Bland & Altman, Statistical Methods in Medical Research 1999, §2.2): a
    /// limit has the standard error `s √(1/n + 1.96² / (2 (n − 1)))`, times Student's t on n − 1.
    ///
    /// Symmetric about the limits, which is too narrow outward in small samples: see
    /// [`BlandAltman::exact_intervals`]. All of width 0 if the differences are all the same.
    pub fn intervals(&self, confidence: Confidence) -> AgreementIntervals {
        let df = (self.n - 1) as f64;
        let t = t_quantile(0.5 + 0.5 * confidence.value(), df);
        let n = self.n as f64;
        let half = t * self.sd_of_differences * (1.0 / n + 1.96_f64.powi(2) / (2.0 * df)).sqrt();
        let about = |limit: f64| Interval { low: limit - half, high: limit + half };
        AgreementIntervals {
            mean_difference: self.mean_interval(t),
            lower_limit: about(self.limits_of_agreement.low),
            upper_limit: about(self.limits_of_agreement.high),
        }
    }

    /// Exact intervals for normal differences (Carkeet, Optometry and Vision Science 2015, 92:e71):
    /// the upper limit lies between `mean + s t/√n` at the two quantiles t of the noncentral t
    /// distribution with n − 1 degrees of freedom and noncentrality `1.96 √n`; the lower limit
    /// mirrors it.
    pub fn exact_intervals(&self, confidence: Confidence) -> AgreementIntervals {
        let (df, root) = ((self.n - 1) as f64, (self.n as f64).sqrt());
        let tail = 0.5 * (1.0 - confidence.value());
        let [near, far] = [tail, 1.0 - tail]
            .map(|p| self.sd_of_differences * noncentral_t_quantile(p, df, 1.96 * root) / root);
        let mean = self.mean_difference;
        AgreementIntervals {
            mean_difference: self.mean_interval(t_quantile(1.0 - tail, df)),
            lower_limit: Interval { low: mean - far, high: mean - near },
            upper_limit: Interval { low: mean + near, high: mean + far },
        }
    }

    fn mean_interval(&self, t: f64) -> Interval {
        let half = t * self.sd_of_differences / (self.n as f64).sqrt();
        Interval { low: self.mean_difference - half, high: self.mean_difference + half }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;
    use crate::bland_altman;

    // tests/reference/metrics.py, part `limits_of_agreement`.
    #[test]
    fn agrees_with_scipy() {
        let agreement = bland_altman(
            &[12.1, 30.4, 5.2, 44.8, 18.3, 60.9, 25.0],
            &[11.0, 33.0, 4.8, 40.1, 20.2, 66.5, 24.1],
        )
        .unwrap();
        let (near, exact) =
            (agreement.intervals(Confidence::P95), agreement.exact_intervals(Confidence::P95));
        let close = |interval: Interval, expected: [f64; 2]| {
            assert!((interval.low - expected[0]).abs() < 1e-9, "{interval:?}");
            assert!((interval.high - expected[1]).abs() < 1e-9, "{interval:?}");
        };
        close(near.mean_difference, [-3.4659138805170735, 2.608771023374214]);
        close(near.lower_limit, [-12.333531046766625, -1.3975234148576003]);
        close(near.upper_limit, [0.5403805577147409, 11.476388189623766]);
        close(exact.lower_limit, [-15.508528036786647, -3.863570976883005]);
        close(exact.upper_limit, [3.0064281197401455, 14.651385179643789]);
        assert!(exact.upper_limit.high > near.upper_limit.high);
    }

    #[test]
    fn equal_differences_leave_no_doubt() {
        let agreement = bland_altman(&[2.0, 3.0, 4.0], &[1.0, 2.0, 3.0]).unwrap();
        for intervals in
            [agreement.intervals(Confidence::P95), agreement.exact_intervals(Confidence::P95)]
        {
            assert_eq!(intervals.upper_limit, Interval { low: 1.0, high: 1.0 });
            assert_eq!(intervals.mean_difference, intervals.lower_limit);
        }
    }
}
