//! Agreement and discrimination: how well a probability ranks cases and a mask covers a lesion.
//!
//! Scores and labels are parallel slices, a value a case; `true` is the positive class (growth).
//! Nothing is smoothed and nothing skipped: a figure that is not defined (one class, an empty mask)
//! is an error or `None` that says so, never 0, 1 or NaN. Intervals are two-sided.

mod agreement;
mod average_precision;
mod bootstrap;
mod calibration;
mod delong;
mod error;
mod intervals;
mod normal;
mod overlap;
mod ranking;
mod recalibration;
mod roc;
mod surface;

pub use agreement::{BlandAltman, bland_altman, concordance, pearson};
pub use average_precision::average_precision;
pub use bootstrap::{Bootstrap, Distribution, Strata};
pub use calibration::{
    CalibrationBin, brier, equal_mass_bins, expected_calibration_error, log_loss,
};
pub use delong::{DeLong, PairedDeLong, paired_delong};
pub use error::MetricError;
pub use intervals::{Confidence, Interval, wilson};
pub use overlap::{Overlap, overlap};
pub use ranking::Ranking;
pub use recalibration::Recalibration;
pub use roc::{RocCurve, RocPoint, auroc};
pub use surface::SurfaceDistances;
