use std::collections::HashMap;
use std::path::PathBuf;

use super::Problem;

/// A CSV table with its columns by name; every cell is text.
pub(super) struct Table {
    path: PathBuf,
    columns: HashMap<String, usize>,
    rows: Vec<csv::StringRecord>,
}

/// A row together with the table it came from.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    table: &'a Table,
    cells: &'a csv::StringRecord,
    line: usize,
}

impl Table {
    /// Reads a table and checks that it has these columns; further ones are allowed.
    pub(super) fn read(path: PathBuf, required: &[&str]) -> Result<Self, Problem> {
        let problem = |e: csv::Error| Problem::new(&path, e.to_string());
        let mut reader = csv::Reader::from_path(&path).map_err(problem)?;
        let header = reader.headers().map_err(problem)?.clone();
        let columns: HashMap<_, _> =
            header.iter().enumerate().map(|(i, name)| (name.to_owned(), i)).collect();
        for name in required {
            if !columns.contains_key(*name) {
                let found = header.iter().collect::<Vec<_>>().join(", ");
                let text = format!("the column `{name}` is missing; its columns are: {found}");
                return Err(Problem::new(&path, text));
            }
        }
        let rows = reader.records().collect::<Result<_, _>>().map_err(problem)?;
        Ok(Self { columns, rows, path })
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        // Line 1 is the header.
        self.rows.iter().enumerate().map(|(i, cells)| Row { table: self, cells, line: i + 2 })
    }

    pub(super) fn problem(&self, problem: impl Into<String>) -> Problem {
        Problem::new(&self.path, problem)
    }
}

impl<'a> Row<'a> {
    pub(super) fn text(self, column: &str) -> &'a str {
        self.table.columns.get(column).and_then(|i| self.cells.get(*i)).unwrap_or_default()
    }

    pub(super) fn required(self, column: &str) -> Result<&'a str, Problem> {
        match self.text(column) {
            "" => Err(self.problem(format!("`{column}` is empty"))),
            text => Ok(text),
        }
    }

    pub(super) fn one_of(self, column: &str, allowed: &[&str]) -> Result<&'a str, Problem> {
        let found = self.text(column);
        if allowed.contains(&found) {
            return Ok(found);
        }
        let allowed = allowed.join("`, `");
        Err(self.problem(format!("`{column}` is `{found}`, expected one of `{allowed}`")))
    }

    pub(super) fn count(self, column: &str) -> Result<usize, Problem> {
        let found = self.text(column);
        found.parse().map_err(|_| {
            self.problem(format!("`{column}` is `{found}`, expected a whole number from 0"))
        })
    }

    /// The finite number in a cell, `None` for an empty one.
    pub(super) fn number(self, column: &str) -> Result<Option<f64>, Problem> {
        match self.text(column) {
            "" => Ok(None),
            text => match text.parse::<f64>() {
                Ok(number) if number.is_finite() => Ok(Some(number)),
                _ => Err(self.problem(format!("`{column}` is `{text}`, expected a finite number"))),
            },
        }
    }

    /// A number from 0 to 1, `None` for an empty cell.
    pub(super) fn probability(self, column: &str) -> Result<Option<f64>, Problem> {
        match self.number(column)? {
            Some(p) if !(0.0..=1.0).contains(&p) => {
                Err(self.problem(format!("`{column}` is {p}, expected a number from 0 to 1")))
            }
            other => Ok(other),
        }
    }

    pub(super) fn problem(self, problem: impl std::fmt::Display) -> Problem {
        self.table.problem(format!("line {}: {problem}", self.line))
    }
}
