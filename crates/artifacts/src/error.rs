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
    /// What is wrong, without the file's path: fit for a table that goes on to others.
    pub fn without_path(&self) -> String {
        match self {
            Self::Io { source, .. } => match source.kind() {
                std::io::ErrorKind::NotFound => "the file does not exist".to_owned(),
                kind => format!("the file cannot be read ({kind})"),
            },
            Self::Nifti { problem, .. } => problem.clone(),
            Self::Volume { source, .. } => source.to_string(),
            Self::Table { source, .. } => source.to_string(),
            Self::Json { source, .. } => source.to_string(),
        }
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_without_its_path_names_no_folder() {
        let path = PathBuf::from("/data/sub-Miller/scan.nii");
        let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
        let denied = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        for (error, expected) in [
            (ArtifactError::io(&path)(missing), "the file does not exist"),
            (ArtifactError::io(&path)(denied), "the file cannot be read (permission denied)"),
            (ArtifactError::nifti(&path, "cut short"), "cut short"),
        ] {
            assert!(error.to_string().contains("Miller"));
            assert_eq!(error.without_path(), expected);
        }
    }
}
