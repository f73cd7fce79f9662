use crate::special::f_quantile;
use crate::{Confidence, Interval, MetricError};

/// Mean squares of a table of ratings, every subject rated by every rater: what the intraclass
/// correlations are made of (Shrout & Fleiss, Psychological Bulletin 1979).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ratings {
    /// Subjects (rows).
    pub n_subjects: usize,
    /// Raters (columns).
    pub n_raters: usize,
    /// Mean square between subjects.
    pub between_subjects: f64,
    /// Mean square between raters.
    pub between_raters: f64,
    /// Mean square of what neither explains.
    pub residual: f64,
}

/// An intraclass correlation with its interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct IntraclassCorrelation {
    /// The estimate; may be negative.
    pub value: f64,
    /// Its interval; `None` if the residual is 0 or if, for an ICC(2,1) below 0, the approximate degrees
    /// of freedom fall below 1: the ends would fall together far from the estimate.
    pub interval: Option<Interval>,
}

impl Ratings {
    /// From ratings subject by subject: `ratings[subject · n_raters + rater]`.
    ///
    /// # Errors
    /// [`MetricError::TooFew`] with fewer than two raters or subjects, [`MetricError::LengthMismatch`]
    /// if the last subject lacks ratings, [`MetricError::NotANumber`] for a value that is not finite (a
    /// missing rating cannot be stood in for), [`MetricError::NoSpread`] if all ratings are the same.
    pub fn new(ratings: &[f64], n_raters: usize) -> Result<Self, MetricError> {
        if n_raters < 2 {
            return Err(MetricError::TooFew { what: "raters", needed: 2, found: n_raters });
        }
        let n_subjects = ratings.len() / n_raters;
        if n_subjects * n_raters != ratings.len() {
            let whole = (n_subjects + 1) * n_raters;
            return Err(MetricError::LengthMismatch { n_values: ratings.len(), n_labels: whole });
        }
        if n_subjects < 2 {
            return Err(MetricError::TooFew { what: "subjects", needed: 2, found: n_subjects });
        }
        if let Some(index) = ratings.iter().position(|value| !value.is_finite()) {
            return Err(MetricError::NotANumber { index });
        }
        if ratings.iter().all(|value| *value == ratings[0]) {
            return Err(MetricError::NoSpread { what: "ratings" });
        }
        Ok(Self::mean_squares(ratings, n_subjects, n_raters))
    }

    fn mean_squares(ratings: &[f64], n_subjects: usize, n_raters: usize) -> Self {
        let (n, k) = (n_subjects as f64, n_raters as f64);
        let grand = ratings.iter().sum::<f64>() / (n * k);
        let of_subject: Vec<f64> =
            ratings.chunks(n_raters).map(|row| row.iter().sum::<f64>() / k).collect();
        let of_rater: Vec<f64> = (0..n_raters)
            .map(|rater| ratings.iter().skip(rater).step_by(n_raters).sum::<f64>() / n)
            .collect();
        let spread = |means: &[f64]| means.iter().map(|m| (m - grand).powi(2)).sum::<f64>();
        let residual: f64 = ratings
            .iter()
            .enumerate()
            .map(|(i, value)| {
                (value - of_subject[i / n_raters] - of_rater[i % n_raters] + grand).powi(2)
            })
            .sum();
        // What rounding leaves of nothing would be divided by.
        let nothing = ratings.iter().fold(0.0_f64, |most, v| most.max(v.abs())).powi(2) * 1e-26;
        let cleaned = |square: f64| if square > nothing { square } else { 0.0 };
        Self {
            n_subjects,
            n_raters,
            between_subjects: cleaned(k * spread(&of_subject) / (n - 1.0)),
            between_raters: cleaned(n * spread(&of_rater) / (k - 1.0)),
            residual: cleaned(residual / ((n - 1.0) * (k - 1.0))),
        }
    }

    /// ICC(2,1): absolute agreement of single ratings, raters drawn from many. Interval of McGraw &
    /// Wong (Psychological Methods 1996), case 2A.
    ///
    /// `None` if the estimated total variance is not above 0 (two subjects that two raters swap).
    pub fn icc_2_1(&self, confidence: Confidence) -> Option<IntraclassCorrelation> {
        let (n, k) = (self.n_subjects as f64, self.n_raters as f64);
        let (rows, columns, rest) = (self.between_subjects, self.between_raters, self.residual);
        let scale = rows + (k - 1.0) * rest + k * (columns - rest) / n;
        if scale <= 0.0 {
            return None;
        }
        let value = (rows - rest) / scale;
        let interval =
            if rest > 0.0 && value < 1.0 { self.interval_2_1(value, confidence) } else { None };
        Some(IntraclassCorrelation { value, interval })
    }

    fn interval_2_1(&self, value: f64, confidence: Confidence) -> Option<Interval> {
        let (n, k) = (self.n_subjects as f64, self.n_raters as f64);
        let (rows, columns, rest) = (self.between_subjects, self.between_raters, self.residual);
        let a = k * value / (n * (1.0 - value));
        let b = 1.0 + k * value * (n - 1.0) / (n * (1.0 - value));
        // Satterthwaite's degrees of freedom.
        let df = (a * columns + b * rest).powi(2)
            / ((a * columns).powi(2) / (k - 1.0) + (b * rest).powi(2) / ((n - 1.0) * (k - 1.0)));
        // Exactly 1 to rounding counts; nothing over nothing does not.
        if df.is_nan() || df < 1.0 - 1e-9 {
            return None;
        }
        let p = 0.5 + 0.5 * confidence.value();
        let (low, high) = (f_quantile(p, n - 1.0, df), f_quantile(p, df, n - 1.0));
        let noise = k * columns + (k * n - k - n) * rest;
        Some(Interval {
            low: n * (rows - low * rest) / (low * noise + n * rows),
            high: n * (high * rows - rest) / (noise + n * high * rows),
        })
    }

    /// ICC(3,1): consistency of single ratings by these raters alone; a rater's constant offset costs
    /// nothing. Interval of Shrout & Fleiss.
    ///
    /// `None` if only raters differ: no subject stands out and nothing is left over.
    pub fn icc_3_1(&self, confidence: Confidence) -> Option<IntraclassCorrelation> {
        let (n, k) = (self.n_subjects as f64, self.n_raters as f64);
        let (rows, rest) = (self.between_subjects, self.residual);
        let scale = rows + (k - 1.0) * rest;
        if scale <= 0.0 {
            return None;
        }
        let value = (rows - rest) / scale;
        let interval = (rest > 0.0).then(|| {
            let p = 0.5 + 0.5 * confidence.value();
            let (df_1, df_2) = (n - 1.0, (n - 1.0) * (k - 1.0));
            let low = rows / rest / f_quantile(p, df_1, df_2);
            let high = rows / rest * f_quantile(p, df_2, df_1);
            let icc = |f: f64| (f - 1.0) / (f + k - 1.0);
            Interval { low: icc(low), high: icc(high) }
        });
        Some(IntraclassCorrelation { value, interval })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    /// Table 2 of Shrout & Fleiss (1979).
    const TABLE: [f64; 24] = [
        9., 2., 5., 8., 6., 1., 3., 2., 8., 4., 6., 8., 7., 1., 2., 6., 10., 5., 6., 9., 6., 2.,
        4., 7.,
    ];

    #[test]
    fn agrees_with_shrout_and_fleiss() {
        let ratings = Ratings::new(&TABLE, 4).unwrap();
        let (two, three) =
            (ratings.icc_2_1(Confidence::P95).unwrap(), ratings.icc_3_1(Confidence::P95).unwrap());
        assert!((two.value - 0.29).abs() < 0.005, "{two:?}");
        assert!((three.value - 0.71).abs() < 0.005, "{three:?}");
        // Intervals as in McGraw & Wong and in R's psych: 0.02 to 0.76, and 0.34 to 0.95.
        let (a, b) = (two.interval.unwrap(), three.interval.unwrap());
        assert!((a.low - 0.019).abs() < 0.001 && (a.high - 0.761).abs() < 0.001, "{a:?}");
        assert!((b.low - 0.342).abs() < 0.001 && (b.high - 0.946).abs() < 0.001, "{b:?}");
    }

    #[test]
    fn an_offset_costs_agreement_and_not_consistency() {
        let pairs: Vec<f64> = [1.0, 4.0, 2.0, 8.0].iter().flat_map(|v| [*v, v + 3.0]).collect();
        let ratings = Ratings::new(&pairs, 2).unwrap();
        assert_eq!(ratings.residual, 0.0);
        let three = ratings.icc_3_1(Confidence::P95).unwrap();
        assert_eq!((three.value, three.interval), (1.0, None));
        assert!(ratings.icc_2_1(Confidence::P95).unwrap().value < 0.9);
        let swapped = Ratings::new(&[1.0, 2.0, 2.0, 1.0], 2).unwrap();
        assert_eq!(swapped.icc_2_1(Confidence::P95), None);
        // Below 0, its variance terms all but cancel.
        let negative = Ratings::new(&[0.0, 1.0, 1.0, 0.0, 0.25, 0.5], 2).unwrap();
        let two = negative.icc_2_1(Confidence::P95).unwrap();
        assert!(two.value < 0.0 && two.interval.is_none(), "{two:?}");
        let cancelled = Ratings::new(&[1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0], 2).unwrap();
        let two = cancelled.icc_2_1(Confidence::P95).unwrap();
        assert!((two.value + 2.0).abs() < 1e-12 && two.interval.is_none(), "{two:?}");
        let offset_alone = Ratings::new(&[1.0, 2.0, 1.0, 2.0], 2).unwrap();
        assert_eq!(offset_alone.icc_3_1(Confidence::P95), None);
    }

    #[test]
    fn a_table_must_be_whole() {
        assert!(matches!(Ratings::new(&[1.0; 4], 2), Err(MetricError::NoSpread { .. })));
        assert!(matches!(Ratings::new(&[1.0; 5], 2), Err(MetricError::LengthMismatch { .. })));
        assert!(matches!(Ratings::new(&[1.0, 2.0], 2), Err(MetricError::TooFew { .. })));
        assert!(matches!(Ratings::new(&[1.0, 2.0], 1), Err(MetricError::TooFew { .. })));
        assert_eq!(
            Ratings::new(&[1.0, 2.0, f64::NAN, 4.0], 2),
            Err(MetricError::NotANumber { index: 2 })
        );
    }
}
