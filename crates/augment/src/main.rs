//! The stage program `hemex-augment`.

use std::process::ExitCode;

fn main() -> ExitCode {
    hemex_stage::main::<hemex_augment::RawConfig, hemex_augment::Config>(hemex_augment::run)
}
