//! The workspace: its root, its crates and how cargo is called.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use hemex_stage::suggest::did_you_mean;
use serde_json::Value;

/// The root of the workspace that this xtask was built in.
pub(crate) fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_owned()
}

/// `cargo` as this xtask was called with, at the workspace's root.
pub(crate) fn cargo() -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(root());
    // What `cargo run` tells xtask of itself: build scripts that watch these variables would run again,
    // and all that depends on them be compiled again, whenever cargo is called in another way.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    command
}

/// Runs a command and fails with what it was for if it does.
pub(crate) fn must_succeed(command: &mut Command, what: &str) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {command:?}"))?;
    if !status.success() {
        bail!("{what} failed");
    }
    Ok(())
}

/// Folder names of the crates, and `tests` and `xtask`.
pub(crate) fn crate_names() -> Result<Vec<String>> {
    let folder = root().join("crates");
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .with_context(|| format!("cannot list {}", folder.display()))?
        .flatten()
        .filter(|entry| entry.path().join("Cargo.toml").is_file())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.extend(["tests".to_owned(), "xtask".to_owned()]);
    names.sort();
    Ok(names)
}

/// The package of a crate named by its folder (`train`) or its package (`hemex-train`).
pub(crate) fn package(name: &str) -> Result<String> {
    let names = crate_names()?;
    let folder = name.strip_prefix("hemex-").unwrap_or(name);
    if !names.iter().any(|n| n == folder) {
        let hint = did_you_mean(folder, names.iter().map(String::as_str));
        bail!("there is no crate `{name}`{hint}");
    }
    Ok(if folder == "xtask" { folder.to_owned() } else { format!("hemex-{folder}") })
}

/// `cargo metadata` with the resolved graph, for this machine's target.
pub(crate) fn metadata() -> Result<Value> {
    let output = cargo()
        .args(["metadata", "--format-version", "1", "--locked"])
        .output()
        .context("cannot start cargo metadata")?;
    if !output.status.success() {
        bail!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The folder that cargo builds into.
pub(crate) fn target_folder(metadata: &Value) -> PathBuf {
    metadata["target_directory"].as_str().map_or_else(|| root().join("target"), PathBuf::from)
}
