//! The stage `train`: joint loss, class-balanced sampling with shift weights, the loop.
//!
//! Reads `cases`, `labels`, `splits` and, where they are wired, `weights` and a model `pretrained`; writes `model`. Every
//! sample is drawn under its own key, so that the same request gives the same weights, bit for bit, also after an
//! interruption.

mod across;
mod align;
mod average;
mod calibration;
mod checkpoint;
mod clip;
mod cohort;
mod config;
mod conformal;
mod curves;
mod deep_supervision;
mod error;
mod feed;
mod finetune;
mod followup;
mod growth_source;
mod history;
mod learner;
mod loss;
mod patients;
mod precision;
mod profile;
mod sample;
mod sampler;
mod schedule;
mod second_stage;
mod signs;
mod tasks;
mod trainer;
mod trial;
mod validation;

pub use across::Across;
pub use align::{coral, reverse_gradient};
pub use clip::clip_gradients;
pub use config::{
    Align, Averaging, Config, RawConfig, RawFinetune, RawLoss, RawOptimizer, SelectBy, Tversky,
};
pub use error::TrainError;
pub use loss::{GrowthLoss, bce_with_logits, tversky_loss};
pub use precision::Precision;
pub use sampler::{Balancing, DrawnCase, Sampler, SamplerKind, effective_number_weights};
pub use schedule::Schedule;
pub use trainer::run;
pub use trial::{find_learning_rate, overfit};
