//! The stage `summary`.

use std::process::ExitCode;

fn main() -> ExitCode {
    hemex_stage::main::<hemex_summary::RawConfig, _>(hemex_summary::run)
}
