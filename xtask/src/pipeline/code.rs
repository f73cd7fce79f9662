//! The digest of the code that a stage runs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use hemex_stage::KeyParts;
use hemex_stage::digest;
use serde_json::Value;

use super::file::{Pipeline, Program};
use crate::workspace;

/// What is known of a stage's program.
#[derive(Debug, Clone, Default)]
pub(crate) struct Code {
    /// Digests of sources, dependencies and compiler, or of the files of a script.
    pub(crate) parts: KeyParts,
    /// Whether its results are proven not to depend on the number of threads.
    pub(crate) thread_independent: bool,
}

/// The code of every stage, by its name.
pub(crate) fn digests(pipeline: &Pipeline, metadata: &Value) -> Result<BTreeMap<String, Code>> {
    let graph = Graph::new(metadata);
    let compiler = compiler()?;
    pipeline
        .stages
        .iter()
        .map(|stage| {
            let code = match &stage.program {
                Program::Crate(folder) => graph.code(&workspace::package(folder)?, &compiler)?,
                Program::External { command, code, .. } => script(command, code)?,
            };
            Ok((stage.name.clone(), code))
        })
        .collect()
}

/// The files that a script consists of, and its command line.
fn script(command: &[String], patterns: &[String]) -> Result<Code> {
    let mut code = Code::default();
    code.parts.insert("code.command", command.join(" "));
    for pattern in patterns {
        for file in expand(pattern)? {
            let digest = digest::file(&file)
                .with_context(|| format!("cannot read {} of `code`", file.display()))?;
            let name = file.strip_prefix(workspace::root()).unwrap_or(&file).display().to_string();
            code.parts.insert(format!("code.{name}"), digest);
        }
    }
    Ok(code)
}

/// A file, or `FOLDER/**/*.ENDING`: every file below the folder with that ending.
fn expand(pattern: &str) -> Result<Vec<PathBuf>> {
    let root = workspace::root();
    let Some((folder, name)) = pattern.split_once("**/") else {
        return Ok(vec![root.join(pattern)]);
    };
    let ending = name.trim_start_matches('*');
    let folder = root.join(folder);
    let mut files = digest::list_files(&folder)
        .with_context(|| format!("cannot list {} of `code`", folder.display()))?;
    files.retain(|file| file.to_string_lossy().ends_with(ending));
    anyhow::ensure!(!files.is_empty(), "`code`: no file matches `{pattern}`");
    Ok(files)
}

fn compiler() -> Result<String> {
    let program = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = std::process::Command::new(program)
        .arg("-vV")
        .current_dir(workspace::root())
        .output()
        .context("cannot ask rustc for its version")?;
    Ok(digest::bytes(&output.stdout))
}

/// Packages of `cargo metadata` and what they depend on.
struct Graph<'a> {
    packages: BTreeMap<&'a str, &'a Value>,
    nodes: BTreeMap<&'a str, &'a Value>,
    profile: String,
}

impl<'a> Graph<'a> {
    fn new(metadata: &'a Value) -> Self {
        let by_id = |list: &'a Value| {
            let entries = list.as_array().into_iter().flatten();
            entries.filter_map(|entry| Some((entry["id"].as_str()?, entry))).collect()
        };
        // Profiles and lints of the workspace's manifest change what is built.
        let manifest = std::fs::read(workspace::root().join("Cargo.toml")).unwrap_or_default();
        Self {
            packages: by_id(&metadata["packages"]),
            nodes: by_id(&metadata["resolve"]["nodes"]),
            profile: digest::bytes(profiles(&manifest).as_bytes()),
        }
    }

    fn code(&self, package: &str, compiler: &str) -> Result<Code> {
        let (id, entry) = self
            .packages
            .iter()
            .find(|(_, entry)| entry["name"] == package && entry["source"].is_null())
            .with_context(|| format!("cargo metadata does not know `{package}`"))?;
        let mut code = Code {
            parts: KeyParts::default(),
            thread_independent: entry["metadata"]["hemex"]["thread_independent"] == true,
        };
        let mut dependencies = String::new();
        for id in self.closure(id) {
            let Some(entry) = self.packages.get(id) else { continue };
            let features = &self.nodes.get(id).map_or(&Value::Null, |node| &node["features"]);
            let name = entry["name"].as_str().unwrap_or_default();
            // The id of a crate of this workspace holds its folder: a clone elsewhere has the same code.
            let id = if entry["source"].is_null() { name } else { id };
            if entry["source"].is_null() {
                let manifest = entry["manifest_path"].as_str().unwrap_or_default();
                let folder = Path::new(manifest).parent().unwrap_or(Path::new(manifest));
                code.parts.insert(format!("code.{name}"), sources(folder)?);
            }
            dependencies += &format!("{id} {features}\n");
        }
        code.parts.insert("code.dependencies", digest::bytes(dependencies.as_bytes()));
        code.parts.insert("code.profile", &self.profile);
        code.parts.insert("code.rustc", compiler);
        Ok(code)
    }

    /// Ids of the package and of everything it is built from (not what only its tests need).
    fn closure(&self, id: &'a str) -> BTreeSet<&'a str> {
        let mut seen = BTreeSet::new();
        let mut next = vec![id];
        while let Some(id) = next.pop() {
            if !seen.insert(id) {
                continue;
            }
            let dependencies = self.nodes.get(id).and_then(|node| node["deps"].as_array());
            for dependency in dependencies.into_iter().flatten() {
                let kinds = dependency["dep_kinds"].as_array();
                let used = kinds.into_iter().flatten().any(|kind| kind["kind"] != "dev");
                if let (true, Some(id)) = (used, dependency["pkg"].as_str()) {
                    next.push(id);
                }
            }
        }
        seen
    }
}

/// The manifest's `[profile…]` tables.
fn profiles(manifest: &[u8]) -> String {
    let text = String::from_utf8_lossy(manifest);
    let table: toml::Table = toml::from_str(&text).unwrap_or_default();
    table.get("profile").map(ToString::to_string).unwrap_or_default()
}

/// One digest of a crate's manifest and of everything under its `src`.
fn sources(folder: &Path) -> Result<String> {
    let read = |path: &Path| {
        digest::folder(path, None).with_context(|| format!("cannot read {}", path.display()))
    };
    let manifest = folder.join("Cargo.toml");
    let manifest =
        digest::file(&manifest).with_context(|| format!("cannot read {}", manifest.display()))?;
    let sources = digest::of_records(&read(&folder.join("src"))?);
    Ok(digest::bytes(format!("{manifest}{sources}").as_bytes()))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use serde_json::json;

    use super::*;

    /// The code of a crate `x` that lies in this folder and depends on `y` of a registry.
    fn code(folder: &Path, version: &str) -> KeyParts {
        std::fs::create_dir_all(folder.join("src")).unwrap();
        std::fs::write(folder.join("Cargo.toml"), "[package]").unwrap();
        std::fs::write(folder.join("src/main.rs"), "fn main() {}").unwrap();
        let own = format!("path+file://{}#x@0.1.0", folder.display());
        let other = format!("registry+index#y@{version}");
        let metadata = json!({
            "packages": [
                { "id": own, "name": "x", "source": null, "manifest_path": folder.join("Cargo.toml") },
                { "id": other, "name": "y", "source": "registry+index" },
            ],
            "resolve": { "nodes": [
                { "id": own, "features": [], "deps": [{ "pkg": other, "dep_kinds": [{ "kind": null }] }] },
                { "id": other, "features": ["std"], "deps": [] },
            ] },
        });
        Graph::new(&metadata).code("x", "rustc").unwrap().parts
    }

    #[test]
    fn code_is_the_same_in_whatever_folder_and_another_with_another_dependency() {
        let root = tempfile::tempdir().unwrap();
        let (here, there) = (root.path().join("here"), root.path().join("there"));
        assert_eq!(code(&here, "1.0.0").digest(), code(&there, "1.0.0").digest());
        assert_ne!(code(&here, "1.0.0").digest(), code(&here, "1.0.1").digest());
    }
}
