use crate::MetricError;
use crate::error::check_lengths;

/// How far apart two categories count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KappaWeights {
    /// Every disagreement is the same (Cohen, Educational and Psychological Measurement 1960).
    Equal,
    /// By the number of categories between (Cohen, Psychological Bulletin 1968).
    Linear,
    /// By its square: close to ICC(2,1) of the category numbers (Fleiss & Cohen 1973).
    Quadratic,
}

/// Cohen's kappa of two raters: agreement beyond what their shares of each category give by chance.
///
/// Categories are numbered in their order; which exist does not matter, only those that occur.
///
/// # Errors
/// [`MetricError::TooFew`] without a case, [`MetricError::LengthMismatch`], [`MetricError::NoSpread`]
/// if both raters use one and the same category throughout: agreement by chance is already perfect.
pub fn cohen_kappa(
    first: &[usize],
    second: &[usize],
    weights: KappaWeights,
) -> Result<f64, MetricError> {
    check_lengths(first.len(), second.len())?;
    if first.is_empty() {
        return Err(MetricError::TooFew { what: "cases", needed: 1, found: 0 });
    }
    let weight = |a: usize, b: usize| match weights {
        KappaWeights::Equal => f64::from(u8::from(a != b)),
        KappaWeights::Linear => a.abs_diff(b) as f64,
        KappaWeights::Quadratic => (a.abs_diff(b) as f64).powi(2),
    };
    let observed: f64 = first.iter().zip(second).map(|(a, b)| weight(*a, *b)).sum();
    let shares = |ratings: &[usize]| -> Vec<(usize, f64)> {
        let mut sorted = ratings.to_vec();
        sorted.sort_unstable();
        sorted.chunk_by(|a, b| a == b).map(|same| (same[0], same.len() as f64)).collect()
    };
    let (of_first, of_second) = (shares(first), shares(second));
    let chance: f64 = of_first
        .iter()
        .flat_map(|(a, n)| of_second.iter().map(move |(b, m)| weight(*a, *b) * n * m))
        .sum();
    if chance == 0.0 {
        return Err(MetricError::NoSpread { what: "categories" });
    }
    Ok(1.0 - observed * first.len() as f64 / chance)
}

/// Fleiss' kappa of several raters (Psychological Bulletin 1971); raters may differ from subject to
/// subject, their number may not.
///
/// `n_ratings[subject · n_categories + category]` is how many raters put the subject there.
///
/// # Errors
/// [`MetricError::TooFew`] without a subject, a category or two raters,
/// [`MetricError::LengthMismatch`] if the last subject is cut off or subjects differ in their number of
/// ratings, [`MetricError::NoSpread`] if all ratings are one category.
pub fn fleiss_kappa(n_ratings: &[usize], n_categories: usize) -> Result<f64, MetricError> {
    let n_subjects = n_ratings.len().checked_div(n_categories).unwrap_or(0);
    if n_subjects == 0 {
        return Err(MetricError::TooFew { what: "subjects", needed: 1, found: 0 });
    }
    check_lengths(n_ratings.len(), n_subjects * n_categories)?;
    let n_raters: usize = n_ratings[..n_categories].iter().sum();
    if n_raters < 2 {
        return Err(MetricError::TooFew { what: "raters", needed: 2, found: n_raters });
    }
    for subject in n_ratings.chunks(n_categories) {
        check_lengths(subject.iter().sum(), n_raters)?;
    }
    let all = (n_subjects * n_raters) as f64;
    let n_agreeing: usize = n_ratings.iter().map(|n| n * n.saturating_sub(1)).sum();
    let observed = n_agreeing as f64 / (all * (n_raters - 1) as f64);
    let totals = (0..n_categories)
        .map(|category| n_ratings.iter().skip(category).step_by(n_categories).sum::<usize>());
    let chance: f64 = totals.clone().map(|n| (n as f64 / all).powi(2)).sum();
    if totals.clone().any(|n| n == n_subjects * n_raters) {
        return Err(MetricError::NoSpread { what: "categories" });
    }
    Ok((observed - chance) / (1.0 - chance))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    #[test]
    fn a_two_by_two_table_by_hand() {
        // 20 and 15 agreed, 5 and 10 not: 0.7 observed, 0.5 by chance.
        let mut pairs = vec![(0, 0); 20];
        pairs.extend([vec![(1, 1); 15], vec![(0, 1); 5], vec![(1, 0); 10]].concat());
        let (a, b): (Vec<usize>, Vec<usize>) = pairs.into_iter().unzip();
        for weights in [KappaWeights::Equal, KappaWeights::Linear, KappaWeights::Quadratic] {
            assert!((cohen_kappa(&a, &b, weights).unwrap() - 0.4).abs() < 1e-15);
        }
        let opposite = cohen_kappa(&[0, 1], &[1, 0], KappaWeights::Equal);
        assert_eq!(opposite, Ok(-1.0));
    }

    #[test]
    fn weights_forgive_near_misses() {
        let (a, b) = ([0, 1, 2, 3, 2, 1], [0, 2, 2, 3, 1, 1]);
        let of = |weights| cohen_kappa(&a, &b, weights).unwrap();
        assert!(of(KappaWeights::Equal) < of(KappaWeights::Linear));
        assert!(of(KappaWeights::Linear) < of(KappaWeights::Quadratic));
    }

    #[test]
    fn agrees_with_the_table_of_fleiss() {
        // Ten subjects, fourteen raters, five categories: the usual worked example, 0.2099.
        let table = [
            0, 0, 0, 0, 14, 0, 2, 6, 4, 2, 0, 0, 3, 5, 6, 0, 3, 9, 2, 0, 2, 2, 8, 1, 1, 7, 7, 0, 0,
            0, 3, 2, 6, 3, 0, 2, 5, 3, 2, 2, 6, 5, 2, 1, 0, 0, 2, 2, 3, 7,
        ];
        assert!((fleiss_kappa(&table, 5).unwrap() - 0.20993).abs() < 1e-5);
    }

    #[test]
    fn one_category_is_undefined() {
        let same = cohen_kappa(&[1, 1], &[1, 1], KappaWeights::Equal);
        assert!(matches!(same, Err(MetricError::NoSpread { .. })));
        assert!(cohen_kappa(&[], &[], KappaWeights::Equal).is_err());
        assert!(matches!(fleiss_kappa(&[3, 0, 3, 0], 2), Err(MetricError::NoSpread { .. })));
        assert!(matches!(fleiss_kappa(&[2, 1, 1, 1], 2), Err(MetricError::LengthMismatch { .. })));
        assert!(matches!(fleiss_kappa(&[1, 0], 2), Err(MetricError::TooFew { .. })));
        assert!(fleiss_kappa(&[], 0).is_err());
    }
}
