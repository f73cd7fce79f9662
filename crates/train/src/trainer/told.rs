//! What tells growth once the network has learned.

use hemex_artifacts::{ConformalCalibration, LogitCalibration};
use hemex_model::{Network, load_weights, predict_case, read_case};
use hemex_stage::warning;

use super::Trainer;
use crate::TrainError;
use crate::checkpoint::Progress;
use crate::cohort::ValCase;
use crate::growth_source::GrowthSource;
use crate::second_stage::MaskReader;

/// What tells growth, as the card says it.
pub(super) struct GrowthTold {
    pub(super) calibration: LogitCalibration,
    pub(super) prior_logit: f64,
    pub(super) mean_probabilities: Option<[f64; 2]>,
    pub(super) regression: Option<serde_json::Value>,
    pub(super) conformal: Option<ConformalCalibration>,
}

impl Trainer<'_> {
    /// What tells growth: the network of the best epoch, or a regression on the hematomas that it finds.
    pub(super) fn growth_told(&self, progress: &Progress) -> anyhow::Result<GrowthTold> {
        match &self.arm.growth_from {
            GrowthSource::Network => self.told_by_network(progress),
            GrowthSource::Regression { of_mask, clinical } => {
                self.told_by_regression(of_mask, clinical)
            }
        }
    }

    fn told_by_network(&self, progress: &Progress) -> anyhow::Result<GrowthTold> {
        // Validation cases of one class tell nothing of it.
        if progress.best_calibration.is_none() {
            warning("validation cases are of one class: probabilities are not recalibrated");
        }
        let calibration = progress.best_calibration.clone().unwrap_or_default();
        let conformal = match self.cohort.calibration.is_empty() {
            true => None,
            false => self.conformal_of_network(&calibration, progress.best_epoch)?,
        };
        Ok(GrowthTold {
            calibration,
            prior_logit: progress.best_prior_logit.unwrap_or(self.sampler.prior_logit()),
            mean_probabilities: progress.best_mean_probabilities,
            regression: None,
            conformal,
        })
    }

    fn conformal_of_network(
        &self,
        calibration: &LogitCalibration,
        best_epoch: usize,
    ) -> Result<Option<ConformalCalibration>, TrainError> {
        let (network, spec) = (self.best_network()?, &self.arm.spec);
        let prior_logit_offset = self.prior_logit_offset(best_epoch);
        self.cohort.calibration.conformal(|case: &ValCase| {
            let output = predict_case(&network, spec, &case.input, self.passes(), &self.device)?;
            let reading = read_case(&output, spec, &self.config.decision, case.input.geometry());
            let logit = reading.growth_logit.map(|logit| logit + prior_logit_offset);
            Ok(logit.map(|logit| calibration.apply(logit)))
        })
    }

    fn told_by_regression(
        &self,
        of_mask: &[&'static str],
        clinical: &[&'static str],
    ) -> anyhow::Result<GrowthTold> {
        let reader = MaskReader {
            network: &self.best_network()?,
            spec: &self.arm.spec,
            decision: &self.config.decision,
            passes: self.passes(),
            device: &self.device,
            of_mask,
            clinical,
            established: &self.config.established,
        };
        let fit = reader.regression(self.cohort, self.request.seed)?;
        let conformal =
            self.cohort.calibration.conformal(|case| reader.logit(&fit.growth, case))?;
        Ok(GrowthTold {
            calibration: LogitCalibration::default(),
            prior_logit: fit.prior_logit,
            mean_probabilities: fit.mean_probabilities,
            regression: Some(serde_json::to_value(fit.growth)?),
            conformal,
        })
    }

    /// The weights of the best epoch, as they are stored.
    fn best_network(&self) -> Result<Network, TrainError> {
        let network = Network::new(&self.arm.spec, self.request.seed, &self.device);
        Ok(load_weights(network, &self.checkpoints.best())?)
    }
}
