//! The stage `predict`: growth probability, mask in native geometry and volume of each case.
//!
//! Reads `cases` and `model`, and `splits` where a cohort is evaluated: then the test and validation
//! units of the model's fold are predicted, otherwise every case. Writes `predictions`. Labels are not
//! among its inputs. On request a head is read once more with its hematoma filled in, and a map is written of what each
//! voxel has to do with the logit. A head without hematoma is `no_lesion` with an empty probability.

mod config;
mod conformal;
mod ensemble;
mod entropy;
mod error;
mod label_shift;
mod model;
mod stage;

pub use config::{Config, LabelShift, RawConfig};
pub use ensemble::{Ensemble, Known, Verdict};
pub use entropy::Doubt;
pub use error::PredictError;
pub use stage::run;
