//! Patients and how they are dealt.

use rand::Rng;
use rand::seq::SliceRandom;

use super::Unit;

/// A patient with those of its cases that a draw is about.
#[derive(Debug, Clone)]
pub(super) struct Patient<'a> {
    pub(super) cases: Vec<&'a Unit>,
}

impl<'a> Patient<'a> {
    /// Groups units by patient, sorted by pseudonym.
    pub(super) fn group(units: impl IntoIterator<Item = &'a Unit>) -> Vec<Self> {
        let mut patients = std::collections::BTreeMap::<&str, Vec<&Unit>>::new();
        for unit in units {
            patients.entry(&unit.patient_id).or_default().push(unit);
        }
        patients.into_values().map(|cases| Self { cases }).collect()
    }

    /// The patient with those cases alone that have a reference mask; `None` if none has.
    pub(super) fn with_masks(mut self) -> Option<Self> {
        self.cases.retain(|unit| unit.has_mask);
        (!self.cases.is_empty()).then_some(self)
    }

    /// The stratum: whether any case grew, then the first case's site.
    fn stratum(&self) -> (bool, &'a str) {
        let grew = self.cases.iter().any(|unit| unit.growth == Some(true));
        (grew, self.cases.first().map_or("", |unit| unit.site.as_str()))
    }
}

/// Deals patients to `n` hands, stratum after stratum, so that hands differ by at most one patient in
/// each label's count and in all. Gives the hand of each patient.
pub(super) fn deal(patients: &[Patient<'_>], n: usize, rng: &mut impl Rng) -> Vec<usize> {
    let mut order: Vec<usize> = (0..patients.len()).collect();
    order.shuffle(rng);
    order.sort_by_key(|idx| patients[*idx].stratum());
    let mut hand = vec![0; patients.len()];
    for (place, idx) in order.into_iter().enumerate() {
        hand[idx] = place % n;
    }
    hand
}

/// Draws the given part of each label's patients (at least one, if the label has two).
pub(super) fn draw_stratified(
    patients: &[Patient<'_>],
    fraction: f64,
    rng: &mut impl Rng,
) -> Vec<bool> {
    let mut drawn = vec![false; patients.len()];
    for grew in [false, true] {
        let mut stratum: Vec<usize> =
            (0..patients.len()).filter(|idx| patients[*idx].stratum().0 == grew).collect();
        stratum.shuffle(rng);
        let n = part(stratum.len(), fraction);
        stratum[..n].iter().for_each(|idx| drawn[*idx] = true);
    }
    drawn
}

/// Draws the given part of the patients, whatever their labels.
pub(super) fn draw(n_patients: usize, fraction: f64, rng: &mut impl Rng) -> Vec<bool> {
    let mut order: Vec<usize> = (0..n_patients).collect();
    order.shuffle(rng);
    let mut drawn = vec![false; n_patients];
    if fraction > 0.0 {
        order[..part(n_patients, fraction)].iter().for_each(|idx| drawn[*idx] = true);
    }
    drawn
}

/// The rounded part of `n`, but neither nothing nor all of two and more.
pub(super) fn part(n: usize, fraction: f64) -> usize {
    if n < 2 {
        return 0;
    }
    ((n as f64 * fraction).round() as usize).clamp(1, n - 1)
}
