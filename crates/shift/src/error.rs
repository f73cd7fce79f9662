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
    #[error("the density ratio of regime `{regime}`, fold {fold} cannot be estimated: {reason}")]
    NotFitted {
        /// How the cohort is split.
        regime: &'static str,
        /// Index of the fold.
        fold: usize,
        /// Why not.
        reason: NoRatio,
    },
}

/// Why there is no ratio of densities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoRatio {
    /// A domain has fewer cases than there are folds.
    #[error(
        "{n_train} source and {n_target} target cases do not fill the {n_folds} folds that choose the width of kernels: \
         lower `n_folds`, or take method = \"logistic\" or \"mean_matching\""
    )]
    FewCases {
        /// Cases of the source domain.
        n_train: usize,
        /// Cases of the target domain.
        n_target: usize,
        /// Folds.
        n_folds: usize,
    },
    /// Kernels have no width.
    #[error("most cases have the same `features`: name others, or take method = \"logistic\"")]
    AlikeCases,
    /// No kernels are found.
    #[error("the weights of the kernels do not converge: take another `method`")]
    Kernels,
    /// The domains are told apart without end.
    #[error("the regression that tells the domains apart does not converge: raise `l2`")]
    Regression,
    /// Every ratio is 0.
    #[error("it is 0 at every source case, so far are the domains apart: take another `method`")]
    NoWeight,
}
