//! A call of `cargo xtask` and what came of it.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::NamedTempFile;

use crate::process::descendants;
use crate::workspace_root;

/// How long anything is waited for: far longer than it takes, so that only a hang ends there.
const PATIENCE: Duration = Duration::from_mins(40);

/// `cargo xtask …`, to be run.
#[derive(Debug)]
pub struct Call(Command);

impl Call {
    /// `cargo xtask COMMAND`, at the root of the workspace.
    pub fn new(command: &str) -> Self {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut call = Command::new(cargo);
        call.args(["run", "--quiet", "--package", "xtask", "--", command]);
        call.current_dir(workspace_root()).stdin(Stdio::null());
        // What `cargo test` tells this process of itself is not for another package's build.
        let own =
            |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(own)) {
            call.env_remove(name);
        }
        Self(call)
    }

    /// One more argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.0.arg(argument);
        self
    }

    /// More arguments.
    #[must_use]
    pub fn args<I: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = I>) -> Self {
        self.0.args(arguments);
        self
    }

    /// Runs it to its end.
    pub fn run(self) -> Outcome {
        self.spawn().wait()
    }

    /// Runs it to its end; a failure fails the test.
    pub fn succeeds(self) -> Outcome {
        let outcome = self.run();
        assert!(outcome.code == Some(0), "it failed:\n{outcome}");
        outcome
    }

    /// Runs it to its end, which must be one clear error: an exit code that is not 0, one line that
    /// begins with `error:`, no panic.
    pub fn fails(self) -> Outcome {
        let outcome = self.run();
        assert!(outcome.code.is_some_and(|code| code != 0), "it did not fail:\n{outcome}");
        let n = outcome.stderr.lines().filter(|line| line.starts_with("error:")).count();
        assert!(n == 1, "{n} errors instead of one:\n{outcome}");
        assert!(!outcome.stderr.contains("panicked"), "a panic:\n{outcome}");
        outcome
    }

    /// Starts it.
    pub fn spawn(mut self) -> Running {
        let [stdout, stderr] = [log(), log()];
        let handle = |file: &NamedTempFile| file.reopen().map(Stdio::from).unwrap_or_else(no_log);
        let child = self.0.stdout(handle(&stdout)).stderr(handle(&stderr)).spawn();
        let child = child.unwrap_or_else(|e| panic!("cannot start {:?}: {e}", self.0));
        Running { child, stdout, stderr, call: self.0 }
    }
}

fn log() -> NamedTempFile {
    NamedTempFile::new().unwrap_or_else(no_log)
}

fn no_log<T>(error: std::io::Error) -> T {
    panic!("no file for what is printed: {error}")
}

/// A call under way.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: NamedTempFile,
    stderr: NamedTempFile,
    call: Command,
}

impl Running {
    /// Waits until `seen` gives something. What is waited for must come to pass before the call ends.
    pub fn until<T>(&mut self, what: &str, mut seen: impl FnMut() -> Option<T>) -> T {
        let started = Instant::now();
        loop {
            if let Some(found) = seen() {
                return found;
            }
            if !matches!(self.child.try_wait(), Ok(None)) || started.elapsed() > PATIENCE {
                panic!("waited in vain for {what}:\n{}", self.outcome(None));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until stdout holds this text.
    pub fn until_it_says(&mut self, text: &str) {
        let path = self.stdout.path().to_owned();
        self.until(text, || read(&path).contains(text).then_some(()));
    }

    /// Sends a signal to xtask alone.
    pub fn signal(&self, signal: Signal) {
        send(self.child.id(), signal);
    }

    /// Kills xtask and every process it started, without a chance to clean up.
    pub fn kill_all(&self) {
        let processes = descendants(self.child.id());
        self.signal(Signal::KILL);
        processes.into_iter().for_each(|process| send(process, Signal::KILL));
    }

    /// Waits for the end, which must come.
    pub fn wait(mut self) -> Outcome {
        let started = Instant::now();
        loop {
            let status = self.child.try_wait();
            match status.unwrap_or_else(|e| panic!("cannot wait for {:?}: {e}", self.call)) {
                Some(status) => return self.outcome(status.code()),
                None if started.elapsed() > PATIENCE => {
                    self.kill_all();
                    panic!("it does not end:\n{}", self.outcome(None));
                }
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }

    fn outcome(&self, code: Option<i32>) -> Outcome {
        Outcome {
            code,
            stdout: read(self.stdout.path()),
            stderr: read(self.stderr.path()),
            call: format!("{:?}", self.call),
        }
    }
}

/// A test that fails leaves nothing running.
impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.kill_all();
            let _ = self.child.wait();
        }
    }
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_else(no_log)).into_owned()
}

fn send(process: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(process).ok().and_then(Pid::from_raw) {
        // It may have ended by itself.
        let _ = kill_process(pid, signal);
    }
}

/// What a call printed, and its exit code (`None` if a signal ended it).
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The exit code.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    call: String,
}

impl Outcome {
    /// Fails the test unless stdout or stderr holds every one of these.
    pub fn says(&self, parts: &[&str]) -> &Self {
        for part in parts {
            let said = self.stdout.contains(part) || self.stderr.contains(part);
            assert!(said, "it does not say \"{part}\":\n{self}");
        }
        self
    }

    /// What the plan says of a stage: `finished`, `to run: …`.
    pub fn plan(&self, stage: &str) -> &str {
        let line = self.stdout.lines().find_map(|line| {
            let rest = line.strip_prefix("  ")?.strip_prefix(stage)?.strip_prefix(' ')?;
            rest.trim_start().split_once("  ").map(|(_, what)| what.trim())
        });
        line.unwrap_or_else(|| panic!("no plan for `{stage}`:\n{self}"))
    }

    /// How many tasks ran.
    pub fn n_run(&self) -> usize {
        let line = self.stdout.lines().find_map(|line| line.split_once(" tasks run, "));
        let n = line.and_then(|(n, _)| n.parse().ok());
        n.unwrap_or_else(|| panic!("it does not say how many tasks ran:\n{self}"))
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { code, stdout, stderr, call } = self;
        write!(f, "{call}\nexit code {code:?}\n--- stdout\n{stdout}\n--- stderr\n{stderr}")
    }
}
