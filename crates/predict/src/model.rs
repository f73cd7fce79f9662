use std::path::Path;

use burn::tensor::Device;
use hemex_artifacts::{ModelCard, Preparation, json};
use hemex_model::{
    CaseInput, Decision, Network, NetworkSpec, Reading, SignsGrowth, load_weights, predict_case,
    read_case, sign_features,
};
use hemex_volume::Image;
use serde::Deserialize;

use crate::PredictError;

/// A trained network, ready to be applied.
#[derive(Debug)]
pub struct TrainedModel {
    /// What is known of it.
    pub card: ModelCard,
    spec: NetworkSpec,
    decision: Decision,
    growth_from_signs: Option<SignsGrowth>,
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
    pub fn open(folder: &Path, device: Device) -> Result<Self, PredictError> {
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
        let signs = card.growth_from_signs.clone().map(serde_json::from_value::<SignsGrowth>);
        let signs = signs.transpose().map_err(part("growth_from_signs"))?;
        let growth_from_signs = signs.map(SignsGrowth::check).transpose()?;
        let network = Network::new(&spec, 0, &device);
        let network = load_weights(network, &folder.join("model.safetensors"))?;
        let decision = decision.check()?;
        Ok(Self { card, spec, decision, growth_from_signs, network, device })
    }

    /// How normalised input is made of an image.
    pub fn spec(&self) -> &NetworkSpec {
        &self.spec
    }

    /// Whether growth is told from the signs of the whole hematoma.
    pub fn reads_signs(&self) -> bool {
        self.growth_from_signs.is_some()
    }

    /// The calibrated logit of growth: from the signs of the mask, or the network's own with the prior offset. `None`
    /// where no hematoma was found.
    ///
    /// # Errors
    /// [`PredictError::Signs`] if the image is on another grid than the mask.
    pub fn growth_logit(
        &self,
        reading: &Reading,
        image: &Image,
    ) -> Result<Option<f64>, PredictError> {
        let Some(signs) = &self.growth_from_signs else {
            return Ok(reading.growth_logit.map(|logit| logit + self.card.prior_logit_offset));
        };
        let Some(mask) = &reading.mask else { return Ok(None) };
        let features = sign_features(image, mask).map_err(PredictError::Signs)?;
        Ok(features.map(|features| signs.logit(&features)))
    }

    /// How the output becomes a statement.
    pub fn decision(&self) -> &Decision {
        &self.decision
    }

    /// Fails unless the cases were prepared as the training cases were.
    ///
    /// # Errors
    /// [`PredictError::OtherPreparation`] with both.
    pub fn check_preparation(&self, cases: &Preparation) -> Result<(), PredictError> {
        if *cases == self.card.preparation {
            return Ok(());
        }
        Err(PredictError::OtherPreparation {
            cases: Box::new(cases.clone()),
            model: Box::new(self.card.preparation.clone()),
        })
    }

    /// Reads one case.
    ///
    /// # Errors
    /// If the network's output cannot be read from its device.
    pub fn read(&self, input: &CaseInput, batch_size: usize) -> Result<Reading, PredictError> {
        let output = predict_case(&self.network, &self.spec, input, batch_size, &self.device)?;
        Ok(read_case(&output, &self.spec, &self.decision, input.geometry()))
    }
}
