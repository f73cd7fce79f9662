//! The signs of growth on non-contrast CT: measured on the reference mask, and as a person saw them.

use std::collections::BTreeMap;
use std::path::Path;

use hemex_artifacts::{Role, SignRow, table};
use hemex_volume::NcctSigns;
use rayon::prelude::*;
use serde::Serialize;

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

/// All signs, in the order of the tables.
pub const SIGNS: [Sign; 8] = [
    Sign { name: "black hole", measured: |s| s.black_hole, read: |r| r.black_hole },
    Sign { name: "hypodensity", measured: |s| s.hypodensity, read: |r| r.hypodensity },
    Sign { name: "blend", measured: |s| s.blend, read: |r| r.blend },
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
                let signs = NcctSigns::of(&image, &mask, &config.lesion_labels)
                    .map_err(|_| ReportError::OtherGrid { case_id: case_id.to_owned() })?;
                Ok(signs.map(|signs| (case_id.to_owned(), signs)))
            })
            .collect::<Result<Vec<_>, ReportError>>()?;
        Ok(Self {
            measured: measured.into_iter().flatten().collect(),
            read: evaluation.read_signs.clone(),
        })
    }

    /// Whether the case has the sign: what a person saw goes before what was measured.
    pub fn of_case(&self, case_id: &str, sign: &str) -> Option<bool> {
        let sign = SIGNS.iter().find(|known| known.name == sign)?;
        let read = self.read.get(case_id).and_then(sign.read);
        read.or_else(|| self.measured.get(case_id).map(sign.measured))
    }
}

/// A row of `signs.csv`: what was measured on a case's reference mask.
#[derive(Debug, Serialize)]
struct MeasuredRow {
    case_id: String,
    black_hole: u8,
    black_hole_difference_hu: f64,
    hypodensity: u8,
    hypodensity_depth_hu: f64,
    blend: u8,
    fluid_level: u8,
    part_difference_hu: f64,
    swirl: u8,
    swirl_share: f64,
    satellite: u8,
    n_satellites: usize,
    island: u8,
    n_islands_apart: usize,
    n_buds: usize,
    irregular: u8,
    solidity: f64,
}

const COLUMNS: [&str; 17] = [
    "case_id",
    "black_hole",
    "black_hole_difference_hu",
    "hypodensity",
    "hypodensity_depth_hu",
    "blend",
    "fluid_level",
    "part_difference_hu",
    "swirl",
    "swirl_share",
    "satellite",
    "n_satellites",
    "island",
    "n_islands_apart",
    "n_buds",
    "irregular",
    "solidity",
];

/// Writes `signs.csv`: flags as 0 or 1, and the numbers they rest on.
///
/// # Errors
/// If the file cannot be written.
pub fn write(folder: &Path, signs: &Signs) -> Result<(), ReportError> {
    let row = |(case_id, signs): (&String, &NcctSigns)| MeasuredRow {
        case_id: spreadsheet_safe(case_id),
        black_hole: signs.black_hole.into(),
        black_hole_difference_hu: signs.black_hole_difference_hu,
        hypodensity: signs.hypodensity.into(),
        hypodensity_depth_hu: signs.hypodensity_depth_hu,
        blend: signs.blend.into(),
        fluid_level: signs.fluid_level.into(),
        part_difference_hu: signs.part_difference_hu,
        swirl: signs.swirl.into(),
        swirl_share: signs.swirl_share,
        satellite: signs.satellite.into(),
        n_satellites: signs.n_satellites,
        island: signs.island.into(),
        n_islands_apart: signs.n_islands_apart,
        n_buds: signs.n_buds,
        irregular: signs.irregular.into(),
        solidity: signs.solidity,
    };
    let rows: Vec<MeasuredRow> = signs.measured.iter().map(row).collect();
    Ok(table::write_rows(&folder.join("signs.csv"), &COLUMNS, &rows)?)
}
