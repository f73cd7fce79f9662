//! `cargo xtask bench [NAME]`.

use anyhow::Result;

use crate::cli::BenchArgs;
use crate::workspace;

/// Runs the benches of a crate, or every bench whose name holds NAME (`w1` to `w8` among them).
pub(crate) fn run(arguments: &BenchArgs) -> Result<()> {
    let mut command = workspace::cargo();
    command.args(["bench", "--locked"]);
    let names = workspace::crate_names()?;
    match &arguments.name {
        Some(name) if names.contains(name) => {
            command.args(["--package", &workspace::package(name)?, "--benches"]);
        }
        Some(part) => {
            command.args(["--workspace", "--bench", "*", "--", part]);
        }
        None => {
            command.args(["--workspace", "--bench", "*"]);
        }
    }
    workspace::must_succeed(&mut command, "a bench")
}
