//! Growth told from what is known of a case once the network has found its hematoma: the second of two stages.

use std::collections::BTreeMap;

use burn::tensor::Device;
use hemex_metrics::{LogisticRegression, Scale};
use hemex_model::{
    CaseInput, Decision, GrowthFeature, GrowthRegression, Network, NetworkSpec, Passes,
    SIGN_FEATURES, predict_case, read_case, sign_features,
};
use hemex_stage::{DrawKey, log};
use hemex_volume::{Image, LabelMap};
use rand::RngExt;

use crate::TrainError;
use crate::cohort::{BRAIN, Clinical, Cohort, ValCase};
use crate::growth_source::Established;
use crate::validation::mean_probabilities;

/// A case as the regression sees it.
#[derive(Debug, Clone)]
struct KnownCase<'a> {
    patient_id: &'a str,
    /// In the order of the names; `None` for what is not known.
    features: Vec<Option<f64>>,
    growth: bool,
}

/// How cases are read by the network whose masks count.
pub(crate) struct MaskReader<'a> {
    pub(crate) network: &'a Network,
    pub(crate) spec: &'a NetworkSpec,
    pub(crate) decision: &'a Decision,
    pub(crate) passes: Passes,
    pub(crate) device: &'a Device,
    /// Names of the features of the mask.
    pub(crate) of_mask: &'a [&'static str],
    /// Names of those of the patient.
    pub(crate) clinical: &'a [&'static str],
    pub(crate) established: &'a Established,
}

impl MaskReader<'_> {
    /// The regression on the cohort's cases; its penalty is chosen on folds of patients drawn under `seed`.
    pub(crate) fn regression(&self, cohort: &Cohort, seed: u64) -> Result<Fit, TrainError> {
        let (names, cases) = (self.names(), self.cases(cohort)?);
        let penalty_of = |name: &str| self.established.penalty_of(name);
        let fit =
            fit(&names, penalty_of, &cases, seed).ok_or_else(|| TrainError::NoRegression {
                n_found: cases.len(),
                n: cohort.train.len() + cohort.val.len(),
                n_growth: cases.iter().filter(|case| case.growth).count(),
            })?;
        log(format_args!(
            "growth from {} features of {} hematomas: penalty {}, cross-entropy {:.3} where held out",
            names.len(),
            cases.len(),
            fit.penalty,
            fit.cross_entropy
        ));
        Ok(fit)
    }

    /// The names of the features of a [`KnownCase`].
    fn names(&self) -> Vec<&'static str> {
        self.of_mask.iter().chain(self.clinical).copied().collect()
    }

    /// Every training and validation case in which the network finds a hematoma. The validation cases have chosen
    /// the checkpoint and are as free for this fit as the others.
    fn cases<'a>(&self, cohort: &'a Cohort) -> Result<Vec<KnownCase<'a>>, TrainError> {
        let mut cases = Vec::with_capacity(cohort.train.len() + cohort.val.len());
        let known = |clinical: &'a Clinical, growth, features: Option<Vec<Option<f64>>>| {
            let patient_id = clinical.case.patient_id.as_str();
            features.map(|features| KnownCase { patient_id, features, growth })
        };
        for case in &cohort.train {
            let mut brain = case.labels.clone();
            brain.voxels_mut().iter_mut().for_each(|label| *label = u8::from(*label & BRAIN > 0));
            let input = CaseInput::new(&case.image, &brain, self.spec.input());
            let features = self.features(&input, &case.image, &case.clinical, &case.case_id)?;
            cases.extend(known(&case.clinical, case.growth, features));
        }
        for case in &cohort.val {
            cases.extend(known(&case.clinical, case.growth, self.features_of(case)?));
        }
        Ok(cases)
    }

    /// The regression's logit of growth of a case that it was not fitted to; `None` where no hematoma is found.
    pub(crate) fn logit(
        &self,
        growth: &GrowthRegression,
        case: &ValCase,
    ) -> Result<Option<f64>, TrainError> {
        let names = self.names();
        let features = self.features_of(case)?;
        Ok(features.map(|features| {
            growth.logit(|name| {
                let place = names.iter().position(|known| *known == name);
                place.and_then(|place| features[place])
            })
        }))
    }

    fn features_of(&self, case: &ValCase) -> Result<Option<Vec<Option<f64>>>, TrainError> {
        self.features(&case.input, &case.image, &case.clinical, &case.case_id)
    }

    fn features(
        &self,
        input: &CaseInput,
        image: &Image,
        clinical: &Clinical,
        case_id: &str,
    ) -> Result<Option<Vec<Option<f64>>>, TrainError> {
        let output = predict_case(self.network, self.spec, input, self.passes, self.device)?;
        let reading = read_case(&output, self.spec, self.decision, input.geometry());
        let of_mask = |mask: LabelMap| sign_features(image, &mask);
        let signs = reading.mask.map(of_mask).transpose().map_err(|e| TrainError::Case {
            case_id: case_id.to_owned(),
            problem: format!("its hematoma cannot be described: {e}"),
        })?;
        Ok(signs.flatten().map(|signs| {
            let of_mask = self.of_mask.iter().map(|name| {
                SIGN_FEATURES.iter().position(|known| known == name).map(|place| signs[place])
            });
            of_mask.chain(self.clinical.iter().map(|name| clinical.feature(name))).collect()
        }))
    }
}

/// Penalties of which the best is taken.
const PENALTIES: [f64; 6] = [0.01, 0.03, 0.1, 0.3, 1.0, 3.0];
const N_FOLDS: usize = 5;

/// A fit and how it was chosen.
#[derive(Debug, Clone)]
pub(crate) struct Fit {
    pub(crate) growth: GrowthRegression,
    penalty: f64,
    /// Mean cross-entropy of held-out cases under that penalty.
    cross_entropy: f64,
    /// Log-odds of growth among the cases.
    pub(crate) prior_logit: f64,
    /// Mean probability of stable and of growing cases where held out.
    pub(crate) mean_probabilities: Option<[f64; 2]>,
}

/// Fits the regression; the penalty is that under which held-out cases are told best, in 5 folds drawn under `seed`,
/// none of which parts a patient's cases. A feature's penalty is that times the part of it that `penalty_of` its name
/// says. `None` if no fit converges: one class, or no case.
///
/// Every case counts alike: weights toward another site leave the fit a fifth of its cases, which costs more than a
/// law of growth that is the same at every site has to fear.
fn fit(
    names: &[&str],
    penalty_of: impl Fn(&str) -> f64,
    cases: &[KnownCase<'_>],
    seed: u64,
) -> Option<Fit> {
    let labels: Vec<bool> = cases.iter().map(|case| case.growth).collect();
    if labels.iter().all(|label| *label) || !labels.iter().any(|label| *label) {
        return None;
    }
    let values = |j: usize| cases.iter().map(|case| case.features[j]).collect::<Vec<_>>();
    let column = |(j, name): (usize, &&str)| Column::of(&values(j), penalty_of(name));
    let columns: Vec<Column> = names.iter().enumerate().map(column).collect();
    let row = |case: &KnownCase<'_>| {
        let columns = columns.iter().zip(&case.features).flat_map(|(c, value)| c.columns(*value));
        columns.collect::<Vec<_>>()
    };
    let rows: Vec<Vec<f64>> = cases.iter().map(row).collect();
    let patients: Vec<&str> = cases.iter().map(|case| case.patient_id).collect();
    let folds = folds(&patients, seed);
    let chosen = LogisticRegression::choose(&rows, &labels, &PENALTIES, &folds)?;
    let (slopes, intercept) = chosen.regression.coefficients();
    let mut slopes = slopes.iter().copied();
    let features = names.iter().zip(&columns).map(|(name, column)| {
        let mut coefficient = || slopes.next().map(|slope| slope * column.stretch);
        let (coefficient, unknown) = match column.is_partly_known {
            true => (coefficient()?, coefficient()?),
            false => (coefficient()?, 0.0),
        };
        let (name, Scale { mean, sd }) = ((*name).to_owned(), column.scale);
        Some(GrowthFeature { name, mean, sd, coefficient, unknown })
    });
    let growth = GrowthRegression { intercept, features: features.collect::<Option<_>>()? };
    let n_growth = labels.iter().filter(|label| **label).count() as f64;
    Some(Fit {
        growth,
        penalty: chosen.l2,
        cross_entropy: chosen.cross_entropy,
        prior_logit: (n_growth / (labels.len() as f64 - n_growth)).ln(),
        mean_probabilities: mean_probabilities(&chosen.held_out, &labels),
    })
}

/// The fold of each case, from the patients of the cases: all cases of a patient lie in one.
fn folds(patients: &[&str], seed: u64) -> Vec<usize> {
    // Numbered as they come, so that with one case a patient it is the cases that are dealt.
    let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
    for &patient in patients {
        let next = numbers.len();
        numbers.entry(patient).or_insert(next);
    }
    let n = numbers.len();
    let mut order: Vec<usize> = (0..n).collect();
    let mut rng = DrawKey::new(seed, "train.second_stage").rng();
    for i in (1..n).rev() {
        order.swap(i, rng.random_range(0..=i));
    }
    let mut folds = vec![0; n];
    for (place, number) in order.into_iter().enumerate() {
        folds[number] = place % N_FOLDS;
    }
    patients.iter().map(|patient| folds[numbers[patient]]).collect()
}

/// How a feature becomes columns of the fit.
struct Column {
    scale: Scale,
    /// What values are multiplied by: the penalty of a coefficient falls with its square.
    stretch: f64,
    /// Whether some cases have it and others have not.
    is_partly_known: bool,
}

impl Column {
    fn of(values: &[Option<f64>], penalty: f64) -> Self {
        let known: Vec<f64> = values.iter().flatten().copied().collect();
        let is_partly_known = !known.is_empty() && known.len() < values.len();
        Self { scale: Scale::of(&known), stretch: penalty.sqrt().recip(), is_partly_known }
    }

    /// The value standardised, 0 where it is not known, which a column of its own then says.
    fn columns(&self, value: Option<f64>) -> impl Iterator<Item = f64> + use<> {
        let unknown = self.is_partly_known.then(|| f64::from(u8::from(value.is_none())));
        let value = value.map_or(0.0, |value| self.scale.standardise(value));
        let stretch = self.stretch;
        std::iter::once(value).chain(unknown).map(move |value| value * stretch)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    const NAMES: [&str; 5] = ["tells", "noise", "noise too", "never varies", "often unknown"];

    /// One a patient. Growth follows the first feature; the last is unknown of half the cases, more often of those that
    /// grew.
    fn cases(n: usize) -> Vec<KnownCase<'static>> {
        let mut rng = DrawKey::new(5, "test").rng();
        (0..n)
            .map(|i| {
                let mut features: Vec<Option<f64>> =
                    NAMES.iter().map(|_| Some(rng.random::<f64>())).collect();
                features[3] = Some(7.0);
                let tells = features[0].unwrap();
                let growth = rng.random::<f64>() < 1.0 / (1.0 + (4.0 - 8.0 * tells).exp());
                if rng.random::<f64>() < if growth { 0.7 } else { 0.3 } {
                    features[4] = None;
                }
                KnownCase { patient_id: format!("p{i}").leak(), features, growth }
            })
            .collect()
    }

    #[test]
    fn all_cases_of_a_patient_are_held_out_together() {
        let once = ["d", "a", "g", "b", "f", "c", "e"];
        let dealt = folds(&once, 1);
        let mut sorted = dealt.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, [0, 0, 1, 1, 2, 3, 4]);
        assert_eq!(folds(&["a", "b", "c", "d", "e", "f", "g"], 1), dealt, "names deal nothing");
        assert_eq!(folds(&[once, once].concat(), 1), [&dealt[..], &dealt].concat());
    }

    fn alike(_: &str) -> f64 {
        1.0
    }

    #[test]
    fn what_is_established_is_held_back_less() {
        let cases = cases(60);
        let found = |part: f64| {
            let penalty_of = |name: &str| if name == NAMES[0] { part } else { 1.0 };
            fit(&NAMES, penalty_of, &cases, 1).unwrap().growth.features
        };
        let (alike, held_back) = (found(1.0), found(0.01));
        // What tells growth stays as it is, and noise may be held back the more.
        assert!(held_back[0].coefficient > 0.95 * alike[0].coefficient, "{held_back:?} {alike:?}");
        for (held_back, alike) in held_back[1..3].iter().zip(&alike[1..3]) {
            assert!(held_back.coefficient.abs() < 0.2 * alike.coefficient.abs(), "{held_back:?}");
        }
    }

    #[test]
    fn the_feature_that_tells_growth_is_found() {
        let cases = cases(300);
        let found = fit(&NAMES, alike, &cases, 1).unwrap();
        let coefficient = |f: &GrowthFeature| f.coefficient.abs();
        let largest =
            found.growth.features.iter().max_by(|a, b| coefficient(a).total_cmp(&coefficient(b)));
        assert_eq!(largest.unwrap().name, NAMES[0]);
        assert_eq!(found.growth.features[3].coefficient, 0.0);
        // Better than the share that grew, said of everyone.
        let share = cases.iter().filter(|case| case.growth).count() as f64 / 300.0;
        let ignorant = -(share * share.ln() + (1.0 - share) * (1.0 - share).ln());
        assert!(found.cross_entropy < 0.8 * ignorant, "{} {ignorant}", found.cross_entropy);
        assert_eq!(fit(&NAMES, alike, &cases, 1).unwrap().growth, found.growth, "the same draws");
    }

    #[test]
    fn that_a_value_is_missing_tells_too_and_its_place_is_not_invented() {
        let found = fit(&NAMES, alike, &cases(300), 1).unwrap().growth;
        assert!(found.features[4].unknown > 0.5, "{found:?}");
        assert!(found.features[..4].iter().all(|feature| feature.unknown == 0.0));
        // Uniform from 0 to 1: means and deviations are those of the known values.
        let last = &found.features[4];
        assert!((last.mean - 0.5).abs() < 0.1 && (last.sd - 12f64.sqrt().recip()).abs() < 0.05);
    }

    #[test]
    fn noise_is_penalised_away_and_one_class_is_none() {
        let mut cases = cases(60);
        for (i, case) in cases.iter_mut().enumerate() {
            case.growth = i % 4 == 0;
            case.features[4] = Some(0.0);
        }
        let found = fit(&NAMES, alike, &cases, 1).unwrap();
        assert!(found.penalty >= 0.3, "{}", found.penalty);
        cases.iter_mut().for_each(|case| case.growth = false);
        assert!(fit(&NAMES, alike, &cases, 1).is_none());
        assert!(fit(&NAMES, alike, &[], 1).is_none());
    }
}
