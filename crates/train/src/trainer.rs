use burn::module::Module;
use burn::optim::{GradientsAccumulator, ModuleOptimizer};
use burn::tensor::Device;
use hemex_artifacts::{HistoryRow, ModelCard, Regime, json, table};
use hemex_kernels::FusedAdamW;
use hemex_model::{Network, Passes, save_weights};
use hemex_stage::{Request, log, simd_level};

use crate::across::GroupWeights;
use crate::align::Aligner;
use crate::average::{Average, AverageKind};
use crate::checkpoint::{Checkpoints, Progress};
use crate::cohort::{Cohort, Fold, TrainCase};
use crate::config::Arm;
use crate::curves;
use crate::feed::Feed;
use crate::finetune::Start;
use crate::growth_source::GrowthSource;
use crate::history::TransplantRow;
use crate::learner::{At, EpochLoss, Learner};
use crate::loss::{GrowthLoss, JointLoss, LossState};
use crate::profile::Profile;
use crate::sample::{Batch, WindowSource};
use crate::tasks::TaskWeights;
use crate::validation::{Validation, Validator};
use crate::{Config, DrawnCase, Sampler, Schedule, TrainError};

mod told;

/// Runs the stage.
///
/// # Errors
/// If an input cannot be read, the fold is empty or has one class, or the loss is no longer finite.
pub fn run(config: &Config, request: &Request) -> anyhow::Result<()> {
    let (name, arm, fold) = arm_of(config, request)?;
    let cohort = Cohort::read(request, &fold)?;
    log(format_args!(
        "{name}, regime {}, fold {}: {} training cases ({} grew), {} validation cases",
        config.regime.name(),
        fold.fold,
        cohort.train.len(),
        cohort.train.iter().filter(|case| case.growth).count(),
        cohort.val.len()
    ));
    let trainer = Trainer::new(config, request, arm, &cohort)?;
    let (network, progress) = trainer.train()?;
    trainer.write(name, &fold, &network, &progress)
}

/// The arm and the fold that the request asks for.
pub(crate) fn arm_of<'a>(
    config: &'a Config,
    request: &'a Request,
) -> anyhow::Result<(&'a str, &'a Arm, Fold<'a>)> {
    let name = request.axis_str("arm")?;
    let arm = config.arms.get(name).ok_or_else(|| TrainError::UnknownArm {
        found: name.to_owned(),
        known: config.arms.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
    })?;
    if config.regime == Regime::SamePatient && arm.growth_from != GrowthSource::Network {
        return Err(TrainError::SlicesForRegression { arm: name.to_owned() }.into());
    }
    let fold = Fold {
        regime: config.regime,
        fold: request.axis_index("fold")?,
        spec: &arm.spec,
        shift_weights: arm.sampler.shift_weights,
        weighs_calibration: config.conformal.shift_weights,
        targets: arm.loss.align.is_on(),
        transplant: &config.transplant,
    };
    Ok((name, arm, fold))
}

pub(crate) struct Trainer<'a> {
    config: &'a Config,
    request: &'a Request,
    arm: &'a Arm,
    cohort: &'a Cohort,
    start: Start<'a>,
    sampler: Sampler,
    pub(crate) loss: JointLoss<'a>,
    checkpoints: Checkpoints,
    device: Device,
}

impl<'a> Trainer<'a> {
    pub(crate) fn new(
        config: &'a Config,
        request: &'a Request,
        arm: &'a Arm,
        cohort: &'a Cohort,
    ) -> anyhow::Result<Self> {
        let drawn: Vec<DrawnCase<'_>> = cohort.train.iter().map(TrainCase::drawn).collect();
        let sampler = Sampler::new(arm.sampler.kind, arm.sampler.beta.unwrap_or(0.0), &drawn)?
            .by(arm.sampler.by);
        let n_growth = drawn.iter().filter(|case| case.growth).count();
        let n_cases = [drawn.len() - n_growth, n_growth];
        let growth = GrowthLoss::new(&arm.loss, n_cases, sampler.prior_logit())?;
        Ok(Self {
            config,
            request,
            arm,
            cohort,
            start: Start::new(config, request, arm, cohort)?,
            sampler,
            loss: JointLoss { weights: &arm.loss, growth },
            checkpoints: Checkpoints::new(&request.scratch),
            device: config.precision.device(&request.device)?,
        })
    }

    /// Trains from the last checkpoint to the end; gives the last weights, averaged where an average is kept.
    fn train(&self) -> Result<(Network, Progress), TrainError> {
        let (mut learner, mut progress) = self.learner()?;
        let n_steps = self.config.n_epochs * self.config.steps_per_epoch;
        let bar = hemex_stage::Progress::new(n_steps, "steps");
        bar.done(progress.epoch * self.config.steps_per_epoch);
        while progress.epoch < self.config.n_epochs
            && !progress.is_over(self.config.patience_epochs)
        {
            let epoch = progress.epoch;
            learner.network = self.start.held(learner.network, epoch);
            let (trained, loss) = self.epoch(epoch, learner, &bar)?;
            learner = trained;
            let evaluated = learner.evaluated();
            let validation = self.validator(epoch).validate(&evaluated, &self.cohort.val)?;
            self.note(&mut progress, &loss, &validation)?;
            curves::write(&self.request.scratch, &progress.history)?;
            progress.group_weights.clone_from(&learner.state.groups.0);
            progress.task_weights = Some(learner.state.tasks);
            progress.transplants.extend(loss.transplants);
            if progress.best_epoch == epoch {
                self.checkpoints.save_best(&evaluated)?;
            }
            self.checkpoints.save(&learner, &progress)?;
            bar.note(validation.summary());
        }
        bar.done(n_steps);
        Ok((learner.evaluated(), progress))
    }

    /// What learns, from the last checkpoint on, and how far it has come.
    pub(crate) fn learner(&self) -> Result<(Learner, Progress), TrainError> {
        let network = Network::new(&self.arm.spec, self.request.seed, &self.learning_device());
        let network = self.start.of(network)?;
        let weight_decay = self.config.optimizer.weight_decay as f32;
        let optimizer = ModuleOptimizer::from(FusedAdamW::new(weight_decay));
        let (network, optimizer, progress) = self.checkpoints.load(network, optimizer)?;
        let groups = match progress.group_weights.as_slice() {
            [] => GroupWeights::new(self.cohort.n_sites),
            weights => GroupWeights(weights.to_vec()),
        };
        let tasks = progress.task_weights.unwrap_or_else(|| TaskWeights::new(&self.arm.loss));
        let learner = Learner {
            average: self.average(&network)?,
            aligner: self.aligner(&network)?,
            network,
            precision: self.config.precision,
            state: LossState { groups, tasks },
            gradients: GradientsAccumulator::new(),
            optimizer,
            profile: Profile::default(),
        };
        Ok((learner, progress))
    }

    /// What brings the domains together, where it is asked for.
    fn aligner(&self, network: &Network) -> Result<Option<Aligner>, TrainError> {
        let (n_steps, seed) = (self.schedule().n_steps, self.request.seed);
        let device = self.learning_device();
        let aligner = Aligner::new(self.arm.loss.align, network, n_steps, seed, &device);
        aligner.map(|aligner| aligner.resumed(&self.checkpoints)).transpose()
    }

    fn learning_device(&self) -> Device {
        self.device.clone().autodiff()
    }

    /// The batch of a step of the first epoch.
    pub(crate) fn batch_of(&self, step: usize) -> Result<Batch, TrainError> {
        let (source, n) = (self.source(), self.config.batch_size);
        let samples = (0..n).map(|i| source.sample(0, step * n + i));
        let samples = samples.collect::<Result<Vec<_>, _>>()?;
        Ok(source.batch(&samples, &self.learning_device()))
    }

    /// A step of the first epoch at this rate, in which the label weighs all it will: a trial is too short for less.
    pub(crate) fn at(&self, step: usize, learning_rate: f64) -> At {
        At {
            epoch: 0,
            step,
            step_in_all: self.arm.loss.label_warmup_steps + step,
            learning_rate,
            max_gradient_norm: self.config.optimizer.max_gradient_norm,
            n_batches: 1,
        }
    }

    /// The average to go on with, where one is kept.
    fn average(&self, network: &Network) -> Result<Option<Average>, TrainError> {
        let Some(kind) = self.average_kind() else { return Ok(None) };
        let network = self.checkpoints.load_average(network.valid())?;
        Ok(Some(Average::new(network, kind)))
    }

    fn average_kind(&self) -> Option<AverageKind> {
        AverageKind::of(self.config.optimizer.average, self.config.steps_per_epoch)
    }

    fn epoch(
        &self,
        epoch: usize,
        learner: Learner,
        bar: &hemex_stage::Progress,
    ) -> Result<(Learner, EpochLoss), TrainError> {
        let (n_steps, device) = (self.config.steps_per_epoch, self.learning_device());
        let n_parts = self.config.batches_per_step;
        let n_batches = n_steps * n_parts;
        let (schedule, source) = (self.schedule(), self.source());
        let mut mean = EpochLoss::default();
        let mut learner = rayon::in_place_scope(|scope| {
            let mut feed = Feed::new(&source, epoch, n_batches);
            let (mut learner, mut batch_idx) = (learner, 0);
            while let Some(samples) = feed.next(scope) {
                let samples = samples?;
                let step = batch_idx / n_parts;
                let planted = samples.iter().filter_map(|sample| sample.transplant.as_ref());
                mean.transplants.extend(planted.map(|p| TransplantRow::of(epoch, step, p)));
                let batch = source.batch(&samples, &device);
                let step_in_all = epoch * n_steps + step;
                let at = self.at(step, schedule.at(step_in_all));
                let at = At { epoch, step_in_all, n_batches: n_parts, ..at };
                mean.add(learner.learn(&self.loss, &batch, at)?, n_batches);
                batch_idx += 1;
                if batch_idx % n_parts == 0 {
                    learner = learner.update(at);
                    bar.add(1);
                }
            }
            learner.profile.waiting = feed.waited();
            Ok::<_, TrainError>(learner)
        })?;
        log(format_args!("epoch {}: {}", epoch + 1, std::mem::take(&mut learner.profile)));
        Ok((learner, mean))
    }

    fn schedule(&self) -> Schedule {
        Schedule {
            learning_rate: self.arm.learning_rate,
            warmup_steps: self.config.optimizer.warmup_steps,
            n_steps: self.config.n_epochs * self.config.steps_per_epoch,
            held_from: self.average_kind().and_then(AverageKind::held_from),
        }
    }

    fn source(&self) -> WindowSource<'_> {
        WindowSource {
            cohort: self.cohort,
            sampler: &self.sampler,
            policy: &self.arm.augment,
            transplant: &self.config.transplant,
            growth: &self.config.growth,
            spec: &self.arm.spec,
            lesion_window_share: self.config.lesion_window_share,
            seed: self.request.seed,
            batch_size: self.config.batch_size,
        }
    }

    /// What is added to a growth logit of the weights of this epoch so that it speaks of the true prior.
    fn prior_logit_offset(&self, epoch: usize) -> f64 {
        self.sampler.prior_logit_offset() + self.loss.growth.prior_logit_offset(epoch)
    }

    fn validator(&self, epoch: usize) -> Validator<'_> {
        Validator {
            spec: &self.arm.spec,
            decision: &self.config.decision,
            weights: &self.arm.loss,
            calibration: self.config.calibration,
            prior_logit: self.sampler.prior_logit(),
            prior_logit_offset: self.prior_logit_offset(epoch),
            passes: self.passes(),
            device: &self.device,
        }
    }

    /// Adds the epoch to the history; one that is better than the best so far, or the first, is the best.
    fn note(
        &self,
        progress: &mut Progress,
        loss: &EpochLoss,
        validation: &Validation,
    ) -> Result<(), TrainError> {
        let last_step = (progress.epoch + 1) * self.config.steps_per_epoch - 1;
        progress.history.push(HistoryRow {
            epoch: progress.epoch,
            learning_rate: self.schedule().at(last_step),
            train_loss: loss.total,
            train_loss_mask: loss.mask,
            train_loss_label: loss.label,
            train_loss_align: loss.align,
            train_loss_followup: loss.followup(),
            val_loss: validation.loss,
            val_dice: validation.dice,
            val_auroc: validation.auroc,
            n_val: self.cohort.val.len(),
        });
        let score = validation.score(self.config.select_by)?;
        if progress.best_score.is_none_or(|best| score > best) {
            progress.best_score = Some(score);
            progress.best_epoch = progress.epoch;
            progress.best_calibration.clone_from(&validation.calibration);
            progress.best_prior_logit = validation.fitted_prior_logit;
            progress.best_mean_probabilities = validation.mean_probabilities;
        }
        progress.epoch += 1;
        Ok(())
    }

    /// Writes `model/1`: the best weights, the last ones, the card, the history, whom it has learnt from, and whose
    /// hematomas were planted where.
    fn write(
        &self,
        arm: &str,
        fold: &Fold<'_>,
        network: &Network,
        progress: &Progress,
    ) -> anyhow::Result<()> {
        let folder = self.request.output("model")?;
        let told = self.growth_told(progress)?;
        let card = ModelCard {
            format: ModelCard::FORMAT.to_owned(),
            arm: arm.to_owned(),
            architecture: serde_json::to_value(&self.arm.spec)?,
            decision: serde_json::to_value(self.config.decision)?,
            preparation: self.cohort.preparation.clone(),
            regime: fold.regime,
            fold: fold.fold,
            seed: self.request.seed,
            prior_logit_offset: self.prior_logit_offset(progress.best_epoch),
            calibration: told.calibration,
            prior_logit: Some(told.prior_logit),
            mean_probabilities: told.mean_probabilities,
            n_train: self.cohort.train.len(),
            n_train_growth: self.cohort.train.iter().filter(|case| case.growth).count(),
            best_epoch: progress.best_epoch,
            n_parameters: network.num_params(),
            simd: simd_level()?.to_owned(),
            growth_regression: told.regression,
            conformal: told.conformal,
        };
        std::fs::copy(self.checkpoints.best(), folder.join("model.safetensors"))?;
        save_weights(network, &folder.join("last.safetensors"))?;
        json::write(&folder.join("model.json"), &card)?;
        table::write_rows(&folder.join("history.csv"), &HistoryRow::COLUMNS, &progress.history)?;
        self.start.write_patients(self.cohort, &folder.join("patients.csv"))?;
        curves::write(folder, &progress.history)?;
        if self.config.transplant.is_on() {
            let (path, rows) = (folder.join("transplants.csv"), &progress.transplants);
            table::write_rows(&path, &TransplantRow::COLUMNS, rows)?;
        }
        Ok(())
    }

    /// How cases go through the network where it does not learn.
    fn passes(&self) -> Passes {
        Passes { batch_size: self.config.batch_size, mirrored: false }
    }
}

#[cfg(test)]
mod tests;
