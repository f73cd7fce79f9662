//! A task: one combination of a stage's matrix, with its inputs resolved to other tasks.

use std::collections::BTreeMap;

use hemex_stage::{KeyParts, Provenance};
use serde_json::Value;

use super::file::{Pipeline, Source, Stage};

/// One unit of caching, resuming, locking and parallelism.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    /// Index into the pipeline's stages.
    pub(crate) stage: usize,
    /// Its place in the matrix.
    pub(crate) axes: BTreeMap<String, Value>,
    pub(crate) inputs: BTreeMap<String, Vec<Input>>,
}

/// What an input of a task is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Input {
    External(String),
    Output { task: usize, output: String },
}

/// What is known of a task before it runs.
#[derive(Debug, Clone)]
pub(crate) enum State {
    /// Its result lies in the store.
    Finished(Provenance),
    /// It can run: its key and why it is not finished. `forced`: by `--fresh`, its result is there.
    Ready { parts: KeyParts, reason: String, forced: bool },
    /// It waits for tasks of these stages, so that its key is not known yet.
    Waits { reason: String },
}

/// Every task of the pipeline; a task comes after those it reads from.
pub(crate) fn expand(pipeline: &Pipeline) -> Vec<Task> {
    let mut tasks: Vec<Task> = Vec::new();
    for (stage_idx, stage) in pipeline.stages.iter().enumerate() {
        for axes in combinations(stage) {
            let inputs = stage.inputs.iter().map(|(name, source)| {
                let resolved = match source {
                    Source::External(input) => vec![Input::External(input.clone())],
                    Source::Output { stage, output } => {
                        joined(&tasks, pipeline, stage, &axes, output)
                    }
                };
                (name.clone(), resolved)
            });
            let inputs = inputs.collect();
            tasks.push(Task { stage: stage_idx, axes, inputs });
        }
    }
    tasks
}

/// The producer's tasks that agree on every axis both have.
fn joined(
    tasks: &[Task],
    pipeline: &Pipeline,
    stage: &str,
    axes: &BTreeMap<String, Value>,
    output: &str,
) -> Vec<Input> {
    let agrees = |task: &Task| {
        task.axes.iter().all(|(name, value)| axes.get(name).is_none_or(|own| own == value))
    };
    tasks
        .iter()
        .enumerate()
        .filter(|(_, task)| pipeline.stages[task.stage].name == stage && agrees(task))
        .map(|(task, _)| Input::Output { task, output: output.to_owned() })
        .collect()
}

fn combinations(stage: &Stage) -> Vec<BTreeMap<String, Value>> {
    stage.matrix.iter().fold(vec![BTreeMap::new()], |combinations, (axis, values)| {
        let extend = |base: BTreeMap<String, Value>| {
            values.iter().map(move |value| {
                let mut extended = base.clone();
                extended.insert(axis.clone(), value.clone());
                extended
            })
        };
        combinations.into_iter().flat_map(extend).collect()
    })
}

/// `train arm=joint fold=0`.
pub(crate) fn title(stage: &str, axes: &BTreeMap<String, Value>) -> String {
    let axes = axes.iter().map(|(name, value)| match value {
        Value::String(text) => format!(" {name}={text}"),
        other => format!(" {name}={other}"),
    });
    format!("{stage}{}", axes.collect::<String>())
}
