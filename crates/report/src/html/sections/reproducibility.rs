use std::collections::{BTreeMap, BTreeSet};

use hemex_stage::Provenance;

use crate::html::Page;
use crate::html::text::{count, escape, table};

/// Digits of a digest that are shown.
const SHOWN: usize = 8;

/// What would have to be the same for the same figures.
pub(in crate::html) fn reproducibility(page: &Page) -> String {
    let tasks = &page.evaluation.provenance;
    let config = page.config;
    let compilers =
        distinct(&tasks.iter().collect::<Vec<_>>(), |task| value(task, "code.rustc").map(short));
    let version = format!(
        "<p>hemex {}. This page: seed {}, {} draws, surfaces within {} mm, {} bins of calibration. \
         Compiler {compilers}. ",
        env!("CARGO_PKG_VERSION"),
        page.findings.seed,
        config.n_bootstrap,
        config.surface_tolerance_mm,
        config.n_calibration_bins
    );
    if tasks.is_empty() {
        return format!(
            "{version}The inputs of this page were not made by a pipeline that writes down their provenance.</p>"
        );
    }
    let mut stages: BTreeMap<&str, Vec<&Provenance>> = BTreeMap::new();
    for task in tasks {
        stages.entry(&task.stage).or_default().push(task);
    }
    let rows: Vec<Vec<String>> = stages.iter().map(|(stage, tasks)| row(stage, tasks)).collect();
    let head = ["Stage", "Tasks", "Seed", "Device", "SIMD", "Code", "Outputs"];
    let configs: String = stages.iter().map(|(stage, tasks)| settings(stage, tasks)).collect();
    format!(
        "{version}The same code, configs, inputs and seeds on a processor of the same SIMD level give the same bits. \
         Digests are SHA-256, their first {SHOWN} digits; <code>cargo xtask explain</code> shows them in full and what \
         lies behind. Times are in the log of a run: here they would change what must not change.</p>{}\
         <h3>Settings</h3>{configs}",
        table(&head, 1, &rows)
    )
}

fn row(stage: &str, tasks: &[&Provenance]) -> Vec<String> {
    let part = |name: &str| distinct(tasks, |task| value(task, name));
    let code = format!("code.hemex-{stage}");
    let outputs: BTreeSet<String> = tasks
        .iter()
        .flat_map(|task| task.outputs.iter().map(move |(name, output)| (task, name, output)))
        .map(|(task, name, output)| {
            let axes = task.axes.iter().map(|(axis, value)| match value.as_str() {
                Some(text) => format!("{} ", escape(text)),
                None => format!("{} {} ", escape(axis), escape(&value.to_string())),
            });
            format!("{}{} {}", axes.collect::<String>(), escape(name), short(&output.digest))
        })
        .collect();
    vec![
        escape(stage),
        tasks.len().to_string(),
        part("seed"),
        part("device"),
        part("simd"),
        distinct(tasks, |task| value(task, &code).map(short)),
        outputs.into_iter().collect::<Vec<_>>().join("<br>"),
    ]
}

/// The different values of the tasks, as text.
fn distinct<'a>(
    tasks: &[&'a Provenance],
    of: impl Fn(&'a Provenance) -> Option<&'a str>,
) -> String {
    let values: BTreeSet<&str> = tasks.iter().filter_map(|task| of(task)).collect();
    let values: Vec<String> = values.into_iter().map(escape).collect();
    if values.is_empty() { "–".to_owned() } else { values.join(", ") }
}

fn value<'a>(task: &'a Provenance, name: &str) -> Option<&'a str> {
    task.key_parts.iter().find(|(part, _)| *part == name).map(|(_, value)| value)
}

fn short(digest: &str) -> &str {
    digest.get(..SHOWN).unwrap_or(digest)
}

/// The resolved config of a stage, folded away. Tasks of a stage share it.
fn settings(stage: &str, tasks: &[&Provenance]) -> String {
    let settings: BTreeSet<(&str, &str)> = tasks
        .iter()
        .flat_map(|task| task.key_parts.iter())
        .filter_map(|(name, value)| Some((name.strip_prefix("config.")?, value)))
        .collect();
    if settings.is_empty() {
        return String::new();
    }
    let lines: String = settings
        .iter()
        .map(|(name, value)| format!("{} = {}\n", escape(name), escape(value)))
        .collect();
    format!(
        "<details><summary>{}: {}</summary><pre tabindex=\"0\">{lines}</pre></details>",
        escape(stage),
        count(settings.len(), "value")
    )
}
