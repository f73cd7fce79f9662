//! The stage `ingest`: raw head CTs to `cases/1`, `labels/1`, `splits/1` and `private/1`.

use std::process::ExitCode;

fn main() -> ExitCode {
    hemex_stage::main::<hemex_ingest::RawConfig, hemex_ingest::Config>(hemex_ingest::run)
}
