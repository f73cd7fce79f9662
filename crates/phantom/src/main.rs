//! The stage `phantom`: writes a synthetic cohort as `dataset/1`.

use std::process::ExitCode;

fn main() -> ExitCode {
    hemex_stage::main::<hemex_phantom::RawConfig, hemex_phantom::Config>(hemex_phantom::run)
}
