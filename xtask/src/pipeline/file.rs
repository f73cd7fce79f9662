//! A pipeline file: which stages run and how they are wired.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use hemex_stage::Kind;
use hemex_stage::suggest::did_you_mean;
use serde::Deserialize;
use serde_json::Value;

use super::vary::Vary;
use super::{locate, overrides};
use crate::workspace;

/// A pipeline, checked: every reference resolves, kinds match, stages are in the order of their data.
#[derive(Debug, Clone)]
pub(crate) struct Pipeline {
    pub(crate) path: PathBuf,
    pub(crate) inputs: BTreeMap<String, Kind>,
    pub(crate) stages: Vec<Stage>,
}

#[derive(Debug, Clone)]
pub(crate) struct Stage {
    pub(crate) name: String,
    pub(crate) program: Program,
    pub(crate) config_path: Option<PathBuf>,
    pub(crate) config: Value,
    pub(crate) seed: u64,
    /// Axis and its values.
    pub(crate) matrix: BTreeMap<String, Vec<Value>>,
    /// What a value of an axis changes in the config.
    pub(crate) vary: Vary,
    /// The stage whose matrix this one repeats.
    pub(crate) matrix_of: Option<String>,
    pub(crate) inputs: BTreeMap<String, Source>,
    pub(crate) outputs: BTreeMap<String, Kind>,
}

impl Stage {
    /// The config of the task at this place of the matrix.
    pub(crate) fn config_at(&self, axes: &BTreeMap<String, Value>) -> Result<Value> {
        self.vary.config(&self.config, axes)
    }
}

/// What a stage runs.
#[derive(Debug, Clone)]
pub(crate) enum Program {
    /// The binary `hemex-<name>` of a crate of this workspace.
    Crate(String),
    /// A command, the files it consists of, and whether it understands `--check`.
    External { command: Vec<String>, code: Vec<String>, check: bool },
}

/// Where an input comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    External(String),
    Output { stage: String, output: String },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPipeline {
    #[serde(default)]
    input: BTreeMap<String, RawInput>,
    stage: BTreeMap<String, RawStage>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawInput {
    kind: Kind,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStage {
    run: RawRun,
    #[serde(default)]
    code: Vec<String>,
    #[serde(default)]
    check: bool,
    config: Option<String>,
    /// Values of the config that this stage has otherwise, by their dotted key.
    #[serde(default)]
    set: BTreeMap<String, Value>,
    #[serde(default)]
    seed: u64,
    matrix: Option<RawMatrix>,
    #[serde(default)]
    vary: Vary,
    #[serde(default)]
    inputs: BTreeMap<String, String>,
    outputs: BTreeMap<String, Kind>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum RawRun {
    Crate(String),
    Command(Vec<String>),
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum RawMatrix {
    Like(String),
    Axes(BTreeMap<String, RawAxis>),
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum RawAxis {
    Count(u64),
    Values(Vec<Value>),
}

impl Pipeline {
    /// Reads and checks a pipeline file; paths in it are relative to the workspace's root.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let raw: RawPipeline =
            toml::from_str(&text).map_err(|e| locate::toml_error(path, &text, &e))?;
        let at = |key: &str| locate::place(path, &text, key);
        let mut stages = Vec::new();
        for (name, raw) in raw.stage {
            stages.push(stage(&name, raw).with_context(|| at(&format!("stage.{name}")))?);
        }
        let inputs = raw.input.into_iter().map(|(name, input)| (name, input.kind)).collect();
        let mut pipeline = Pipeline { path: path.to_owned(), inputs, stages };
        for stage in &pipeline.stages {
            for (name, source) in &stage.inputs {
                pipeline
                    .kind_of(source)
                    .with_context(|| at(&format!("stage.{}.inputs.{name}", stage.name)))?;
            }
        }
        pipeline.check_kinds(&at)?;
        pipeline.copy_matrices(&at)?;
        pipeline.sort_by_data(&at)?;
        Ok(pipeline)
    }

    pub(crate) fn stage(&self, name: &str) -> Result<&Stage> {
        self.stages.iter().find(|stage| stage.name == name).with_context(|| {
            let hint = did_you_mean(name, self.stages.iter().map(|s| s.name.as_str()));
            format!("{} has no stage `{name}`{hint}", self.path.display())
        })
    }

    /// The stages that `--only` and `--from` leave.
    pub(crate) fn select(
        &self,
        only: Option<&str>,
        from: Option<&str>,
    ) -> Result<BTreeSet<String>> {
        if let Some(name) = only {
            return Ok([self.stage(name)?.name.clone()].into());
        }
        let Some(name) = from else {
            return Ok(self.stages.iter().map(|stage| stage.name.clone()).collect());
        };
        let mut selected = BTreeSet::from([self.stage(name)?.name.clone()]);
        // Stages are sorted by their data: one pass finds all that follows.
        for stage in &self.stages {
            let follows = stage.inputs.values().any(
                |source| matches!(source, Source::Output { stage, .. } if selected.contains(stage)),
            );
            if follows {
                selected.insert(stage.name.clone());
            }
        }
        Ok(selected)
    }

    /// The kind of what a source delivers.
    pub(crate) fn kind_of(&self, source: &Source) -> Result<Kind> {
        match source {
            Source::External(name) => self.inputs.get(name).copied().with_context(|| {
                let hint = did_you_mean(name, self.inputs.keys().map(String::as_str));
                format!("there is no [input.{name}]{hint}")
            }),
            Source::Output { stage, output } => {
                let outputs = &self.stage(stage)?.outputs;
                outputs.get(output).copied().with_context(|| {
                    let hint = did_you_mean(output, outputs.keys().map(String::as_str));
                    format!("stage `{stage}` has no output `{output}`{hint}")
                })
            }
        }
    }

    /// An input's name says what the stage reads; where it is the name of a kind it must be that kind.
    fn check_kinds(&self, at: &impl Fn(&str) -> String) -> Result<()> {
        for stage in &self.stages {
            for (name, source) in &stage.inputs {
                let found = self.kind_of(source)?;
                let Some(expected) = kind_named(name) else { continue };
                if found != expected {
                    let key = format!("stage.{}.inputs.{name}", stage.name);
                    bail!("{}: `{name}` takes {expected}, but it is wired to {found}", at(&key));
                }
            }
        }
        Ok(())
    }

    fn copy_matrices(&mut self, at: &impl Fn(&str) -> String) -> Result<()> {
        for i in 0..self.stages.len() {
            let Some(like) = self.stages[i].matrix_of.clone() else { continue };
            let key = format!("stage.{}.matrix", self.stages[i].name);
            let other = self.stage(&like).with_context(|| at(&key))?;
            if other.matrix_of.is_some() {
                bail!("{}: `{like}` has no matrix of its own to repeat", at(&key));
            }
            self.stages[i].matrix = other.matrix.clone();
        }
        Ok(())
    }

    /// Producers before consumers; stages that do not depend on each other stay in order of name.
    fn sort_by_data(&mut self, at: &impl Fn(&str) -> String) -> Result<()> {
        let mut waiting = std::mem::take(&mut self.stages);
        while !waiting.is_empty() {
            let ready = waiting.iter().position(|stage| {
                stage.inputs.values().all(|source| match source {
                    Source::External(_) => true,
                    Source::Output { stage, .. } => self.stages.iter().any(|s| s.name == *stage),
                })
            });
            let Some(ready) = ready else {
                let names: Vec<_> = waiting.iter().map(|s| s.name.as_str()).collect();
                bail!("{}: these stages wait for each other: {}", at("stage"), names.join(", "));
            };
            self.stages.push(waiting.remove(ready));
        }
        Ok(())
    }
}

fn kind_named(name: &str) -> Option<Kind> {
    match name {
        "raw" => return Some(Kind::Dataset),
        "pretrained" => return Some(Kind::Model),
        _ => (),
    }
    Kind::ALL.into_iter().find(|kind| kind.name().split('/').next() == Some(name))
}

fn stage(name: &str, raw: RawStage) -> Result<Stage> {
    let program = match raw.run {
        RawRun::Command(command) if command.is_empty() => bail!("`run` is an empty command"),
        RawRun::Command(_) if raw.code.is_empty() => {
            bail!(
                "`code` must name the files that `run` consists of: they are part of the cache key"
            )
        }
        RawRun::Command(command) => Program::External { command, code: raw.code, check: raw.check },
        RawRun::Crate(run) => {
            let Some(folder) = run.strip_prefix("crate:") else {
                bail!("`run` is \"{run}\", expected \"crate:NAME\" or a command as a list");
            };
            workspace::package(folder)?;
            Program::Crate(folder.to_owned())
        }
    };
    let config_path = raw.config.map(|path| workspace::root().join(path));
    let mut config = match &config_path {
        None => Value::Object(serde_json::Map::new()),
        Some(path) => read_config(path)?,
    };
    for (key, value) in raw.set {
        overrides::set(&mut config, &key, value).with_context(|| format!("set.\"{key}\""))?;
    }
    let (matrix, matrix_of) = match raw.matrix {
        None => (BTreeMap::new(), None),
        Some(RawMatrix::Like(stage)) => (BTreeMap::new(), Some(stage)),
        Some(RawMatrix::Axes(axes)) => {
            (axes.into_iter().map(|(name, axis)| (name, axis.values())).collect(), None)
        }
    };
    if let Some((axis, _)) = matrix.iter().find(|(_, values)| values.is_empty()) {
        bail!("axis `{axis}` of the matrix has no values");
    }
    let inputs = raw.inputs.into_iter().map(|(name, source)| Ok((name, parse_source(&source)?)));
    raw.vary.check(&config, &matrix)?;
    Ok(Stage {
        name: name.to_owned(),
        program,
        config_path,
        config,
        seed: raw.seed,
        matrix,
        vary: raw.vary,
        matrix_of,
        inputs: inputs.collect::<Result<_>>()?,
        outputs: raw.outputs,
    })
}

/// A config as JSON, the form in which it reaches a stage.
pub(crate) fn read_config(path: &Path) -> Result<Value> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let table: toml::Table =
        toml::from_str(&text).map_err(|e| locate::toml_error(path, &text, &e))?;
    Ok(serde_json::to_value(table)?)
}

fn parse_source(source: &str) -> Result<Source> {
    match source.split_once('.') {
        Some(("input", name)) => Ok(Source::External(name.to_owned())),
        Some((stage, output)) => {
            Ok(Source::Output { stage: stage.to_owned(), output: output.to_owned() })
        }
        None => bail!("\"{source}\": expected \"STAGE.OUTPUT\" or \"input.NAME\""),
    }
}

impl RawAxis {
    fn values(self) -> Vec<Value> {
        match self {
            RawAxis::Count(n) => (0..n).map(Value::from).collect(),
            RawAxis::Values(values) => values,
        }
    }
}
