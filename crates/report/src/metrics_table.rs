//! `metrics.csv` and `metrics.parquet`: the figures of `metrics.json` as rows, for spreadsheets and dashboards.

use std::path::Path;

use hemex_artifacts::table;
use polars_core::prelude::{Column, DataFrame};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::ReportError;
use crate::table::{spreadsheet_safe, write_parquet};

/// A figure with all that stands beside it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MetricRow {
    /// Where it stands in `metrics.json`: keys and places, parted by `/`.
    pub figure: String,
    /// The figure; empty where it is not defined.
    pub value: Option<f64>,
    /// Lower end of its 95 % interval.
    pub ci95_low: Option<f64>,
    /// Upper end.
    pub ci95_high: Option<f64>,
    /// Cases behind it.
    pub n: Option<f64>,
    /// Why it, or its interval, is not defined.
    pub reason: Option<String>,
}

impl MetricRow {
    /// The columns, in order.
    pub const COLUMNS: [&str; 6] = ["figure", "value", "ci95_low", "ci95_high", "n", "reason"];
}

/// The figure that an object's `ci95` and `reason` belong to: the first of these that it has.
const MAIN: [&str; 6] = ["value", "mean", "auroc", "difference", "net_benefit", "observed"];

/// Writes both tables into `folder`.
///
/// # Errors
/// If a file cannot be written.
pub fn write(folder: &Path, document: &Value) -> Result<(), ReportError> {
    let rows = rows(document);
    let safe: Vec<MetricRow> = rows
        .iter()
        .map(|row| MetricRow { figure: spreadsheet_safe(&row.figure), ..row.clone() })
        .collect();
    table::write_rows(&folder.join("metrics.csv"), &MetricRow::COLUMNS, &safe)?;
    let number = |name: &str, value: fn(&MetricRow) -> Option<f64>| {
        Column::new(name.into(), rows.iter().map(value).collect::<Vec<_>>())
    };
    let figures: Vec<&str> = rows.iter().map(|row| row.figure.as_str()).collect();
    let reasons: Vec<Option<&str>> = rows.iter().map(|row| row.reason.as_deref()).collect();
    let columns = vec![
        Column::new("figure".into(), figures),
        number("value", |row| row.value),
        number("ci95_low", |row| row.ci95_low),
        number("ci95_high", |row| row.ci95_high),
        number("n", |row| row.n),
        Column::new("reason".into(), reasons),
    ];
    write_parquet(&folder.join("metrics.parquet"), DataFrame::new(rows.len(), columns))
}

/// The figures of the document, in its order.
pub fn rows(document: &Value) -> Vec<MetricRow> {
    let mut rows = Vec::new();
    visit("", document, &mut rows);
    rows
}

fn visit(path: &str, value: &Value, rows: &mut Vec<MetricRow>) {
    match value {
        Value::Object(object) => visit_object(path, object, rows),
        Value::Array(items) => {
            for (place, item) in items.iter().enumerate() {
                visit(&format!("{path}/{}", name_of(item, place)), item, rows);
            }
        }
        Value::Number(number) => rows.push(row(path, number.as_f64(), &Map::new(), "")),
        Value::Null | Value::Bool(_) | Value::String(_) => (),
    }
}

fn visit_object(path: &str, object: &Map<String, Value>, rows: &mut Vec<MetricRow>) {
    let main = MAIN.into_iter().find(|key| object.contains_key(*key));
    for (key, value) in object {
        if key == "ci95" || key.ends_with("_ci95") || key == "reason" {
            continue;
        }
        let below = if path.is_empty() { key.clone() } else { format!("{path}/{key}") };
        let is_main = main == Some(key);
        let interval = if is_main { "ci95".to_owned() } else { format!("{key}_ci95") };
        match value {
            Value::Number(number) => rows.push(MetricRow {
                reason: if is_main { reason(object) } else { None },
                ..row(&below, number.as_f64(), object, &interval)
            }),
            // A figure that is not defined has a row that says so.
            Value::Null => rows
                .push(MetricRow { reason: reason(object), ..row(&below, None, object, &interval) }),
            Value::Array(values) if object.contains_key(&interval) => {
                for (place, value) in values.iter().enumerate() {
                    let ends = object.get(&interval).and_then(|all| all.get(place));
                    let end = |i: usize| ends.and_then(|ends| ends.get(i)?.as_f64());
                    rows.push(MetricRow {
                        ci95_low: end(0),
                        ci95_high: end(1),
                        ..row(&format!("{below}/{place}"), value.as_f64(), object, "")
                    });
                }
            }
            other => visit(&below, other, rows),
        }
    }
}

fn row(figure: &str, value: Option<f64>, object: &Map<String, Value>, interval: &str) -> MetricRow {
    let end = |i: usize| object.get(interval).and_then(|ends| ends.get(i)?.as_f64());
    // Beside a count there is none of its own.
    let n = object.get("n").filter(|_| !figure.rsplit('/').next().is_some_and(is_count));
    MetricRow {
        figure: figure.to_owned(),
        value,
        ci95_low: end(0),
        ci95_high: end(1),
        n: n.and_then(Value::as_f64),
        reason: None,
    }
}

fn is_count(key: &str) -> bool {
    key == "n" || key.starts_with("n_")
}

fn reason(object: &Map<String, Value>) -> Option<String> {
    object.get("reason").and_then(Value::as_str).map(str::to_owned)
}

/// What an item of a list is called: by its own words where it has them, else by its place.
fn name_of(item: &Value, place: usize) -> String {
    let word = |key: &str| item.get(key).and_then(Value::as_str);
    match (word("by"), word("name"), word("arm")) {
        (Some(by), Some(name), _) => format!("{by}={name}"),
        (Some(by), None, Some(arm)) => format!("{by}/{arm}"),
        (None, Some(name), _) => name.to_owned(),
        (None, None, Some(arm)) => arm.to_owned(),
        _ => place.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_figure_stands_beside_its_interval_its_cases_and_its_reason() {
        let document = json!({
            "arms": {"joint": {
                "auroc": {"value": 0.7, "ci95": [0.6, 0.8], "n": 9, "n_positive": 3},
                "dice": {"mean": null, "n": 0, "reason": "no masks"},
                "calibration": {"slope": 1.5, "slope_ci95": [1.0, 2.0]},
            }},
            "limits": {"l": [1.0, 2.0], "l_ci95": [[0.5, 1.5], [1.5, 2.5]], "n": 8, "kappa": null},
            "subgroups": [{"by": "sex", "name": "men", "n": 4}],
            "groups": [{"by": "site", "arm": "vgg", "worst": 0.1, "worst_ci95": [0.0, 0.4]}],
            "method": {"auroc": "words"},
        });
        let rows = rows(&document);
        let found = |figure: &str| {
            let of = rows.iter().find(|row| row.figure == figure);
            of.map(|r| (r.value, r.ci95_low.zip(r.ci95_high), r.n, r.reason.as_deref()))
        };
        let auroc = (Some(0.7), Some((0.6, 0.8)), Some(9.0), None);
        assert_eq!(found("arms/joint/auroc/value"), Some(auroc));
        let missing = (None, None, Some(0.0), Some("no masks"));
        assert_eq!(found("arms/joint/dice/mean"), Some(missing));
        let slope = (Some(1.5), Some((1.0, 2.0)), None, None);
        assert_eq!(found("arms/joint/calibration/slope"), Some(slope));
        assert_eq!(found("arms/joint/auroc/n_positive"), Some((Some(3.0), None, None, None)));
        assert_eq!(found("subgroups/sex=men/n"), Some((Some(4.0), None, None, None)));
        let worst = (Some(0.1), Some((0.0, 0.4)), None, None);
        assert_eq!(found("groups/site/vgg/worst"), Some(worst));
        assert_eq!(found("limits/l/1"), Some((Some(2.0), Some((1.5, 2.5)), Some(8.0), None)));
        assert_eq!(found("limits/kappa"), Some((None, None, Some(8.0), None)));
        assert!(rows.iter().all(|row| !row.figure.contains("ci95")), "{rows:?}");
    }
}
