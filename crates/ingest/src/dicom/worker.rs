//! DICOM read in processes of their own, within limits of memory and time.
//!
//! A codec that aborts, or takes what it must not, costs its case and not the run. A worker reads jobs
//! from stdin, a JSON object a line, and answers on stdout: a line of JSON, and the voxels behind it as
//! little-endian f32. It lives from job to job.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use hemex_artifacts::limits::{MAX_VOXELS, MAX_WORKER_BYTES, MAX_WORKER_SECONDS};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Facts, Series, Stack, read_series};
use crate::{DicomSettings, Unusable};

/// The argument that makes the program a worker.
pub const ARGUMENT: &str = "--dicom-worker";

/// Voxels are handed on in pieces of so many bytes.
const CHUNK_BYTES: usize = 1 << 18;

/// The longest line of an answer, which names the source of each slice.
const MAX_LINE_BYTES: u64 = 64 << 20;

/// What a pipe to a worker holds, as much as an ordinary user may have.
#[cfg(target_os = "linux")]
const PIPE_BYTES: usize = 1 << 20;

#[derive(Serialize, Deserialize)]
struct Job {
    files: Vec<PathBuf>,
    settings: DicomSettings,
}

#[derive(Serialize, Deserialize)]
enum Answer {
    Series { stack: Stack, facts: Box<Facts>, n_voxels: usize, is_whole: bool },
    Unusable(String),
}

/// Works on jobs from stdin until it ends, in a process whose memory is limited.
///
/// # Errors
/// If stdin or stdout fail, which means that whoever gave the jobs has gone.
pub fn serve() -> io::Result<()> {
    limit_memory();
    let mut stdout = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let job: Job = serde_json::from_str(&line?)?;
        match read_series(&job.files, &job.settings) {
            Ok(Series { stack, voxels, facts }) => {
                let (n_voxels, is_whole) = (voxels.len(), are_whole(&voxels));
                let answer = Answer::Series { stack, facts: Box::new(facts), n_voxels, is_whole };
                write_line(&mut stdout, &answer)?;
                write_voxels(&mut stdout, &voxels, is_whole)?;
            }
            Err(reason) => write_line(&mut stdout, &Answer::Unusable(reason.to_string()))?,
        }
        stdout.flush()?;
    }
    Ok(())
}

fn write_line(to: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *to, value)?;
    to.write_all(b"\n")
}

/// Added to a number of less than 22 bits, it leaves no bits for a fraction: 1.5 · 2²³.
const ROUNDING: f32 = 12_582_912.0;

/// Whether all are whole numbers of 16 bits, as HU mostly are: half as much to hand on.
fn are_whole(voxels: &[f32]) -> bool {
    let is_whole = |v: f32| ((v + ROUNDING) - ROUNDING == v) & (v.abs() <= 32767.0);
    let pieces = voxels.par_chunks(CHUNK_BYTES / 4);
    pieces.all(|piece| piece.iter().fold(true, |whole, v| whole & is_whole(*v)))
}

fn write_voxels(to: &mut impl Write, voxels: &[f32], is_whole: bool) -> io::Result<()> {
    let mut bytes = vec![0u8; CHUNK_BYTES];
    for chunk in voxels.chunks(CHUNK_BYTES / 4) {
        if is_whole {
            let bytes = &mut bytes[..chunk.len() * 2];
            let pairs = bytes.as_chunks_mut::<2>().0.iter_mut().zip(chunk);
            pairs.for_each(|(bytes, voxel)| {
                let whole = (*voxel + ROUNDING).to_bits().wrapping_sub(ROUNDING.to_bits());
                *bytes = (whole as i16).to_le_bytes();
            });
            to.write_all(bytes)?;
        } else {
            let bytes = &mut bytes[..chunk.len() * 4];
            let pairs = bytes.as_chunks_mut::<4>().0.iter_mut().zip(chunk);
            pairs.for_each(|(bytes, voxel)| *bytes = voxel.to_le_bytes());
            to.write_all(bytes)?;
        }
    }
    Ok(())
}

fn read_voxels(from: &mut impl Read, n_voxels: usize, is_whole: bool) -> io::Result<Vec<f32>> {
    // Grows as it is filled: memory that is about to be written need not be cleared first.
    let mut voxels: Vec<f32> = Vec::with_capacity(n_voxels);
    let mut bytes = vec![0u8; CHUNK_BYTES];
    while voxels.len() < n_voxels {
        let n = (n_voxels - voxels.len()).min(CHUNK_BYTES / 4);
        if is_whole {
            let bytes = &mut bytes[..n * 2];
            from.read_exact(bytes)?;
            let stored = bytes.as_chunks::<2>().0.iter();
            voxels.extend(stored.map(|b| f32::from(i16::from_le_bytes(*b))));
        } else {
            let bytes = &mut bytes[..n * 4];
            from.read_exact(bytes)?;
            voxels.extend(bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)));
        }
    }
    Ok(voxels)
}

/// Where the system knows no such limit, the time limit alone holds.
fn limit_memory() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        let limit = Rlimit { current: Some(MAX_WORKER_BYTES), maximum: Some(MAX_WORKER_BYTES) };
        // It can fail only where a stricter limit is set already.
        let _ = setrlimit(Resource::As, limit);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = MAX_WORKER_BYTES;
}

/// Worker processes, of which one is started where none is idle.
#[derive(Debug)]
pub struct Workers {
    program: PathBuf,
    threads: usize,
    limit: Duration,
    idle: Mutex<Vec<Worker>>,
}

#[derive(Debug)]
struct Worker {
    child: Child,
    answers: BufReader<std::process::ChildStdout>,
}

impl Workers {
    /// Workers that are `program ARGUMENT`, each with so many threads.
    pub fn new(program: &Path, threads: usize) -> Self {
        Self {
            program: program.to_owned(),
            threads,
            limit: Duration::from_secs(MAX_WORKER_SECONDS),
            idle: Mutex::new(Vec::new()),
        }
    }

    /// With another limit of time for a case.
    #[must_use]
    pub fn with_time_limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// As [`read_series`], in a worker.
    ///
    /// # Errors
    /// As [`read_series`], and [`Unusable::Worker`] if the worker ends or is ended for taking too long.
    pub fn read_series(
        &self,
        files: &[PathBuf],
        settings: &DicomSettings,
    ) -> Result<Series, Unusable> {
        let job = Job { files: files.to_vec(), settings: settings.clone() };
        let job = serde_json::to_string(&job)
            .map_err(|_| Unusable::Worker { problem: "a path of its files is not UTF-8".into() })?;
        let idle = self.idle.lock().ok().and_then(|mut idle| idle.pop());
        let worker = match idle {
            Some(worker) => worker,
            None => self.start()?,
        };
        let (worker, answer) = self.ask(worker, &job)?;
        if let Ok(mut idle) = self.idle.lock() {
            idle.push(worker);
        }
        answer
    }

    fn start(&self) -> Result<Worker, Unusable> {
        let started = Command::new(&self.program)
            .arg(ARGUMENT)
            .env("RAYON_NUM_THREADS", self.threads.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // What a codec says may hold what the file holds.
            .stderr(Stdio::null())
            .spawn();
        let problem = || Unusable::Worker { problem: "it could not be started".into() };
        let mut child = started.map_err(|_| problem())?;
        let stdout = child.stdout.take().ok_or_else(problem)?;
        #[cfg(target_os = "linux")]
        // A series then takes some hundred switches between the processes in place of thousands. Where
        // the system gives less, it goes on with that.
        let _ = rustix::pipe::fcntl_setpipe_size(&stdout, PIPE_BYTES);
        Ok(Worker { child, answers: BufReader::new(stdout) })
    }

    /// Gives a job to a worker and waits for its answer, while another thread watches the time.
    fn ask(&self, mut worker: Worker, job: &str) -> Result<Asked, Unusable> {
        let ended = || Unusable::Worker {
            problem: "its files made the reader stop: damaged, or more memory than is allowed"
                .into(),
        };
        let Some(mut stdin) = worker.child.stdin.take() else {
            end(worker.child);
            return Err(ended());
        };
        let Worker { child, mut answers } = worker;
        let (done, waits) = mpsc::channel::<()>();
        let limit = self.limit;
        std::thread::scope(|scope| {
            let watch = scope.spawn(move || match waits.recv_timeout(limit) {
                Err(RecvTimeoutError::Timeout) => {
                    end(child);
                    None
                }
                Ok(()) | Err(RecvTimeoutError::Disconnected) => Some(child),
            });
            let answer = writeln!(stdin, "{job}").and_then(|()| read_answer(&mut answers));
            drop(done);
            match (watch.join(), answer) {
                (Ok(Some(mut child)), Ok(answer)) => {
                    child.stdin = Some(stdin);
                    Ok((Worker { child, answers }, answer))
                }
                (Ok(Some(child)), Err(_)) => {
                    end(child);
                    Err(ended())
                }
                (Ok(None) | Err(_), _) => Err(Unusable::Worker {
                    problem: format!("reading it takes longer than {} s", limit.as_secs_f64()),
                }),
            }
        })
    }
}

type Asked = (Worker, Result<Series, Unusable>);

fn read_answer(from: &mut impl BufRead) -> io::Result<Result<Series, Unusable>> {
    let mut line = String::new();
    from.by_ref().take(MAX_LINE_BYTES).read_line(&mut line)?;
    match serde_json::from_str(&line)? {
        Answer::Unusable(problem) => Ok(Err(Unusable::Reported { problem })),
        Answer::Series { stack, facts, n_voxels, is_whole } => {
            if n_voxels > MAX_VOXELS {
                return Err(io::ErrorKind::InvalidData.into());
            }
            let voxels = read_voxels(from, n_voxels, is_whole)?;
            Ok(Ok(Series { stack, voxels, facts: *facts }))
        }
    }
}

/// Ends a process and takes note of its end, so that none is left behind.
fn end(mut child: Child) {
    let _ = child.kill();
    let _ = child.wait();
}

impl Drop for Workers {
    fn drop(&mut self) {
        let idle = self.idle.get_mut().map(std::mem::take).unwrap_or_default();
        idle.into_iter().for_each(|worker| end(worker.child));
    }
}
