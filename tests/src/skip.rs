//! What not every machine has; a test that needs it says so and is skipped. With `HEMEX_SKIP_NOTHING=1`
//! all of it must be there.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of real scans, from `HEMEX_TEST_DATA`.
pub fn real_data(test: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("HEMEX_TEST_DATA").map(PathBuf::from);
    if folder.is_none() {
        missing(test, "HEMEX_TEST_DATA, a folder of real scans, is not set");
    }
    folder
}

/// Whether `python3` can be called.
pub fn has_python(test: &str) -> bool {
    let version = Command::new("python3").arg("--version").output();
    let found = version.is_ok_and(|output| output.status.success());
    if !found {
        missing(test, "there is no python3");
    }
    found
}

/// Whether a test of this many minutes is run: only with `HEMEX_SKIP_NOTHING=1`.
pub fn has_time(test: &str, minutes: usize) -> bool {
    let found = skips_nothing();
    if !found {
        note(test, &format!("takes {minutes} minutes; HEMEX_SKIP_NOTHING=1 runs it"));
    }
    found
}

/// Says that a test is skipped and why, where `cargo xtask test` looks for it too. With
/// `HEMEX_SKIP_NOTHING=1` it fails the test instead.
pub fn missing(test: &str, reason: &str) {
    assert!(
        !skips_nothing(),
        "{test}: {reason}, and with HEMEX_SKIP_NOTHING=1 no test may be skipped"
    );
    note(test, reason);
}

fn skips_nothing() -> bool {
    std::env::var("HEMEX_SKIP_NOTHING").is_ok_and(|value| value == "1")
}

fn note(test: &str, reason: &str) {
    println!("skipped {test}: {reason}");
    if let Some(path) = std::env::var_os("HEMEX_SKIPPED") {
        let file = fs::File::options().append(true).create(true).open(&path);
        let written = file.and_then(|mut file| writeln!(file, "{test}: {reason}"));
        written.unwrap_or_else(|e| panic!("{}: {e}", Path::new(&path).display()));
    }
}

/// Unpacks a `.tar.xz`, with `tar` or else with Python.
pub fn unpack(archive: &Path, folder: &Path) -> anyhow::Result<()> {
    anyhow::ensure!(archive.is_file(), "{} is not there", archive.display());
    fs::create_dir_all(folder)?;
    let by_tar = Command::new("tar").arg("-xf").arg(archive).arg("-C").arg(folder).output();
    if by_tar.is_ok_and(|output| output.status.success()) {
        return Ok(());
    }
    let script = "import sys, tarfile; tarfile.open(sys.argv[1]).extractall(sys.argv[2])";
    let python = Command::new("python3").args(["-c", script]).arg(archive).arg(folder).output()?;
    anyhow::ensure!(
        python.status.success(),
        "neither tar nor python3 unpacks {}",
        archive.display()
    );
    Ok(())
}
