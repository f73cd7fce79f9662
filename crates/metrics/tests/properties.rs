//! What must hold for any cases, not only for those of the reference.

#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use hemex_metrics::{
    Bootstrap, Confidence, DeLong, Ranking, RocCurve, Strata, auroc, average_precision,
    equal_mass_bins, paired_delong,
};
use proptest::prelude::*;

/// Cases with both classes (at least two each) and, from so few distinct scores, many ties.
fn cases() -> impl Strategy<Value = (Vec<f64>, Vec<bool>)> {
    prop::collection::vec((0_u8..12, any::<bool>()), 0..40).prop_map(|mut drawn| {
        drawn.extend([(3, true), (7, true), (4, false), (7, false)]);
        drawn.into_iter().map(|(score, label)| (f64::from(score) / 12.0, label)).unzip()
    })
}

fn wins(scores: &[f64], labels: &[bool]) -> Vec<Vec<f64>> {
    let of =
        |class: bool| scores.iter().zip(labels).filter(move |(_, l)| **l == class).map(|(s, _)| *s);
    of(true)
        .map(|p| {
            of(false)
                .map(|n| {
                    if p > n {
                        1.0
                    } else if p == n {
                        0.5
                    } else {
                        0.0
                    }
                })
                .collect()
        })
        .collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn covariance(a: &[f64], b: &[f64]) -> f64 {
    let (mean_a, mean_b) = (mean(a), mean(b));
    a.iter().zip(b).map(|(x, y)| (x - mean_a) * (y - mean_b)).sum::<f64>() / (a.len() - 1) as f64
}

/// DeLong's covariance from every pair of cases.
fn brute_covariance(first: &[f64], second: &[f64], labels: &[bool]) -> f64 {
    let (a, b) = (wins(first, labels), wins(second, labels));
    let rows = |w: &[Vec<f64>]| -> Vec<f64> { w.iter().map(|row| mean(row)).collect() };
    let columns = |w: &[Vec<f64>]| -> Vec<f64> {
        (0..w[0].len()).map(|j| w.iter().map(|row| row[j]).sum::<f64>() / w.len() as f64).collect()
    };
    covariance(&rows(&a), &rows(&b)) / a.len() as f64
        + covariance(&columns(&a), &columns(&b)) / a[0].len() as f64
}

proptest! {
    #[test]
    fn auroc_counts_pairs((scores, labels) in cases()) {
        let pairs = wins(&scores, &labels).concat();
        prop_assert!((auroc(&scores, &labels).unwrap() - mean(&pairs)).abs() < 1e-12);
    }

    #[test]
    fn auroc_and_precision_see_ranks_alone((scores, labels) in cases()) {
        let mapped: Vec<f64> = scores.iter().map(|s| (3.0 * s).exp() - 10.0).collect();
        prop_assert_eq!(auroc(&scores, &labels), auroc(&mapped, &labels));
        prop_assert_eq!(average_precision(&scores, &labels), average_precision(&mapped, &labels));
    }

    #[test]
    fn auroc_of_the_other_class_is_the_complement((scores, labels) in cases()) {
        let swapped: Vec<bool> = labels.iter().map(|l| !l).collect();
        let reversed: Vec<f64> = scores.iter().map(|s| -s).collect();
        let value = auroc(&scores, &labels).unwrap();
        prop_assert!((value + auroc(&scores, &swapped).unwrap() - 1.0).abs() < 1e-12);
        prop_assert!((value + auroc(&reversed, &labels).unwrap() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn the_order_of_the_cases_is_nothing((scores, labels) in cases()) {
        let (mut s, mut l) = (scores.clone(), labels.clone());
        s.reverse();
        l.reverse();
        prop_assert_eq!(auroc(&scores, &labels), auroc(&s, &l));
        prop_assert_eq!(RocCurve::new(&scores, &labels), RocCurve::new(&s, &l));
        let (a, b) = (DeLong::new(&scores, &labels).unwrap(), DeLong::new(&s, &l).unwrap());
        prop_assert!((a.variance - b.variance).abs() < 1e-12);
    }

    #[test]
    fn delong_equals_placement_values((scores, labels) in cases(), shift in 1_usize..7) {
        let second: Vec<f64> =
            (0..scores.len()).map(|i| scores[(i + shift) % scores.len()]).collect();
        let paired = paired_delong(&scores, &second, &labels).unwrap();
        let close = |value: f64, a: &[f64], b: &[f64]| {
            (value - brute_covariance(a, b, &labels)).abs() < 1e-12
        };
        prop_assert!(close(paired.first.variance, &scores, &scores));
        prop_assert!(close(paired.second.variance, &second, &second));
        prop_assert!(close(paired.covariance, &scores, &second));
        prop_assert!((paired.first.auroc - auroc(&scores, &labels).unwrap()).abs() < 1e-12);
    }

    #[test]
    fn a_multiplicity_is_a_repetition(
        (scores, labels) in cases(),
        drawn in prop::collection::vec(0_u32..4, 44),
    ) {
        let (mut s, mut l) = (Vec::new(), Vec::new());
        for i in 0..scores.len() {
            for _ in 0..drawn[i] {
                s.push(scores[i]);
                l.push(labels[i]);
            }
        }
        let ranking = Ranking::new(&scores, &labels).unwrap();
        prop_assert_eq!(ranking.auroc(&drawn[..scores.len()]), auroc(&s, &l).ok());
        prop_assert_eq!(
            ranking.average_precision(&drawn[..scores.len()]),
            average_precision(&s, &l).ok()
        );
    }

    #[test]
    fn bins_hold_every_case_once((scores, labels) in cases(), n_bins in 1_usize..12) {
        let bins = equal_mass_bins(&scores, &labels, n_bins, Confidence::P95).unwrap();
        prop_assert_eq!(bins.iter().map(|b| b.n).sum::<usize>(), labels.len());
        prop_assert!(bins.len() <= n_bins);
        prop_assert!(bins.is_sorted_by(|a, b| a.mean_probability < b.mean_probability));
    }

    #[test]
    fn stratified_by_class_no_draw_is_undefined((scores, labels) in cases(), seed in any::<u64>()) {
        let ranking = Ranking::new(&scores, &labels).unwrap();
        let drawn = Bootstrap { n_draws: 40, seed }
            .distribution(&Strata::new(&labels), |n_drawn| ranking.auroc(n_drawn));
        prop_assert_eq!(drawn.n_undefined(), 0);
    }
}
