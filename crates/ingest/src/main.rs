//! The stage `ingest`: raw head CTs to `cases/1`, `labels/1`, `splits/1` and `private/1`.

/// Volumes come and go from case to case: this one keeps their memory in place of giving it back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use std::process::ExitCode;

use hemex_ingest::dicom::worker;

fn main() -> ExitCode {
    // Started so by itself, to read DICOM within limits.
    if std::env::args_os().nth(1).is_some_and(|argument| argument == worker::ARGUMENT) {
        return if worker::serve().is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    hemex_stage::main::<hemex_ingest::RawConfig, hemex_ingest::Config>(hemex_ingest::run)
}
