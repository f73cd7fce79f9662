//! `cargo xtask explain PATH`: an artifact's way back to the raw data.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use hemex_stage::{Change, Provenance, RunStore};

use crate::cli::ExplainArgs;
use crate::pipeline::title;

/// Runs the command.
pub(crate) fn run(arguments: &ExplainArgs) -> Result<()> {
    let path = arguments
        .path
        .canonicalize()
        .with_context(|| format!("cannot open {}", arguments.path.display()))?;
    let Some((folder, provenance)) = find(&path) else {
        bail!(
            "{} was not made by a pipeline: no {} lies beside or above it",
            path.display(),
            Provenance::FILE
        );
    };
    let root = folder.parent().unwrap_or(&folder).to_owned();
    print_reason(&root, &provenance)?;
    println!("\nwhere it comes from:");
    Walk { root, seen: BTreeSet::new() }.print(&provenance, 1);
    Ok(())
}

/// The task folder that holds the path.
fn find(path: &Path) -> Option<(PathBuf, Provenance)> {
    path.ancestors().find_map(|folder| Some((folder.to_owned(), Provenance::read(folder)?)))
}

/// What changed since the nearest other run of the same task.
fn print_reason(root: &Path, provenance: &Provenance) -> Result<()> {
    println!("{}", title(&provenance.stage, &provenance.axes));
    println!("  key {}", provenance.key);
    for (name, output) in &provenance.outputs {
        println!("  output {name} ({}): {}", output.kind, short(&output.digest));
    }
    for warning in &provenance.warnings {
        println!("  warning: {warning}");
    }
    let others = RunStore::open(root)?.finished_tasks(&provenance.stage);
    let other = others.iter().find(|p| p.key != provenance.key && p.axes == provenance.axes);
    match other {
        None => println!("  ran because it had not run before"),
        Some(other) => {
            let changes = provenance.key_parts.changes_since(&other.key_parts);
            println!("  differs from the run {} by:", other.key);
            for change in changes.iter().map(Change::to_string) {
                println!("    {change}");
            }
        }
    }
    Ok(())
}

struct Walk {
    root: PathBuf,
    seen: BTreeSet<String>,
}

impl Walk {
    fn print(&mut self, provenance: &Provenance, depth: usize) {
        for (name, records) in &provenance.inputs {
            for record in records {
                let indent = "  ".repeat(depth);
                let folder = self.root.join(&record.folder);
                let digest = short(&record.digest);
                let Some((_, made_by)) = find(&folder) else {
                    let path = folder.display();
                    println!("{indent}{name} ({}) {digest}: external data in {path}", record.kind);
                    continue;
                };
                let task = title(&made_by.stage, &made_by.axes);
                let first = self.seen.insert(made_by.key.clone());
                let again = if first { "" } else { " (see above)" };
                println!("{indent}{name} ({}) {digest}: by {task}{again}", record.kind);
                if first {
                    self.print(&made_by, depth + 1);
                }
            }
        }
        if provenance.inputs.is_empty() {
            let indent = "  ".repeat(depth);
            println!("{indent}made from nothing but its config and seed");
        }
    }
}

fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}
