//! NIfTI and DICOM head CTs to canonical cases, growth labels and patient-grouped splits.
//!
//! Input `raw` (`dataset/1`); outputs `cases`, and as far as the pipeline declares them `labels`,
//! `splits` and `private`. Without `labels` and `splits` (a pipeline that only predicts) reference
//! masks are not looked at.
//!
//! A case that cannot be used costs itself alone: it is left out with a reason ([`Unusable`]), the
//! rest goes on. Source names, paths and dates stand in the artifact `private` and nowhere else, not
//! in the log either; everything else speaks of pseudonyms.
//!
//! # Rooms
//! - [`layout`]: which scans a dataset holds (BIDS, a table of paths, a flat folder)
//! - [`dicom`]: one axial series out of a folder of DICOM files
//! - [`prepare()`]: native image to canonical grid, brain mask, noise
//! - [`labels`]: the growth rule; [`splits`]: who trains, who tests

mod acquisition;
mod brain;
mod case;
mod cohort;
mod config;
mod date;
pub mod dicom;
mod error;
mod followup;
mod guard;
mod head;
mod kernel;
pub mod labels;
pub mod layout;
mod masks;
mod noise;
mod prepare;
mod private;
mod pseudonym;
pub mod splits;
mod truth;
mod unusable;

pub use cohort::{run, run_with};
pub use config::{
    Config, DicomSettings, FollowupMasks, GrowthRule, LabelRule, LabelSource, LayoutChoice,
    PreparationSettings, RawConfig, RawDicom, RawLabels, RawSplits, SliceThickness, SplitSettings,
    UnevenSlices,
};
pub use error::IngestError;
pub use kernel::Sharpness;
pub use prepare::{Prepared, canonical_grid, prepare};
pub use unusable::{StackProblem, Unusable};
