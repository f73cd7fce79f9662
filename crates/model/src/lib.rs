//! The networks and their use on a case.
//!
//! Tensors are `[B, C, D, H, W]` throughout; a network over slices has `D = 1` and drops that axis
//! inside its layers only. Two networks share config, blocks and heads: the joint U-Net, which
//! segments the hematoma and classifies its growth on one encoder, and the plain VGG, which sees the
//! label alone and is the baseline in the same harness.

mod block;
mod conv;
mod device;
mod error;
mod growth_regression;
mod init;
mod input;
mod network;
mod pool;
mod reading;
mod reconstruction;
mod resnet;
mod spec;
mod store;
mod unet;
mod vgg;
mod window;

pub use device::parse_device;
pub use error::ModelError;
pub use growth_regression::{GrowthFeature, GrowthRegression, SIGN_FEATURES, sign_features};
pub use init::initialise;
pub use input::CaseInput;
pub use network::{Network, Output};
pub use reading::{Decision, Reading, logit_without_decision, read_case};
pub use resnet::Resnet;
pub use spec::{Dims, InputSpec, NetworkKind, NetworkSpec, Pooling, RawNetworkSpec};
pub use store::{load_weights, save_weights};
pub use unet::JointUnet;
pub use vgg::Vgg;
pub use window::{CaseOutput, Window, WindowOutput, plan_windows, predict_case};
