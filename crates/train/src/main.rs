//! The stage `train`. `--find-lr REQUEST` prints the loss along rising learning rates, `--overfit REQUEST` has the network
//! learn one batch by heart; `cargo xtask request` writes such a request.

use std::process::ExitCode;

/// A training step frees and takes tens of large tensors: an allocator that keeps their pages saves a
/// third of its time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    hemex_kernels::work_on_this_thread();
    let modes: [hemex_stage::Mode<_>; 2] =
        [("--find-lr", hemex_train::find_learning_rate), ("--overfit", hemex_train::overfit)];
    hemex_stage::main_with::<hemex_train::RawConfig, _>(hemex_train::run, &modes)
}
