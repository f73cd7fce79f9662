//! Structural validators: is what a stage wrote an artifact of the kind it promised?
//!
//! They check files, columns, headers and the rules a reader relies on, and are the same for a stage
//! in Rust and for a script; the meaning of the values is the stage's own.

mod files;
mod kinds;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::Kind;

/// What makes a folder no artifact of its kind.
#[derive(Debug, thiserror::Error)]
#[error("{path} is no {kind}: {problem}")]
pub struct Invalid {
    /// The kind that was promised.
    pub kind: Kind,
    /// The file or folder at fault.
    pub path: PathBuf,
    /// What is wrong and what was expected.
    pub problem: String,
}

/// A problem with a file, before it is known of which kind the artifact was to be.
pub(crate) struct Problem {
    path: PathBuf,
    problem: String,
}

impl Problem {
    fn new(path: &Path, problem: impl Into<String>) -> Self {
        Self { path: path.to_owned(), problem: problem.into() }
    }
}

/// Checks that the folder is an artifact of this kind.
///
/// # Errors
/// [`Invalid`] with the first file or row at fault.
pub fn validate(kind: Kind, folder: &Path) -> Result<(), Invalid> {
    let check = match kind {
        Kind::Dataset => kinds::dataset,
        Kind::Cases => kinds::cases,
        Kind::Labels => kinds::labels,
        Kind::Splits => kinds::splits,
        Kind::Private => kinds::private,
        Kind::Weights => kinds::weights,
        Kind::Model => kinds::model,
        Kind::Predictions => kinds::predictions,
        Kind::Report => kinds::report,
    };
    check(folder).map_err(|Problem { path, problem }| Invalid { kind, path, problem })
}

/// The folds that a `splits/1` holds for each regime. They need not be without gaps: one in which nobody could train is
/// left out.
///
/// # Errors
/// [`Invalid`] if the table cannot be read.
pub fn folds(splits: &Path) -> Result<BTreeMap<String, BTreeSet<usize>>, Invalid> {
    kinds::folds(splits).map_err(|Problem { path, problem }| Invalid {
        kind: Kind::Splits,
        path,
        problem,
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests;
