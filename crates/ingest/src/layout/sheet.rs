use std::fs::File;
use std::path::Path;

use polars_core::prelude::{DataFrame, DataType, PolarsResult};
use polars_io::SerReader;
use polars_io::prelude::{CsvEncoding, CsvReadOptions, ParquetReader};

use crate::guard::guarded;
use crate::{IngestError, Unusable};

/// A table of the dataset, every cell as text.
pub(super) struct Sheet {
    name: String,
    frame: DataFrame,
    /// Number of the first row: a text has a header above it.
    first_line: usize,
}

impl Sheet {
    /// Reads `name` (`.csv` with quotes, `.tsv` without, `.parquet`) below the dataset's folder.
    pub(super) fn read(root: &Path, name: &str) -> Result<Self, IngestError> {
        let is_parquet = name.ends_with(".parquet");
        let path = root.join(name);
        let read = guarded(|| {
            let frame = if is_parquet { read_parquet(&path) } else { read_text(&path) };
            // The library's message may quote the table.
            frame.map_err(|_| Unusable::Panic)
        });
        let frame = read.map_err(|_| IngestError::Table {
            table: name.to_owned(),
            problem: "it cannot be read; expected a header and rows of as many cells".to_owned(),
        })?;
        Ok(Self { name: name.to_owned(), frame, first_line: if is_parquet { 1 } else { 2 } })
    }

    /// How many rows there are below the header.
    pub(super) fn n_rows(&self) -> usize {
        self.frame.height()
    }

    /// The line of a row in the file, from 1; of Parquet the row's number.
    pub(super) fn line(&self, row: usize) -> usize {
        row + self.first_line
    }

    /// The table's name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// That the column is there.
    pub(super) fn require(&self, column: &str) -> Result<(), IngestError> {
        if self.frame.column(column).is_ok() {
            return Ok(());
        }
        // Not all names found: a table without a header has a patient in their place.
        let names = self.frame.get_column_names();
        let hint = hemex_stage::suggest::nearest(column, names.iter().map(|name| name.as_str()))
            .map_or_else(String::new, |near| format!("; is `{near}` meant?"));
        let problem = format!("it has no column `{column}`{hint}");
        Err(IngestError::Table { table: self.name.clone(), problem })
    }

    /// The cell without surrounding spaces; `None` if it is empty, `n/a`, or has no column.
    pub(super) fn cell(&self, row: usize, column: &str) -> Option<&str> {
        let text = self.frame.column(column).ok()?.str().ok()?.get(row)?.trim();
        let unknown = ["", "n/a", "na", "nan", "null"];
        (!unknown.iter().any(|word| text.eq_ignore_ascii_case(word))).then_some(text)
    }

    /// The cell as a `T`, `None` where it is unknown.
    pub(super) fn parsed<T>(
        &self,
        row: usize,
        column: &str,
        expected: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Unusable> {
        let Some(text) = self.cell(row, column) else { return Ok(None) };
        match parse(text) {
            Some(value) => Ok(Some(value)),
            None => Err(self.wrong(row, column, expected)),
        }
    }

    /// The reason for a cell that does not hold what it should. The cell's text may be a name: it is
    /// not quoted.
    pub(super) fn wrong(&self, row: usize, column: &str, expected: &'static str) -> Unusable {
        Unusable::Cell {
            table: self.name.clone(),
            line: self.line(row),
            column: column.to_owned(),
            expected,
        }
    }
}

fn read_text(path: &Path) -> PolarsResult<DataFrame> {
    let is_csv = path.extension().is_some_and(|ending| ending == "csv");
    let (separator, quote) = if is_csv { (b',', Some(b'"')) } else { (b'\t', None) };
    CsvReadOptions::default()
        .with_has_header(true)
        // No inference: "007" stays a name.
        .with_infer_schema_length(Some(0))
        .map_parse_options(|options| {
            options
                .with_separator(separator)
                .with_quote_char(quote)
                .with_encoding(CsvEncoding::LossyUtf8)
        })
        .try_into_reader_with_file_path(Some(path.to_owned()))
        .and_then(SerReader::finish)
}

fn read_parquet(path: &Path) -> PolarsResult<DataFrame> {
    let frame = ParquetReader::new(File::open(path)?).finish()?;
    let columns = frame.columns().iter().map(|column| column.cast(&DataType::String));
    DataFrame::new(frame.height(), columns.collect::<PolarsResult<Vec<_>>>()?)
}
