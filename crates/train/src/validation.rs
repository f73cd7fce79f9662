use burn::tensor::Device;
use hemex_artifacts::LogitCalibration;
use hemex_metrics::{auroc, overlap};
use hemex_model::{Decision, Network, NetworkSpec, Passes, predict_case, read_case};

use crate::TrainError;
use crate::cohort::ValCase;
use crate::config::{Calibration, RawLoss, SelectBy};

/// Figures of an epoch on the validation cases.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Validation {
    /// What chooses the checkpoint.
    pub(crate) loss: f64,
    /// Mean over the cases with a reference lesion; `None` for a network without masks or where no
    /// case has one.
    pub(crate) dice: Option<f64>,
    /// Of the growth logit; `None` with one class, and for a network that does not tell growth. A case in which no
    /// hematoma is found ranks lowest.
    pub(crate) auroc: Option<f64>,
    /// What makes the logits fit best; `None` with one class.
    pub(crate) calibration: Option<LogitCalibration>,
    /// Log-odds of growth among the cases that it is fitted to; `None` where it leaves the prior as it is.
    pub(crate) fitted_prior_logit: Option<f64>,
    /// Mean probability, calibrated, of stable and of growing cases; `None` with one class.
    pub(crate) mean_probabilities: Option<[f64; 2]>,
}

impl Validation {
    /// Its figures in few words.
    pub(crate) fn summary(&self) -> String {
        let figure = |name: &str, value: Option<f64>| {
            value.map(|value| format!("{name} {value:.2}")).into_iter()
        };
        let parts = figure("val Dice", self.dice).chain(figure("val AUROC", self.auroc));
        parts.collect::<Vec<_>>().join(", ")
    }

    /// What tells the best epoch; the higher the better.
    pub(crate) fn score(&self, by: SelectBy) -> Result<f64, TrainError> {
        let missing = |figure, reason| TrainError::NoSelection { figure, reason };
        match by {
            SelectBy::Loss => Ok(-self.loss),
            SelectBy::Auroc => self.auroc.ok_or_else(|| {
                let reason =
                    "the network does not tell growth, or the validation cases are of one class";
                missing("auroc", reason)
            }),
            SelectBy::Dice => self.dice.ok_or_else(|| {
                missing("dice", "the network makes no mask, or no case has a lesion")
            }),
        }
    }
}

/// How validation cases are read.
pub(crate) struct Validator<'a> {
    pub(crate) spec: &'a NetworkSpec,
    pub(crate) decision: &'a Decision,
    pub(crate) weights: &'a RawLoss,
    pub(crate) calibration: Calibration,
    /// Of the training cases.
    pub(crate) prior_logit: f64,
    pub(crate) prior_logit_offset: f64,
    pub(crate) passes: Passes,
    pub(crate) device: &'a Device,
}

impl Validator<'_> {
    /// `label_weight · cross-entropy + mask_weight · (1 − Dice)`, both means over cases. The cross-entropy is that of
    /// the probability with the prior offset, before it is calibrated; a case in which no hematoma is found counts with
    /// the training prior alone.
    pub(crate) fn validate(
        &self,
        network: &Network,
        cases: &[ValCase],
    ) -> Result<Validation, TrainError> {
        let mut logits = Vec::with_capacity(cases.len());
        let mut dice = Vec::new();
        for case in cases {
            let output = predict_case(network, self.spec, &case.input, self.passes, self.device)?;
            let reading = read_case(&output, self.spec, self.decision, case.input.geometry());
            logits.push(reading.growth_logit.map(|logit| logit + self.prior_logit_offset));
            if let Some(mask) = reading.mask
                && case.mask.count(&[1]) > 0
                && let Ok(figures) = overlap(&mask, &[1], &case.mask, &[1])
            {
                dice.extend(figures.dice());
            }
        }
        let growth: Vec<bool> = cases.iter().map(|case| case.growth).collect();
        Ok(self.figures(&logits, &growth, mean(dice)))
    }

    /// Of cases with these logits, the prior offset added and `None` where no hematoma is found, and labels.
    fn figures(&self, logits: &[Option<f64>], growth: &[bool], dice: Option<f64>) -> Validation {
        let told = logits.iter().zip(growth);
        let (told, of_told): (Vec<f64>, Vec<bool>) =
            told.filter_map(|(logit, growth)| Some(((*logit)?, *growth))).unzip();
        // A fold without validation cases is refused where it is read.
        let entropy = mean_cross_entropy(logits, growth, self.prior_logit).unwrap_or(0.0);
        let missed = dice.map_or(0.0, |dice| 1.0 - dice);
        let loss = self.weights.label_weight * entropy + self.weights.mask_weight * missed;
        let calibration = self.calibration.fit(&told, self.prior_logit, &of_told);
        let fitted_prior_logit =
            calibration.as_ref().and_then(|_| self.calibration.fitted_prior_logit(&of_told));
        let mean_probabilities = calibration.as_ref().and_then(|calibration| {
            let logits: Vec<f64> = told.iter().map(|logit| calibration.apply(*logit)).collect();
            mean_probabilities(&logits, &of_told)
        });
        let scores: Vec<f64> = logits.iter().map(|l| l.unwrap_or(f64::MIN)).collect();
        let auroc = match self.spec.kind().classifies() {
            true => auroc(&scores, growth).ok(),
            false => None,
        };
        Validation { loss, dice, auroc, calibration, fitted_prior_logit, mean_probabilities }
    }
}

/// Over the cases, of which one without a logit counts with the prior; `None` without any.
fn mean_cross_entropy(logits: &[Option<f64>], growth: &[bool], prior_logit: f64) -> Option<f64> {
    let cases = logits.iter().zip(growth);
    let entropy = cases.map(|(z, growth)| cross_entropy(z.unwrap_or(prior_logit), *growth));
    mean(entropy.collect())
}

/// Of stable and of growing cases, from their logits; `None` with one class.
pub(crate) fn mean_probabilities(logits: &[f64], growth: &[bool]) -> Option<[f64; 2]> {
    let of_class = |class: bool| {
        let members = logits.iter().zip(growth).filter(|(_, label)| **label == class);
        mean(members.map(|(logit, _)| 1.0 / (1.0 + (-logit).exp())).collect())
    };
    Some([of_class(false)?, of_class(true)?])
}

/// `ln(1 + e^∓z)`, stable for any logit.
fn cross_entropy(logit: f64, growth: bool) -> f64 {
    let z = if growth { -logit } else { logit };
    z.max(0.0) + (-z.abs()).exp().ln_1p()
}

fn mean(values: Vec<f64>) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;
    use crate::cohort::tests::config_with;

    /// Of a network of this kind that makes no mask of any case; three of four training cases are stable.
    fn figures(
        kind: &str,
        calibration: Calibration,
        logits: &[Option<f64>],
        growth: &[bool],
    ) -> Validation {
        let config = config_with(&format!(
            "[arm.joint]\nkind = \"{kind}\"\n[growth_from.joint]\nscan = \"signs\""
        ));
        let arm = &config.arms["joint"];
        let validator = Validator {
            spec: &arm.spec,
            decision: &config.decision,
            weights: &arm.loss,
            calibration,
            prior_logit: -(3f64.ln()),
            prior_logit_offset: 9.0,
            passes: Passes { batch_size: 1, mirrored: false },
            device: &Device::flex(),
        };
        validator.figures(logits, growth, None)
    }

    #[test]
    fn a_case_in_which_nothing_is_found_counts_with_the_prior() {
        let (logits, growth) = ([Some(0.0), None, None], [true, true, false]);
        // One half, a quarter and three quarters.
        let expected = (2f64.ln() + 4f64.ln() + (4.0f64 / 3.0).ln()) / 3.0;
        let found = mean_cross_entropy(&logits, &growth, -(3f64.ln())).unwrap();
        assert!((found - expected).abs() < 1e-12, "{found} for {expected}");
        let found = figures("joint_unet", Calibration::None, &logits, &growth);
        assert!((found.loss - expected).abs() < 1e-12, "{found:?} for {expected}");
        assert_eq!(mean_cross_entropy(&[], &[], 0.0), None);
    }

    #[test]
    fn a_network_that_does_not_tell_growth_ranks_nobody() {
        let of =
            |kind| figures(kind, Calibration::Temperature, &[None; 4], &[true, false, true, false]);
        assert_eq!(of("joint_unet").auroc, Some(0.5), "it finds no hematoma yet");
        let found = of("unet");
        assert_eq!(found.auroc, None);
        let error = found.score(SelectBy::Auroc).unwrap_err().to_string();
        assert!(error.contains("auroc") && error.contains("does not tell growth"), "{error}");
    }

    #[test]
    fn a_calibration_that_moves_the_prior_says_whereto() {
        let logits = [Some(1.0), Some(-0.5), None, Some(0.2)];
        let growth = [true, false, true, false];
        for (calibration, expected) in [
            (Calibration::None, None),
            (Calibration::Temperature, None),
            (Calibration::Platt, Some(0.5f64.ln())),
            (Calibration::Isotonic, Some(0.5f64.ln())),
        ] {
            let found = figures("joint_unet", calibration, &logits, &growth);
            assert_eq!(found.fitted_prior_logit, expected, "{calibration:?}");
            let one_class = figures("joint_unet", calibration, &logits, &[true; 4]);
            assert_eq!(one_class.fitted_prior_logit, None, "{calibration:?}");
        }
    }

    #[test]
    fn the_best_epoch_is_told_by_what_is_asked_for() {
        let found = Validation {
            loss: 0.7,
            dice: None,
            auroc: Some(0.6),
            calibration: None,
            fitted_prior_logit: None,
            mean_probabilities: None,
        };
        assert!(matches!(found.score(SelectBy::Loss), Ok(score) if score == -0.7));
        assert!(matches!(found.score(SelectBy::Auroc), Ok(0.6)));
        let missing = found.score(SelectBy::Dice).map_err(|e| e.to_string());
        assert!(missing.is_err_and(|e| e.contains("dice") && e.contains("no mask")));
    }

    #[test]
    fn probabilities_are_averaged_by_class() {
        let odds = |p: f64| (p / (1.0 - p)).ln();
        let logits = [odds(0.2), odds(0.4), odds(0.9)];
        let found = mean_probabilities(&logits, &[false, false, true]).unwrap_or_default();
        assert!((found[0] - 0.3).abs() < 1e-12 && (found[1] - 0.9).abs() < 1e-12, "{found:?}");
        assert_eq!(mean_probabilities(&logits, &[true; 3]), None);
    }

    #[test]
    fn cross_entropy_is_minus_the_log_probability() {
        for logit in [-3.0, 0.0, 0.5, 40.0] {
            let p: f64 = 1.0 / (1.0 + f64::exp(-logit));
            assert!((cross_entropy(logit, true) + p.ln()).abs() < 1e-12);
        }
        assert!((cross_entropy(40.0, false) - 40.0).abs() < 1e-12);
        assert_eq!(cross_entropy(-800.0, true), 800.0);
    }
}
