//! The stage `export`: prepared cases in the layouts of other tools.
//!
//! Input `cases`, with it `labels` and `splits` as far as the pipeline wires them; output `dataset`
//! (`dataset/1`). Written are images in HU on the canonical grid, reference masks, brain masks (BIDS alone)
//! and tables, all under pseudonyms. Ingest reads the nnU-Net layout back.
//!
//! # Rooms
//! [`nnunet`]: a raw dataset of nnU-Net; [`bids`]: a BIDS derivative; `cohort`: what is exported;
//! `tsv`: tables

pub mod bids;
mod cohort;
mod config;
mod error;
pub mod nnunet;
mod stage;
mod tsv;

pub use cohort::Cohort;
pub use config::{Config, Format, RawConfig};
pub use error::ExportError;
pub use stage::run;
