use std::path::Path;

use burn::tensor::Device;
use hemex_artifacts::{CaseRow, ClinicalRow, ModelCard, Preparation};
use hemex_model::{CaseInput, CaseOutput, Decision, InputSpec, Passes, Reading};
use hemex_volume::Image;

use crate::PredictError;
use crate::conformal::Conformal;
use crate::model::TrainedModel;

/// Models that speak as one: a single one, or several of an arm that read the same input. The lesion's probability is
/// the mean of theirs; with the one mask that it gives each tells growth, and the mean of their calibrated logits
/// counts. Of networks without masks, the probability that a window shows a hematoma is.
#[derive(Debug)]
pub struct Ensemble {
    first: TrainedModel,
    others: Vec<TrainedModel>,
}

/// What is known of a case beside its input.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// HU, canonical grid.
    pub image: &'a Image,
    /// Its row.
    pub case: &'a CaseRow,
    /// What the tables say of the patient.
    pub clinical: Option<&'a ClinicalRow>,
}

/// What the models say of a case together.
#[derive(Debug)]
pub struct Verdict {
    /// The hematoma, and of a network's own logit its spread over windows; of the first model.
    pub reading: Reading,
    /// Calibrated logit of growth; `None` where no hematoma was found.
    pub logit: Option<f64>,
    /// The logits that it is the mean of, one a model; empty where no hematoma was found.
    pub model_logits: Vec<f64>,
    /// Standard deviation of the models' logits, or of one network's over the windows; `None` of one regression, and
    /// where no hematoma was found.
    pub uncertainty: Option<f64>,
}

impl Ensemble {
    /// Reads the `model/1` in these folders.
    ///
    /// # Errors
    /// If one cannot be read, none is there, or two differ in arm, regime, preparation, input or decision.
    pub fn open(folders: &[&Path], device: &Device) -> Result<Self, PredictError> {
        let models = folders.iter().map(|folder| TrainedModel::open(folder, device.clone()));
        let mut models = models.collect::<Result<Vec<_>, _>>()?;
        if models.is_empty() {
            return Err(PredictError::NoModel);
        }
        let first = models.remove(0);
        for (other, folder) in models.iter().zip(&folders[1..]) {
            if let Some(what) = difference(&first, other) {
                let path = folder.join("model.json");
                return Err(PredictError::Disagreement { path, what });
            }
        }
        Ok(Self { first, others: models })
    }

    fn models(&self) -> impl Iterator<Item = &TrainedModel> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// What is known of the first model, which stands for all in what they agree on.
    pub fn card(&self) -> &ModelCard {
        &self.first.card
    }

    /// The folds that the models were trained in.
    pub fn folds(&self) -> impl Iterator<Item = usize> {
        self.models().map(|model| model.card.fold)
    }

    /// How many there are.
    pub fn n_models(&self) -> usize {
        1 + self.others.len()
    }

    /// How normalised input is made of an image.
    pub fn input(&self) -> &InputSpec {
        self.first.spec().input()
    }

    /// How the output becomes a statement.
    pub fn decision(&self) -> &Decision {
        self.first.decision()
    }

    /// What sets of labels rest on: a single model's calibration cases, read as it reads cases now. Several models that
    /// speak as one have none in common, and a mirrored second pass gives other logits than those cases had.
    pub(crate) fn conformal(&self, passes: Passes) -> Option<&Conformal> {
        self.first.conformal().filter(|_| self.others.is_empty() && !passes.mirrored)
    }

    /// Whether a model among them has calibration cases.
    pub(crate) fn has_calibration_cases(&self) -> bool {
        self.models().any(|model| model.conformal().is_some())
    }

    /// Whether growth is told from features of the whole hematoma.
    pub fn reads_whole_cases(&self) -> bool {
        self.first.reads_whole_cases()
    }

    /// Fails unless the cases were prepared as the training cases were.
    ///
    /// # Errors
    /// [`PredictError::OtherPreparation`] with both.
    pub fn check_preparation(&self, cases: &Preparation) -> Result<(), PredictError> {
        self.first.check_preparation(cases)
    }

    /// Reads one case.
    ///
    /// # Errors
    /// If a network's output cannot be read from its device, or the image is on another grid than the input.
    pub fn read(
        &self,
        input: &CaseInput,
        passes: Passes,
        known: Known<'_>,
    ) -> Result<Verdict, PredictError> {
        let outputs = self.outputs(input, passes)?;
        let mut logits = Vec::with_capacity(outputs.len());
        let mut first = None;
        for (model, output) in self.models().zip(&outputs) {
            let reading = model.reading(output, input);
            logits.extend(model.growth_logit(&reading, known)?);
            first.get_or_insert(reading);
        }
        let reading = first.ok_or(PredictError::NoModel)?;
        let uncertainty = match self.n_models() {
            // That of the network's windows, which say nothing where a regression speaks.
            1 => reading.uncertainty.filter(|_| !self.reads_whole_cases()),
            _ => spread(&logits),
        };
        Ok(Verdict { logit: mean(&logits), model_logits: logits, uncertainty, reading })
    }

    /// The logit of growth of a head without its hematoma: a network's own, found or not; that of a regression on
    /// what is taken for a hematoma, `None` where nothing is.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn twin_logit(
        &self,
        input: &CaseInput,
        passes: Passes,
        known: Known<'_>,
    ) -> Result<Option<f64>, PredictError> {
        let mut logits = Vec::new();
        for (model, output) in self.models().zip(&self.outputs(input, passes)?) {
            logits.extend(model.twin_logit(output, input, known)?);
        }
        Ok(mean(&logits))
    }

    /// What each voxel has to do with the logit of growth, `[D, H, W]`, not negative: the size of the models' mean
    /// [`growth_saliency`](hemex_model::growth_saliency). `None` where growth is told from a hematoma's features, by a
    /// network without that head, or where none was found.
    ///
    /// # Errors
    /// As [`read`](Self::read), or if a device gives no gradient.
    pub fn saliency(
        &self,
        input: &CaseInput,
        passes: Passes,
    ) -> Result<Option<Vec<f32>>, PredictError> {
        let mut sum: Option<Vec<f32>> = None;
        for (model, output) in self.models().zip(&self.outputs(input, passes)?) {
            let Some(map) = model.saliency(output, input, passes)? else { continue };
            sum = Some(match sum {
                Some(sum) => sum.iter().zip(map).map(|(sum, value)| sum + value).collect(),
                None => map,
            });
        }
        let size = |sum: Vec<f32>| sum.iter().map(|v| v.abs() / self.n_models() as f32).collect();
        Ok(sum.map(size))
    }

    /// What each network says, all with the mean probabilities of lesion, now and at follow-up, and of a hematoma in
    /// each window.
    fn outputs(&self, input: &CaseInput, passes: Passes) -> Result<Vec<CaseOutput>, PredictError> {
        let outputs = self.models().map(|model| model.output(input, passes));
        let mut outputs = outputs.collect::<Result<Vec<_>, _>>()?;
        if outputs.len() > 1 {
            let lesion = mean_map(&outputs, |output| output.lesion_probability.as_ref());
            let followup = mean_map(&outputs, |output| output.followup_probability.as_ref());
            let presence = mean_presence(&outputs);
            for output in &mut outputs {
                output.lesion_probability.clone_from(&lesion);
                output.followup_probability.clone_from(&followup);
                for (window, logit) in output.windows.iter_mut().zip(&presence) {
                    window.presence_logit = *logit;
                }
            }
        }
        Ok(outputs)
    }
}

/// The mean over the networks of a map that each has; `None` of networks that have none.
fn mean_map(outputs: &[CaseOutput], map: fn(&CaseOutput) -> Option<&Vec<f32>>) -> Option<Vec<f32>> {
    let maps: Vec<&Vec<f32>> = outputs.iter().filter_map(map).collect();
    let n = maps.len() as f32;
    let of_voxel = |i: usize| maps.iter().map(|map| map[i]).sum::<f32>() / n;
    maps.first().map(|first| (0..first.len()).map(of_voxel).collect())
}

/// The logit of the networks' mean probability that a window shows a hematoma, for each window; all have the same
/// windows, since they read the same input. `None` of networks that have masks.
fn mean_presence(outputs: &[CaseOutput]) -> Vec<Option<f64>> {
    let n_windows = outputs.iter().map(|output| output.windows.len()).min().unwrap_or(0);
    let of_window = |i: usize| {
        let logits = outputs.iter().filter_map(|output| output.windows[i].presence_logit);
        let probabilities: Vec<f64> = logits.map(|logit| 1.0 / (1.0 + (-logit).exp())).collect();
        mean(&probabilities).map(|p| (p / (1.0 - p)).ln())
    };
    (0..n_windows).map(of_window).collect()
}

/// What keeps two models from speaking as one.
fn difference(a: &TrainedModel, b: &TrainedModel) -> Option<&'static str> {
    let parts = [
        ("arm", a.card.arm == b.card.arm),
        ("regime", a.card.regime == b.card.regime),
        ("preparation", a.card.preparation == b.card.preparation),
        ("architecture", a.card.architecture == b.card.architecture),
        ("decision", a.card.decision == b.card.decision),
    ];
    parts.into_iter().find(|(_, agree)| !agree).map(|(what, _)| what)
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The standard deviation; `None` below two values.
fn spread(values: &[f64]) -> Option<f64> {
    let mean = mean(values).filter(|_| values.len() > 1)?;
    let squares: Vec<f64> = values.iter().map(|value| (value - mean).powi(2)).collect();
    self::mean(&squares).map(f64::sqrt)
}
