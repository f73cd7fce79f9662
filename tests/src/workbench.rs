//! A folder of its own for a test, with a run store in it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use hemex_artifacts::{PredictionRow, table};
use hemex_stage::{Provenance, RunStore};
use tempfile::TempDir;

use crate::Call;

/// The root of the workspace.
pub fn workspace_root() -> &'static Path {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests)
}

/// A folder with a run store `runs`; gone with the test.
#[derive(Debug)]
pub struct Workbench {
    folder: PathBuf,
    /// Removes the folder when dropped.
    _temporary: Option<TempDir>,
}

impl Workbench {
    /// An empty one.
    #[expect(
        clippy::new_without_default,
        reason = "it makes a folder, which nobody expects of a default"
    )]
    pub fn new() -> Self {
        let temporary = tempfile::tempdir().unwrap_or_else(|e| panic!("no temporary folder: {e}"));
        Self { folder: temporary.path().to_owned(), _temporary: Some(temporary) }
    }

    /// One in a folder that stays.
    pub fn at(folder: &Path) -> Self {
        make_folder(folder);
        Self { folder: folder.to_owned(), _temporary: None }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The run store's folder.
    pub fn runs(&self) -> PathBuf {
        self.folder.join("runs")
    }

    /// Writes a file, for instance a pipeline.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.join(name);
        fs::write(&path, text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        path
    }

    /// A copy of a file below the workspace's root with one text replaced, which must be there once.
    pub fn write_changed(&self, file: &str, old: &str, new: &str) -> PathBuf {
        let name = Path::new(file).file_name().unwrap_or_default().to_string_lossy();
        self.write(&name, &replace(&read(file), old, new))
    }

    /// `cargo xtask pipeline PIPELINE --runs …`.
    pub fn pipeline(&self, pipeline: impl AsRef<OsStr>) -> Call {
        Call::new("pipeline").arg(pipeline).arg("--runs").arg(self.runs())
    }

    /// `cargo xtask pipeline predict` of these scans by this model.
    pub fn predict(&self, raw: &Path, model: &Path) -> Call {
        let data = [format!("raw={}", raw.display()), format!("model={}", model.display())];
        self.pipeline("predict").args(["--data", &data[0], "--data", &data[1]])
    }

    /// The finished predictions by the name of the scan, and the folder of their masks.
    pub fn predictions(&self) -> (BTreeMap<String, PredictionRow>, PathBuf) {
        let path = self.task("ingest").output("private").join("mapping.csv");
        let mapping =
            fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let source = |case_id: &str| {
            let row = mapping.lines().find(|line| line.starts_with(case_id));
            let source = row.and_then(|row| row.split(',').nth(2));
            source.unwrap_or_else(|| panic!("{case_id} is not in {mapping}")).to_owned()
        };
        let folder = self.task("predict").output("predictions");
        let rows: Vec<PredictionRow> =
            table::read_rows(&folder.join("predictions.csv")).unwrap_or_else(|e| panic!("{e}"));
        let by_source = rows.into_iter().map(|row| (source(&row.case_id), row)).collect();
        (by_source, folder.join("masks"))
    }

    /// Copies the finished tasks of these stages from another store.
    pub fn adopt(&self, other: &Workbench, stages: &[&str]) {
        for task in stages.iter().flat_map(|stage| other.tasks(stage)) {
            let name = task.folder.file_name().unwrap_or_default();
            copy_folder(&task.folder, &self.runs().join(name));
        }
    }

    fn store(&self) -> RunStore {
        RunStore::open(&self.runs()).unwrap_or_else(|e| panic!("{e}"))
    }

    /// The finished tasks of a stage, in the order of their axes.
    pub fn tasks(&self, stage: &str) -> Vec<Task> {
        let store = self.store();
        let task = |provenance: Provenance| {
            let folder = store.task_folder(&provenance.stage, &provenance.key);
            Task { folder, provenance }
        };
        let mut tasks: Vec<Task> = store.finished_tasks(stage).into_iter().map(task).collect();
        tasks.sort_by_key(Task::title);
        tasks
    }

    /// The one finished task of a stage.
    pub fn task(&self, stage: &str) -> Task {
        let mut tasks = self.tasks(stage);
        let n = tasks.len();
        tasks.pop().filter(|_| n == 1).unwrap_or_else(|| panic!("{n} finished tasks of `{stage}`"))
    }

    /// Digest of every output of the finished tasks of these stages, by task and output.
    pub fn digests(&self, stages: &[&str]) -> BTreeMap<String, String> {
        let mut digests = BTreeMap::new();
        for task in stages.iter().flat_map(|stage| self.tasks(stage)) {
            for (name, output) in &task.provenance.outputs {
                digests.insert(format!("{} → {name}", task.title()), output.digest.clone());
            }
        }
        digests
    }

    /// Names of the finished tasks' folders: what lies in the store under a final name.
    pub fn published(&self) -> Vec<String> {
        let entries = fs::read_dir(self.runs()).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let mut names: Vec<String> = names.filter(|name| !name.starts_with('.')).collect();
        names.sort();
        names
    }

    /// Names of the folders of tasks that were begun and not finished.
    pub fn unfinished(&self) -> Vec<String> {
        let folder = self.runs().join(".work");
        let entries = fs::read_dir(&folder);
        let entries = entries.unwrap_or_else(|e| panic!("{}: {e}", folder.display())).flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }

    /// Unfinished work of a stage: the scratch folder of each of its tasks.
    pub fn scratch(&self, stage: &str) -> Vec<PathBuf> {
        // A run that has only just been started may not have made the folder.
        let entries = fs::read_dir(self.runs().join(".work")).into_iter().flatten().flatten();
        let prefix = format!("{stage}-");
        entries
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
            .map(|entry| entry.path().join("scratch"))
            .collect()
    }

    /// `metrics.json` of the finished report.
    pub fn metrics(&self) -> serde_json::Value {
        let path = self.task("report").output("report").join("metrics.json");
        let text = fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        serde_json::from_slice(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }
}

/// A finished task.
#[derive(Debug)]
pub struct Task {
    /// Its folder in the store.
    pub folder: PathBuf,
    /// How it came to be.
    pub provenance: Provenance,
}

impl Task {
    /// The folder of an output.
    pub fn output(&self, name: &str) -> PathBuf {
        assert!(self.provenance.outputs.contains_key(name), "{} has no `{name}`", self.title());
        self.folder.join(name)
    }

    /// The stage and the task's place in its matrix.
    pub fn title(&self) -> String {
        let axes = self.provenance.axes.iter().map(|(name, value)| format!(" {name}={value}"));
        format!("{}{}", self.provenance.stage, axes.collect::<String>())
    }
}

/// The text with `old`, which must be there once, replaced.
pub fn replace(text: &str, old: &str, new: &str) -> String {
    let n = text.matches(old).count();
    assert!(n == 1, "\"{old}\" is there {n} times:\n{text}");
    text.replacen(old, new, 1)
}

/// A text file below the workspace's root.
pub fn read(file: &str) -> String {
    let path = workspace_root().join(file);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Copies a folder with all that is in it.
pub fn copy_folder(from: &Path, to: &Path) {
    make_folder(to);
    let entries = fs::read_dir(from).unwrap_or_else(|e| panic!("{}: {e}", from.display()));
    for entry in entries.flatten() {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy_folder(&path, &target);
        } else if let Err(e) = fs::copy(&path, &target) {
            panic!("{}: {e}", path.display());
        }
    }
}

fn make_folder(folder: &Path) {
    fs::create_dir_all(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
}
