use crate::error::{check_classes, check_parallel};
use crate::{Confidence, Interval, MetricError, normal};

/// AUROC with its variance by DeLong, DeLong & Clarke-Pearson (Biometrics 1988), computed from
/// midranks in O(n log n) as Sun & Xu (IEEE Signal Processing Letters 2014) do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DeLong {
    /// AUROC, a tie counting one half.
    pub auroc: f64,
    /// Variance of the AUROC over draws of cases; 0 at an AUROC of 0 or 1.
    pub variance: f64,
    /// Cases of the positive class.
    pub n_positive: usize,
    /// Cases of the negative class.
    pub n_negative: usize,
}

impl DeLong {
    /// AUROC and variance of these cases, which must be independent (one a patient).
    ///
    /// # Errors
    /// [`MetricError::OneClass`] or [`MetricError::TooFew`] with fewer than two cases of a class,
    /// [`MetricError::LengthMismatch`], [`MetricError::NotANumber`].
    pub fn new(scores: &[f64], labels: &[bool]) -> Result<Self, MetricError> {
        let placements = Placements::new(scores, labels)?;
        Ok(Self {
            auroc: placements.auroc(),
            variance: placements.covariance(&placements),
            n_positive: placements.of_positive.len(),
            n_negative: placements.of_negative.len(),
        })
    }

    /// Interval on the logit scale, which keeps it inside (0, 1).
    ///
    /// `None` at an AUROC of 0 or 1, where the variance estimate is 0 and the logit infinite.
    pub fn interval(&self, confidence: Confidence) -> Option<Interval> {
        let spread = self.auroc * (1.0 - self.auroc);
        if spread <= 0.0 {
            return None;
        }
        let centre = (self.auroc / (1.0 - self.auroc)).ln();
        // Delta method: d logit(a) / da = 1 / (a (1 − a)).
        let half = confidence.z() * self.variance.sqrt() / spread;
        let expit = |x: f64| 1.0 / (1.0 + (-x).exp());
        Some(Interval { low: expit(centre - half), high: expit(centre + half) })
    }
}

/// Two scores compared on the same cases.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairedDeLong {
    /// The first score.
    pub first: DeLong,
    /// The second score.
    pub second: DeLong,
    /// Covariance of the two AUROCs.
    pub covariance: f64,
}

impl PairedDeLong {
    /// First AUROC minus second.
    pub fn difference(&self) -> f64 {
        self.first.auroc - self.second.auroc
    }

    /// Standard error of the difference; 0 if both scores rank alike.
    pub fn standard_error(&self) -> f64 {
        // Rounding may leave −1e-19 where both scores rank alike.
        (self.first.variance + self.second.variance - 2.0 * self.covariance).max(0.0).sqrt()
    }

    /// Interval of the difference on the plain scale.
    pub fn interval(&self, confidence: Confidence) -> Interval {
        let half = confidence.z() * self.standard_error();
        Interval { low: self.difference() - half, high: self.difference() + half }
    }

    /// Two-sided p-value of the hypothesis that both AUROCs are the same.
    ///
    /// `None` if the standard error is 0 (to rounding): the test has nothing to go by.
    pub fn p_value(&self) -> Option<f64> {
        let error = self.standard_error();
        (error > 1e-9).then(|| 2.0 * normal::upper_tail((self.difference() / error).abs()))
    }
}

/// Compares two scores of the same cases.
///
/// # Errors
/// As [`DeLong::new`].
pub fn paired_delong(
    first: &[f64],
    second: &[f64],
    labels: &[bool],
) -> Result<PairedDeLong, MetricError> {
    let a = Placements::new(first, labels)?;
    let b = Placements::new(second, labels)?;
    Ok(PairedDeLong {
        first: DeLong::new(first, labels)?,
        second: DeLong::new(second, labels)?,
        covariance: a.covariance(&b),
    })
}

/// For each positive case the share of negative cases below it, for each negative case the share of
/// positive cases above it (ties one half): the structural components V₁₀ and V₀₁ of DeLong.
struct Placements {
    of_positive: Vec<f64>,
    of_negative: Vec<f64>,
}

impl Placements {
    fn new(scores: &[f64], labels: &[bool]) -> Result<Self, MetricError> {
        check_parallel(scores, labels.len())?;
        let (n_positive, n_negative) = check_classes(labels)?;
        for (what, found) in [("positive cases", n_positive), ("negative cases", n_negative)] {
            if found < 2 {
                return Err(MetricError::TooFew { what, needed: 2, found });
            }
        }
        let of_class = |class: bool| -> Vec<f64> {
            scores.iter().zip(labels).filter(|(_, l)| **l == class).map(|(s, _)| *s).collect()
        };
        let among_all = midranks(scores);
        let among_class = [midranks(&of_class(false)), midranks(&of_class(true))];
        let (mut of_positive, mut of_negative) = (Vec::new(), Vec::new());
        let mut next = [0_usize; 2];
        for (rank, &label) in among_all.iter().zip(labels) {
            let class = usize::from(label);
            // Rank among all minus rank within the class: cases of the other class below.
            let n_below = rank - among_class[class][next[class]];
            next[class] += 1;
            if label {
                of_positive.push(n_below / n_negative as f64);
            } else {
                of_negative.push(1.0 - n_below / n_positive as f64);
            }
        }
        Ok(Self { of_positive, of_negative })
    }

    fn auroc(&self) -> f64 {
        mean(&self.of_positive)
    }

    fn covariance(&self, other: &Self) -> f64 {
        covariance(&self.of_positive, &other.of_positive) / self.of_positive.len() as f64
            + covariance(&self.of_negative, &other.of_negative) / self.of_negative.len() as f64
    }
}

/// Ranks from 1; equal values share the mean of their ranks.
fn midranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    for tied in order.chunk_by(|a, b| values[*a] == values[*b]) {
        let middle = start as f64 + 0.5 * (tied.len() as f64 + 1.0);
        for &case in tied {
            ranks[case] = middle;
        }
        start += tied.len();
    }
    ranks
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Unbiased sample covariance (n − 1).
fn covariance(a: &[f64], b: &[f64]) -> f64 {
    let (mean_a, mean_b) = (mean(a), mean(b));
    let sum: f64 = a.iter().zip(b).map(|(x, y)| (x - mean_a) * (y - mean_b)).sum();
    sum / (a.len() as f64 - 1.0)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;
    use crate::roc::tests::{FIRST, SECOND, labels};

    // tests/reference/metrics.py, from placement values counted pair by pair.
    #[test]
    fn agrees_with_placement_values() {
        let paired = paired_delong(&FIRST, &SECOND, &labels()).unwrap();
        assert!((paired.first.auroc - 0.8956043956043956).abs() < 1e-14);
        assert!((paired.first.variance - 0.005247957171034093).abs() < 1e-15);
        assert!((paired.second.variance - 0.010113512860765608).abs() < 1e-15);
        assert!((paired.covariance - 0.0012352574165760983).abs() < 1e-15);
        assert!((paired.difference() - 0.08791208791208793).abs() < 1e-14);
        assert!((paired.standard_error() - 0.1135383424163287).abs() < 1e-14);
        assert!((paired.p_value().unwrap() - 0.4387567916423144).abs() < 1e-12);
        let interval = paired.first.interval(Confidence::P95).unwrap();
        assert!((interval.low - 0.6526495966189539).abs() < 1e-12);
        assert!((interval.high - 0.9751059215818458).abs() < 1e-12);
        assert!(paired.interval(Confidence::P95).contains(0.0));
    }

    #[test]
    fn a_score_against_itself_has_no_p_value() {
        let paired = paired_delong(&FIRST, &FIRST, &labels()).unwrap();
        assert_eq!((paired.difference(), paired.p_value()), (0.0, None));
    }

    #[test]
    fn a_perfect_ranking_has_no_logit_interval() {
        let delong = DeLong::new(&[0.1, 0.2, 0.8, 0.9], &[false, false, true, true]).unwrap();
        assert_eq!((delong.auroc, delong.variance), (1.0, 0.0));
        assert_eq!(delong.interval(Confidence::P95), None);
    }

    #[test]
    fn one_case_of_a_class_has_no_variance() {
        let error = DeLong::new(&[0.1, 0.2, 0.8], &[false, false, true]).unwrap_err();
        assert_eq!(error, MetricError::TooFew { what: "positive cases", needed: 2, found: 1 });
    }
}
