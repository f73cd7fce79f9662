use std::fs;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::optim::ModuleOptimizer;
use hemex_artifacts::{HistoryRow, LogitCalibration, json};
use hemex_model::{Network, save_weights};
use serde::{Deserialize, Serialize};

use crate::TrainError;
use crate::align::{Aligner, DomainClassifier};
use crate::history::TransplantRow;
use crate::learner::Learner;
use crate::tasks::TaskWeights;

/// What a training is between two epochs, beside weights and moments.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// The next epoch.
    pub(crate) epoch: usize,
    pub(crate) best_epoch: usize,
    /// What selects it; the higher the better.
    pub(crate) best_score: Option<f64>,
    /// Of group DRO, by group; empty before the first step.
    pub(crate) group_weights: Vec<f64>,
    /// As far as they are learnt; none before the first epoch is done.
    pub(crate) task_weights: Option<TaskWeights>,
    /// Of the best epoch.
    pub(crate) best_calibration: Option<LogitCalibration>,
    /// Of the cases that this is fitted to, where it moves the prior there.
    pub(crate) best_prior_logit: Option<f64>,
    pub(crate) best_mean_probabilities: Option<[f64; 2]>,
    pub(crate) history: Vec<HistoryRow>,
    pub(crate) transplants: Vec<TransplantRow>,
}

impl Progress {
    /// Whether no epoch was better than the best for longer than this.
    pub(crate) fn is_over(&self, patience_epochs: usize) -> bool {
        self.epoch > self.best_epoch + patience_epochs
    }
}

/// Checkpoints in the task's scratch folder, which outlives an interruption.
///
/// A checkpoint is a folder that appears by one rename; a run that is killed finds the last whole one.
#[derive(Debug)]
pub(crate) struct Checkpoints {
    folder: PathBuf,
}

impl Checkpoints {
    pub(crate) fn new(scratch: &Path) -> Self {
        Self { folder: scratch.to_owned() }
    }

    /// Where the weights of the best epoch so far lie.
    pub(crate) fn best(&self) -> PathBuf {
        self.folder.join("best.safetensors")
    }

    pub(crate) fn save_best(&self, network: &Network) -> Result<(), TrainError> {
        let part = self.folder.join("best.part");
        save_weights(network, &part)?;
        fs::rename(&part, self.best()).map_err(error(&part))
    }

    /// Keeps the state after an epoch and drops the one before.
    pub(crate) fn save(&self, learner: &Learner, progress: &Progress) -> Result<(), TrainError> {
        let Learner { network, average, aligner, optimizer, .. } = learner;
        let part = self.folder.join("checkpoint.part");
        if part.exists() {
            fs::remove_dir_all(&part).map_err(error(&part))?;
        }
        fs::create_dir_all(&part).map_err(error(&part))?;
        let network_file = part.join("network.bpk");
        network.clone().save_file(&network_file).map_err(error(&network_file))?;
        if let Some(average) = average {
            let file = part.join("average.bpk");
            average.network.clone().save_file(&file).map_err(error(&file))?;
        }
        if let Some(domains) = aligner.as_ref().and_then(Aligner::classifier) {
            let file = part.join("domains.bpk");
            domains.clone().save_file(&file).map_err(error(&file))?;
        }
        let optimizer_file = part.join("optimizer.bpk");
        optimizer.save(&optimizer_file).map_err(error(&optimizer_file))?;
        json::write(&part.join("progress.json"), progress)?;
        let whole = self.folder.join(format!("checkpoint-{}", progress.epoch));
        if whole.exists() {
            fs::remove_dir_all(&whole).map_err(error(&whole))?;
        }
        fs::rename(&part, &whole).map_err(error(&whole))?;
        for (epoch, folder) in self.list()? {
            if epoch < progress.epoch {
                fs::remove_dir_all(&folder).map_err(error(&folder))?;
            }
        }
        Ok(())
    }

    /// The averaged weights to go on from; those given if there is no checkpoint.
    pub(crate) fn load_average(&self, average: Network) -> Result<Network, TrainError> {
        let Some(folder) = self.latest()? else { return Ok(average) };
        let file = folder.join("average.bpk");
        average.try_load_file(&file).map_err(error(&file))
    }

    /// The classifier of domains to go on from; the one given if there is no checkpoint.
    pub(crate) fn load_domains(
        &self,
        domains: DomainClassifier,
    ) -> Result<DomainClassifier, TrainError> {
        let Some(folder) = self.latest()? else { return Ok(domains) };
        let file = folder.join("domains.bpk");
        domains.try_load_file(&file).map_err(error(&file))
    }

    /// The state to go on from, if there is one.
    pub(crate) fn load(
        &self,
        network: Network,
        optimizer: ModuleOptimizer,
    ) -> Result<(Network, ModuleOptimizer, Progress), TrainError> {
        let Some(folder) = self.latest()? else {
            return Ok((network, optimizer, Progress::default()));
        };
        let network_file = folder.join("network.bpk");
        let network = network.try_load_file(&network_file).map_err(error(&network_file))?;
        let optimizer_file = folder.join("optimizer.bpk");
        let optimizer = optimizer.load(&optimizer_file).map_err(error(&optimizer_file))?;
        Ok((network, optimizer, json::read(&folder.join("progress.json"))?))
    }

    fn latest(&self) -> Result<Option<PathBuf>, TrainError> {
        let latest = self.list()?.into_iter().max_by_key(|(epoch, _)| *epoch);
        Ok(latest.map(|(_, folder)| folder))
    }

    fn list(&self) -> Result<Vec<(usize, PathBuf)>, TrainError> {
        let entries = fs::read_dir(&self.folder).map_err(error(&self.folder))?;
        let epoch = |path: &Path| {
            path.file_name()?.to_str()?.strip_prefix("checkpoint-")?.parse::<usize>().ok()
        };
        let paths = entries.flatten().map(|entry| entry.path());
        Ok(paths.filter_map(|path| Some((epoch(&path)?, path))).collect())
    }
}

fn error<E: std::fmt::Display>(path: &Path) -> impl FnOnce(E) -> TrainError {
    let path = path.to_owned();
    move |e| TrainError::Checkpoint { path, problem: e.to_string() }
}
