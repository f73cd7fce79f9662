//! The stage `predict`.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    hemex_kernels::work_on_this_thread();
    hemex_stage::main::<hemex_predict::RawConfig, _>(hemex_predict::run)
}
