//! `cargo xtask bench [NAME]`.

use anyhow::{Result, bail};

use crate::cli::BenchArgs;
use crate::{workload, workspace};

/// Runs a workload, the benches of a crate, or every bench whose name holds NAME.
pub(crate) fn run(arguments: &BenchArgs) -> Result<()> {
    let name = arguments.name.as_deref().unwrap_or_default();
    let peer = arguments.peer.as_deref();
    match workload::program_of(name) {
        Some(example) => return workload::run(name, example, peer, arguments.rounds),
        None if peer.is_some() => bail!("--peer goes with a workload: w1, w2, w3, w4, w5 or w6"),
        None => {}
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
