//! Builds the programs that a plan needs and has each check its config.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use hemex_stage::{ConfigError, Message, RunStore};
use serde_json::Value;

use super::file::{Program, Stage};
use super::locate;
use super::plan::Plan;
use super::task::State;
use crate::workspace;

/// How a stage is started, by its name.
pub(crate) type Programs = BTreeMap<String, Vec<String>>;

/// Builds the crates of all stages with tasks left, with cargo's own progress, in release.
pub(crate) fn programs(
    plan: &Plan,
    states: &[State],
    selection: &BTreeSet<String>,
    metadata: &Value,
) -> Result<Programs> {
    let needed: BTreeSet<usize> = states
        .iter()
        .zip(&plan.tasks)
        .filter(|(state, _)| !matches!(state, State::Finished(_)))
        .map(|(_, task)| task.stage)
        .filter(|stage| selection.contains(&plan.pipeline.stages[*stage].name))
        .collect();
    let mut programs = Programs::new();
    let mut packages = Vec::new();
    for stage in needed.into_iter().map(|i| &plan.pipeline.stages[i]) {
        if let Program::Crate(folder) = &stage.program {
            packages.push(workspace::package(folder)?);
        }
        programs.insert(stage.name.clone(), program(stage, metadata)?);
    }
    if !packages.is_empty() {
        build(&packages, &plan.device)?;
    }
    Ok(programs)
}

/// How a stage is started, once it is built.
pub(super) fn program(stage: &Stage, metadata: &Value) -> Result<Vec<String>> {
    match &stage.program {
        Program::External { command, .. } => Ok(command.clone()),
        Program::Crate(folder) => {
            let folder = workspace::package(folder)?;
            let binary = workspace::target_folder(metadata).join("release").join(folder);
            Ok(vec![binary.display().to_string()])
        }
    }
}

/// Builds every stage, not the ones at hand alone: what cargo builds for a part of the workspace differs
/// in features of shared dependencies, and polars and burn would be compiled again for each part.
fn build(packages: &[String], device: &str) -> Result<()> {
    let mut command = workspace::cargo();
    command.args(["build", "--release", "--locked", "--workspace", "--bins"]);
    let backend = device.split(':').next().unwrap_or(device);
    if backend != "cpu" {
        let features = format!("hemex-train/{backend},hemex-predict/{backend}");
        command.args(["--features", &features]);
    }
    println!("building the stages {} (the first time takes minutes)", packages.join(", "));
    workspace::must_succeed(&mut command, "the build of the stages")
}

/// Has every stage that will run check its config, before the first task.
pub(crate) fn check_configs(
    plan: &Plan,
    states: &[State],
    programs: &Programs,
    store: &RunStore,
) -> Result<()> {
    for (i, stage) in plan.pipeline.stages.iter().enumerate() {
        let Some(program) = programs.get(&stage.name) else { continue };
        if matches!(&stage.program, Program::External { check: false, .. }) {
            continue;
        }
        let mut checked: Vec<&Value> = Vec::new();
        for task in (0..plan.tasks.len()).filter(|task| plan.tasks[*task].stage == i) {
            if !checked.contains(&&plan.configs[task]) {
                checked.push(&plan.configs[task]);
                check_config(plan, task, states, program, store)?;
            }
        }
    }
    Ok(())
}

/// Has a stage check the config of one of its tasks.
fn check_config(
    plan: &Plan,
    task: usize,
    states: &[State],
    program: &[String],
    store: &RunStore,
) -> Result<()> {
    let stage = plan.stage_of(task);
    // A run beside this one checks too.
    let name = format!("check-{}-{}.json", stage.name, std::process::id());
    let path = store.root().join(".work").join(name);
    let request = plan.request(task, states, store, &path.with_extension(""));
    std::fs::write(&path, serde_json::to_vec(&request)?)
        .with_context(|| format!("cannot write {}", path.display()))?;
    let output = start(program).arg("--check").arg(&path).output();
    let output = output.with_context(|| format!("cannot start {}", program.join(" ")))?;
    let _ = std::fs::remove_file(&path);
    if output.status.success() {
        return Ok(());
    }
    let stdout = String::from_utf8_lossy(&output.stdout);
    let found = stdout.lines().find_map(|line| match Message::parse(line) {
        Some(Message::ConfigError(error)) => Some(error),
        _ => None,
    });
    match found {
        Some(error) => bail!("{}", config_error(stage, &error)),
        None => bail!(
            "stage `{}` cannot check its config: {}",
            stage.name,
            String::from_utf8_lossy(&output.stderr).trim()
        ),
    }
}

/// The error with the config's file and line, as far as the key is written there.
fn config_error(stage: &Stage, error: &ConfigError) -> String {
    let place = match &stage.config_path {
        None => format!("config of stage `{}`: {}", stage.name, error.key),
        Some(path) => {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            locate::place(path, &text, &error.key)
        }
    };
    format!("{place}: expected {}, found {}", error.expected, error.found)
}

/// The command of a program, started at the workspace's root.
pub(crate) fn start(program: &[String]) -> Command {
    let (name, arguments) = program.split_first().map_or(("", &[][..]), |(n, a)| (n.as_str(), a));
    let mut command = Command::new(PathBuf::from(name));
    command.args(arguments).current_dir(workspace::root());
    command
}
