//! `cargo xtask check`: what must hold before anything is merged.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::pipeline::{Pipeline, read_config};
use crate::{graph, workspace};

/// Runs every check; the first that fails ends it.
pub(crate) fn run() -> Result<()> {
    step("formatting", &["fmt", "--all", "--check"], &[])?;
    step("pipelines and configs", &[], &[])?;
    files()?;
    step("crate graph", &[], &[])?;
    graph::check(&workspace::metadata()?)?;
    let lints =
        ["clippy", "--release", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"];
    step("lints", &lints, &[])?;
    // Without libFuzzer itself, which asks for a C++ compiler.
    let fuzz = ["check", "--release", "--locked", "--manifest-path", "fuzz/Cargo.toml"];
    let fuzz = [&fuzz[..], &["--target-dir", "target/fuzz"]].concat();
    step("fuzz targets", &fuzz, &[("CUSTOM_LIBFUZZER_PATH", "none/none.a")])?;
    let docs =
        ["doc", "--release", "--locked", "--workspace", "--no-deps", "--document-private-items"];
    step("documentation", &docs, &[("RUSTDOCFLAGS", "-D warnings")])?;
    println!("all checks passed");
    Ok(())
}

fn step(name: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Result<()> {
    println!("check: {name}");
    if arguments.is_empty() {
        return Ok(());
    }
    let mut command = workspace::cargo();
    command.args(arguments).envs(environment.iter().copied());
    workspace::must_succeed(&mut command, name)
}

/// Every pipeline is wired soundly, every config is TOML.
fn files() -> Result<()> {
    for path in toml_files("pipelines")? {
        Pipeline::read(&path)?;
    }
    for path in toml_files("configs")? {
        read_config(&path)?;
    }
    Ok(())
}

fn toml_files(folder: &str) -> Result<Vec<PathBuf>> {
    let folder = workspace::root().join(folder);
    let entries =
        std::fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let mut files: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
        .collect();
    files.sort();
    if files.is_empty() {
        bail!("{} holds no .toml file", folder.display());
    }
    Ok(files)
}
