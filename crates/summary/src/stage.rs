use std::path::Path;

use hemex_artifacts::{json, table};
use hemex_stage::{InputArtifact, Kind, Request, log};
use serde::Serialize;

use crate::cohort::Cohort;
use crate::figures::{ArmFigures, Figure, figures};
use crate::known_signs::{self, Tables};
use crate::page::{self, unknown_arms};
use crate::{Config, SummaryError};

/// Runs the stage: every input that is a report, with the cases, labels and splits of the same cohort where they are
/// wired too.
///
/// # Errors
/// If there is no report, a table cannot be read, a figure cannot be computed, or an output not be written.
pub fn run(config: &Config, request: &Request) -> anyhow::Result<()> {
    let reports = request.inputs.values().flatten().filter(|input| input.kind == Kind::Report);
    let mut cohorts = Vec::new();
    for report in reports {
        let setting = setting(report, config.by.as_deref())?;
        let mut cohort = Cohort::read(&report.path, setting)?;
        let of = |name: &str| of_same_cohort(request, name, report);
        if let (Some(cases), Some(labels), Some(splits)) = (of("cases"), of("labels"), of("splits"))
        {
            known_signs::add(&mut cohort, &Tables { cases, labels, splits })?;
        }
        cohorts.push(cohort);
    }
    if cohorts.is_empty() {
        return Err(SummaryError::NoReports.into());
    }
    let found = figures(&cohorts, config, request.seed)?;
    for unknown in unknown_arms(&found, config) {
        log(format_args!("{unknown}"));
    }
    for arm in &found {
        log(format_args!("{}", line(arm)));
    }
    let output = request.output("report")?;
    json::write(&output.join("metrics.json"), &found)?;
    let rows: Vec<Row<'_>> = found.iter().map(|arm| Row::of(arm, config)).collect();
    table::write_rows(&output.join("summary.csv"), &Row::COLUMNS, &rows)?;
    let path = output.join("report.html");
    std::fs::write(&path, page::page(&found, config))
        .map_err(|source| SummaryError::Write { path, source })?;
    Ok(())
}

/// The report's value of the axis.
fn setting(report: &InputArtifact, axis: Option<&str>) -> Result<String, SummaryError> {
    let Some(axis) = axis else { return Ok(String::new()) };
    match report.axes.get(axis) {
        Some(serde_json::Value::String(text)) => Ok(text.clone()),
        Some(value) => Ok(value.to_string()),
        None => Err(SummaryError::NoAxis { path: report.path.clone(), axis: axis.to_owned() }),
    }
}

/// The artifact of that name whose axes are the report's, as far as both have them.
fn of_same_cohort<'a>(
    request: &'a Request,
    name: &str,
    report: &InputArtifact,
) -> Option<&'a Path> {
    let agrees = |input: &&InputArtifact| {
        input.axes.iter().all(|(axis, value)| report.axes.get(axis).is_none_or(|v| v == value))
    };
    let inputs = request.inputs.get(name)?;
    inputs.iter().find(agrees).map(|input| input.path.as_path())
}

fn line(arm: &ArmFigures) -> String {
    let number = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |v| format!("{v:.3}"));
    let interval = |figure: &Figure| {
        let ci = figure.ci95.map(|[low, high]| format!(" ({low:.3} to {high:.3})"));
        number(figure.value) + &ci.unwrap_or_default()
    };
    let above =
        arm.above.iter().map(|(other, figure)| format!(", above {other} {}", interval(figure)));
    let setting = if arm.setting.is_empty() { String::new() } else { format!("{}, ", arm.setting) };
    format!(
        "{setting}{} {}: AUROC {}{}, Dice {}, twins {}",
        arm.regime.name(),
        arm.arm,
        interval(&arm.auroc),
        above.collect::<String>(),
        number(arm.dice.value),
        interval(&arm.twin_auroc)
    )
}

/// A row of `summary.csv`.
#[derive(Serialize)]
struct Row<'a> {
    setting: &'a str,
    regime: &'a str,
    arm: &'a str,
    n_cohorts: usize,
    n_patients: usize,
    n_growth: usize,
    n_cases: usize,
    n_unspoken: usize,
    auroc: Option<f64>,
    auroc_low: Option<f64>,
    auroc_high: Option<f64>,
    share_of_oracle: Option<f64>,
    dice: Option<f64>,
    volume_bias: Option<f64>,
    calibration_intercept: Option<f64>,
    calibration_slope: Option<f64>,
    twin_auroc: Option<f64>,
    twin_auroc_low: Option<f64>,
    twin_auroc_high: Option<f64>,
    n_twins: usize,
    above: String,
}

impl<'a> Row<'a> {
    const COLUMNS: [&'static str; 21] = [
        "setting",
        "regime",
        "arm",
        "n_cohorts",
        "n_patients",
        "n_growth",
        "n_cases",
        "n_unspoken",
        "auroc",
        "auroc_low",
        "auroc_high",
        "share_of_oracle",
        "dice",
        "volume_bias",
        "calibration_intercept",
        "calibration_slope",
        "twin_auroc",
        "twin_auroc_low",
        "twin_auroc_high",
        "n_twins",
        "above",
    ];

    fn of(arm: &'a ArmFigures, config: &Config) -> Self {
        let end = |figure: &Figure, which: usize| figure.ci95.map(|ends| ends[which]);
        let above = config.against.iter().filter_map(|other| {
            let figure = arm.above.get(other)?;
            let ci = figure.ci95.map(|[low, high]| format!(" ({low:.4} to {high:.4})"));
            Some(format!("{other} {:.4}{}", figure.value?, ci.unwrap_or_default()))
        });
        Self {
            setting: &arm.setting,
            regime: arm.regime.name(),
            arm: &arm.arm,
            n_cohorts: arm.n_cohorts,
            n_patients: arm.n_patients,
            n_growth: arm.n_growth,
            n_cases: arm.n_cases,
            n_unspoken: arm.n_unspoken,
            auroc: arm.auroc.value,
            auroc_low: end(&arm.auroc, 0),
            auroc_high: end(&arm.auroc, 1),
            share_of_oracle: arm.share_of_oracle,
            dice: arm.dice.value,
            volume_bias: arm.volume_bias,
            calibration_intercept: arm.calibration_intercept,
            calibration_slope: arm.calibration_slope,
            twin_auroc: arm.twin_auroc.value,
            twin_auroc_low: end(&arm.twin_auroc, 0),
            twin_auroc_high: end(&arm.twin_auroc, 1),
            n_twins: arm.n_twins,
            above: above.collect::<Vec<_>>().join("; "),
        }
    }
}
