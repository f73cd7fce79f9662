//! `cargo xtask gallery`: contact sheets of what hemex draws, to be looked at.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::cli::GalleryArgs;
use crate::workspace;

/// Runs the command.
#[expect(clippy::print_stdout, reason = "where the pictures are is what the command tells")]
pub(crate) fn run(arguments: &GalleryArgs) -> Result<()> {
    let folder = match &arguments.folder {
        Some(folder) => std::path::absolute(folder)?,
        None => workspace::root().join("target/gallery"),
    };
    example("hemex-phantom", "phantom_gallery", &[folder.as_ref()])?;
    // A case, and one whose hematoma is planted into it.
    let files =
        ["sub-0002", "sub-0003"].map(|id| ["ct", "dseg"].map(|kind| scan(&folder, id, kind)));
    let sheets = folder.join("augment");
    let arguments = std::iter::once(&sheets).chain(files.as_flattened());
    let arguments: Vec<&OsStr> = arguments.map(|path| path.as_os_str()).collect();
    example("hemex-augment", "augment_gallery", &arguments)?;
    match std::env::var_os("HEMEX_TEST_DATA") {
        Some(_) => example("hemex-tests", "beside", &[folder.as_ref()])?,
        None => println!("HEMEX_TEST_DATA is not set: the phantom is not laid beside a real head"),
    }
    println!("pictures: {}", folder.display());
    Ok(())
}

/// A file of a scan that the phantom's gallery leaves behind.
fn scan(folder: &Path, id: &str, kind: &str) -> PathBuf {
    folder.join(format!("like_ge/{id}/ses-baseline/ct/{id}_ses-baseline_{kind}.nii.gz"))
}

fn example(package: &str, name: &str, arguments: &[&OsStr]) -> Result<()> {
    let mut command = workspace::cargo();
    command.args(["run", "--release", "--locked", "--package", package, "--example", name, "--"]);
    workspace::must_succeed(command.args(arguments), &format!("the gallery of {package}"))
}
