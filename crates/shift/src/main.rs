//! The stage `shift`.

use std::process::ExitCode;

fn main() -> ExitCode {
    hemex_stage::main::<hemex_shift::RawConfig, _>(hemex_shift::run)
}
