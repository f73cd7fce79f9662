use std::path::PathBuf;

use hemex_artifacts::{ArtifactError, Preparation, Regime};
use hemex_model::ModelError;

/// What stops the stage; a case that cannot be predicted is `refused` and stops nothing.
#[derive(Debug, thiserror::Error)]
pub enum PredictError {
    /// The signs of a hematoma cannot be read.
    #[error("the signs of a hematoma: {0}")]
    Signs(hemex_volume::VolumeError),
    /// What a model's sets of labels rest on cannot be used.
    #[error("{path}: `conformal`: {source}; train the model anew")]
    Conformal {
        /// The model's card.
        path: PathBuf,
        /// Why not.
        source: hemex_metrics::MetricError,
    },
    /// A hematoma cannot be filled in, or a map of what the logit rests on put on the grid.
    #[error("the head without its hematoma, or the map of it: {0}")]
    Grid(hemex_volume::VolumeError),
    /// What stops the stage at a case.
    #[error("case `{case_id}`: {problem}")]
    Case {
        /// The case.
        case_id: String,
        /// What.
        problem: Box<PredictError>,
    },
    /// An input cannot be read.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// The network cannot be built or applied.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A model of another trainer.
    #[error(
        "{path} is of format `{found}`, this stage reads `{expected}`: predict with the program that belongs to its trainer"
    )]
    ForeignModel {
        /// The model's card.
        path: PathBuf,
        /// What it says.
        found: String,
        /// What is read.
        expected: &'static str,
    },
    /// No model is wired.
    #[error("no model: wire at least one `model/1`")]
    NoModel,
    /// Models that cannot speak as one.
    #[error(
        "{path}: another `{what}` than the model before it: models that predict together agree in that"
    )]
    Disagreement {
        /// The card of the one.
        path: PathBuf,
        /// In what they differ.
        what: &'static str,
    },
    /// Models of several folds, whose test cases others of them were trained on.
    #[error(
        "models of the folds {folds:?} have no test case in common: predict together those of one fold, or new cases \
         without `splits`"
    )]
    SeveralFolds {
        /// Theirs.
        folds: Vec<usize>,
    },
    /// Cases prepared in another way than the model's training cases.
    #[error(
        "the cases were prepared with {cases:?}, the model was trained on {model:?}: ingest them with the model's settings"
    )]
    OtherPreparation {
        /// How the cases were prepared.
        cases: Box<Preparation>,
        /// How the model's training cases were.
        model: Box<Preparation>,
    },
    /// How frequent growth is among test cases cannot be told.
    #[error("label_shift: {reason}; or set label_shift = \"none\"")]
    LabelShift {
        /// Why.
        reason: String,
    },
    /// Splits of another cohort, or a fold that they lack.
    #[error(
        "{path} has no test or validation case in regime `{}`, fold {fold}, which the model was trained in",
        .regime.name()
    )]
    NoUnits {
        /// The splits.
        path: PathBuf,
        /// The model's regime.
        regime: Regime,
        /// The model's fold.
        fold: usize,
    },
    /// A part of the card that cannot be understood.
    #[error("{path}: `{part}`: {source}")]
    Card {
        /// The model's card.
        path: PathBuf,
        /// Which part.
        part: &'static str,
        /// Why.
        source: serde_json::Error,
    },
}

impl PredictError {
    /// The same with the case at which it stops the stage.
    pub(crate) fn at_case(self, case_id: &str) -> Self {
        Self::Case { case_id: case_id.to_owned(), problem: Box::new(self) }
    }
}
