//! The stage `hemex-report`: predictions beside the truth, as figures, tables and one HTML page.
//!
//! Inputs `cases`, `labels`, `splits`, `weights` (optional), `model` and `predictions` (lists), output
//! `report`. [`Evaluation::read`] makes one typed value of the inputs, [`compare::results`] a row a
//! case and model, [`evaluate()`] the figures ([`Findings`]); the rest writes them down.
//!
//! No case is dropped in silence: whatever has no label, no prediction or no mask is counted beside
//! the figure that does without it, and a figure that is not defined says why.

mod case_result;
pub mod compare;
mod config;
mod error;
pub mod evaluate;
pub mod html;
pub mod metrics_json;
pub mod metrics_table;
pub mod read;
pub mod runs;
pub mod saliency;
pub mod scores;
pub mod signs;
pub mod table;

pub use case_result::{CaseResult, Status};
pub use config::{Config, RawConfig};
pub use error::ReportError;
pub use evaluate::{Findings, evaluate};
pub use read::Evaluation;
use signs::Signs;

use hemex_artifacts::json;
use hemex_stage::Request;

/// Runs the stage: writes `report.html`, `metrics.json`, and as CSV and Parquet `metrics` and `cases`;
/// `signs.csv`.
///
/// # Errors
/// [`ReportError`] if an input contradicts another or a file cannot be read or written.
pub fn run(config: &Config, request: &Request) -> anyhow::Result<()> {
    let output = request.output("report")?;
    let evaluation = Evaluation::read(request)?;
    let results = compare::results(&evaluation, config)?;
    let signs = Signs::of(&evaluation, &results, config)?;
    let findings = evaluate(&evaluation, &results, &signs, config, request.seed)?;
    table::write(output, &results)?;
    signs::write(output, &signs)?;
    let document = metrics_json::document(&findings, config);
    json::write(&output.join("metrics.json"), &document)?;
    metrics_table::write(output, &document)?;
    let page = html::page(&evaluation, &results, &findings, config)?;
    let path = output.join("report.html");
    std::fs::write(&path, page)
        .map_err(|error| ReportError::Write { path, problem: error.to_string() })?;
    for line in findings.headlines() {
        hemex_stage::log(format_args!("{line}"));
    }
    Ok(())
}
