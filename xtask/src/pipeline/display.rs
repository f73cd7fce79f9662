//! What the user sees: the plan, a bar a task, the end.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use hemex_stage::RunStore;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::plan::Plan;
use super::task::State;

/// Prints a line a stage: how many tasks, how many finished, why the rest is not.
pub(super) fn print_plan(plan: &Plan, states: &[State], store: &RunStore) {
    let n_finished = states.iter().filter(|s| matches!(s, State::Finished(_))).count();
    let name = plan.pipeline.path.file_stem().unwrap_or_default().to_string_lossy();
    println!("pipeline {name}: {} tasks, {n_finished} finished", states.len());
    for (name, external) in &plan.externals {
        println!("  input {name} ({}): {}", external.kind, external.folder.display());
    }
    let width = plan.pipeline.stages.iter().map(|s| s.name.len()).max().unwrap_or(0);
    for (i, stage) in plan.pipeline.stages.iter().enumerate() {
        let states: Vec<_> =
            states.iter().zip(&plan.tasks).filter(|(_, t)| t.stage == i).map(|(s, _)| s).collect();
        let n_left = states.iter().filter(|s| !matches!(s, State::Finished(_))).count();
        let what = match n_left {
            0 => "finished".to_owned(),
            n if n == states.len() => format!("to run: {}", reasons(&states)),
            n => format!("{} finished, {n} to run: {}", states.len() - n, reasons(&states)),
        };
        let n = states.len();
        let tasks = if n == 1 { "1 task " } else { &format!("{n} tasks") };
        println!("  {:width$}  {tasks}  {what}", stage.name);
    }
    if n_finished < states.len() {
        println!("  kept in {}", store.root().display());
    }
}

/// The different reasons, the most frequent first.
fn reasons(states: &[&State]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for state in states {
        if let State::Ready { reason, .. } | State::Waits { reason } = state {
            *counts.entry(reason).or_default() += 1;
        }
    }
    let mut reasons: Vec<_> = counts.into_iter().collect();
    reasons.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    let shown: Vec<_> = reasons.iter().take(2).map(|(reason, _)| *reason).collect();
    shown.join("; ")
}

/// Shows running tasks: bars on a terminal, else a line at most every ten seconds a task.
pub(super) struct Screen {
    bars: Option<MultiProgress>,
    started: Instant,
}

/// A running task on the screen.
pub(super) struct Line {
    title: String,
    bar: Option<ProgressBar>,
    started: Instant,
    printed: Instant,
    first_done: Option<usize>,
}

impl Screen {
    pub(super) fn new() -> Self {
        let bars = std::io::stdout()
            .is_terminal()
            .then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stdout()));
        Self { bars, started: Instant::now() }
    }

    pub(super) fn begin(&self, title: &str) -> Line {
        let bar = self.bars.as_ref().map(|bars| {
            let bar = bars.add(ProgressBar::new_spinner());
            bar.set_style(style("{spinner} {prefix} {msg}"));
            bar.set_prefix(title.to_owned());
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        if bar.is_none() {
            println!("{} {title}: started", clock(self.started.elapsed()));
        }
        let now = Instant::now();
        Line { title: title.to_owned(), bar, started: now, printed: now, first_done: None }
    }

    /// A finished task's last line.
    pub(super) fn end(&self, line: Line, what: &str) {
        let took = clock(line.started.elapsed());
        let text = format!("{} {}: {what} in {took}", clock(self.started.elapsed()), line.title);
        if let Some(bar) = line.bar {
            bar.finish_and_clear();
        }
        self.print(&text);
    }

    pub(super) fn print(&self, text: &str) {
        match &self.bars {
            Some(bars) => {
                let _ = bars.println(text);
            }
            None => println!("{text}"),
        }
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// How far the task is.
    pub(super) fn progress(
        &self,
        line: &mut Line,
        done: usize,
        total: usize,
        unit: &str,
        note: &str,
    ) {
        let first = *line.first_done.get_or_insert(done);
        if let Some(bar) = &line.bar {
            if bar.length() != Some(total as u64) {
                bar.set_length(total as u64);
                bar.set_style(style(&format!(
                    "{{spinner}} {{prefix}} {{bar:24}} {{pos}}/{{len}} {unit} {{per_sec}} ETA {{eta}} {{msg}}"
                )));
                // What an interrupted run had done already says nothing of the rate.
                bar.reset_eta();
            }
            bar.set_position(done as u64);
            bar.set_message(note.to_owned());
        } else if line.printed.elapsed() > Duration::from_secs(10) {
            line.printed = Instant::now();
            let took = line.started.elapsed();
            let eta = match done.saturating_sub(first) {
                0 => String::new(),
                n => {
                    let left = total.saturating_sub(done) as f64 / n as f64;
                    format!(", ETA {}", clock(took.mul_f64(left)))
                }
            };
            let note = if note.is_empty() { String::new() } else { format!(", {note}") };
            let clock = clock(self.started.elapsed());
            println!("{clock} {}: {done}/{total} {unit}{eta}{note}", line.title);
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// `m:ss` or `h:mm:ss`.
pub(super) fn clock(duration: Duration) -> String {
    let s = duration.as_secs();
    match s / 3600 {
        0 => format!("{}:{:02}", s / 60, s % 60),
        hours => format!("{hours}:{:02}:{:02}", s / 60 % 60, s % 60),
    }
}
