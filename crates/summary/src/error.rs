use std::path::PathBuf;

use hemex_artifacts::ArtifactError;
use hemex_metrics::MetricError;

/// What stops the stage.
#[derive(Debug, thiserror::Error)]
pub enum SummaryError {
    /// An input cannot be read, or an output written.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// A figure cannot be computed.
    #[error("{what}: {source}")]
    Figure {
        /// Which figure of which arm.
        what: String,
        /// Why not.
        source: MetricError,
    },
    /// No report is among the inputs.
    #[error("no input is a report: wire at least one stage that writes `report/1`")]
    NoReports,
    /// A report without test cases.
    #[error("{path}: no test case")]
    NoTestCases {
        /// The table.
        path: PathBuf,
    },
    /// A report without the axis by which cohorts are told apart.
    #[error(
        "{path} has no axis `{axis}`: name one of the pipeline's matrix in `by`, or leave it out"
    )]
    NoAxis {
        /// The report.
        path: PathBuf,
        /// The axis that is asked for.
        axis: String,
    },
    /// Several models of an arm tested the cases of one report.
    #[error(
        "{path}: `{arm}` tested under several folds or seeds; expected one model an arm: give the axes `fold` and \
         `seed` of its training one value a report"
    )]
    SeveralModels {
        /// The table.
        path: PathBuf,
        /// The arm.
        arm: String,
    },
    /// A file cannot be written.
    #[error("{path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}
