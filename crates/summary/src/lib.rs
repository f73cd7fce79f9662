//! The stage `summary`: several reports in one table.
//!
//! Each report is of one cohort and one regime. For every regime and arm the table says what the arm reaches over all
//! cohorts, and how far it lies above the arms it is held against, both with intervals over cohorts and patients. Beside
//! the arms stand what the true signs tell: as the phantom knows their law, and as a regression learns it from the same
//! training patients.

mod cohort;
mod config;
mod curves;
mod error;
mod figures;
mod known_signs;
mod page;
mod patients;
mod regime;
mod resample;
mod stage;

pub use config::{Config, RawConfig};
pub use error::SummaryError;
pub use stage::run;
