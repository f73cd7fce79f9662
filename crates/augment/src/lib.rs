//! Deformable-lesion transforms of an image together with its label map: drawn, then applied.
//!
//! A [`Policy`] holds the limits of a config. [`Policy::draw`] makes a [`Drawn`] from them and a
//! [`DrawKey`](hemex_stage::DrawKey): a plain record of every parameter, which any other run can make
//! again from the same key. [`Drawn::apply`] is then a pure function: one spatial resampling (flip,
//! scale, rotation, shift and elastic deformation together, linear for the image and nearest for the
//! labels), followed on the image alone by what a scanner does to values: slice thickness, pixel size, blur and
//! kernel, gamma, gain and offset, streaks and noise. A [`SiteLook`] sets those of a named site together.
//!
//! Before any of that a [`TransplantPolicy`] may plant the hematoma of another patient ([`Donor`]), and
//! [`Policy::draw_pair`] draws one transform for the baseline and the follow-up of a case, whose outcome stays.
//! Every record can be written as JSON and makes the same bytes again.
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
mod donor;
mod draw;
mod error;
mod growth;
mod intensity;
mod lesion;
mod pair;
mod policy;
mod record;
mod scanner;
mod site;
mod stage;
mod streaks;
mod transplant;

pub use config::{Config, RawConfig};
pub use donor::{CaseView, Donor};
pub use draw::{Drawn, DrawnElastic};
pub use error::AugmentError;
pub use growth::GrowthRule;
pub use lesion::{DrawnLesion, LesionPolicy, RawLesion};
pub use pair::DrawnPair;
pub use policy::{ElasticPolicy, MIN_JACOBIAN, Policy, RawElastic, RawPolicy};
pub use record::ExampleRecord;
pub use scanner::{DrawnScanner, RawCoarse, RawScanner, ScannerPolicy};
pub use site::{SiteLook, SitePolicy};
pub use stage::run;
pub use streaks::{DrawnStreaks, RawStreaks, StreakPolicy};
pub use transplant::{
    DrawnTransplant, OpenVoxels, RawTransplant, TransplantDraw, TransplantPolicy,
    TransplantProvenance, Transplanted,
};
