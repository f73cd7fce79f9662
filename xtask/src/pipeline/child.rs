//! The processes of running tasks: signals to them, and what they say on stderr.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::Child;

use rustix::process::{Pid, Signal, kill_process_group};

/// How many lines of a failed task's stderr are shown.
const N_ERROR_LINES: usize = 12;

/// Sends a signal to a task's process and all that it started.
pub(super) fn signal(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // The group may have ended by itself.
        let _ = kill_process_group(pid, signal);
    }
}

/// Reads stderr to its end, into the log, and keeps its last lines.
pub(super) fn tail(
    stderr: Option<impl Read + Send + 'static>,
    mut log: File,
) -> std::thread::JoinHandle<VecDeque<String>> {
    std::thread::spawn(move || {
        let mut last = VecDeque::new();
        let lines = stderr.map(|err| BufReader::new(err).split(b'\n')).into_iter().flatten();
        for line in lines.map_while(Result::ok) {
            let _ = log.write_all(&[&line, &b"\n"[..]].concat());
            last.push_back(String::from_utf8_lossy(&line).into_owned());
            if last.len() > N_ERROR_LINES {
                last.pop_front();
            }
        }
        last
    })
}
