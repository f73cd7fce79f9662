//! `cargo xtask regress`: golden figures of a crate against those it computes now.
//!
//! A crate's figures come from its `examples/regress_CRATE.rs`, a line each: `name value`. They are compared
//! with `regress.toml` beside its manifest, which states a value and an absolute tolerance each. Figures
//! whose name begins with `real_` are computed where `HEMEX_TEST_DATA` names a folder of real scans.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::cli::RegressArgs;
use crate::workspace;

/// Names the folder of real scans.
const DATA: &str = "HEMEX_TEST_DATA";

/// Set to 1, it makes what would be skipped an error.
const SKIP_NOTHING: &str = "HEMEX_SKIP_NOTHING";

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Golden {
    value: f64,
    tolerance: f64,
}

/// Runs the command for one crate or for every crate with figures.
pub(crate) fn run(arguments: &RegressArgs) -> Result<()> {
    let names = match &arguments.package {
        Some(name) => vec![workspace::package(name)?.trim_start_matches("hemex-").to_owned()],
        None => workspace::crate_names()?.into_iter().filter(|n| example(n).is_file()).collect(),
    };
    for (name, path) in names.iter().map(|name| (name, example(name))) {
        if !path.is_file() {
            bail!("{} does not exist: `{name}` has no golden figures", path.display());
        }
    }
    let programs = build(&names)?;
    let mut failures = Vec::new();
    for name in names {
        let figures = compute(&name, &programs)?;
        let golden_path = folder(&name).join("regress.toml");
        if arguments.update {
            if without_data()
                && golden_path.is_file()
                && read(&golden_path)?.keys().any(|name| is_real(name))
            {
                bail!("`{name}` has figures of real scans: set {DATA} before they are rewritten");
            }
            update(&golden_path, &figures)?;
            println!("{name}: {} figures written to {}", figures.len(), golden_path.display());
            continue;
        }
        let mut golden = read(&golden_path)?;
        let n_golden = golden.len();
        if without_data() {
            golden.retain(|name, _| !is_real(name));
        }
        if golden.len() < n_golden {
            let n_skipped = n_golden - golden.len();
            if std::env::var(SKIP_NOTHING).is_ok_and(|value| value == "1") {
                bail!(
                    "with {SKIP_NOTHING}=1 {DATA} must be set: `{name}` has figures of real scans"
                );
            }
            println!("{name}: {n_skipped} figures of real scans skipped, {DATA} is not set");
        }
        let moved = compare(&golden, &figures);
        println!("{name}: {} figures, {} moved", figures.len(), moved.len());
        failures.extend(moved.into_iter().map(|text| format!("{name}: {text}")));
    }
    if failures.is_empty() {
        return Ok(());
    }
    bail!(
        "figures moved:\n  {}\nif that is meant, `cargo xtask regress -p CRATE --update` rewrites them",
        failures.join("\n  ")
    );
}

/// Whether there are no real scans here.
fn without_data() -> bool {
    std::env::var_os(DATA).is_none()
}

/// Whether a figure needs them.
fn is_real(name: &str) -> bool {
    name.starts_with("real_")
}

fn folder(name: &str) -> PathBuf {
    workspace::root().join("crates").join(name)
}

fn example(name: &str) -> PathBuf {
    folder(name).join("examples").join(format!("regress_{name}.rs"))
}

/// Builds the crates' examples; gives the folder of the programs.
///
/// All features of the workspace are on, as they are for the stages: cargo would compile burn or polars
/// anew for a package alone.
fn build(names: &[String]) -> Result<PathBuf> {
    let mut command = workspace::cargo();
    command.args(["build", "--release", "--locked", "--workspace"]);
    for name in names {
        command.args(["--example", &format!("regress_{name}")]);
    }
    workspace::must_succeed(&mut command, "the build of the figures")?;
    Ok(workspace::target_folder(&workspace::metadata()?).join("release").join("examples"))
}

/// Runs the crate's example and reads its lines.
fn compute(name: &str, programs: &Path) -> Result<BTreeMap<String, f64>> {
    let program = programs.join(format!("regress_{name}"));
    let output = Command::new(&program)
        .current_dir(workspace::root())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {}", program.display()))?;
    if !output.status.success() {
        bail!("the figures of `{name}` cannot be computed");
    }
    let text = String::from_utf8(output.stdout).context("the figures are no text")?;
    parse(&text).with_context(|| format!("the figures of `{name}`"))
}

/// The figures of lines `name value`, each of them once.
fn parse(text: &str) -> Result<BTreeMap<String, f64>> {
    let mut figures = BTreeMap::new();
    for line in text.lines() {
        let parsed = line
            .rsplit_once(' ')
            .and_then(|(name, value)| Some((name.to_owned(), value.parse::<f64>().ok()?)));
        let (name, value) =
            parsed.with_context(|| format!("\"{line}\" was printed, expected `name value`"))?;
        if figures.insert(name.clone(), value).is_some() {
            bail!("{name} was printed twice");
        }
    }
    Ok(figures)
}

fn read(path: &PathBuf) -> Result<BTreeMap<String, Golden>> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read {}; `--update` writes it", path.display()))?;
    toml::from_str(&text).with_context(|| format!("{} holds no figures", path.display()))
}

/// What moved, appeared or is gone.
fn compare(golden: &BTreeMap<String, Golden>, figures: &BTreeMap<String, f64>) -> Vec<String> {
    let mut moved = Vec::new();
    for (name, Golden { value, tolerance }) in golden {
        match figures.get(name) {
            None => moved.push(format!("{name} is no longer computed")),
            // A NaN is never within a tolerance.
            Some(now) if (now - value).abs() <= *tolerance => (),
            Some(now) => {
                moved.push(format!("{name} is {now}, golden {value}, tolerance {tolerance}"));
            }
        }
    }
    let new = figures.keys().filter(|name| !golden.contains_key(*name));
    moved.extend(new.map(|name| format!("{name} has no golden value")));
    moved
}

/// Rewrites the values; a figure keeps its tolerance, a new one gets 1e-9 of its size, a digest none.
fn update(path: &PathBuf, figures: &BTreeMap<String, f64>) -> Result<()> {
    let old = if path.is_file() { read(path)? } else { BTreeMap::new() };
    let mut text = String::new();
    for (name, value) in figures {
        if !value.is_finite() {
            bail!("{name} is {value}: a golden figure must be finite");
        }
        let usual = if name.ends_with("_digest") { 0.0 } else { (value.abs() * 1e-9).max(1e-12) };
        let tolerance = old.get(name).map_or(usual, |g| g.tolerance);
        writeln!(text, "[\"{name}\"]\nvalue = {value:?}\ntolerance = {tolerance:?}\n")?;
    }
    std::fs::write(path, text.trim_end().to_owned() + "\n")
        .with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_a_name_and_a_value_and_there_once() {
        let error = |text: &str| parse(text).map_err(|e| e.to_string());
        let expected = BTreeMap::from([("a".to_owned(), 1.0), ("b c".to_owned(), -2e-3)]);
        assert_eq!(error("a 1\nb c -2e-3\n"), Ok(expected));
        assert_eq!(error("a 1\nb 2\na 1\n"), Err("a was printed twice".to_owned()));
        assert_eq!(error("a one"), Err("\"a one\" was printed, expected `name value`".to_owned()));
        assert!(error("a").is_err());
    }

    #[test]
    fn what_moved_is_named() {
        let golden = |value| Golden { value, tolerance: 0.1 };
        let golden = BTreeMap::from([
            ("a".into(), golden(1.0)),
            ("b".into(), golden(1.0)),
            ("c".into(), golden(0.0)),
        ]);
        let figures =
            BTreeMap::from([("a".into(), 1.05), ("b".into(), 1.2), ("d".into(), f64::NAN)]);
        let moved = compare(&golden, &figures);
        assert_eq!(moved.len(), 3, "{moved:?}");
        assert!(moved[0].starts_with("b is 1.2") && moved[1].starts_with("c is no longer"));
        let nan = BTreeMap::from([("a".to_owned(), f64::NAN)]);
        assert_eq!(
            compare(&BTreeMap::from([("a".into(), Golden { value: 1.0, tolerance: 9.0 })]), &nan)
                .len(),
            1
        );
    }
}
