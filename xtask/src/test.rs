//! `cargo xtask test`: the tests, and what they skipped and why.

use anyhow::{Context, Result};

use crate::cli::CrateArgs;
use crate::workspace;

/// Tests append a line here when they skip something: `name: reason`.
const SKIPPED: &str = "HEMEX_SKIPPED";

/// Runs the command.
pub(crate) fn run(arguments: &CrateArgs) -> Result<()> {
    let skipped = workspace::root().join("target").join("skipped-tests.txt");
    std::fs::create_dir_all(workspace::root().join("target"))?;
    std::fs::write(&skipped, "").with_context(|| format!("cannot write {}", skipped.display()))?;
    let mut command = workspace::cargo();
    command.args(["test", "--release", "--locked", "--no-fail-fast"]).env(SKIPPED, &skipped);
    match &arguments.package {
        Some(name) => command.args(["--package", &workspace::package(name)?]),
        None => command.arg("--workspace"),
    };
    let outcome = workspace::must_succeed(&mut command, "a test");
    let lines = std::fs::read_to_string(&skipped).unwrap_or_default();
    match lines.lines().count() {
        0 => println!("no test was skipped"),
        n => println!("{n} tests were skipped:\n{lines}"),
    }
    outcome
}
