//! Execution: starts tasks as their inputs appear and threads are free, and publishes their results.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use hemex_stage::digest;
use hemex_stage::validate::validate;
use hemex_stage::{KeyParts, Kind, Message, OutputRecord, Provenance, RunStore, TaskLock};
use rustix::process::Signal;

use super::build::{Programs, start};
use super::child::{signal, tail};
use super::display::{Line, Screen, clock};
use super::folds;
use super::plan::Plan;
use super::signals::StopFlag;
use super::task::State;

/// How long children may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(5);

/// Runs every task that is not finished; gives the folder of the report, if there is one.
pub(super) fn execute(
    plan: &Plan,
    states: Vec<State>,
    selection: &BTreeSet<String>,
    fresh: bool,
    programs: &Programs,
    store: &RunStore,
    n_threads: usize,
) -> Result<Option<PathBuf>> {
    let (events, inbox) = channel();
    let mut run = Run {
        plan,
        selection,
        fresh,
        programs,
        store,
        states,
        free_threads: n_threads,
        running: Vec::new(),
        started: vec![false; plan.tasks.len()],
        screen: Screen::new(),
        stop: StopFlag::listen()?,
        events,
        failure: None,
        n_run: 0,
    };
    run.failure = run.check_folds().err();
    run.until_done(&inbox)?;
    run.finish()
}

/// What a running task tells the executor.
enum Event {
    Line(usize, String),
    /// Its stdout is closed.
    Ended(usize),
}

struct Running {
    task: usize,
    parts: KeyParts,
    lock: TaskLock,
    child: Child,
    stderr: std::thread::JoinHandle<VecDeque<String>>,
    log: File,
    line: Line,
    warnings: Vec<String>,
}

struct Run<'a> {
    plan: &'a Plan,
    /// Stages that may run; what follows them stays as it is.
    selection: &'a BTreeSet<String>,
    /// Whether they run even where their result is there.
    fresh: bool,
    programs: &'a Programs,
    store: &'a RunStore,
    states: Vec<State>,
    free_threads: usize,
    running: Vec<Running>,
    started: Vec<bool>,
    screen: Screen,
    stop: StopFlag,
    events: Sender<Event>,
    failure: Option<anyhow::Error>,
    n_run: usize,
}

impl Run<'_> {
    fn until_done(&mut self, inbox: &Receiver<Event>) -> Result<()> {
        loop {
            if self.stop.is_set() {
                return self.interrupt();
            }
            if self.failure.is_none()
                && let Err(error) = self.start_ready()
            {
                self.failure = Some(error);
            }
            if self.running.is_empty() && (self.failure.is_some() || self.nothing_left()) {
                return Ok(());
            }
            match inbox.recv_timeout(Duration::from_millis(200)) {
                Ok(Event::Line(task, line)) => self.line(task, &line),
                Ok(Event::Ended(task)) => {
                    if let Err(error) = self.end(task) {
                        self.failure.get_or_insert(error);
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => (),
            }
        }
    }

    /// With nothing running, no task can start any more: all is finished, or waits for what
    /// `--only` leaves out.
    fn nothing_left(&self) -> bool {
        !(0..self.states.len()).any(|task| self.can_start(task))
    }

    fn can_start(&self, task: usize) -> bool {
        matches!(self.states[task], State::Ready { .. })
            && !self.started[task]
            && self.selection.contains(&self.plan.stage_of(task).name)
    }

    /// Starts tasks whose inputs are there, in the order of the plan, while threads are free.
    fn start_ready(&mut self) -> Result<()> {
        for task in 0..self.states.len() {
            if !self.can_start(task) {
                continue;
            }
            let State::Ready { parts, forced, .. } = &self.states[task] else { continue };
            let threads = self.plan.threads[self.plan.tasks[task].stage];
            if threads > self.free_threads && !self.running.is_empty() {
                continue;
            }
            let (parts, forced) = (parts.clone(), *forced);
            let key = parts.digest();
            let stage = &self.plan.stage_of(task).name;
            let Some(lock) = self.store.try_lock(stage, &key)? else {
                self.wait_for_other_run(task);
                continue;
            };
            self.started[task] = true;
            // Another run may have finished it since the plan was made.
            let finished = if forced { None } else { self.store.finished(stage, &key) };
            if let Some(provenance) = finished {
                self.set_finished(task, provenance)?;
                continue;
            }
            self.free_threads = self.free_threads.saturating_sub(threads);
            self.launch(task, parts, lock)?;
        }
        Ok(())
    }

    fn wait_for_other_run(&mut self, task: usize) {
        let State::Ready { reason, .. } = &mut self.states[task] else { return };
        if !reason.ends_with("(waiting)") {
            reason.push_str(" (waiting)");
            let title = self.plan.title(task);
            self.screen.print(&format!("{title}: another run works on it, waiting for its result"));
        }
    }

    fn launch(&mut self, task: usize, parts: KeyParts, lock: TaskLock) -> Result<()> {
        let stage = self.plan.stage_of(task);
        let key = parts.digest();
        let work = self.store.prepare(&lock, &stage.name, &key)?;
        let request = self.plan.request(task, &self.states, self.store, &work);
        for output in request.outputs.values() {
            std::fs::create_dir_all(&output.path)
                .with_context(|| format!("cannot create {}", output.path.display()))?;
        }
        let path = work.join("request.json");
        std::fs::write(&path, serde_json::to_vec_pretty(&request)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
        let log_path = self.log_path(task, &key)?;
        let log = File::create(&log_path)
            .with_context(|| format!("cannot write {}", log_path.display()))?;
        let program = &self.programs[&stage.name];
        let mut child = start(program)
            .arg(&path)
            .env("RAYON_NUM_THREADS", request.threads.to_string())
            .env("PYTHONUNBUFFERED", "1")
            .stdin(lock.as_stdin()?)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A group of its own: Ctrl-C reaches xtask alone, which then stops the group in order.
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", program.join(" ")))?;
        let stderr = tail(child.stderr.take(), log.try_clone()?);
        self.forward(task, child.stdout.take());
        let line = self.screen.begin(&self.plan.title(task));
        let warnings = Vec::new();
        self.running.push(Running { task, parts, lock, child, stderr, log, line, warnings });
        Ok(())
    }

    /// Sends every line of a task's stdout to the executor, then that it ended.
    fn forward(&self, task: usize, stdout: Option<impl Read + Send + 'static>) {
        let events = self.events.clone();
        std::thread::spawn(move || {
            let lines = stdout.map(|out| BufReader::new(out).split(b'\n')).into_iter().flatten();
            for line in lines.map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                if events.send(Event::Line(task, line)).is_err() {
                    return;
                }
            }
            let _ = events.send(Event::Ended(task));
        });
    }

    fn line(&mut self, task: usize, line: &str) {
        let Some(running) = self.running.iter_mut().find(|r| r.task == task) else { return };
        match Message::parse(line) {
            Some(Message::Progress { done, total, unit, note }) => {
                self.screen.progress(&mut running.line, done, total, &unit, &note);
            }
            Some(Message::Warning(text)) => running.warnings.push(text),
            Some(Message::ConfigError(_)) | None => {
                // The log is a convenience: a full disk shows where it matters.
                let _ = writeln!(running.log, "{line}");
            }
        }
    }

    fn end(&mut self, task: usize) -> Result<()> {
        let Some(at) = self.running.iter().position(|r| r.task == task) else { return Ok(()) };
        let mut running = self.running.remove(at);
        self.free_threads += self.plan.threads[self.plan.tasks[task].stage];
        let status = running.child.wait().context("cannot wait for a stage")?;
        let errors = running.stderr.join().unwrap_or_default();
        let title = self.plan.title(task);
        if !status.success() {
            self.screen.end(running.line, "failed");
            return Err(self.failed(task, &running.parts, status, errors));
        }
        let published = self.publish(task, &running.parts, &running.lock, running.warnings);
        let provenance = published.with_context(|| title)?;
        self.screen.end(running.line, "done");
        self.n_run += 1;
        self.set_finished(task, provenance)
    }

    fn failed(
        &self,
        task: usize,
        parts: &KeyParts,
        status: ExitStatus,
        errors: VecDeque<String>,
    ) -> anyhow::Error {
        let lines = Vec::from(errors).join("\n  ");
        let why = if lines.is_empty() { "it said nothing on stderr".to_owned() } else { lines };
        let log = self.log_path(task, &parts.digest()).unwrap_or_default();
        anyhow!(
            "{} failed ({status}):\n  {why}\n  its whole log: {}",
            self.plan.title(task),
            log.display()
        )
    }

    /// Validates what the task wrote and moves it to its final name.
    fn publish(
        &self,
        task: usize,
        parts: &KeyParts,
        lock: &TaskLock,
        warnings: Vec<String>,
    ) -> Result<Provenance> {
        let stage = self.plan.stage_of(task);
        let key = parts.digest();
        let output_folder = self.store.work_folder(&stage.name, &key).join("output");
        let mut outputs = BTreeMap::new();
        for (name, kind) in &stage.outputs {
            let folder = output_folder.join(name);
            validate(*kind, &folder)
                .with_context(|| format!("output `{name}` is not what the stage promised"))?;
            let files = digest::folder(&folder, None)
                .with_context(|| format!("cannot read {}", folder.display()))?;
            let digest = digest::of_records(&files);
            outputs.insert(name.clone(), OutputRecord { kind: *kind, digest, files });
        }
        let provenance = Provenance {
            stage: stage.name.clone(),
            axes: self.plan.tasks[task].axes.clone(),
            key,
            key_parts: parts.clone(),
            inputs: self.plan.input_records(task, &self.states),
            outputs,
            warnings,
        };
        self.store.publish(lock, &provenance)?;
        Ok(provenance)
    }

    /// Notes a result; tasks that waited for it get their key. Splits must have the folds that later
    /// tasks ask for.
    fn set_finished(&mut self, task: usize, provenance: Provenance) -> Result<()> {
        let has_splits = provenance.outputs.values().any(|output| output.kind == Kind::Splits);
        self.states[task] = State::Finished(provenance);
        for later in task + 1..self.states.len() {
            if matches!(self.states[later], State::Waits { .. }) {
                let stage = &self.plan.stage_of(later).name;
                let fresh = self.fresh && self.selection.contains(stage);
                self.states[later] = self.plan.state(later, &self.states, self.store, fresh);
            }
        }
        if has_splits { self.check_folds() } else { Ok(()) }
    }

    fn check_folds(&self) -> Result<()> {
        folds::check(self.plan, &self.states, self.selection, self.store)
    }

    fn log_path(&self, task: usize, key: &str) -> Result<PathBuf> {
        let folder = self.store.root().join(".logs");
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        Ok(folder.join(format!("{}-{key}.log", self.plan.stage_of(task).name)))
    }

    /// Stops the children, first politely, and says what is kept.
    fn interrupt(&mut self) -> Result<()> {
        for running in &self.running {
            signal(&running.child, Signal::TERM);
        }
        let deadline = Instant::now() + GRACE;
        for running in &mut self.running {
            while Instant::now() < deadline && matches!(running.child.try_wait(), Ok(None)) {
                std::thread::sleep(Duration::from_millis(50));
            }
            signal(&running.child, Signal::KILL);
            let _ = running.child.wait();
        }
        let n_finished = self.states.iter().filter(|s| matches!(s, State::Finished(_))).count();
        bail!(
            "stopped. {n_finished} of {} finished tasks are kept in {}; to go on where it stopped:\n  {}",
            self.states.len(),
            self.store.root().display(),
            self.plan.command
        );
    }

    /// The end of the run: warnings, the report, the next command; or the failure.
    fn finish(self) -> Result<Option<PathBuf>> {
        if let Some(error) = self.failure {
            self.screen.print(&format!(
                "finished tasks are kept; after mending, go on with:\n  {}",
                self.plan.command
            ));
            return Err(error);
        }
        let (mut report, mut predictions) = (None, Vec::new());
        for (task, state) in self.states.iter().enumerate() {
            let State::Finished(provenance) = state else { continue };
            for warning in &provenance.warnings {
                println!("warning: {}: {warning}", self.plan.title(task));
            }
            let folder = self.store.task_folder(&provenance.stage, &provenance.key);
            for (name, output) in &provenance.outputs {
                match output.kind {
                    Kind::Report => report = Some(folder.join(name)),
                    Kind::Predictions => predictions.push(folder.join(name)),
                    _ => (),
                }
            }
        }
        let took = clock(self.screen.elapsed());
        println!("{} tasks run, {} in all, {took}", self.n_run, self.states.len());
        if report.is_none() {
            for folder in predictions {
                println!("predictions: {}", folder.join("predictions.csv").display());
            }
        }
        if let Some(report) = &report {
            let page = report.join("report.html");
            println!("report: {}", page.display());
            println!("next: open it in a browser, or `cargo xtask explain {}`", page.display());
        }
        Ok(report)
    }
}
