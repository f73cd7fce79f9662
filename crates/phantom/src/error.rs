use std::path::{Path, PathBuf};

use hemex_artifacts::ArtifactError;
use hemex_volume::VolumeError;

/// What can go wrong while a cohort is made.
#[derive(Debug, thiserror::Error)]
pub enum PhantomError {
    /// A file or folder cannot be written.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A volume or table cannot be written.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// A DICOM file cannot be written.
    #[error("{path}: {problem}")]
    Dicom {
        /// The file.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// A grid or its voxels are unsound.
    #[error("{patient}: {source}")]
    Volume {
        /// The patient.
        patient: String,
        /// Why.
        source: VolumeError,
    },
    /// The drawn hematoma does not fit into its hemisphere.
    #[error(
        "{patient}: no room for a hematoma of {volume_ml} mL; lower `lesion.volume_range_ml` or \
         `lesion.followup_max_ml`"
    )]
    NoRoom {
        /// The patient.
        patient: String,
        /// The volume that was drawn.
        volume_ml: f64,
    },
}

impl PhantomError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }

    pub(crate) fn volume(patient: &str) -> impl FnOnce(VolumeError) -> Self {
        let patient = patient.to_owned();
        move |source| Self::Volume { patient, source }
    }
}
