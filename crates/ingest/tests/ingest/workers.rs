//! DICOM read in processes of their own: what becomes of one costs its case alone.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::support::series::{Series, write};
use crate::support::{DICOM, grid, head};
use hemex_ingest::Unusable;
use hemex_ingest::dicom::read_series;
use hemex_ingest::dicom::worker::{ARGUMENT, Workers};

fn series(folder: &Path) -> Vec<PathBuf> {
    let geometry = grid().window([8, 20, 20], [6, 50, 40]).unwrap();
    write(folder, &head(geometry, 10.0), &Series::default());
    hemex_stage::digest::list_files(folder).unwrap()
}

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_hemex-ingest"))
}

/// Workers that are a shell script.
fn scripted(folder: &Path, script: &str) -> Workers {
    let path = folder.join("worker.sh");
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    Workers::new(&path, 1)
}

#[test]
fn a_worker_reads_what_is_read_here_and_goes_on_to_the_next_case() {
    let folder = tempfile::tempdir().unwrap();
    let files = series(folder.path());
    let workers = Workers::new(program(), 1);
    let expected = read_series(&files, &DICOM).unwrap();
    assert_eq!(workers.read_series(&files, &DICOM).unwrap(), expected);
    // A reason is handed on word by word.
    let reason = workers.read_series(&files[..1], &DICOM).unwrap_err();
    assert_eq!(reason.to_string(), read_series(&files[..1], &DICOM).unwrap_err().to_string());
    assert_eq!(workers.read_series(&files, &DICOM).unwrap(), expected);
}

#[test]
fn a_worker_that_ends_or_talks_nonsense_costs_its_case() {
    let folder = tempfile::tempdir().unwrap();
    for script in ["exit 3", "read job; kill -9 $$", "read job; echo '{\"Series\": 3}'", "echo"] {
        let reason = scripted(folder.path(), script).read_series(&[], &DICOM).unwrap_err();
        let Unusable::Worker { problem } = &reason else { panic!("{reason}") };
        assert!(problem.contains("made the reader stop"), "{script}: {problem}");
    }
    let reason = Workers::new(Path::new("/nowhere"), 1).read_series(&[], &DICOM).unwrap_err();
    assert!(reason.to_string().contains("could not be started"), "{reason}");
}

#[test]
fn a_worker_that_takes_too_long_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let pid_file = folder.path().join("pid");
    let script = format!("echo $$ > {}; exec sleep 600", pid_file.display());
    // Long enough for a shell to start on a busy machine.
    let workers = scripted(folder.path(), &script).with_time_limit(Duration::from_secs(3));
    let reason = workers.read_series(&[], &DICOM).unwrap_err();
    assert!(reason.to_string().contains("longer than 3 s"), "{reason}");
    let pid = std::fs::read_to_string(&pid_file).unwrap();
    assert!(!Path::new("/proc").join(pid.trim()).exists(), "it is still there");
}

/// The limit is that of the process, whatever its codecs do.
#[cfg(target_os = "linux")]
#[test]
fn a_workers_memory_is_limited() {
    use std::io::{BufRead, Write};
    let mut child = std::process::Command::new(program())
        .arg(ARGUMENT)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let settings = serde_json::to_value(&DICOM).unwrap();
    let job = serde_json::json!({ "files": [], "settings": settings });
    writeln!(child.stdin.as_mut().unwrap(), "{job}").unwrap();
    let mut answer = String::new();
    std::io::BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut answer).unwrap();
    assert!(answer.contains("no DICOM file"), "{answer}");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max address space")).unwrap();
    let expected = hemex_artifacts::limits::MAX_WORKER_BYTES.to_string();
    assert!(line.split_whitespace().any(|word| word == expected), "{line}");
}
