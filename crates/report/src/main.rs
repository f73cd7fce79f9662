//! The stage program `hemex-report`.

use std::process::ExitCode;

fn main() -> ExitCode {
    hemex_stage::main::<hemex_report::RawConfig, hemex_report::Config>(hemex_report::run)
}
