//! What the orchestrator hands to a stage: the request.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Kind;
use crate::suggest::did_you_mean;

/// Version of the request and of the artifact layouts; part of every cache key.
pub const CONTRACT_VERSION: u32 = 1;

/// One task: everything a stage may know.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Request {
    /// [`CONTRACT_VERSION`] of the orchestrator that wrote it.
    pub contract: u32,
    /// Name of the stage in the pipeline.
    pub stage: String,
    /// The task's place in the stage's matrix, for instance `{"arm": "joint", "fold": 0}`.
    pub axes: BTreeMap<String, Value>,
    /// The stage's config, all `--set` applied.
    pub config: Value,
    /// Artifacts to read; a list each, since an axis that this stage lacks arrives as several.
    pub inputs: BTreeMap<String, Vec<InputArtifact>>,
    /// Empty folders to fill.
    pub outputs: BTreeMap<String, OutputArtifact>,
    /// Root of every random draw of this task.
    pub seed: u64,
    /// `cpu`, `cuda:0`, …
    pub device: String,
    /// How many threads the task may use.
    pub threads: usize,
    /// A folder that survives an interruption of this very task: checkpoints go here.
    pub scratch: PathBuf,
}

/// An artifact to read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct InputArtifact {
    /// Absolute folder.
    pub path: PathBuf,
    /// Its kind.
    pub kind: Kind,
    /// Matrix axes of the task that made it (empty for external data).
    pub axes: BTreeMap<String, Value>,
}

/// An artifact to write.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OutputArtifact {
    /// Absolute folder, existing and empty.
    pub path: PathBuf,
    /// Its kind.
    pub kind: Kind,
}

/// A request that does not hold what the stage asks of it.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The file cannot be read.
    #[error("cannot read the request {path}: {source}")]
    Unreadable {
        /// The request's file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no request.
    #[error("{path} is no stage request: {source}")]
    Malformed {
        /// The request's file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// Written for another version of the contract.
    #[error(
        "the request speaks contract {found}, this stage speaks {CONTRACT_VERSION}: build both from one checkout"
    )]
    Version {
        /// The request's version.
        found: u32,
    },
    /// A name is not wired.
    #[error("stage `{stage}` is not given the {what} `{name}`{hint}")]
    Missing {
        /// The stage.
        stage: String,
        /// `input`, `output` or `axis`.
        what: &'static str,
        /// Its name.
        name: String,
        /// The nearest name there is.
        hint: String,
    },
    /// Several artifacts where one is meant.
    #[error(
        "stage `{stage}` takes one `{name}` but is given {n}: put the axis they differ on into its matrix"
    )]
    Several {
        /// The stage.
        stage: String,
        /// The input.
        name: String,
        /// How many arrived.
        n: usize,
    },
    /// An axis value of the wrong type.
    #[error("axis `{name}` of stage `{stage}` is {found}, expected {expected}")]
    AxisType {
        /// The stage.
        stage: String,
        /// The axis.
        name: String,
        /// What it holds.
        found: String,
        /// What it should hold.
        expected: &'static str,
    },
}

impl Request {
    /// Reads a request and checks its version.
    ///
    /// # Errors
    /// If the file cannot be read, is no request, or is of another version.
    pub fn read(path: &Path) -> Result<Self, RequestError> {
        let text = std::fs::read(path)
            .map_err(|source| RequestError::Unreadable { path: path.to_owned(), source })?;
        let request: Request = serde_json::from_slice(&text)
            .map_err(|source| RequestError::Malformed { path: path.to_owned(), source })?;
        if request.contract != CONTRACT_VERSION {
            return Err(RequestError::Version { found: request.contract });
        }
        Ok(request)
    }

    /// The artifacts wired to `name`; empty where the pipeline wires none.
    pub fn inputs(&self, name: &str) -> &[InputArtifact] {
        self.inputs.get(name).map_or(&[], Vec::as_slice)
    }

    /// The folder of the one artifact wired to `name`, or `None` where the pipeline wires none.
    ///
    /// # Errors
    /// [`RequestError::Several`] if it is a list.
    pub fn optional_input(&self, name: &str) -> Result<Option<&Path>, RequestError> {
        match self.inputs(name) {
            [] => Ok(None),
            [one] => Ok(Some(&one.path)),
            several => Err(RequestError::Several {
                stage: self.stage.clone(),
                name: name.to_owned(),
                n: several.len(),
            }),
        }
    }

    /// The folder of the one artifact wired to `name`.
    ///
    /// # Errors
    /// If none is wired, or several.
    pub fn input(&self, name: &str) -> Result<&Path, RequestError> {
        self.optional_input(name)?
            .ok_or_else(|| self.missing("input", name, self.inputs.keys().map(String::as_str)))
    }

    /// The empty folder of the output `name`.
    ///
    /// # Errors
    /// If the pipeline declares no such output.
    pub fn output(&self, name: &str) -> Result<&Path, RequestError> {
        self.outputs
            .get(name)
            .map(|output| output.path.as_path())
            .ok_or_else(|| self.missing("output", name, self.outputs.keys().map(String::as_str)))
    }

    /// The value of a matrix axis that is a word.
    ///
    /// # Errors
    /// If the matrix lacks the axis or its value is no string.
    pub fn axis_str(&self, name: &str) -> Result<&str, RequestError> {
        let value = self.axis(name)?;
        value.as_str().ok_or_else(|| self.axis_type(name, value, "a string"))
    }

    /// The value of a matrix axis that is an index.
    ///
    /// # Errors
    /// If the matrix lacks the axis or its value is no whole number from 0.
    pub fn axis_index(&self, name: &str) -> Result<usize, RequestError> {
        let value = self.axis(name)?;
        value
            .as_u64()
            .and_then(|index| usize::try_from(index).ok())
            .ok_or_else(|| self.axis_type(name, value, "a whole number from 0"))
    }

    fn axis(&self, name: &str) -> Result<&Value, RequestError> {
        self.axes
            .get(name)
            .ok_or_else(|| self.missing("axis", name, self.axes.keys().map(String::as_str)))
    }

    fn axis_type(&self, name: &str, found: &Value, expected: &'static str) -> RequestError {
        RequestError::AxisType {
            stage: self.stage.clone(),
            name: name.to_owned(),
            found: found.to_string(),
            expected,
        }
    }

    fn missing<'a>(
        &self,
        what: &'static str,
        name: &str,
        known: impl Iterator<Item = &'a str> + Clone,
    ) -> RequestError {
        let hint = did_you_mean(name, known);
        RequestError::Missing { stage: self.stage.clone(), what, name: name.to_owned(), hint }
    }
}
