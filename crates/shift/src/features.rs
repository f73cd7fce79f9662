use std::path::Path;

use hemex_artifacts::{CaseRow, Cases, DescriptorRow, Sex, table};
use serde::Serialize;

use crate::ShiftError;

/// Every feature there is: of the patient, of the scan, of the image within the brain.
pub const FEATURES: [&str; 12] = [
    "age_years",
    "male",
    "onset_to_ct_h",
    "anticoagulation",
    "gcs",
    "ivh",
    "noise_hu",
    "native_spacing_d_mm",
    "brain_volume_ml",
    "brain_mean_hu",
    "brain_sd_hu",
    "hyperdense_ml",
];

/// Features of every case; a row a case, a column a name of [`FEATURES`].
#[derive(Debug, Clone)]
pub struct FeatureTable {
    /// The cases.
    pub case_ids: Vec<String>,
    /// `[case][feature]`; `None` where the value is not known.
    pub values: Vec<[Option<f64>; FEATURES.len()]>,
}

#[derive(Serialize)]
struct Row<'a> {
    case_id: &'a str,
    values: [Option<f64>; FEATURES.len()],
}

impl FeatureTable {
    /// Collects what the cases' tables say; a case without descriptors has none of its image's features.
    ///
    /// # Errors
    /// If the table of descriptors cannot be read.
    pub fn of(cases: &Cases) -> Result<Self, ShiftError> {
        let descriptors = cases.descriptors()?;
        let values = cases.rows.iter().map(|row| features(row, descriptors.get(&row.case_id)));
        let values = values.collect();
        let case_ids = cases.rows.iter().map(|row| row.case_id.clone()).collect();
        Ok(Self { case_ids, values })
    }

    /// Writes the table as CSV.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), ShiftError> {
        let columns: Vec<&str> = ["case_id"].into_iter().chain(FEATURES).collect();
        let rows: Vec<Row<'_>> = self
            .case_ids
            .iter()
            .zip(&self.values)
            .map(|(case_id, values)| Row { case_id, values: *values })
            .collect();
        Ok(table::write_rows(path, &columns, &rows)?)
    }

    /// The row of a case.
    pub(crate) fn position(&self, case_id: &str) -> Option<usize> {
        self.case_ids.iter().position(|id| id == case_id)
    }
}

fn features(row: &CaseRow, image: Option<&DescriptorRow>) -> [Option<f64>; FEATURES.len()] {
    let flag = |value: Option<bool>| value.map(|v| f64::from(u8::from(v)));
    [
        row.age_years,
        row.sex.map(|sex| f64::from(u8::from(sex == Sex::M))),
        row.onset_to_ct_h,
        flag(row.anticoagulation),
        row.gcs,
        flag(row.ivh),
        row.noise_hu,
        Some(row.native_spacing_d_mm),
        image.map(|image| image.brain_volume_ml),
        image.map(|image| image.brain_mean_hu),
        image.map(|image| image.brain_sd_hu),
        image.map(|image| image.hyperdense_ml),
    ]
}
