//! The signs of growth on non-contrast CT: measured on the reference mask, and as a person saw them.

use std::collections::BTreeMap;
use std::path::Path;

use hemex_artifacts::{Role, SignRow, table};
use hemex_volume::NcctSigns;
use rayon::prelude::*;

use crate::compare::reference_mask;
use crate::table::spreadsheet_safe;
use crate::{CaseResult, Config, Evaluation, ReportError};

/// A sign: its name, whether it was measured, whether a person saw it.
#[derive(Debug, Clone, Copy)]
pub struct Sign {
    /// Its name.
    pub name: &'static str,
    /// Whether the measurement has it.
    pub measured: fn(&NcctSigns) -> bool,
    /// Whether a person saw it; `None` if nobody looked.
    pub read: fn(&SignRow) -> Option<bool>,
}

/// Blend sign.
pub const BLEND: Sign = Sign { name: "blend", measured: |s| s.blend, read: |r| r.blend };

/// Any hypodensity.
pub const HYPODENSITY: Sign =
    Sign { name: "hypodensity", measured: |s| s.hypodensity, read: |r| r.hypodensity };

/// All signs, in the order of the tables.
pub const SIGNS: [Sign; 8] = [
    Sign { name: "black hole", measured: |s| s.black_hole, read: |r| r.black_hole },
    HYPODENSITY,
    BLEND,
    Sign { name: "fluid level", measured: |s| s.fluid_level, read: |r| r.fluid_level },
    Sign { name: "swirl", measured: |s| s.swirl, read: |r| r.swirl },
    Sign { name: "satellite", measured: |s| s.satellite, read: |r| r.satellite },
    Sign { name: "island", measured: |s| s.island, read: |r| r.island },
    Sign { name: "irregular", measured: |s| s.irregular, read: |r| r.irregular },
];

/// The signs of the tested cases.
#[derive(Debug, Clone, Default)]
pub struct Signs {
    /// Measured, by case: those with an image and a lesion in the reference mask.
    pub measured: BTreeMap<String, NcctSigns>,
    /// As a person saw them, by case.
    pub read: BTreeMap<String, SignRow>,
}

impl Signs {
    /// Measures the signs of every tested case, on the canonical grid.
    ///
    /// # Errors
    /// If a reference mask cannot be read, or lies on another grid than its image. A case whose image cannot be
    /// read is not measured: that it cannot is told where its prediction is missing.
    pub fn of(
        evaluation: &Evaluation,
        results: &[CaseResult],
        config: &Config,
    ) -> Result<Self, ReportError> {
        let tested = results.iter().filter(|row| row.role == Role::Test);
        let ids: BTreeMap<&str, ()> = tested.map(|row| (row.case_id.as_str(), ())).collect();
        let measured = ids
            .into_par_iter()
            .map(|(case_id, ())| {
                let label = evaluation.labels.get(case_id);
                let Some(mask) = reference_mask(evaluation, label)? else { return Ok(None) };
                let Ok(image) = evaluation.cases.image(case_id) else { return Ok(None) };
                let signs = NcctSigns::of(&image, &mask, &config.lesion_labels).map_err(|_| {
                    ReportError::OtherGrid { case_id: case_id.to_owned(), what: "reference mask" }
                })?;
                Ok(signs.map(|signs| (case_id.to_owned(), signs)))
            })
            .collect::<Result<Vec<_>, ReportError>>()?;
        Ok(Self {
            measured: measured.into_iter().flatten().collect(),
            read: evaluation.read_signs.clone(),
        })
    }

    /// Whether the case has the sign: what a person saw goes before what was measured.
    pub fn of_case(&self, case_id: &str, sign: &Sign) -> Option<bool> {
        let read = self.read.get(case_id).and_then(sign.read);
        read.or_else(|| self.measured.get(case_id).map(sign.measured))
    }
}

/// Writes `signs.csv`: what was measured on each case's reference mask, flags as 0 or 1, and the numbers they rest on.
///
/// # Errors
/// If the file cannot be written.
pub fn write(folder: &Path, signs: &Signs) -> Result<(), ReportError> {
    let columns: Vec<&str> = ["case_id"].into_iter().chain(NcctSigns::NAMES).collect();
    let row = |(case_id, signs): (&String, &NcctSigns)| {
        let numbers = signs.numbers().map(|number| number.to_string());
        [spreadsheet_safe(case_id)].into_iter().chain(numbers).collect::<Vec<_>>()
    };
    let rows: Vec<Vec<String>> = signs.measured.iter().map(row).collect();
    Ok(table::write_rows(&folder.join("signs.csv"), &columns, &rows)?)
}
