use std::fmt::Arguments;
use std::io::Write;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use crate::ConfigError;

/// A line on a stage's stdout that the orchestrator understands; every other line is its log.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// How far the task is.
    Progress {
        /// Units finished.
        done: usize,
        /// Units in all.
        total: usize,
        /// What a unit is: `case`, `epoch`.
        unit: String,
        /// A few words on the state, for instance the last validation figure.
        #[serde(default)]
        note: String,
    },
    /// Something the user must hear of at the end of the run.
    Warning(String),
    /// What `--check` found wrong with the config.
    ConfigError(ConfigError),
}

impl Message {
    /// The message on this line of a stage's stdout, or `None` if it is a line of its log.
    pub fn parse(line: &str) -> Option<Self> {
        line.starts_with('{').then(|| serde_json::from_str(line).ok()).flatten()
    }

    pub(crate) fn print(&self) {
        if let Ok(line) = serde_json::to_string(self) {
            log(format_args!("{line}"));
        }
    }
}

/// Writes a line of the stage's log to stdout. Where nobody reads any more the process ends: the
/// orchestrator is gone, and the task's lock must be free for the run that resumes it.
pub fn log(line: Arguments<'_>) {
    if writeln!(std::io::stdout().lock(), "{line}").is_err() {
        std::process::exit(1);
    }
}

/// Tells the user something at the end of the run; it does not fail the stage.
pub fn warning(text: impl Into<String>) {
    Message::Warning(text.into()).print();
}

/// Moves the task's progress bar. Shared between threads by reference.
#[derive(Debug)]
pub struct Progress {
    total: usize,
    unit: &'static str,
    state: Mutex<(usize, String)>,
}

impl Progress {
    /// A bar of `total` units, shown at once at 0.
    pub fn new(total: usize, unit: &'static str) -> Self {
        let progress = Self { total, unit, state: Mutex::new((0, String::new())) };
        progress.add(0);
        progress
    }

    /// `n` more units are finished.
    pub fn add(&self, n: usize) {
        self.update(|done, _| *done += n);
    }

    /// `n` units are finished in all.
    pub fn done(&self, n: usize) {
        self.update(|done, _| *done = n);
    }

    /// A few words beside the bar.
    pub fn note(&self, note: impl Into<String>) {
        self.update(|_, old| *old = note.into());
    }

    fn update(&self, change: impl FnOnce(&mut usize, &mut String)) {
        // A thread that panicked elsewhere must not stop the others' progress.
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (done, note) = &mut *state;
        change(done, note);
        let (done, note) = (*done, note.clone());
        Message::Progress { done, total: self.total, unit: self.unit.to_owned(), note }.print();
    }
}
