use std::path::{Path, PathBuf};

use hemex_artifacts::ArtifactError;

/// What stops the stage.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// An input cannot be read or an output not written.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// The layout needs what is not wired.
    #[error("the layout `{layout}` needs the input `{input}`: wire it in the pipeline")]
    NotWired {
        /// The layout.
        layout: &'static str,
        /// The input.
        input: &'static str,
    },
    /// No case has what the layout is made of.
    #[error("none of {n_cases} cases has a reference mask, and nnU-Net trains on masks")]
    NoMasks {
        /// How many cases there are.
        n_cases: usize,
    },
    /// The splits lack the regime.
    #[error(
        "the splits hold no whole cases under the regime `{regime}`: name another as `nnunet.regime`"
    )]
    NoFolds {
        /// The regime.
        regime: &'static str,
    },
    /// Two ids that differ in signs alone.
    #[error(
        "`{first}` and `{second}` are both `{label}` in BIDS, whose names are letters and digits alone"
    )]
    SameLabel {
        /// An id.
        first: String,
        /// Another.
        second: String,
        /// Their letters and digits.
        label: String,
    },
    /// A file or folder cannot be written.
    #[error("{path}: {source}")]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl ExportError {
    /// Puts the path to an error of the file system.
    pub(crate) fn write(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Write { path, source }
    }
}
