//! The stage `phantom`: writes a synthetic cohort as `dataset/1`.

use std::process::ExitCode;

/// A scan takes and frees several large volumes: an allocator that keeps their pages saves a tenth of its time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    hemex_stage::main::<hemex_phantom::RawConfig, hemex_phantom::Config>(hemex_phantom::run)
}
