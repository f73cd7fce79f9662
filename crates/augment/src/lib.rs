//! Deformable-lesion transforms of an image together with its label map: drawn, then applied.
//!
//! A [`Policy`] holds the limits of a config. [`Policy::draw`] makes a [`Drawn`] from them and a
//! [`DrawKey`](hemex_stage::DrawKey): a plain record of every parameter, which any other run can make
//! again from the same key. [`Drawn::apply`] is then a pure function: one spatial resampling (flip,
//! scale, rotation, shift and elastic deformation together, linear for the image and nearest for the
//! labels), followed by blur, gain, offset and noise on the image alone.
//!
//! # Labels that depend on volume
//! Masks move with the image and stay right. A *growth label* was derived from the volumes of the
//! original scans and is carried over as it is, which is sound as long as an augmented image is one
//! that could have had the same outcome. Scaling changes the lesion's volume by
//! [`Drawn::volume_factor`] (a scale of ± 8 % already by ± 25 %, near the 33 % by which growth is
//! commonly defined), and a predictor of growth reads volume: keep `scale` small where volume carries
//! the signal, and never derive a label or a volume target from an augmented mask.
//! [`Policy::volume_factor_range`] says what a config can do. The elastic part changes volumes locally
//! on top, bounded by the Jacobian in [`DrawnElastic`].

mod config;
mod draw;
mod error;
mod intensity;
mod lesion;
mod mosaic;
mod policy;
mod stage;

pub use config::{Config, RawConfig};
pub use draw::{Drawn, DrawnElastic};
pub use error::AugmentError;
pub use lesion::{DrawnLesion, LesionPolicy, RawLesion};
pub use policy::{ElasticPolicy, MIN_JACOBIAN, Policy, RawElastic, RawPolicy};
pub use stage::run;
