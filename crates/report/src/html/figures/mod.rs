//! The figures, one a file.

mod calibration;
mod decision;
mod dice;
mod forest;
mod history;
mod roc;
mod volume;

pub(super) use calibration::calibration;
pub(super) use decision::decision;
pub(super) use dice::dice;
pub(super) use forest::forest;
pub(super) use history::history;
pub(super) use roc::roc;
pub(super) use volume::volume;
