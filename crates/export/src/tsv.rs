//! What the tables say of patients and scans, in the words that ingest reads too.

use std::path::Path;

use hemex_artifacts::{CaseRow, ClinicalRow, Sex};

use crate::ExportError;
use crate::cohort::Cohort;

/// Columns of a patient.
pub(crate) const PATIENT: [&str; 3] = ["age", "sex", "site"];

/// Columns of a scan.
pub(crate) const SCAN: [&str; 16] = [
    "onset_to_ct_h",
    "anticoagulation",
    "gcs",
    "ivh",
    "antiplatelet",
    "prior_ich",
    "dementia",
    "smoker",
    "subarachnoid",
    "spot_sign",
    "native_slice_distance_mm",
    "growth",
    "growth_undefined_reason",
    "baseline_volume_ml",
    "followup_volume_ml",
    "followup_interval_h",
];

/// The cells of [`PATIENT`].
pub(crate) fn of_patient(row: &CaseRow) -> [String; 3] {
    let sex = row.sex.map(|sex| if sex == Sex::F { "F" } else { "M" });
    [known(row.age_years), known(sex), row.site.clone()]
}

/// The cells of [`SCAN`].
pub(crate) fn of_scan(cohort: &Cohort, row: &CaseRow) -> [String; 16] {
    let (clinical, label) = (cohort.clinical.get(&row.case_id), cohort.label(row));
    let flag = |value: Option<bool>| known(value.map(u8::from));
    let score = |of: fn(&ClinicalRow) -> Option<bool>| flag(clinical.and_then(of));
    [
        known(row.onset_to_ct_h),
        flag(row.anticoagulation),
        known(row.gcs),
        flag(row.ivh),
        score(|row| row.antiplatelet),
        score(|row| row.prior_ich),
        score(|row| row.dementia),
        score(|row| row.smoker),
        score(|row| row.subarachnoid),
        score(|row| row.spot_sign),
        row.native_spacing_d_mm.to_string(),
        flag(label.and_then(|label| label.growth)),
        known(label.and_then(|label| label.growth_undefined_reason.as_deref())),
        known(label.and_then(|label| label.baseline_volume_ml)),
        known(label.and_then(|label| label.followup_volume_ml)),
        known(label.and_then(|label| label.followup_interval_h)),
    ]
}

/// Unknown values are `n/a`, as in BIDS.
fn known(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "n/a".to_owned(), |value| value.to_string())
}

/// Writes a table with tabs.
pub(crate) fn write(
    path: &Path,
    columns: &[&str],
    rows: impl IntoIterator<Item = Vec<String>>,
) -> Result<(), ExportError> {
    let error = |source: csv::Error| ExportError::write(path)(std::io::Error::other(source));
    let mut writer = csv::WriterBuilder::new().delimiter(b'\t').from_path(path).map_err(error)?;
    writer.write_record(columns).map_err(error)?;
    for row in rows {
        writer.write_record(&row).map_err(error)?;
    }
    writer.flush().map_err(ExportError::write(path))
}
