use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hemex_artifacts::{CaseRow, Cases, ClinicalRow, LabelRow, SplitRow, nifti, table};
use hemex_stage::Request;
use hemex_volume::LabelMap;

use crate::ExportError;

/// What is exported.
#[derive(Debug)]
pub struct Cohort {
    /// Prepared cases.
    pub cases: Cases,
    /// What clinical scores ask for, by case, as far as it is known.
    pub clinical: BTreeMap<String, ClinicalRow>,
    /// Labels by case; `None` where they are not wired.
    pub labels: Option<BTreeMap<String, LabelRow>>,
    /// Roles; `None` where they are not wired.
    pub splits: Option<Vec<SplitRow>>,
    labels_folder: PathBuf,
}

impl Cohort {
    /// Opens the inputs `cases`, `labels` and `splits`, of which the first must be there.
    ///
    /// # Errors
    /// If `cases` is not wired, or a table cannot be read.
    pub fn open(request: &Request) -> anyhow::Result<Self> {
        let labels_folder = request.optional_input("labels")?;
        let splits_folder = request.optional_input("splits")?;
        let labels = labels_folder.map(|folder| table::read_rows(&folder.join("labels.csv")));
        let by_case =
            |rows: Vec<LabelRow>| rows.into_iter().map(|row| (row.case_id.clone(), row)).collect();
        let splits = splits_folder.map(|folder| table::read_rows(&folder.join("splits.csv")));
        let cases = Cases::open(request.input("cases")?)?;
        Ok(Self {
            clinical: cases.clinical()?,
            cases,
            labels: labels.transpose()?.map(by_case),
            splits: splits.transpose()?,
            labels_folder: labels_folder.map(Path::to_owned).unwrap_or_default(),
        })
    }

    /// The label of a case, if there is one.
    pub fn label(&self, row: &CaseRow) -> Option<&LabelRow> {
        self.labels.as_ref()?.get(&row.case_id)
    }

    /// Whether a case has a reference mask.
    pub fn has_mask(&self, row: &CaseRow) -> bool {
        self.label(row).is_some_and(|label| label.mask.is_some())
    }

    /// The reference mask of a case on its image's grid, if it has one.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn mask(&self, row: &CaseRow) -> Result<Option<LabelMap>, ExportError> {
        let path = self.label(row).and_then(|label| label.mask.as_deref());
        let mask = path.map(|path| nifti::read_label_map(&self.labels_folder.join(path)));
        Ok(mask.transpose()?)
    }
}
