use hemex_artifacts::{ArtifactError, Preparation};
use hemex_augment::AugmentError;
use hemex_model::ModelError;

/// What stops a training.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// An input cannot be read.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// A network cannot be built, applied or kept.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A transform cannot be applied.
    #[error("case `{case_id}`: {source}")]
    Augment {
        /// The case.
        case_id: String,
        /// Why.
        source: AugmentError,
    },
    /// The validation figure that is to select the epoch cannot be computed.
    #[error("select_by = \"{figure}\": {reason}")]
    NoSelection {
        /// The figure.
        figure: &'static str,
        /// Why not.
        reason: &'static str,
    },
    /// A precision that has no kernels here.
    #[error(
        "precision = \"bfloat16\": expected a GPU (--device cuda:0, or wgpu); on a CPU it would be the slower one: \
         train with precision = \"single\""
    )]
    NoBfloat16,
    /// No learning rate lowers the loss.
    #[error(
        "the loss falls at no learning rate: does the network learn one batch by heart (--overfit)?"
    )]
    NoRate,
    /// One batch is not learnt by heart.
    #[error(
        "the loss of one batch is {last:.4} after {n_steps} steps and was {first:.4}: network, loss and labels do not \
         fit together, or the learning rate is far off (--find-lr)"
    )]
    NotLearnt {
        /// Steps.
        n_steps: usize,
        /// Before the first.
        first: f64,
        /// At the last.
        last: f64,
    },
    /// An arm that the config does not describe.
    #[error("the matrix asks for arm `{found}`, but the config has {known}")]
    UnknownArm {
        /// What was asked for.
        found: String,
        /// What there is.
        known: String,
    },
    /// The splits hold nothing for this fold.
    #[error("splits.csv has no training cases for regime `{regime}`, fold {fold}")]
    EmptyFold {
        /// How the cohort is split.
        regime: &'static str,
        /// Index of the fold.
        fold: usize,
    },
    /// The splits hold nothing that chooses the epoch.
    #[error(
        "splits.csv has no validation cases for regime `{regime}`, fold {fold}, and they choose the epoch that is kept: \
         raise splits.val_fraction of ingest, or give the role `val` to cases of a dataset that has its own splits"
    )]
    NoValidation {
        /// How the cohort is split.
        regime: &'static str,
        /// Index of the fold.
        fold: usize,
    },
    /// The splits hold no unlabelled cases for this fold.
    #[error(
        "splits.csv has no target cases for regime `{regime}`, fold {fold}, and loss.align needs them: take regime \
         `site` with splits.target_fraction above 0, or a dataset that gives the role `target`, or set loss.align = \
         {{ kind = \"none\" }}"
    )]
    NoTarget {
        /// How the cohort is split.
        regime: &'static str,
        /// Index of the fold.
        fold: usize,
    },
    /// A class without training cases.
    #[error("no training case with growth = {class}: a network cannot learn the difference")]
    EmptyClass {
        /// The missing class.
        class: u8,
    },
    /// A training or validation case without what training needs.
    #[error("case `{case_id}`: {problem}")]
    Case {
        /// The case.
        case_id: String,
        /// What is missing.
        problem: String,
    },
    /// Roles by slice cannot train a network over volumes.
    #[error("regime `same_patient` splits slices: it needs a network over slices (dims = \"2d\")")]
    SlicesForVolumes,
    /// A hematoma whose slices have several roles would carry test slices into training.
    #[error(
        "regime `same_patient` splits slices: a case's hematoma is then in several roles, and transplant.probability must be 0"
    )]
    SlicesForTransplants,
    /// A regression needs a mask of the whole hematoma.
    #[error(
        "regime `same_patient` splits a case's hematoma, and `{arm}` tells growth from a whole one: set \
         growth_from.{arm} = {{ scan = \"network\", clinical = [] }}"
    )]
    SlicesForRegression {
        /// The arm.
        arm: String,
    },
    /// An arm begins with a model that is not there.
    #[error(
        "[finetune] has this arm begin with parts of a model, and none is wired: wire a `model/1` as the input \
         `pretrained`, or take the arm out of [finetune]"
    )]
    NoPretrained,
    /// A model with which no arm begins.
    #[error(
        "a model is wired as `pretrained`, and no arm begins with it: say in [finetune] what is copied, or wire none"
    )]
    UnusedPretrained,
    /// A model that cannot be begun with.
    #[error("the pretrained model {path}: {problem}")]
    Pretrained {
        /// Its card.
        path: std::path::PathBuf,
        /// Why not.
        problem: String,
    },
    /// Cases prepared in another way than those of the model that the training begins with.
    #[error(
        "the cases were prepared with {cases:?}, the pretrained model was trained on {pretrained:?}: ingest them with \
         the same settings"
    )]
    OtherPreparation {
        /// How the cases were prepared.
        cases: Box<Preparation>,
        /// How the model's training cases were.
        pretrained: Box<Preparation>,
    },
    /// A patient who shaped the pretrained model is to choose or to test what follows from it.
    #[error(
        "the pretrained model has learnt from patient `{patient_id}`, whose role is `{role}` in regime `{regime}`, fold \
         {fold}, and from {n_more} more who do not train there: pretrain on that fold's training cases, or on another \
         cohort"
    )]
    PretrainedLeak {
        /// Pseudonym of the first.
        patient_id: String,
        /// Its role here.
        role: &'static str,
        /// Further patients.
        n_more: usize,
        /// How the cohort is split.
        regime: &'static str,
        /// Index of the fold.
        fold: usize,
    },
    /// Roles by slice leave no patient out.
    #[error(
        "regime `same_patient` splits slices: a pretrained model has learnt from patients that are tested; leave \
         [finetune] empty"
    )]
    SlicesForPretrained,
    /// Growth cannot be told by a regression.
    #[error(
        "growth_from: the network finds a hematoma in {n_found} of {n} cases, {n_growth} of which grew: \
         no regression can be fitted; train longer, or take scan = \"network\""
    )]
    NoRegression {
        /// Cases in which a hematoma is found.
        n_found: usize,
        /// Training and validation cases.
        n: usize,
        /// Cases with a hematoma that grew.
        n_growth: usize,
    },
    /// Training cases are to count by weights that are not known.
    #[error(
        "sampler.shift_weights = true: {what}; wire the output of the stage `shift` as `weights`, made from these \
         splits, or set sampler.shift_weights = false"
    )]
    UnweighedTraining {
        /// What is missing.
        what: String,
    },
    /// Calibration cases are to count by weights that are not known.
    #[error(
        "conformal.shift_weights = true: {what}; wire the output of the stage `shift` as `weights`, made from these \
         splits, or set conformal.shift_weights = false"
    )]
    UnweighedCalibration {
        /// What is missing.
        what: String,
    },
    /// Signs that nobody looked for cannot be learnt.
    #[error(
        "no training case of this fold has a reading of {signs} in signs.csv of `cases`: leave it out of the `signs` of \
         the arm, or add readings to the raw data and prepare it anew"
    )]
    NoReading {
        /// Their names.
        signs: String,
    },
    /// Masks at follow-up that nobody has drawn cannot be learnt.
    #[error(
        "`followup = true`: no training case of this fold has a follow-up mask (`followup_mask` of labels.csv): take that \
         line out of the arm, or add follow-up masks to the raw data and prepare it anew"
    )]
    NoFollowup,
    /// The loss is no longer a number.
    #[error(
        "the loss is {loss} in epoch {epoch}, step {step}; the batch held {cases}; try a lower learning rate"
    )]
    NotFinite {
        /// The loss.
        loss: f32,
        /// Index of the epoch.
        epoch: usize,
        /// Index of the step in it.
        step: usize,
        /// The cases of the batch.
        cases: String,
    },
    /// A checkpoint cannot be written or read.
    #[error("checkpoint {path}: {problem}")]
    Checkpoint {
        /// Its file or folder.
        path: std::path::PathBuf,
        /// What is wrong.
        problem: String,
    },
}
