//! The stage `export`.

use std::process::ExitCode;

fn main() -> ExitCode {
    hemex_stage::main::<hemex_export::RawConfig, _>(hemex_export::run)
}
