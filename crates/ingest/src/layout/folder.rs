use std::path::{Path, PathBuf};

use super::ImageFiles;
use crate::{IngestError, Unusable};

/// What lies in a folder, hidden entries left out, sorted by name.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Files with their names.
    pub(super) files: Vec<(String, PathBuf)>,
    /// Folders with their names.
    pub(super) folders: Vec<(String, PathBuf)>,
}

/// Lists a folder whose name tells no patient.
pub(super) fn list(folder: &Path, layout: &'static str) -> Result<Listing, IngestError> {
    read(folder).map_err(|error| IngestError::Dataset {
        layout,
        problem: format!("a folder cannot be listed ({})", error.kind()),
    })
}

/// Lists a folder of a case; one that is not there or cannot be read has no files.
pub(super) fn list_case(folder: &Path) -> Listing {
    read(folder).unwrap_or_default()
}

fn read(folder: &Path) -> std::io::Result<Listing> {
    let mut listing = Listing::default();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let Some(name) = path.file_name().map(|name| name.to_string_lossy().into_owned()) else {
            continue;
        };
        if name.starts_with('.') {
            continue;
        }
        let part = if path.is_dir() { &mut listing.folders } else { &mut listing.files };
        part.push((name, path));
    }
    listing.files.sort();
    listing.folders.sort();
    Ok(listing)
}

/// The name without its ending, if that is one of NIfTI: `.nii`, or `.hdr` of a pair; either may be
/// followed by `.gz`.
pub(super) fn nifti_stem(name: &str) -> Option<&str> {
    let plain = name.strip_suffix(".gz").unwrap_or(name);
    plain.strip_suffix(".nii").or_else(|| plain.strip_suffix(".hdr"))
}

/// Whether a file is a medium's directory by its name, which the standard sets (PS3.10, 8.6). What it lists is
/// found by content as well, and so is what it forgot.
pub(super) fn is_dicomdir(path: &Path) -> bool {
    path.is_file() && path.file_name().is_some_and(|name| name.eq_ignore_ascii_case("DICOMDIR"))
}

/// Every file below a folder of DICOM files.
pub(super) fn dicom_tree(folder: &Path) -> Result<ImageFiles, Unusable> {
    let files = hemex_stage::digest::list_files(folder).map_err(|_| Unusable::NoDicom)?;
    if files.is_empty() { Err(Unusable::NoDicom) } else { Ok(ImageFiles::Dicom(files)) }
}

/// The one file of a choice, none, or a reason why not.
pub(super) fn at_most_one<T>(
    what: &'static str,
    mut candidates: Vec<T>,
) -> Result<Option<T>, Unusable> {
    match candidates.len() {
        0 | 1 => Ok(candidates.pop()),
        n => Err(Unusable::Ambiguous { what, n }),
    }
}

/// A path below the dataset's folder, `/` between parts; `.` is the folder itself.
pub(super) fn relative(root: &Path, path: &Path) -> String {
    match path.strip_prefix(root).unwrap_or(path).to_string_lossy() {
        here if here.is_empty() => ".".to_owned(),
        below => below.into_owned(),
    }
}
