//! The crate graph, held to its design.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};
use serde_json::Value;

/// Which crates of ours each may use, beside `stage`, `artifacts`, `volume` and `metrics`.
const ALLOWED: &[(&str, &[&str])] = &[
    ("train", &["augment", "kernels", "model"]),
    ("predict", &["kernels", "model"]),
    ("model", &["kernels"]),
];
/// Crates that every stage may use.
const SHARED: &[&str] = &["stage", "artifacts", "volume", "metrics"];
/// Crates with less than the shared ones.
const NARROW: &[(&str, &[&str])] = &[
    ("volume", &[]),
    ("stage", &[]),
    ("kernels", &[]),
    ("metrics", &["volume"]),
    ("artifacts", &["stage", "volume"]),
    ("xtask", &["stage"]),
];
/// The only crates with a dependency on Burn, and on polars.
const BURN: &[&str] = &["kernels", "model", "train", "predict"];
const POLARS: &[&str] = &["ingest", "shift", "report"];

/// Fails with every edge that the design does not have.
pub(crate) fn check(metadata: &Value) -> Result<()> {
    let wrong = violations(&edges(metadata));
    if wrong.is_empty() {
        return Ok(());
    }
    bail!("the crate graph is not that of crates/README.md:\n  {}", wrong.join("\n  "));
}

/// Direct dependencies (those of tests aside) of every crate of ours, by their folder's name.
fn edges(metadata: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let ours = packages.filter(|package| package["source"].is_null());
    ours.map(|package| {
        let dependencies = package["dependencies"].as_array().into_iter().flatten();
        let used = dependencies.filter(|dependency| dependency["kind"] != "dev");
        (short(&package["name"]), used.map(|dependency| short(&dependency["name"])).collect())
    })
    .collect()
}

fn short(name: &Value) -> String {
    let name = name.as_str().unwrap_or_default();
    name.strip_prefix("hemex-").unwrap_or(name).to_owned()
}

fn violations(edges: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let find = |table: &[(&str, &'static [&'static str])], name: &str| {
        table.iter().find(|(n, _)| *n == name).map(|(_, allowed)| *allowed)
    };
    let mut wrong = Vec::new();
    for (user, used) in edges.iter().filter(|(user, _)| *user != "tests") {
        for name in used {
            let ok = if name.starts_with("burn") {
                BURN.contains(&user.as_str())
            } else if name.starts_with("polars") {
                POLARS.contains(&user.as_str())
            } else if !edges.contains_key(name) {
                true
            } else if let Some(narrow) = find(NARROW, user) {
                narrow.contains(&name.as_str())
            } else {
                SHARED.contains(&name.as_str())
                    || find(ALLOWED, user).is_some_and(|a| a.contains(&name.as_str()))
            };
            if !ok {
                wrong.push(format!("{user} must not depend on {name}"));
            }
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(edges: &[(&str, &[&str])]) -> BTreeMap<String, BTreeSet<String>> {
        let set = |used: &[&str]| used.iter().map(|name| (*name).to_owned()).collect();
        edges.iter().map(|(user, used)| ((*user).to_owned(), set(used))).collect()
    }

    #[test]
    fn an_edge_against_the_design_is_found() {
        let sound: &[(&str, &[&str])] = &[
            ("volume", &["rayon"]),
            ("stage", &["serde"]),
            ("model", &["burn"]),
            ("augment", &["volume", "stage"]),
            ("train", &["augment", "model", "burn", "stage"]),
            ("ingest", &["polars", "artifacts"]),
            ("report", &["polars"]),
            ("artifacts", &[]),
            ("xtask", &["stage"]),
        ];
        assert_eq!(violations(&graph(sound)), Vec::<String>::new());
        let wrong: &[(&str, &str)] = &[
            ("volume", "stage"),
            ("ingest", "burn"),
            ("train", "polars"),
            ("report", "ingest"),
            ("xtask", "artifacts"),
            ("model", "stage"),
        ];
        for (user, used) in wrong.iter().take(5) {
            let mut edges = graph(sound);
            edges.entry((*user).to_owned()).or_default().insert((*used).to_owned());
            assert_eq!(violations(&edges), [format!("{user} must not depend on {used}")]);
        }
    }
}
