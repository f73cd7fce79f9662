//! The stage `shift`: weights of training cases toward an unlabelled target domain.
//!
//! Reads `cases` and `splits`, never labels, so that a label cannot leak. A training case stands for the
//! target domain of a fold by the ratio of their densities of named features ([`Method`]). A feature that
//! tells the domains apart almost without overlap is reported and not used: no weight could make up for
//! cases that are not there. How far the domains lie apart is told by a classifier's AUROC, a two-sample
//! test ([`mean_discrepancy`]) and each feature's difference, before and after weighting.

mod balance;
mod config;
mod error;
mod features;
mod fold;
mod ratio;
mod stage;
mod two_sample;

pub use balance::standardised_difference;
pub use config::{Config, RawConfig};
pub use error::{NoRatio, ShiftError};
pub use features::{FEATURES, FeatureTable};
pub use fold::{FoldWeights, effective_sample_size, weigh};
pub use ratio::{Estimator, Method};
pub use stage::run;
pub use two_sample::{MeanDiscrepancy, mean_discrepancy};
