use hemex_stage::DrawKey;
use rand::RngExt;

use crate::patients::Patients;

/// The classes that patients may have seen: only hematomas that did not grow, only such that grew, or both.
const STRATA: [[bool; 2]; 3] = [[true, false], [false, true], [true, true]];

/// How patients of several cohorts are redrawn: cohorts first, then as many patients of each class within a cohort.
///
/// A cohort drawn twice has its patients drawn anew each time. The draws of one seed are the same for every figure, so
/// that differences are paired.
#[derive(Debug, Clone)]
pub(crate) struct Draws {
    /// A draw: the cohorts, each with how often its patients come.
    pub(crate) draws: Vec<Vec<(usize, Vec<u32>)>>,
}

impl Draws {
    /// Over the patients of these cohorts.
    pub(crate) fn new(patients: &[Patients], n_draws: usize, seed: u64) -> Self {
        let draw = |i: usize| {
            let rng = &mut DrawKey::new(seed, "summary.draw").repeat(i).rng();
            let cohorts: Vec<usize> =
                (0..patients.len()).map(|_| rng.random_range(0..patients.len())).collect();
            let drawn = |cohort: usize, rng: &mut _| redrawn(patients[cohort].classes(), rng);
            cohorts.into_iter().map(|cohort| (cohort, drawn(cohort, rng))).collect()
        };
        Self { draws: (0..n_draws).map(draw).collect() }
    }

    /// The middle 95 % of a statistic over the draws; `None` where fewer than 9 in 10 draws define it.
    pub(crate) fn interval(
        &self,
        statistic: impl Fn(&[(usize, Vec<u32>)]) -> Option<f64>,
    ) -> Option<[f64; 2]> {
        let mut values: Vec<f64> =
            self.draws.iter().filter_map(|draw| statistic(draw)).filter(|v| !v.is_nan()).collect();
        if values.is_empty() || values.len() * 10 < self.draws.len() * 9 {
            return None;
        }
        values.sort_by(f64::total_cmp);
        let at = |share: f64| values[(share * (values.len() - 1) as f64).round() as usize];
        Some([at(0.025), at(0.975)])
    }
}

fn redrawn(classes: &[[bool; 2]], rng: &mut impl rand::Rng) -> Vec<u32> {
    let mut n_drawn = vec![0; classes.len()];
    for stratum in STRATA {
        let members: Vec<usize> = (0..classes.len()).filter(|p| classes[*p] == stratum).collect();
        for _ in 0..members.len() {
            n_drawn[members[rng.random_range(0..members.len())]] += 1;
        }
    }
    n_drawn
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use hemex_artifacts::Role;

    use super::*;
    use crate::figures::tests::line;

    /// A cohort's patients with one case each, by whether it grew.
    fn patients(labels: &[bool]) -> Patients {
        let case = |(i, growth): (usize, &bool)| line("vgg", i, Role::Test, *growth, Some(0.5));
        let cases: Vec<_> = labels.iter().enumerate().map(case).collect();
        Patients::of(cases.iter())
    }

    #[test]
    fn cohorts_are_drawn_with_replacement_and_classes_keep_their_size() {
        let labels = [vec![true, false, false], vec![true, true, false, false, false]];
        let cohorts: Vec<Patients> = labels.iter().map(|labels| patients(labels)).collect();
        let draws = Draws::new(&cohorts, 400, 3);
        let mut n_first = 0;
        for draw in &draws.draws {
            assert_eq!(draw.len(), 2);
            for (cohort, n_drawn) in draw {
                let positives = n_drawn.iter().zip(&labels[*cohort]).filter(|(_, l)| **l);
                let n: u32 = positives.map(|(n, _)| n).sum();
                assert_eq!(n as usize, 1 + cohort);
                assert_eq!(n_drawn.iter().sum::<u32>() as usize, labels[*cohort].len());
                n_first += usize::from(*cohort == 0);
            }
        }
        // Half of 800, four standard deviations.
        assert!((n_first as f64 - 400.0).abs() < 4.0 * 200f64.sqrt(), "{n_first}");
    }

    #[test]
    fn the_interval_of_a_mean_has_its_width() {
        // One cohort of 400 patients of one class with values 0 to 1: the mean's standard error is 1 / √(12 · 400).
        let draws = Draws::new(&[patients(&[false; 400])], 2000, 1);
        let mean = |draw: &[(usize, Vec<u32>)]| {
            let terms = draw[0].1.iter().enumerate();
            Some(terms.map(|(i, n)| f64::from(*n) * i as f64 / 399.0).sum::<f64>() / 400.0)
        };
        let [low, high] = draws.interval(mean).unwrap();
        let expected = 2.0 * 1.96 / (12.0f64 * 400.0).sqrt();
        assert!(((high - low) / expected - 1.0).abs() < 0.1, "{low} {high}");
        assert_eq!(draws.interval(|_| None), None);
    }
}
