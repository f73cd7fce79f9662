//! A training that begins with parts of a network trained before.

use std::path::{Path, PathBuf};

use hemex_artifacts::{ModelCard, ModelPatientRow, Preparation, Regime, SplitRow, json, table};
use hemex_model::{Network, NetworkSpec, load_parts};
use hemex_stage::{Request, log};

use crate::cohort::Cohort;
use crate::config::{Arm, RawFinetune};
use crate::patients::{check_leak, learnt_from};
use crate::{Config, TrainError};

/// How a training begins.
pub(crate) struct Start<'a> {
    /// `None` where all weights are drawn.
    pretrained: Option<Pretrained<'a>>,
}

/// The model whose parts are taken over.
struct Pretrained<'a> {
    weights: PathBuf,
    finetune: &'a RawFinetune,
    learnt_from: Vec<ModelPatientRow>,
}

impl<'a> Start<'a> {
    /// Reads what is wired as `pretrained` and makes sure that it may be taken over: it is of this trainer, its images
    /// were prepared and are read in the same way, and no patient who shaped it has another role than to train.
    pub(crate) fn new(
        config: &Config,
        request: &Request,
        arm: &'a Arm,
        cohort: &Cohort,
    ) -> anyhow::Result<Self> {
        let folder = request.optional_input("pretrained")?;
        let (Some(finetune), Some(folder)) = (&arm.finetune, folder) else {
            check_wiring(config, arm, folder.is_some())?;
            return Ok(Self { pretrained: None });
        };
        if config.regime == Regime::SamePatient {
            return Err(TrainError::SlicesForPretrained.into());
        }
        let pretrained = Pretrained::open(folder.to_owned(), finetune, arm, &cohort.preparation)?;
        let mut splits: Vec<SplitRow> =
            table::read_rows(&request.input("splits")?.join("splits.csv"))?;
        let fold = request.axis_index("fold")?;
        splits.retain(|row| (row.regime, row.fold) == (config.regime, fold));
        check_leak(&pretrained.learnt_from, &splits)?;
        log(format_args!("pretrained: {}", finetune.copied.join(", ")));
        Ok(Self { pretrained: Some(pretrained) })
    }

    /// The network with its drawn weights, the parts of the pretrained one in their place.
    pub(crate) fn of(&self, drawn: Network) -> Result<Network, TrainError> {
        let Some(pretrained) = &self.pretrained else { return Ok(drawn) };
        let network = load_parts(drawn, &pretrained.weights, &pretrained.finetune.copied)?;
        Ok(self.held(network, 0))
    }

    /// The network as it is trained in this epoch: parts that are frozen have no gradient, and so neither count in its
    /// norm nor are moved or decayed.
    pub(crate) fn held(&self, network: Network, epoch: usize) -> Network {
        match &self.pretrained {
            Some(p) => network.with_trained(|part| p.finetune.is_trained(part, epoch)),
            None => network,
        }
    }

    /// Writes whom the trained model has learnt from, and the one that it began with.
    pub(crate) fn write_patients(&self, cohort: &Cohort, path: &Path) -> Result<(), TrainError> {
        let before = self.pretrained.as_ref().map_or(&[][..], |p| &p.learnt_from);
        let rows = learnt_from(cohort, before);
        Ok(table::write_rows(path, &ModelPatientRow::COLUMNS, &rows)?)
    }
}

/// A model is wired where an arm begins with one, and nowhere else.
fn check_wiring(config: &Config, arm: &Arm, is_wired: bool) -> Result<(), TrainError> {
    if arm.finetune.is_some() {
        return Err(TrainError::NoPretrained);
    }
    // Another arm of the matrix may begin with it.
    if is_wired && config.arms.values().all(|arm| arm.finetune.is_none()) {
        return Err(TrainError::UnusedPretrained);
    }
    Ok(())
}

impl<'a> Pretrained<'a> {
    fn open(
        folder: PathBuf,
        finetune: &'a RawFinetune,
        arm: &Arm,
        preparation: &Preparation,
    ) -> Result<Self, TrainError> {
        let path = folder.join("model.json");
        let error = |problem: String| TrainError::Pretrained { path: path.clone(), problem };
        let card: serde_json::Value = json::read(&path)?;
        if card["format"] != ModelCard::FORMAT {
            let problem =
                format!("it is of format {}, expected \"{}\"", card["format"], ModelCard::FORMAT);
            return Err(error(problem));
        }
        let card: ModelCard = serde_json::from_value(card).map_err(|e| error(e.to_string()))?;
        let spec: NetworkSpec = serde_json::from_value(card.architecture)
            .map_err(|e| error(format!("`architecture`: {e}")))?;
        if card.preparation != *preparation {
            return Err(TrainError::OtherPreparation {
                cases: Box::new(preparation.clone()),
                pretrained: Box::new(card.preparation),
            });
        }
        arm.spec.check_same_layers(&spec).map_err(|e| error(e.to_string()))?;
        let patients = folder.join("patients.csv");
        if !patients.exists() {
            let problem =
                "it has no patients.csv, which says whom it has learnt from: train it anew";
            return Err(error(problem.to_owned()));
        }
        let learnt_from = table::read_rows(&patients)?;
        Ok(Self { weights: folder.join("model.safetensors"), finetune, learnt_from })
    }
}

#[cfg(test)]
mod tests;
