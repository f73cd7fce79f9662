//! The split that a dataset brings along.

use std::collections::BTreeMap;
use std::path::Path;

use hemex_artifacts::Role;

use super::sheet::Sheet;
use crate::IngestError;

const NAMES: [&str; 2] = ["splits.csv", "splits.tsv"];

/// The folds and roles of each case by its name in the dataset, of `splits.csv` or `splits.tsv` at its
/// root; none without such a table.
pub(crate) fn given_splits(
    root: &Path,
) -> Result<BTreeMap<String, Vec<(usize, Role)>>, IngestError> {
    let mut given: BTreeMap<String, Vec<(usize, Role)>> = BTreeMap::new();
    let Some(name) = NAMES.into_iter().find(|name| root.join(name).is_file()) else {
        return Ok(given);
    };
    let sheet = Sheet::read(root, name)?;
    for column in ["case", "fold", "role"] {
        sheet.require(column)?;
    }
    for row in 0..sheet.n_rows() {
        let line = sheet.line(row);
        let wrong = |column: &str, expected: &str| {
            let problem = format!("line {line}, column `{column}`: expected {expected}");
            IngestError::Table { table: name.to_owned(), problem }
        };
        let case = sheet.cell(row, "case").ok_or_else(|| wrong("case", "the name of a case"))?;
        let fold = sheet.cell(row, "fold").and_then(|text| text.parse().ok());
        let fold = fold.ok_or_else(|| wrong("fold", "a whole number from 0"))?;
        let role = match sheet.cell(row, "role") {
            Some("train") => Role::Train,
            Some("val") => Role::Val,
            Some("calibration") => Role::Calibration,
            Some("test") => Role::Test,
            Some("target") => Role::Target,
            _ => return Err(wrong("role", "train, val, calibration, test or target")),
        };
        given.entry(case.to_owned()).or_default().push((fold, role));
    }
    Ok(given)
}
