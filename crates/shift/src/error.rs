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
    /// No ratio can be estimated.
    #[error(
        "the density ratio of regime `{regime}`, fold {fold} cannot be estimated by `method`: raise `l2` or name another"
    )]
    NotFitted {
        /// How the cohort is split.
        regime: &'static str,
        /// Index of the fold.
        fold: usize,
    },
}
