//! The stage `shift`: weights of training cases toward an unlabelled target domain.
//!
//! Reads `cases` and `splits`, never labels, so that a label cannot leak. A classifier learns to tell
//! the target cases of a fold from its training cases by named features; its odds are the density
//! ratio by which a training case stands for the target domain (Sugiyama et al., Density Ratio
//! Estimation in Machine Learning, 2012, chapter 4). A feature that tells the domains apart almost
//! without overlap is reported and not used: no weight could make up for cases that are not there.

mod config;
mod error;
mod features;
mod fold;
mod stage;

pub use config::{Config, RawConfig};
pub use error::ShiftError;
pub use features::{FEATURES, FeatureTable};
pub use fold::{FoldWeights, weigh};
pub use stage::run;
