//! The contract between the orchestrator and the stages of a pipeline.
//!
//! A stage is a program that is called as `PROGRAM request.json` and reads there its config, the
//! folders of its inputs and the empty folders of its outputs ([`Request`]). In Rust it is
//! `fn main() -> ExitCode { hemex_stage::main::<RawConfig, Config>(run) }`; in any other language a
//! script that reads the same JSON. The orchestrator validates what a stage wrote ([`validate`]) and
//! publishes it under a name derived from everything that went into it ([`KeyParts`]).

mod config;
pub mod contract;
pub mod digest;
mod draw;
mod key;
mod kind;
mod program;
mod progress;
mod provenance;
mod publish;
mod simd;
pub mod suggest;
pub mod validate;

pub use config::{ConfigError, check_fraction, check_positive, check_range};
pub use contract::{CONTRACT_VERSION, InputArtifact, OutputArtifact, Request, RequestError};
pub use draw::DrawKey;
pub use key::{Change, KeyParts};
pub use kind::{Kind, UnknownKind};
pub use program::{Mode, Run, main, main_with};
pub use progress::{Message, Progress, log, warning};
pub use provenance::{InputRecord, OutputRecord, Provenance};
pub use publish::{PublishError, RunStore, TaskLock};
pub use simd::{UnknownSimdLevel, simd_level};
