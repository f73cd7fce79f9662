//! The split that a dataset brings along.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use hemex_artifacts::Role;

use super::Source;
use super::sheet::Sheet;
use crate::IngestError;

const NAMES: [&str; 2] = ["splits.csv", "splits.tsv"];

/// Lines that a warning names.
const MOST_NAMED: usize = 5;

/// What a dataset says of its own split.
#[derive(Debug, Default)]
pub(crate) struct Given {
    /// The folds and roles of each case by its name in the dataset.
    pub(crate) roles: BTreeMap<String, Vec<(usize, Role)>>,
    /// Rows that are of no case, and cases without a row.
    pub(crate) warnings: Vec<String>,
}

/// The split of `splits.csv` or `splits.tsv` at the dataset's root, which names its cases as they are called, with or
/// without `sub-`; nothing without such a table.
pub(crate) fn given_splits(root: &Path, sources: &[Source]) -> Result<Given, IngestError> {
    let Some(name) = NAMES.into_iter().find(|name| root.join(name).is_file()) else {
        return Ok(Given::default());
    };
    let sheet = Sheet::read(root, name)?;
    for column in ["case", "fold", "role"] {
        sheet.require(column)?;
    }
    let known: BTreeSet<&str> = sources.iter().map(|source| source.id.as_str()).collect();
    let mut roles: BTreeMap<String, Vec<(usize, Role)>> = BTreeMap::new();
    let mut strange_lines = Vec::new();
    for row in 0..sheet.n_rows() {
        let (case, fold, role) = of_row(&sheet, row)?;
        let names = [case.to_owned(), format!("sub-{case}")];
        match names.into_iter().find(|name| known.contains(name.as_str())) {
            Some(name) => roles.entry(name).or_default().push((fold, role)),
            None => strange_lines.push(sheet.line(row)),
        }
    }
    let n_without_row = known.len() - roles.len();
    let mut warnings = Vec::new();
    if !strange_lines.is_empty() {
        warnings.push(strange(&sheet, &strange_lines));
    }
    if n_without_row > 0 {
        let n = known.len();
        warnings.push(format!(
            "{n_without_row} of {n} cases have no row in {name}: they are not in the regime `given`"
        ));
    }
    Ok(Given { roles, warnings })
}

/// Case, fold and role.
fn of_row(sheet: &Sheet, row: usize) -> Result<(&str, usize, Role), IngestError> {
    let wrong = |column: &str, expected: &str| {
        let problem = format!("line {}, column `{column}`: expected {expected}", sheet.line(row));
        IngestError::Table { table: sheet.name().to_owned(), problem }
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
    Ok((case, fold, role))
}

/// The warning of rows that are of no case. Their names may be patients': lines are given.
fn strange(sheet: &Sheet, lines: &[usize]) -> String {
    let first: Vec<String> = lines.iter().take(MOST_NAMED).map(ToString::to_string).collect();
    let more = if lines.len() > MOST_NAMED { ", …" } else { "" };
    format!(
        "{} of {} rows of {} name no case of the dataset and are left out: lines {}{more}",
        lines.len(),
        sheet.n_rows(),
        sheet.name(),
        first.join(", ")
    )
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;
    use crate::Unusable;

    #[test]
    fn cases_are_found_with_or_without_prefix_and_what_does_not_match_is_counted() {
        let root = tempfile::tempdir().unwrap();
        let table =
            "case,fold,role\n001,0,train\nsub-002,0,test\nMiller,0,test\n001,1,val\n4,0,val\n";
        std::fs::write(root.path().join("splits.csv"), table).unwrap();
        let source = |id: &str| Source {
            id: id.to_owned(),
            patient: id.to_owned(),
            path: String::new(),
            scan: Err(Unusable::NoBaseline),
        };
        let sources = ["sub-001", "sub-002", "sub-003"].map(source);
        let Given { roles, warnings } = given_splits(root.path(), &sources).unwrap();
        let expected = [
            ("sub-001".to_owned(), vec![(0, Role::Train), (1, Role::Val)]),
            ("sub-002".to_owned(), vec![(0, Role::Test)]),
        ];
        assert_eq!(roles, BTreeMap::from(expected));
        assert!(warnings[0].starts_with("2 of 5 rows of splits.csv"), "{warnings:?}");
        assert!(warnings[0].ends_with("lines 4, 6"), "{warnings:?}");
        assert!(warnings[1].starts_with("1 of 3 cases have no row in splits.csv"), "{warnings:?}");

        std::fs::remove_file(root.path().join("splits.csv")).unwrap();
        assert!(given_splits(root.path(), &sources).unwrap().warnings.is_empty());
    }
}
