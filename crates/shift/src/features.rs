use std::path::Path;

use hemex_artifacts::{CaseRow, Cases, Sex, table};
use hemex_stage::Progress;
use rayon::prelude::*;
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
    "hyperdense_share",
];

/// HU of fresh blood; the share of the brain within tells how much there is, without a mask.
const HYPERDENSE_HU: std::ops::RangeInclusive<f32> = 50.0..=90.0;
/// HU of brain tissue, fluid and blood; bone at the edge of the mask is left out.
const TISSUE_HU: std::ops::RangeInclusive<f32> = -20.0..=100.0;

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
    /// Measures every case.
    ///
    /// # Errors
    /// If an image or brain mask cannot be read or they do not fit together.
    pub fn measure(cases: &Cases, progress: &Progress) -> Result<Self, ShiftError> {
        let values = cases.rows.par_iter().map(|row| {
            let measured = measure(cases, row);
            progress.add(1);
            measured
        });
        let values = values.collect::<Result<_, _>>()?;
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

fn measure(cases: &Cases, row: &CaseRow) -> Result<[Option<f64>; FEATURES.len()], ShiftError> {
    let image = cases.image(&row.case_id)?;
    let brain = cases.brain(&row.case_id)?;
    let no_brain = || ShiftError::NoBrain { case_id: row.case_id.clone() };
    if !image.geometry().is_same_grid(brain.geometry()) {
        return Err(no_brain());
    }
    let pairs = image.voxels().iter().zip(brain.voxels());
    let tissue: Vec<f64> = pairs
        .filter(|(hu, brain)| **brain > 0 && TISSUE_HU.contains(*hu))
        .map(|(hu, _)| f64::from(*hu))
        .collect();
    if tissue.is_empty() {
        return Err(no_brain());
    }
    let n = tissue.len() as f64;
    let mean = tissue.iter().sum::<f64>() / n;
    let variance = tissue.iter().map(|hu| (hu - mean).powi(2)).sum::<f64>() / n;
    let n_hyperdense = tissue.iter().filter(|hu| HYPERDENSE_HU.contains(&(**hu as f32))).count();
    let flag = |value: Option<bool>| value.map(|v| f64::from(u8::from(v)));
    Ok([
        row.age_years,
        row.sex.map(|sex| f64::from(u8::from(sex == Sex::M))),
        row.onset_to_ct_h,
        flag(row.anticoagulation),
        row.gcs,
        flag(row.ivh),
        row.noise_hu,
        Some(row.native_spacing_d_mm),
        Some(brain.volume_ml(&[1])),
        Some(mean),
        Some(variance.sqrt()),
        Some(n_hyperdense as f64 / n),
    ])
}
