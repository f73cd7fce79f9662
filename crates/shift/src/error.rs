use hemex_artifacts::ArtifactError;

/// What stops the stage.
#[derive(Debug, thiserror::Error)]
pub enum ShiftError {
    /// An input cannot be read.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// A unit of the splits without a case.
    #[error("splits.csv names the case `{case_id}`, which cases.csv does not have")]
    UnknownCase {
        /// The case.
        case_id: String,
    },
    /// The classifier cannot be fitted.
    #[error("the classifier of regime `{regime}`, fold {fold} cannot be fitted: raise `l2`")]
    NotFitted {
        /// How the cohort is split.
        regime: &'static str,
        /// Index of the fold.
        fold: usize,
    },
}
