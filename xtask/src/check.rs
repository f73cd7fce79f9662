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
    gpu()?;
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

/// Types and lints of the programs that run on a graphics card.
///
/// Nothing is linked, so neither CUDA nor LLVM is needed. The build scripts that would download LLVM leave it where
/// `DOCS_RS` says that no more than documentation is made of their crates.
fn gpu() -> Result<()> {
    let lints = ["clippy", "--release", "--locked", "-p", "hemex-train", "-p", "hemex-predict"];
    let features = "hemex-train/cuda,hemex-train/wgpu,hemex-predict/cuda,hemex-predict/wgpu";
    let lints = [&lints[..], &["--features", features, "--", "-D", "warnings"]].concat();
    step("types and lints of the features cuda and wgpu", &lints, &[("DOCS_RS", "1")])
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
