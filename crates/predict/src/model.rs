use std::path::Path;

use burn::tensor::Device;
use hemex_artifacts::{CLINICAL_FEATURES, ModelCard, Preparation, clinical_feature, json};
use hemex_model::{
    CaseInput, CaseOutput, Decision, GrowthRegression, Network, NetworkSpec, Passes, Reading,
    SIGN_FEATURES, growth_saliency, load_weights, logit_without_decision, predict_case, read_case,
    sign_features,
};
use serde::Deserialize;

use crate::PredictError;
use crate::conformal::Conformal;
use crate::ensemble::Known;

/// A trained network, ready to be applied.
#[derive(Debug)]
pub(crate) struct TrainedModel {
    /// What is known of it.
    pub(crate) card: ModelCard,
    spec: NetworkSpec,
    decision: Decision,
    growth_regression: Option<GrowthRegression>,
    conformal: Option<Conformal>,
    network: Network,
    device: Device,
}

/// The one part of a card that every format has.
#[derive(Debug, Deserialize)]
struct Format {
    #[serde(default)]
    format: String,
}

impl TrainedModel {
    /// Reads the `model/1` in this folder.
    ///
    /// # Errors
    /// If it is of another trainer, its card or weights cannot be read, or they do not fit together.
    pub(crate) fn open(folder: &Path, device: Device) -> Result<Self, PredictError> {
        let path = folder.join("model.json");
        let found = json::read::<Format>(&path)?.format;
        if found != ModelCard::FORMAT {
            return Err(PredictError::ForeignModel { path, found, expected: ModelCard::FORMAT });
        }
        let card: ModelCard = json::read(&path)?;
        let part = |part| {
            let path = path.clone();
            move |source| PredictError::Card { path, part, source }
        };
        let spec: NetworkSpec =
            serde_json::from_value(card.architecture.clone()).map_err(part("architecture"))?;
        let decision: Decision =
            serde_json::from_value(card.decision.clone()).map_err(part("decision"))?;
        let regression = card.growth_regression.clone();
        let regression = regression.map(serde_json::from_value::<GrowthRegression>);
        let regression = regression.transpose().map_err(part("growth_regression"))?;
        let known: Vec<&str> = SIGN_FEATURES.into_iter().chain(CLINICAL_FEATURES).collect();
        let growth_regression = regression.map(|r| r.check(&known)).transpose()?;
        let conformal = card.conformal.as_ref().map(Conformal::new).transpose();
        let conformal =
            conformal.map_err(|source| PredictError::Conformal { path: path.clone(), source })?;
        let network = Network::new(&spec, 0, &device);
        let network = load_weights(network, &folder.join("model.safetensors"))?;
        let decision = decision.check()?;
        Ok(Self { card, spec, decision, growth_regression, conformal, network, device })
    }

    /// How normalised input is made of an image.
    pub(crate) fn spec(&self) -> &NetworkSpec {
        &self.spec
    }

    /// Whether growth is told from features of the whole hematoma.
    pub(crate) fn reads_whole_cases(&self) -> bool {
        self.growth_regression.is_some()
    }

    /// The calibrated logit of growth: that of the regression on mask and patient, or the network's own with the
    /// prior offset. `None` where no hematoma was found.
    ///
    /// # Errors
    /// [`PredictError::Signs`] if the image is on another grid than the mask.
    pub(crate) fn growth_logit(
        &self,
        reading: &Reading,
        known: Known<'_>,
    ) -> Result<Option<f64>, PredictError> {
        let Some(regression) = &self.growth_regression else {
            return Ok(reading.growth_logit.map(|logit| self.calibrated(logit)));
        };
        let Some(mask) = &reading.mask else { return Ok(None) };
        let signs = sign_features(known.image, mask).map_err(PredictError::Signs)?;
        Ok(signs.map(|signs| {
            regression.logit(|name| match SIGN_FEATURES.iter().position(|known| *known == name) {
                Some(place) => Some(signs[place]),
                None => clinical_feature(name, known.case, known.clinical),
            })
        }))
    }

    /// What its sets of labels rest on; `None` without calibration cases.
    pub(crate) fn conformal(&self) -> Option<&Conformal> {
        self.conformal.as_ref()
    }

    /// How the output becomes a statement.
    pub(crate) fn decision(&self) -> &Decision {
        &self.decision
    }

    /// Fails unless the cases were prepared as the training cases were.
    ///
    /// # Errors
    /// [`PredictError::OtherPreparation`] with both.
    pub(crate) fn check_preparation(&self, cases: &Preparation) -> Result<(), PredictError> {
        if *cases == self.card.preparation {
            return Ok(());
        }
        Err(PredictError::OtherPreparation {
            cases: Box::new(cases.clone()),
            model: Box::new(self.card.preparation.clone()),
        })
    }

    /// See [`Ensemble::twin_logit`](crate::Ensemble::twin_logit).
    pub(crate) fn twin_logit(
        &self,
        output: &CaseOutput,
        input: &CaseInput,
        known: Known<'_>,
    ) -> Result<Option<f64>, PredictError> {
        if self.growth_regression.is_some() {
            return self.growth_logit(&self.reading(output, input), known);
        }
        let logit = logit_without_decision(output, &self.spec, input.geometry().shape());
        Ok(logit.map(|logit| self.calibrated(logit)))
    }

    /// See [`Ensemble::saliency`](crate::Ensemble::saliency); signed.
    pub(crate) fn saliency(
        &self,
        output: &CaseOutput,
        input: &CaseInput,
        passes: Passes,
    ) -> Result<Option<Vec<f32>>, PredictError> {
        if self.growth_regression.is_some() {
            return Ok(None);
        }
        let weights = self.reading(output, input).window_weights;
        let (network, spec) = (&self.network, &self.spec);
        Ok(growth_saliency(network, spec, input, &weights, passes, &self.device)?)
    }

    /// A network's logit as that of a probability.
    fn calibrated(&self, logit: f64) -> f64 {
        self.card.calibration.apply(logit + self.card.prior_logit_offset)
    }

    /// What the network says of a case.
    pub(crate) fn output(
        &self,
        input: &CaseInput,
        passes: Passes,
    ) -> Result<CaseOutput, PredictError> {
        Ok(predict_case(&self.network, &self.spec, input, passes, &self.device)?)
    }

    /// What that means.
    pub(crate) fn reading(&self, output: &CaseOutput, input: &CaseInput) -> Reading {
        read_case(output, &self.spec, &self.decision, input.geometry())
    }
}
