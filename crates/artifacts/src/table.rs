//! CSV tables as typed rows: a header, floats in shortest round-trip form, empty cells for unknown.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::ArtifactError;

/// Reads every row; columns are found by name, further ones are ignored.
///
/// # Errors
/// If the file cannot be read, or a row does not fit (with its line).
pub fn read_rows<Row: DeserializeOwned>(path: &Path) -> Result<Vec<Row>, ArtifactError> {
    let error = |source| ArtifactError::Table { path: path.to_owned(), source };
    let mut reader = csv::Reader::from_path(path).map_err(error)?;
    reader.deserialize().collect::<Result<_, _>>().map_err(error)
}

/// Writes a header and the rows. An empty table gets its header from `columns`.
///
/// # Errors
/// If the file cannot be written.
pub fn write_rows<Row: Serialize>(
    path: &Path,
    columns: &[&str],
    rows: &[Row],
) -> Result<(), ArtifactError> {
    let error = |source| ArtifactError::Table { path: path.to_owned(), source };
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_path(path).map_err(error)?;
    writer.write_record(columns).map_err(error)?;
    for row in rows {
        writer.serialize(row).map_err(error)?;
    }
    writer.flush().map_err(ArtifactError::io(path))
}
