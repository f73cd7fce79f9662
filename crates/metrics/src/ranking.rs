use crate::MetricError;
use crate::error::check_parallel;

/// Cases sorted once by score, so that a rank statistic of any resample is a single pass.
///
/// A resample is a multiplicity a patient: how often the patient was drawn. All cases of a patient
/// come and go together.
#[derive(Debug, Clone)]
pub struct Ranking {
    // By rising score; cases of one score stand together and end where `group_ends` says.
    patient_idx: Vec<u32>,
    is_positive: Vec<bool>,
    group_ends: Vec<u32>,
    n_patients: usize,
}

impl Ranking {
    /// Ranks cases of which each is its own patient: case `i` is patient `i`.
    ///
    /// Scores may be infinite (a case ranked below all others has `-∞`).
    ///
    /// # Errors
    /// [`MetricError::LengthMismatch`], [`MetricError::NotANumber`].
    pub fn new(scores: &[f64], labels: &[bool]) -> Result<Self, MetricError> {
        let patient_idx: Vec<usize> = (0..scores.len()).collect();
        Self::of_patients(scores, labels, &patient_idx, scores.len())
    }

    /// Ranks cases; `patient_idx` (below `n_patients`) names the patient of each.
    ///
    /// # Errors
    /// [`MetricError::LengthMismatch`] if the slices differ in length or a patient index is not
    /// below `n_patients`, [`MetricError::NotANumber`].
    pub fn of_patients(
        scores: &[f64],
        labels: &[bool],
        patient_idx: &[usize],
        n_patients: usize,
    ) -> Result<Self, MetricError> {
        check_parallel(scores, labels.len())?;
        check_parallel(scores, patient_idx.len())?;
        if let Some(highest) = patient_idx.iter().max().filter(|highest| **highest >= n_patients) {
            return Err(MetricError::LengthMismatch {
                n_values: highest + 1,
                n_labels: n_patients,
            });
        }
        let mut order: Vec<usize> = (0..scores.len()).collect();
        // Among equal scores the order of the input: the result never depends on it, the layout does.
        order.sort_by(|a, b| scores[*a].total_cmp(&scores[*b]));
        let group_ends = (1..=order.len())
            .filter(|&i| i == order.len() || scores[order[i]] != scores[order[i - 1]])
            .map(|i| i as u32)
            .collect();
        Ok(Self {
            patient_idx: order.iter().map(|i| patient_idx[*i] as u32).collect(),
            is_positive: order.iter().map(|i| labels[*i]).collect(),
            group_ends,
            n_patients,
        })
    }

    /// How many patients a draw must give a multiplicity for.
    pub fn n_patients(&self) -> usize {
        self.n_patients
    }

    /// AUROC of the cases, patient `p` counted `n_drawn[p]` times: the chance that a positive case
    /// scores above a negative one, a tie counting one half.
    ///
    /// `None` if a class is left without a case.
    ///
    /// # Panics
    /// If `n_drawn` is shorter than [`Ranking::n_patients`].
    pub fn auroc(&self, n_drawn: &[u32]) -> Option<f64> {
        let (mut n_positive, mut n_negative, mut twice_wins) = (0_u64, 0_u64, 0_u64);
        self.for_each_group(n_drawn, |positive, negative| {
            twice_wins += positive * (2 * n_negative + negative);
            n_positive += positive;
            n_negative += negative;
        });
        let n_pairs = n_positive * n_negative;
        (n_pairs > 0).then(|| twice_wins as f64 / (2 * n_pairs) as f64)
    }

    /// Average precision `Σ (Rₙ − Rₙ₋₁) Pₙ` over the distinct scores from the highest down, patient
    /// `p` counted `n_drawn[p]` times. Stepwise, without interpolation (as scikit-learn has it).
    ///
    /// `None` if a class is left without a case: without negatives it would be 1 whatever the
    /// scores are.
    ///
    /// # Panics
    /// If `n_drawn` is shorter than [`Ranking::n_patients`].
    pub fn average_precision(&self, n_drawn: &[u32]) -> Option<f64> {
        let mut groups = Vec::with_capacity(self.group_ends.len());
        self.for_each_group(n_drawn, |positive, negative| groups.push((positive, negative)));
        let (mut n_positive, mut n_above, mut sum) = (0_u64, 0_u64, 0.0);
        for (positive, negative) in groups.into_iter().rev() {
            n_positive += positive;
            n_above += positive + negative;
            if positive > 0 {
                sum += positive as f64 * (n_positive as f64 / n_above as f64);
            }
        }
        (n_positive > 0 && n_above > n_positive).then(|| sum / n_positive as f64)
    }

    /// Calls `visit(positive, negative)` with the multiplicities at each score, lowest score first.
    fn for_each_group(&self, n_drawn: &[u32], mut visit: impl FnMut(u64, u64)) {
        let n_drawn = &n_drawn[..self.n_patients];
        let mut start = 0;
        for &end in &self.group_ends {
            let group = start..end as usize;
            start = end as usize;
            let (mut positive, mut both) = (0, 0);
            for (patient, is_positive) in
                self.patient_idx[group.clone()].iter().zip(&self.is_positive[group])
            {
                let weight = u64::from(n_drawn[*patient as usize]);
                both += weight;
                // A product, not a branch: labels are unpredictable in score order.
                positive += weight * u64::from(*is_positive);
            }
            visit(positive, both - positive);
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    #[test]
    fn a_patient_drawn_twice_counts_twice() {
        let (scores, labels) = ([0.1, 0.4, 0.4, 0.9], [false, true, false, true]);
        let ranking = Ranking::new(&scores, &labels).unwrap();
        let repeated =
            Ranking::new(&[0.1, 0.4, 0.4, 0.4, 0.4, 0.9], &[false, true, true, false, false, true])
                .unwrap();
        assert_eq!(ranking.auroc(&[1, 2, 2, 1]), repeated.auroc(&[1; 6]));
        assert_eq!(ranking.average_precision(&[1, 2, 2, 1]), repeated.average_precision(&[1; 6]));
    }

    #[test]
    fn cases_of_a_patient_come_and_go_together() {
        let ranking = Ranking::of_patients(
            &[0.2, 0.6, 0.5, 0.1],
            &[false, true, false, true],
            &[0, 0, 1, 1],
            2,
        )
        .unwrap();
        assert_eq!(ranking.auroc(&[1, 0]), Some(1.0));
        assert_eq!(ranking.auroc(&[0, 1]), Some(0.0));
        assert_eq!(ranking.auroc(&[1, 1]), Some(0.5));
    }

    #[test]
    fn a_draw_of_one_class_is_undefined() {
        let ranking = Ranking::new(&[0.1, 0.9], &[false, true]).unwrap();
        assert_eq!(ranking.auroc(&[2, 0]), None);
        assert_eq!(ranking.average_precision(&[0, 2]), None);
        assert_eq!(ranking.average_precision(&[2, 0]), None);
    }

    #[test]
    fn a_patient_out_of_range_is_refused() {
        assert!(Ranking::of_patients(&[0.1], &[true], &[1], 1).is_err());
    }
}
