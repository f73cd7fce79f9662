//! Planning: which tasks there are, their keys, and which of them are finished. Nothing runs here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use hemex_stage::digest;
use hemex_stage::{
    CONTRACT_VERSION, Change, InputArtifact, InputRecord, KeyParts, Kind, OutputArtifact,
    Provenance, Request, RunStore, simd_level,
};
use serde_json::Value;

use super::code::Code;
use super::file::{Pipeline, Stage};
use super::task::{Input, State, Task, expand, title};
use crate::cli::PipelineArgs;

/// External data bound to an input of the pipeline.
#[derive(Debug, Clone)]
pub(crate) struct External {
    pub(crate) folder: PathBuf,
    pub(crate) kind: Kind,
    pub(crate) digest: String,
}

/// A pipeline with everything that its keys are made of.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) pipeline: Pipeline,
    pub(crate) tasks: Vec<Task>,
    /// Of each task.
    pub(crate) configs: Vec<Value>,
    pub(crate) externals: BTreeMap<String, External>,
    pub(crate) codes: BTreeMap<String, Code>,
    pub(crate) device: String,
    /// Vector instructions that the stages compute with.
    simd: &'static str,
    /// Threads of a task, by stage.
    pub(crate) threads: Vec<usize>,
    /// The command that the user typed, to be shown as the one that goes on.
    pub(crate) command: String,
}

impl Plan {
    pub(crate) fn new(
        pipeline: Pipeline,
        externals: BTreeMap<String, External>,
        codes: BTreeMap<String, Code>,
        arguments: &PipelineArgs,
        n_jobs: usize,
        n_threads: usize,
    ) -> Result<Self> {
        ensure!(n_jobs > 0, "--jobs must be at least 1");
        let tasks = expand(&pipeline);
        let config = |task: &Task| pipeline.stages[task.stage].config_at(&task.axes);
        let configs = tasks.iter().map(config).collect::<Result<_>>()?;
        let threads = (0..pipeline.stages.len())
            .map(|stage| {
                let n_tasks = tasks.iter().filter(|task| task.stage == stage).count();
                (n_threads / n_jobs.min(n_tasks.max(1))).max(1)
            })
            .collect();
        let command = std::env::args().skip(1).collect::<Vec<_>>().join(" ");
        let command = format!("cargo xtask {command}");
        let device = arguments.device.clone();
        let simd = simd_level()?;
        Ok(Self { pipeline, tasks, configs, externals, codes, device, simd, threads, command })
    }

    pub(crate) fn stage_of(&self, task: usize) -> &Stage {
        &self.pipeline.stages[self.tasks[task].stage]
    }

    pub(crate) fn title(&self, task: usize) -> String {
        title(&self.stage_of(task).name, &self.tasks[task].axes)
    }

    /// The state of every task, those that are not selected by their result in the store.
    pub(crate) fn states(
        &self,
        store: &RunStore,
        selection: &BTreeSet<String>,
        fresh: bool,
        verify: bool,
    ) -> Result<Vec<State>> {
        let mut states: Vec<State> = Vec::with_capacity(self.tasks.len());
        for task in 0..self.tasks.len() {
            let fresh = fresh && selection.contains(&self.stage_of(task).name);
            let mut state = self.state(task, &states, store, fresh);
            if let (true, State::Finished(provenance)) = (verify, &state) {
                verify_outputs(store, provenance)?;
            }
            if let State::Ready { reason, .. } | State::Waits { reason } = &mut state
                && !selection.contains(&self.stage_of(task).name)
            {
                reason.push_str("; left out by --only or --from");
            }
            states.push(state);
        }
        Ok(states)
    }

    /// The state of a task, given those of the tasks before it.
    pub(crate) fn state(
        &self,
        task: usize,
        states: &[State],
        store: &RunStore,
        fresh: bool,
    ) -> State {
        let waits: BTreeSet<String> = self.tasks[task]
            .inputs
            .values()
            .flatten()
            .filter_map(|input| match input {
                Input::Output { task, .. } if !matches!(states[*task], State::Finished(_)) => {
                    Some(self.stage_of(*task).name.clone())
                }
                _ => None,
            })
            .collect();
        if !waits.is_empty() {
            let stages = waits.into_iter().collect::<Vec<_>>().join(", ");
            return State::Waits { reason: format!("depends on {stages}") };
        }
        let parts = self.key_parts(task, states);
        let stage = &self.stage_of(task).name;
        match store.finished(stage, &parts.digest()) {
            Some(provenance) if !fresh => State::Finished(provenance),
            Some(_) => State::Ready { parts, reason: "--fresh".to_owned(), forced: true },
            None => {
                let reason = self.reason(task, &parts, store);
                State::Ready { parts, reason, forced: false }
            }
        }
    }

    /// Everything that the task's result depends on.
    fn key_parts(&self, task: usize, states: &[State]) -> KeyParts {
        let stage = self.stage_of(task);
        let mut parts = KeyParts::default();
        if let Some(code) = self.codes.get(&stage.name) {
            parts = code.parts.clone();
            if !code.thread_independent {
                parts.insert("threads", self.threads[self.tasks[task].stage]);
            }
        }
        parts.insert("contract", CONTRACT_VERSION);
        parts.insert("device", &self.device);
        parts.insert("simd", self.simd);
        parts.insert("seed", self.seed(task));
        parts.insert_tree("config", &self.configs[task]);
        for (axis, value) in &self.tasks[task].axes {
            parts.insert(format!("axis.{axis}"), value);
        }
        for (output, kind) in &stage.outputs {
            parts.insert(format!("output.{output}"), kind);
        }
        for (name, records) in self.input_records(task, states) {
            let digests: Vec<_> = records.iter().map(|record| record.digest.as_str()).collect();
            let joined = digests.join(" ");
            let digest = if records.len() == 1 { joined } else { digest::bytes(joined.as_bytes()) };
            parts.insert(format!("input.{name}"), digest);
        }
        parts
    }

    fn seed(&self, task: usize) -> u64 {
        let axis = self.tasks[task].axes.get("seed").and_then(Value::as_u64);
        axis.unwrap_or(self.stage_of(task).seed)
    }

    /// What differs from the nearest finished task of the stage.
    fn reason(&self, task: usize, parts: &KeyParts, store: &RunStore) -> String {
        let axes = &self.tasks[task].axes;
        let n_agreeing =
            |p: &Provenance| axes.iter().filter(|(k, v)| p.axes.get(*k) == Some(v)).count();
        let finished = store.finished_tasks(&self.stage_of(task).name);
        // The newest among those that agree on most axes.
        let Some(nearest) = finished.iter().rev().max_by_key(|p| n_agreeing(p)) else {
            return "has not run yet".to_owned();
        };
        let changes = parts.changes_since(&nearest.key_parts);
        let shown: Vec<_> = changes.iter().take(3).map(Change::to_string).collect();
        match changes.len().saturating_sub(shown.len()) {
            0 => shown.join(", "),
            more => format!("{} and {more} more", shown.join(", ")),
        }
    }

    /// The artifacts that a task reads, once the tasks before it are finished.
    pub(crate) fn input_records(
        &self,
        task: usize,
        states: &[State],
    ) -> BTreeMap<String, Vec<InputRecord>> {
        let record = |input: &Input| match input {
            Input::External(name) => self.externals.get(name).map(|external| InputRecord {
                folder: external.folder.clone(),
                kind: external.kind,
                digest: external.digest.clone(),
            }),
            Input::Output { task, output } => match &states[*task] {
                State::Finished(p) => p.outputs.get(output).map(|record| InputRecord {
                    folder: PathBuf::from(format!("{}-{}", p.stage, p.key)).join(output),
                    kind: record.kind,
                    digest: record.digest.clone(),
                }),
                _ => None,
            },
        };
        let inputs = self.tasks[task].inputs.iter();
        inputs
            .map(|(name, list)| (name.clone(), list.iter().filter_map(record).collect()))
            .collect()
    }

    /// The request of a task, with outputs and scratch below `work`.
    pub(crate) fn request(
        &self,
        task: usize,
        states: &[State],
        store: &RunStore,
        work: &std::path::Path,
    ) -> Request {
        let stage = self.stage_of(task);
        let records = self.input_records(task, states);
        let inputs = self.tasks[task].inputs.iter().map(|(name, list)| {
            let artifacts = list.iter().zip(&records[name]).map(|(input, record)| InputArtifact {
                // An absolute folder replaces the store's root.
                path: store.root().join(&record.folder),
                kind: record.kind,
                axes: match input {
                    Input::External(_) => BTreeMap::new(),
                    Input::Output { task, .. } => self.tasks[*task].axes.clone(),
                },
            });
            (name.clone(), artifacts.collect())
        });
        let outputs = stage.outputs.iter().map(|(name, kind)| {
            let path = work.join("output").join(name);
            (name.clone(), OutputArtifact { path, kind: *kind })
        });
        Request {
            contract: CONTRACT_VERSION,
            stage: stage.name.clone(),
            axes: self.tasks[task].axes.clone(),
            config: self.configs[task].clone(),
            inputs: inputs.collect(),
            outputs: outputs.collect(),
            seed: self.seed(task),
            device: self.device.clone(),
            threads: self.threads[self.tasks[task].stage],
            scratch: work.join("scratch"),
        }
    }

    /// Stages left out by `--only` or `--from` must be finished.
    pub(crate) fn check_selection(
        &self,
        states: &[State],
        selection: &BTreeSet<String>,
    ) -> Result<()> {
        for (task, state) in states.iter().enumerate() {
            let stage = &self.stage_of(task).name;
            if selection.contains(stage) || matches!(state, State::Finished(_)) {
                continue;
            }
            // What follows the selection is not needed.
            let position = |name: &str| self.pipeline.stages.iter().position(|s| s.name == name);
            let needed = selection.iter().any(|s| self.follows(s, stage));
            if needed && position(stage).is_some() {
                bail!(
                    "`{}` is not finished, and --only or --from leaves it out: run the pipeline \
                     without them first",
                    self.title(task)
                );
            }
        }
        Ok(())
    }

    /// Whether `stage` reads, over any number of stages, what `before` makes.
    fn follows(&self, stage: &str, before: &str) -> bool {
        let Ok(stage) = self.pipeline.stage(stage) else { return false };
        stage.inputs.values().any(|source| match source {
            super::file::Source::External(_) => false,
            super::file::Source::Output { stage, .. } => {
                stage == before || self.follows(stage, before)
            }
        })
    }
}

/// Hashes a finished task's files anew.
fn verify_outputs(store: &RunStore, provenance: &Provenance) -> Result<()> {
    let folder = store.task_folder(&provenance.stage, &provenance.key);
    for (name, output) in &provenance.outputs {
        let path = folder.join(name);
        let records = digest::folder(&path, None)
            .with_context(|| format!("cannot read {}", path.display()))?;
        for record in &output.files {
            if !records.contains(record) {
                bail!(
                    "{} is not what was published: remove {} to have it made anew",
                    path.join(&record.path).display(),
                    folder.display()
                );
            }
        }
    }
    Ok(())
}
