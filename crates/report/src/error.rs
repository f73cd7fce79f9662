use std::path::PathBuf;

use hemex_artifacts::ArtifactError;
use hemex_metrics::MetricError;
use hemex_stage::RequestError;

/// Why no report can be made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// An input or output is not wired.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// A file of an artifact cannot be read or written.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// Nothing to report on.
    #[error("no predictions are wired to the report")]
    NoPredictions,
    /// Predictions of several regimes in one report.
    #[error(
        "predictions come from the regimes `{first}` and `{second}`: one report speaks of one regime"
    )]
    MixedRegimes {
        /// A regime.
        first: &'static str,
        /// Another one.
        second: &'static str,
    },
    /// Two predictions of one model.
    #[error("{path}: arm `{arm}`, fold {fold}, seed {seed} is predicted a second time")]
    DuplicateModel {
        /// Folder of the second.
        path: PathBuf,
        /// The arm.
        arm: String,
        /// The fold.
        fold: usize,
        /// The seed.
        seed: u64,
    },
    /// A table speaks of a case that the cohort lacks.
    #[error("{path}: the case `{case_id}` is not in cases.csv")]
    UnknownCase {
        /// The table.
        path: PathBuf,
        /// The case.
        case_id: String,
    },
    /// A table has two rows for a case.
    #[error("{path}: the case `{case_id}` has two rows")]
    DuplicateCase {
        /// The table.
        path: PathBuf,
        /// The case.
        case_id: String,
    },
    /// What lies elsewhere than its image.
    #[error("case `{case_id}`: the {what} is not on the grid of the image")]
    OtherGrid {
        /// The case.
        case_id: String,
        /// The mask or map.
        what: &'static str,
    },
    /// A case was predicted that the split does not know.
    #[error("{path}: the case `{case_id}` has no role in regime `{regime}`, fold {fold}")]
    NoRole {
        /// The predictions.
        path: PathBuf,
        /// The case.
        case_id: String,
        /// The regime.
        regime: &'static str,
        /// The fold.
        fold: usize,
    },
    /// A figure of one case cannot be computed.
    #[error("case `{case_id}`: {source}")]
    Case {
        /// The case.
        case_id: String,
        /// Why.
        source: MetricError,
    },
    /// A figure of the cohort cannot be computed.
    #[error(transparent)]
    Metric(#[from] MetricError),
    /// Where a report was looked for.
    #[error("{path}: no report: expected a folder with cases.csv, as a run's `report` is")]
    NoReport {
        /// The path.
        path: PathBuf,
    },
    /// Runs of different arms.
    #[error("the runs share no arm: {} in the first, {} in the second", first.join(", "), second.join(", "))]
    NoCommonArm {
        /// Arms of the first run.
        first: Vec<String>,
        /// Arms of the second run.
        second: Vec<String>,
    },
    /// Runs of different cohorts.
    #[error(
        "arm `{arm}`: no test case of the same fold, seed and label is in both runs: compare runs on one cohort"
    )]
    NoCommonCase {
        /// The arm.
        arm: String,
    },
    /// A file of the report cannot be written.
    #[error("{path}: {problem}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        problem: String,
    },
}
