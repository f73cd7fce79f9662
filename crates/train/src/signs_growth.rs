//! Growth told from the signs of the hematoma that the network finds: the second of two stages.

use burn::tensor::Device;
use hemex_metrics::LogisticRegression;
use hemex_model::{
    CaseInput, Decision, Network, NetworkSpec, SIGN_FEATURES, SignCoefficient, SignsGrowth,
    predict_case, read_case, sign_features,
};
use hemex_stage::DrawKey;
use hemex_volume::{Image, LabelMap};
use rand::RngExt;

use crate::TrainError;
use crate::cohort::{BRAIN, Cohort};

/// A case as the regression sees it.
#[derive(Debug, Clone)]
pub(crate) struct SignCase {
    pub(crate) features: [f64; SIGN_FEATURES.len()],
    pub(crate) growth: bool,
}

/// How cases are read by the network whose masks count.
pub(crate) struct SignsReader<'a> {
    pub(crate) network: &'a Network,
    pub(crate) spec: &'a NetworkSpec,
    pub(crate) decision: &'a Decision,
    pub(crate) batch_size: usize,
    pub(crate) device: &'a Device,
}

impl SignsReader<'_> {
    /// Every training and validation case in which the network finds a hematoma. The validation cases have chosen
    /// the checkpoint and are as free for this fit as the others.
    pub(crate) fn cases(&self, cohort: &Cohort) -> Result<Vec<SignCase>, TrainError> {
        let mut cases = Vec::with_capacity(cohort.train.len() + cohort.val.len());
        for case in &cohort.train {
            let mut brain = case.labels.clone();
            brain.voxels_mut().iter_mut().for_each(|label| *label = u8::from(*label & BRAIN > 0));
            let input = CaseInput::new(&case.image, &brain, self.spec.input());
            let features = self.features(&input, &case.image, &case.case_id)?;
            cases.extend(features.map(|features| SignCase { features, growth: case.growth }));
        }
        for case in &cohort.val {
            let features = self.features(&case.input, &case.image, &case.case_id)?;
            cases.extend(features.map(|features| SignCase { features, growth: case.growth }));
        }
        Ok(cases)
    }

    fn features(
        &self,
        input: &CaseInput,
        image: &Image,
        case_id: &str,
    ) -> Result<Option<[f64; SIGN_FEATURES.len()]>, TrainError> {
        let output = predict_case(self.network, self.spec, input, self.batch_size, self.device)?;
        let reading = read_case(&output, self.spec, self.decision, input.geometry());
        let of_mask = |mask: LabelMap| sign_features(image, &mask);
        let features = reading.mask.map(of_mask).transpose().map_err(|e| TrainError::Case {
            case_id: case_id.to_owned(),
            problem: format!("its hematoma cannot be described: {e}"),
        })?;
        Ok(features.flatten())
    }
}

/// Penalties of which the best is taken.
const PENALTIES: [f64; 6] = [0.01, 0.03, 0.1, 0.3, 1.0, 3.0];
const N_FOLDS: usize = 5;

/// A fit and how it was chosen.
#[derive(Debug, Clone)]
pub(crate) struct SignsFit {
    pub(crate) growth: SignsGrowth,
    pub(crate) penalty: f64,
    /// Mean cross-entropy of held-out cases under that penalty.
    pub(crate) cross_entropy: f64,
}

/// Fits the regression; the penalty is that under which held-out cases are told best, in 5 folds drawn under `seed`.
/// `None` if no fit converges: one class, or no case.
///
/// Every case counts alike: weights toward another site leave the fit a fifth of its cases, which costs more than a
/// law of growth that is the same at every site has to fear.
pub(crate) fn fit(cases: &[SignCase], seed: u64) -> Option<SignsFit> {
    let folds = folds(cases.len(), seed);
    let (penalty, cross_entropy) = PENALTIES
        .into_iter()
        .filter_map(|penalty| Some((penalty, held_out_entropy(cases, &folds, penalty)?)))
        .min_by(|a, b| a.1.total_cmp(&b.1))?;
    let growth = regression(&cases.iter().collect::<Vec<_>>(), penalty)?;
    Some(SignsFit { growth, penalty, cross_entropy })
}

/// The fold of each case.
fn folds(n: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    let mut rng = DrawKey::new(seed, "train.signs_growth").rng();
    for i in (1..n).rev() {
        order.swap(i, rng.random_range(0..=i));
    }
    let mut folds = vec![0; n];
    for (place, case) in order.into_iter().enumerate() {
        folds[case] = place % N_FOLDS;
    }
    folds
}

fn held_out_entropy(cases: &[SignCase], folds: &[usize], penalty: f64) -> Option<f64> {
    let mut sum = 0.0;
    for fold in 0..N_FOLDS {
        let part = |held_out: bool| {
            let of = cases.iter().zip(folds).filter(move |(_, f)| (**f == fold) == held_out);
            of.map(|(case, _)| case).collect::<Vec<_>>()
        };
        let growth = regression(&part(false), penalty)?;
        for case in part(true) {
            let z = growth.logit(&case.features);
            let z = if case.growth { -z } else { z };
            sum += z.max(0.0) + (-z.abs()).exp().ln_1p();
        }
    }
    Some(sum / cases.len() as f64)
}

/// A ridge regression on standardised features; one that does not vary is left as it is.
fn regression(cases: &[&SignCase], penalty: f64) -> Option<SignsGrowth> {
    let n = cases.len() as f64;
    let scales: Vec<[f64; 2]> = (0..SIGN_FEATURES.len())
        .map(|j| {
            let mean = cases.iter().map(|case| case.features[j]).sum::<f64>() / n;
            let square = cases.iter().map(|case| (case.features[j] - mean).powi(2)).sum::<f64>();
            let sd = (square / n).sqrt();
            [mean, if sd > 1e-9 { sd } else { 1.0 }]
        })
        .collect();
    let row = |case: &&SignCase| {
        let scaled =
            case.features.iter().zip(&scales).map(|(value, [mean, sd])| (value - mean) / sd);
        scaled.collect::<Vec<_>>()
    };
    let rows: Vec<Vec<f64>> = cases.iter().map(row).collect();
    let labels: Vec<bool> = cases.iter().map(|case| case.growth).collect();
    if labels.iter().all(|label| *label) || !labels.iter().any(|label| *label) {
        return None;
    }
    let fit = LogisticRegression::fit(&rows, &labels, &vec![1.0; rows.len()], penalty)?;
    let (slopes, intercept) = fit.coefficients();
    let features = SIGN_FEATURES.iter().zip(&scales).zip(slopes);
    let features = features.map(|((name, [mean, sd]), coefficient)| SignCoefficient {
        name: (*name).to_owned(),
        mean: *mean,
        sd: *sd,
        coefficient: *coefficient,
    });
    Some(SignsGrowth { intercept, features: features.collect() })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    /// Growth follows the first feature, with noise; the others are noise alone, one does not vary.
    fn cases(n: usize) -> Vec<SignCase> {
        let mut rng = DrawKey::new(5, "test").rng();
        (0..n)
            .map(|_| {
                let mut features = [0.0; SIGN_FEATURES.len()];
                features.iter_mut().for_each(|value| *value = rng.random::<f64>());
                features[4] = 7.0;
                let growth = rng.random::<f64>() < 1.0 / (1.0 + (4.0 - 8.0 * features[0]).exp());
                SignCase { features, growth }
            })
            .collect()
    }

    #[test]
    fn the_feature_that_tells_growth_is_found() {
        let cases = cases(300);
        let found = fit(&cases, 1).unwrap();
        let largest = found
            .growth
            .features
            .iter()
            .max_by(|a, b| a.coefficient.abs().total_cmp(&b.coefficient.abs()));
        assert_eq!(largest.unwrap().name, SIGN_FEATURES[0]);
        assert_eq!(found.growth.features[4].coefficient, 0.0);
        // Better than the share that grew, said of everyone.
        let share = cases.iter().filter(|case| case.growth).count() as f64 / 300.0;
        let ignorant = -(share * share.ln() + (1.0 - share) * (1.0 - share).ln());
        assert!(found.cross_entropy < 0.8 * ignorant, "{} {ignorant}", found.cross_entropy);
        assert_eq!(fit(&cases, 1).unwrap().growth, found.growth, "the same draws, the same fit");
    }

    #[test]
    fn noise_is_penalised_away_and_one_class_is_none() {
        let mut cases = cases(60);
        for (i, case) in cases.iter_mut().enumerate() {
            case.growth = i % 4 == 0;
        }
        let found = fit(&cases, 1).unwrap();
        assert!(found.penalty >= 0.3, "{}", found.penalty);
        cases.iter_mut().for_each(|case| case.growth = false);
        assert!(fit(&cases, 1).is_none());
        assert!(fit(&[], 1).is_none());
    }
}
