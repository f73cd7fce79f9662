use std::path::{Path, PathBuf};

use hemex_volume::VolumeError;

/// What can be wrong with a file of an artifact.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// The file cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no volume that can be read as it is.
    #[error("{path}: {problem}")]
    Nifti {
        /// The file.
        path: PathBuf,
        /// What is wrong, what was expected and what to do.
        problem: String,
    },
    /// The grid or its voxels are unsound.
    #[error("{path}: {source}")]
    Volume {
        /// The file.
        path: PathBuf,
        /// Why.
        source: VolumeError,
    },
    /// A table has a row that does not fit its columns.
    #[error("{path}: {source}")]
    Table {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: csv::Error,
    },
    /// A JSON file does not hold what it should.
    #[error("{path}: {source}")]
    Json {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
}

impl ArtifactError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }

    pub(crate) fn nifti(path: &Path, problem: impl Into<String>) -> Self {
        Self::Nifti { path: path.to_owned(), problem: problem.into() }
    }

    pub(crate) fn volume(path: &Path) -> impl FnOnce(VolumeError) -> Self {
        let path = path.to_owned();
        move |source| Self::Volume { path, source }
    }
}
