//! `cargo xtask bench [NAME]`.

use anyhow::{Result, bail};

use crate::cli::BenchArgs;
use crate::{workload, workspace};

/// Runs a workload, the benches of a crate, or every bench whose name holds NAME.
pub(crate) fn run(arguments: &BenchArgs) -> Result<()> {
    match arguments.name.as_deref() {
        Some(name) if workload::NAMES.contains(&name) => {
            return workload::run(name, arguments.peer.as_deref(), arguments.rounds);
        }
        _ if arguments.peer.is_some() => bail!("--peer goes with a workload, w1 to w3"),
        _ => {}
    }
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
