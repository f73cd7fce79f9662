//! The stage as a whole, on synthetic cohorts and on real scans.

#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

mod cohort;
mod dicom;
mod followup;
mod layouts;
mod nifti;
mod preparation;
mod real;
mod support;
#[cfg(unix)]
mod workers;
