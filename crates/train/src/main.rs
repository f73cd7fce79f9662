//! The stage `train`.

use std::process::ExitCode;

/// A training step frees and takes tens of large tensors: an allocator that keeps their pages saves a
/// third of its time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    hemex_kernels::work_on_this_thread();
    hemex_stage::main::<hemex_train::RawConfig, _>(hemex_train::run)
}
