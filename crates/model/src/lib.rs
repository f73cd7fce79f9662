//! The networks and their use on a case.
//!
//! Tensors are `[B, C, D, H, W]` throughout; a network over slices has `D = 1` and drops that axis
//! inside its layers only. All networks share config, blocks and heads. The joint U-Net segments the
//! hematoma and classifies its growth on one encoder, of convolutions or of a Swin transformer; the U-Net
//! segments alone. The plain VGG and the residual network see the label alone and are the baselines in
//! the same harness. [`NetworkCost`] counts what each takes.

mod attention;
mod attention_spec;
mod block;
mod conv;
mod cost;
mod device;
mod error;
mod extent;
mod growth_regression;
mod heads;
mod init;
mod input;
mod input_spec;
mod network;
mod part;
mod pool;
mod reading;
mod reconstruction;
mod resnet;
mod saliency;
mod sign;
mod slice_attention;
mod spec;
mod store;
mod swin;
mod unet;
mod vgg;
mod window;

pub use attention_spec::AttentionSpec;
pub use cost::NetworkCost;
pub use device::parse_device;
pub use error::ModelError;
pub use extent::Extent;
pub use growth_regression::{GrowthFeature, GrowthRegression, SIGN_FEATURES, sign_features};
pub use init::initialise;
pub use input::CaseInput;
pub use input_spec::InputSpec;
pub use network::{Network, Output};
pub use reading::{Decision, Reading, logit_without_decision, read_case};
pub use resnet::Resnet;
pub use saliency::growth_saliency;
pub use sign::Sign;
pub use slice_attention::{SliceAttentionSpec, logits_of_cases};
pub use spec::{Dims, NetworkKind, NetworkSpec, Pooling, RawNetworkSpec};
pub use store::{load_parts, load_weights, save_weights};
pub use unet::JointUnet;
pub use vgg::Vgg;
pub use window::{CaseOutput, Passes, Window, WindowOutput, plan_windows, predict_case};
