//! `cargo xtask mutate`: the whole campaign of damaged files, of which the tests run a fiftieth.

use anyhow::Result;

use crate::workspace;

/// Runs the command.
pub(crate) fn run() -> Result<()> {
    let mut command = workspace::cargo();
    command.args(["test", "--release", "--locked", "--workspace", "--test", "mutations"]);
    command.args(["--", "--nocapture"]).env("HEMEX_MUTATION_PERCENT", "100");
    workspace::must_succeed(&mut command, "the campaign")
}
