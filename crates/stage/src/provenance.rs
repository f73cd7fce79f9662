use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::digest::FileRecord;
use crate::{KeyParts, Kind};

/// `provenance.json` beside the outputs of a task: how they came to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// The stage in the pipeline.
    pub stage: String,
    /// The task's place in the stage's matrix.
    pub axes: BTreeMap<String, Value>,
    /// The task's key.
    pub key: String,
    /// What the key is made of.
    pub key_parts: KeyParts,
    /// What was read.
    pub inputs: BTreeMap<String, Vec<InputRecord>>,
    /// What was written: kind, digest and files of each output.
    pub outputs: BTreeMap<String, OutputRecord>,
    /// What the stage wanted the user to hear.
    pub warnings: Vec<String>,
}

/// An artifact that was read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InputRecord {
    /// Its folder: relative to the run store if a task made it, else absolute.
    pub folder: PathBuf,
    /// Its kind.
    pub kind: Kind,
    /// Digest of all its files.
    pub digest: String,
}

/// An artifact that was written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutputRecord {
    /// Its kind.
    pub kind: Kind,
    /// Digest of all its files.
    pub digest: String,
    /// Its files.
    pub files: Vec<FileRecord>,
}

impl Provenance {
    /// The file's name, beside the output folders.
    pub const FILE: &'static str = "provenance.json";

    /// Reads the provenance of the task folder; `None` if there is none or it cannot be understood,
    /// in which case the task counts as not done.
    pub fn read(task_folder: &Path) -> Option<Self> {
        let text = std::fs::read(task_folder.join(Self::FILE)).ok()?;
        serde_json::from_slice(&text).ok()
    }
}
