//! Real scans, where `HEMEX_TEST_DATA` says they are.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of real data, or `None` (with a line that says so) where it is not set. With
/// `HEMEX_SKIP_NOTHING=1` it must be there.
pub(crate) fn data(test: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("HEMEX_TEST_DATA").map(PathBuf::from);
    if folder.is_none() {
        let skip_nothing = std::env::var("HEMEX_SKIP_NOTHING").is_ok_and(|value| value == "1");
        assert!(!skip_nothing, "{test}: with HEMEX_SKIP_NOTHING=1 HEMEX_TEST_DATA must be set");
        let line = format!("{test}: HEMEX_TEST_DATA, a folder of real scans, is not set\n");
        print!("skipped: {line}");
        // Where `cargo xtask test` gathers what was skipped.
        if let Some(path) = std::env::var_os("HEMEX_SKIPPED") {
            let mut list = std::fs::File::options().append(true).create(true).open(path).unwrap();
            list.write_all(line.as_bytes()).unwrap();
        }
    }
    folder
}

/// Unpacks a `.tar.xz` into a folder of its own, with `tar` or else with Python.
pub(crate) fn unpacked(archive: &Path) -> tempfile::TempDir {
    assert!(archive.is_file(), "{} is not there", archive.display());
    let folder = tempfile::tempdir().unwrap();
    let by_tar = Command::new("tar").arg("-xf").arg(archive).arg("-C").arg(folder.path()).output();
    if by_tar.is_ok_and(|output| output.status.success()) {
        return folder;
    }
    let script = "import sys, tarfile; tarfile.open(sys.argv[1]).extractall(sys.argv[2])";
    let by_python =
        Command::new("python3").args(["-c", script]).arg(archive).arg(folder.path()).output();
    assert!(by_python.unwrap().status.success(), "neither tar nor python3 unpacks .tar.xz here");
    folder
}
