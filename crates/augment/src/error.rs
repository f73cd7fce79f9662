use std::path::PathBuf;

use hemex_artifacts::ArtifactError;
use hemex_volume::VolumeError;

/// What can go wrong when augmenting.
#[derive(Debug, thiserror::Error)]
pub enum AugmentError {
    /// Image and labels are not of one grid, so they would be torn apart.
    #[error(
        "the image's grid {image:?} is not the label map's {labels:?} (D, H, W), or they lie apart"
    )]
    GridMismatch {
        /// Shape of the image, `[D, H, W]`.
        image: [usize; 3],
        /// Shape of the label map, `[D, H, W]`.
        labels: [usize; 3],
    },
    /// A transform is applied to another grid than it was drawn (and checked for folding) for.
    #[error("the transform was drawn for {drawn}, not for {found}")]
    OtherGrid {
        /// Voxels and spacing the draw was made for (D, H, W).
        drawn: String,
        /// Voxels and spacing it was applied to (D, H, W).
        found: String,
    },
    /// A hematoma cannot be planted as drawn.
    #[error(
        "the hematoma of `{donor_case_id}` cannot be planted into `{recipient_case_id}`: {problem}"
    )]
    Transplant {
        /// The case it comes from.
        donor_case_id: String,
        /// The case it should go to.
        recipient_case_id: String,
        /// Why not.
        problem: &'static str,
    },
    /// Volumes of one case do not fit together.
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// A file of an artifact cannot be read or written.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// `cases.csv` and `labels.csv` are not of one cohort.
    #[error(
        "case `{case_id}` is in cases.csv but not in labels.csv: both must come from one run of ingest"
    )]
    NoLabelRow {
        /// The case.
        case_id: String,
    },
    /// `geometry.json` lacks a case.
    #[error("case `{case_id}` is in cases.csv but not in geometry.json")]
    NoGeometry {
        /// The case.
        case_id: String,
    },
    /// A folder or picture cannot be written.
    #[error("{path}: {source}")]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}
