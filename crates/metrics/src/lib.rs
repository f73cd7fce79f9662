//! Agreement and discrimination: how well a probability ranks cases and a mask covers a lesion.
//!
//! Scores and labels are parallel slices, a value a case; `true` is the positive class (growth).
//! Nothing is smoothed and nothing skipped: a figure that is not defined (one class, an empty mask, a
//! missing value) is an error or `None` that says so, never 0, 1 or NaN. Ties are never broken: cases of
//! one score are called alike. Intervals are two-sided. No input or output, no tensors.
//!
//! # Rooms
//! - masks: [`overlap()`] (Dice, IoU, volumes), [`SurfaceDistances`] (voxel centres, as MONAI),
//!   [`SurfaceElements`] (by area, with surface Dice, as DeepMind), [`LesionDetection`]
//! - ranking: [`auroc`], [`DeLong`], [`paired_delong`], [`average_precision()`], [`RocCurve`] with
//!   operating points
//! - probabilities: [`brier`], [`BrierDecomposition`], [`log_loss`], [`Recalibration`],
//!   [`equal_mass_bins`] and [`equal_width_bins`] with [`expected_calibration_error`],
//!   [`CalibrationCurve`]; [`LogisticRegression`] to make them, [`temperature()`], [`Isotonic`],
//!   [`prior_by_likelihood`] and [`prior_by_confusion`] to mend them, [`ConformalScores`] for sets of classes
//! - decisions: [`decision_curve()`], [`PredictiveValues`], [`McNemar`], [`Reclassification`],
//!   [`DiscriminationImprovement`]
//! - measurements and raters: [`bland_altman`], [`concordance`], [`pearson`], [`Ratings`] (ICC),
//!   [`cohen_kappa`], [`fleiss_kappa`]
//! - doubt: [`wilson`], [`clopper_pearson`], [`Bootstrap`] over patients with [`Distribution::interval`]
//!   and [`Distribution::bca_interval`], [`paired_permutation`], [`holm`], [`benjamini_hochberg`]
//! - case weights: [`WeightedCases`]
//!
//! ```
//! use hemex_metrics::{Bootstrap, Confidence, Ranking, Strata, jackknife};
//!
//! # fn main() -> Result<(), hemex_metrics::MetricError> {
//! // Six cases of five patients; the last patient has two.
//! let scores = [0.1, 0.4, 0.35, 0.8, 0.7, 0.2];
//! let labels = [false, false, true, true, true, false];
//! let ranking = Ranking::of_patients(&scores, &labels, &[0, 1, 2, 3, 4, 4], 5)?;
//! let auroc = |n_drawn: &[u32]| ranking.auroc(n_drawn);
//! // Patients stand for others of the same classes, so that no draw loses a class.
//! let strata = Strata::new(&["neither", "neither", "growth", "growth", "both"]);
//! let draws = Bootstrap { n_draws: 500, seed: 1 }.distribution(&strata, auroc);
//! let left_out = jackknife(5, auroc).expect("both classes without any one patient");
//! let observed = ranking.auroc(&[1; 5]).expect("both classes");
//! let interval = draws.bca_interval(observed, &left_out, Confidence::P95)?;
//! assert!(interval.contains(observed));
//! # Ok(())
//! # }
//! ```
//!
//! The figures are held against scikit-learn, SciPy, statsmodels, surface-distance and formulas written
//! out in numpy: `tests/reference/metrics.py` at the root of the workspace.

mod agreement;
mod agreement_limits;
mod average_precision;
mod bca;
mod bit_rows;
mod bootstrap;
mod brier_decomposition;
mod calibration;
mod cell_areas;
mod conformal;
mod decision_curve;
mod delong;
mod error;
mod intervals;
mod intraclass;
mod isotonic;
mod kappa;
mod label_shift;
mod lesions;
mod logistic;
mod mcnemar;
mod multiplicity;
mod nearest;
mod normal;
mod overlap;
mod permutation;
mod predictive_values;
mod ranking;
mod recalibration;
mod reclassification;
mod roc;
mod smooth_calibration;
mod special;
mod surface;
mod surface_elements;
mod temperature;
mod weighted;

pub use agreement::{BlandAltman, bland_altman, concordance, pearson};
pub use agreement_limits::AgreementIntervals;
pub use average_precision::average_precision;
pub use bca::jackknife;
pub use bootstrap::{Bootstrap, Distribution, Strata};
pub use brier_decomposition::BrierDecomposition;
pub use calibration::{
    CalibrationBin, brier, equal_mass_bins, equal_width_bins, expected_calibration_error, log_loss,
};
pub use conformal::ConformalScores;
pub use decision_curve::{NetBenefit, decision_curve};
pub use delong::{DeLong, PairedDeLong, paired_delong};
pub use error::MetricError;
pub use intervals::{Confidence, Interval, clopper_pearson, wilson};
pub use intraclass::{IntraclassCorrelation, Ratings};
pub use isotonic::Isotonic;
pub use kappa::{KappaWeights, cohen_kappa, fleiss_kappa};
pub use label_shift::{prior_by_confusion, prior_by_likelihood};
pub use lesions::{Hit, LesionDetection};
pub use logistic::{ChosenRegression, LogisticRegression, Scale};
pub use mcnemar::McNemar;
pub use multiplicity::{benjamini_hochberg, holm};
pub use overlap::{Overlap, overlap};
pub use permutation::{PermutationTest, paired_permutation};
pub use predictive_values::PredictiveValues;
pub use ranking::Ranking;
pub use recalibration::Recalibration;
pub use reclassification::{DiscriminationImprovement, Reclassification};
pub use roc::{RocCurve, RocPoint, auroc};
pub use smooth_calibration::CalibrationCurve;
pub use surface::SurfaceDistances;
pub use surface_elements::SurfaceElements;
pub use temperature::{TEMPERATURES, temperature};
pub use weighted::WeightedCases;
