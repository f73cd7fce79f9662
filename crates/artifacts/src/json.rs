//! JSON files with the path in their errors.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::ArtifactError;

/// Reads a JSON file.
///
/// # Errors
/// If it cannot be read or does not hold a `T`.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<T, ArtifactError> {
    let text = std::fs::read(path).map_err(ArtifactError::io(path))?;
    serde_json::from_slice(&text)
        .map_err(|source| ArtifactError::Json { path: path.to_owned(), source })
}

/// Writes a JSON file, indented, with a final newline.
///
/// # Errors
/// If it cannot be written.
pub fn write<T: Serialize>(path: &Path, value: &T) -> Result<(), ArtifactError> {
    let mut text = serde_json::to_vec_pretty(value)
        .map_err(|source| ArtifactError::Json { path: path.to_owned(), source })?;
    text.push(b'\n');
    std::fs::write(path, text).map_err(ArtifactError::io(path))
}
