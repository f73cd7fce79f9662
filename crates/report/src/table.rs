//! The per-case table, as CSV and as Parquet.
//!
//! A spreadsheet takes a cell of a CSV that begins with `=`, `+`, `-`, `@` or a tab for a formula, and runs it, and it
//! may split cells at other characters than the comma (OWASP, CSV injection). Names come from data, so an apostrophe
//! goes before such a part of a name in the CSV; the Parquet file holds names as they are.

use std::path::Path;

use hemex_artifacts::table;
use polars_core::prelude::{Column, DataFrame, PolarsResult};
use polars_io::prelude::ParquetWriter;

use crate::{CaseResult, ReportError};

/// Writes `cases.csv` and `cases.parquet` into `folder`, the same rows and columns in both.
///
/// # Errors
/// If a file cannot be written.
pub fn write(folder: &Path, rows: &[CaseResult]) -> Result<(), ReportError> {
    let safe: Vec<CaseResult> = rows.iter().map(with_safe_names).collect();
    table::write_rows(&folder.join("cases.csv"), &CaseResult::COLUMNS, &safe)?;
    write_parquet(&folder.join("cases.parquet"), frame(rows))
}

fn with_safe_names(row: &CaseResult) -> CaseResult {
    CaseResult {
        case_id: spreadsheet_safe(&row.case_id),
        patient_id: spreadsheet_safe(&row.patient_id),
        site: spreadsheet_safe(&row.site),
        arm: spreadsheet_safe(&row.arm),
        reason: row.reason.as_deref().map(spreadsheet_safe),
        ..row.clone()
    }
}

/// The text as no spreadsheet takes any part of it for a formula, whichever character it splits cells at.
pub(crate) fn spreadsheet_safe(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut is_start = true;
    for character in text.chars() {
        if is_start
            && matches!(character, '=' | '+' | '-' | '@' | '\t' | '\r' | '＝' | '＋' | '－' | '＠')
        {
            safe.push('\'');
        }
        safe.push(character);
        is_start = matches!(character, ';' | ',' | '\t' | '\n' | '\r');
    }
    safe
}

/// Writes a frame, which may have failed to be made.
pub(crate) fn write_parquet(
    path: &Path,
    frame: PolarsResult<DataFrame>,
) -> Result<(), ReportError> {
    let failed = |problem: String| ReportError::Write { path: path.to_owned(), problem };
    let mut frame = frame.map_err(|error| failed(error.to_string()))?;
    let file = std::fs::File::create(path).map_err(|error| failed(error.to_string()))?;
    ParquetWriter::new(file).finish(&mut frame).map_err(|error| failed(error.to_string()))?;
    Ok(())
}

fn frame(rows: &[CaseResult]) -> PolarsResult<DataFrame> {
    let text = |name: &str, value: fn(&CaseResult) -> &str| {
        Column::new(name.into(), rows.iter().map(value).collect::<Vec<_>>())
    };
    let number = |name: &str, value: fn(&CaseResult) -> Option<f64>| {
        Column::new(name.into(), rows.iter().map(value).collect::<Vec<_>>())
    };
    let columns = vec![
        text("case_id", |row| &row.case_id),
        text("patient_id", |row| &row.patient_id),
        text("site", |row| &row.site),
        text("regime", |row| row.regime.name()),
        Column::new("fold".into(), rows.iter().map(|row| row.fold as u64).collect::<Vec<_>>()),
        Column::new("seed".into(), rows.iter().map(|row| row.seed).collect::<Vec<_>>()),
        text("arm", |row| &row.arm),
        text("role", |row| row.role.name()),
        text("status", |row| row.status.name()),
        Column::new("reason".into(), rows.iter().map(|r| r.reason.clone()).collect::<Vec<_>>()),
        Column::new("growth".into(), rows.iter().map(|row| row.growth).collect::<Vec<_>>()),
        number("probability", |row| row.probability),
        number("logit", |row| row.logit),
        number("uncertainty", |row| row.uncertainty),
        number("twin_logit", |row| row.twin_logit),
        number("p_value_stable", |row| row.p_value_stable),
        number("p_value_growth", |row| row.p_value_growth),
        number("inpainted_logit", |row| row.inpainted_logit),
        number("entropy_nats", |row| row.entropy_nats),
        number("mutual_information_nats", |row| row.mutual_information_nats),
        number("true_probability", |row| row.true_probability),
        number("true_probability_image_signs", |row| row.true_probability_image_signs),
        number("dice", |row| row.dice),
        number("mask_sensitivity", |row| row.mask_sensitivity),
        number("mask_precision", |row| row.mask_precision),
        number("hd95_mm", |row| row.hd95_mm),
        number("surface_dice", |row| row.surface_dice),
        number("lesion_f1", |row| row.lesion_f1),
        number("saliency_lesion", |row| row.saliency_lesion),
        number("saliency_rim", |row| row.saliency_rim),
        number("saliency_brain", |row| row.saliency_brain),
        number("lesion_share", |row| row.lesion_share),
        number("volume_ml", |row| row.volume_ml),
        number("reference_volume_ml", |row| row.reference_volume_ml),
        number("predicted_followup_ml", |row| row.predicted_followup_ml),
        number("followup_volume_ml", |row| row.followup_volume_ml),
    ];
    DataFrame::new(rows.len(), columns)
}
