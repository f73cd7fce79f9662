//! The typed side of each artifact kind: volumes as NIfTI, tables as rows, cards as JSON.
//!
//! The layouts are those that `hemex-stage` validates; here they get types. Reading never panics,
//! never allocates by an unchecked header and names the file and what was expected.

pub mod cases;
pub mod clinical;
mod error;
pub mod flag;
pub mod json;
pub mod labels;
pub mod limits;
pub mod model;
pub mod nifti;
pub mod picture;
pub mod predictions;
pub mod signs;
pub mod splits;
pub mod table;
pub mod weights;

pub use cases::{CaseRow, Cases, DescriptorRow, ExclusionRow, GeometryRecord, Preparation, Sex};
pub use clinical::{CLINICAL_FEATURES, ClinicalRow, clinical_feature};
pub use error::ArtifactError;
pub use labels::{FollowupSummary, LabelRow, LabelSummary, LesionRow, Oracle};
pub use model::{ConformalCalibration, HistoryRow, LogitCalibration, ModelCard, ModelPatientRow};
pub use picture::Picture;
pub use predictions::{LabelShiftEstimate, PredictionCard, PredictionRow, PredictionStatus};
pub use signs::SignRow;
pub use splits::{Regime, Role, SplitRow};
pub use weights::{FeatureBalance, ReportedFeature, WeightRow, WeightSummary};
