use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::Provenance;

/// The folder of all runs: `<stage>-<key>/` a finished task, hidden folders for work under way.
///
/// A task folder appears by one rename, complete or not at all; whatever dies before leaves only
/// hidden work that the next run of the task clears or resumes.
#[derive(Debug, Clone)]
pub struct RunStore {
    root: PathBuf,
}

/// What can go wrong in the run store.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// A file or folder could not be handled.
    #[error("cannot {action} {path}: {source}{}", full(.source))]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

fn full(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; free some space and run the same command again, finished tasks are kept"
        }
        _ => "",
    }
}

/// Held while a task runs: a second run of the same task waits for it.
#[derive(Debug)]
pub struct TaskLock {
    file: File,
}

impl TaskLock {
    /// The lock as the stdin of the task's process: it stays locked as long as that process lives,
    /// even where the orchestrator was killed, so that two never write into one folder.
    ///
    /// # Errors
    /// If the file cannot be duplicated.
    pub fn as_stdin(&self) -> io::Result<Stdio> {
        self.file.try_clone().map(Stdio::from)
    }
}

impl RunStore {
    /// The store in this folder, made if it does not exist.
    ///
    /// # Errors
    /// If the folder cannot be made.
    pub fn open(root: &Path) -> Result<Self, PublishError> {
        for folder in [root.to_owned(), root.join(".locks"), root.join(".work")] {
            fs::create_dir_all(&folder).map_err(error("create", &folder))?;
        }
        let root = root.canonicalize().map_err(error("open", root))?;
        Ok(Self { root })
    }

    /// The store's folder, absolute.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the finished task lies.
    pub fn task_folder(&self, stage: &str, key: &str) -> PathBuf {
        self.root.join(format!("{stage}-{key}"))
    }

    /// The provenance of the task if it is finished.
    pub fn finished(&self, stage: &str, key: &str) -> Option<Provenance> {
        Provenance::read(&self.task_folder(stage, key)).filter(|p| p.key == key)
    }

    /// Every finished task of a stage, the newest first.
    pub fn finished_tasks(&self, stage: &str) -> Vec<Provenance> {
        let prefix = format!("{stage}-");
        let mut found: Vec<_> = fs::read_dir(&self.root)
            .into_iter()
            .flatten()
            .flatten()
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
            .collect();
        found.sort_by(|a, b| b.cmp(a));
        let provenances = found.into_iter().filter_map(|(_, path)| Provenance::read(&path));
        provenances.filter(|p| p.stage == stage).collect()
    }

    /// Takes the task's lock, or `None` if another run holds it.
    ///
    /// # Errors
    /// If the lock's file cannot be made or locked.
    pub fn try_lock(&self, stage: &str, key: &str) -> Result<Option<TaskLock>, PublishError> {
        let (path, file) = self.lock_file(stage, key)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(TaskLock { file })),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(source)) => {
                Err(PublishError::Io { action: "lock", path, source })
            }
        }
    }

    fn lock_file(&self, stage: &str, key: &str) -> Result<(PathBuf, File), PublishError> {
        let path = self.root.join(".locks").join(format!("{stage}-{key}"));
        let mut options = File::options();
        let file = options.create(true).truncate(false).write(true).open(&path);
        file.map_err(error("create", &path)).map(|file| (path, file))
    }

    /// The task's hidden folder: `output/` emptied, `scratch/` as an interrupted run left it.
    ///
    /// # Errors
    /// If the folders cannot be made.
    pub fn prepare(
        &self,
        _lock: &TaskLock,
        stage: &str,
        key: &str,
    ) -> Result<PathBuf, PublishError> {
        let work = self.work_folder(stage, key);
        let output = work.join("output");
        if output.exists() {
            fs::remove_dir_all(&output).map_err(error("clear", &output))?;
        }
        for folder in [&output, &work.join("scratch")] {
            fs::create_dir_all(folder).map_err(error("create", folder))?;
        }
        Ok(work)
    }

    /// Where a task works before it is finished.
    pub fn work_folder(&self, stage: &str, key: &str) -> PathBuf {
        self.root.join(".work").join(format!("{stage}-{key}"))
    }

    /// Makes what lies in the task's `output/` the finished task: provenance written, every file
    /// synced, one rename.
    ///
    /// # Errors
    /// If a file cannot be written or synced; nothing is published then.
    pub fn publish(
        &self,
        _lock: &TaskLock,
        provenance: &Provenance,
    ) -> Result<PathBuf, PublishError> {
        let work = self.work_folder(&provenance.stage, &provenance.key);
        let output = work.join("output");
        let record = output.join(Provenance::FILE);
        let text = serde_json::to_vec_pretty(provenance).map_err(io::Error::from);
        text.and_then(|text| fs::write(&record, text)).map_err(error("write", &record))?;
        sync(&output)?;
        let target = self.task_folder(&provenance.stage, &provenance.key);
        if target.exists() {
            fs::remove_dir_all(&target).map_err(error("replace", &target))?;
        }
        fs::rename(&output, &target).map_err(error("publish", &target))?;
        File::open(&self.root).and_then(|f| f.sync_all()).map_err(error("sync", &self.root))?;
        // Only leftovers: the result is safe already.
        let _ = fs::remove_dir_all(&work);
        Ok(target)
    }
}

/// Brings everything written to the disk, with one call: a cohort has thousands of files, and waiting
/// for each alone takes longer than making them.
fn sync(folder: &Path) -> Result<(), PublishError> {
    let file = File::open(folder).map_err(error("open", folder))?;
    rustix::fs::syncfs(&file).map_err(|e| error("sync", folder)(e.into()))
}

fn error(action: &'static str, path: &Path) -> impl Fn(io::Error) -> PublishError {
    let path = path.to_owned();
    move |source| PublishError::Io { action, path: path.clone(), source }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    fn provenance() -> Provenance {
        Provenance {
            stage: "train".into(),
            axes: Default::default(),
            key: "0123".into(),
            key_parts: Default::default(),
            inputs: Default::default(),
            outputs: Default::default(),
            warnings: Vec::new(),
        }
    }

    #[test]
    fn a_task_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let store = RunStore::open(&folder.path().join("runs")).unwrap();
        let lock = store.try_lock("train", "0123").unwrap().unwrap();
        let work = store.prepare(&lock, "train", "0123").unwrap();
        fs::write(work.join("output/half"), "x").unwrap();
        fs::write(work.join("scratch/checkpoint"), "x").unwrap();
        assert!(store.finished("train", "0123").is_none());

        // An interrupted run: outputs are cleared, the checkpoint stays.
        let work = store.prepare(&lock, "train", "0123").unwrap();
        assert!(!work.join("output/half").exists());
        assert!(work.join("scratch/checkpoint").exists());

        fs::write(work.join("output/whole"), "x").unwrap();
        let target = store.publish(&lock, &provenance()).unwrap();
        assert!(target.join("whole").exists());
        assert_eq!(store.finished("train", "0123"), Some(provenance()));
        assert!(!work.exists());
    }

    #[test]
    fn one_run_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let store = RunStore::open(folder.path()).unwrap();
        let lock = store.try_lock("train", "1").unwrap();
        assert!(lock.is_some());
        assert!(store.try_lock("train", "1").unwrap().is_none());
        assert!(store.try_lock("train", "2").unwrap().is_some());
        drop(lock);
        assert!(store.try_lock("train", "1").unwrap().is_some());
    }
}
