//! `regress --trained`: a report against the golden one, as it is and with a loss planted in it. No network is
//! trained here; the demo's own run is judged in `demo.rs`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hemex_artifacts::table;
use hemex_stage::simd_level;
use hemex_tests::{Call, Workbench, workspace_root};

/// A loss that must never pass.
const LOSS: f64 = 0.05;

/// A line of `cases.csv`, by column.
type Row = BTreeMap<String, String>;

#[test]
fn the_golden_report_is_as_good_as_itself() {
    let same = regress(&golden()).succeeds();
    for figure in ["joint | AUROC", "joint | mean Dice", "vgg | AUROC"] {
        let line = same.stdout.lines().find(|line| line.contains(figure));
        assert!(line.is_some_and(|line| line.contains("| +0.000 |")), "{figure}:\n{same}");
    }
}

#[test]
fn a_loss_of_dice_fails_by_name() {
    // Somewhat less must fail as well: the verdict on a loss of 0.05 must not hang on rounding.
    for loss in [LOSS, 0.8 * LOSS] {
        let failed = with_changed(|row| {
            if let Some(dice) = number(row, "dice") {
                row.insert("dice".to_owned(), (dice - loss).max(0.0).to_string());
            }
        });
        assert_eq!(failed.keys().collect::<Vec<_>>(), ["joint: mean Dice"]);
        // Less than planted where a mask that found nothing cannot lose.
        assert!((-loss..-0.9 * loss).contains(&failed["joint: mean Dice"]), "{failed:?}");
    }
}

#[test]
fn a_loss_of_auroc_fails_by_name() {
    let rows = rows(&golden());
    let lowered = |by: f64| {
        let mut rows = rows.clone();
        rows.iter_mut().for_each(|row| lower_growth(row, by));
        auroc(&rows)
    };
    // From the finest steps on: networks of the demo say nearly the same of every case.
    let steps = (0..10_000).map(|step| 1e-9 * 1.0025f64.powi(step));
    let by = steps.into_iter().find(|by| lowered(*by) <= auroc(&rows) - LOSS).unwrap();
    let failed = with_changed(|row| lower_growth(row, by));
    assert_eq!(failed.keys().collect::<Vec<_>>(), ["joint: AUROC"]);
    let planted = lowered(by) - auroc(&rows);
    assert!(planted > -2.0 * LOSS, "a loss of {planted} is easy to see");
    assert!((failed["joint: AUROC"] - planted).abs() < 1e-3, "{failed:?}, planted {planted}");
}

#[test]
fn what_is_no_report_is_named() {
    let bench = Workbench::new();
    regress(bench.folder()).fails().says(&["no report", "cases.csv"]);
    Call::new("regress").arg("--report").arg(bench.folder()).fails().says(&["--trained"]);
}

fn regress(report: &Path) -> Call {
    Call::new("regress").args(["--trained", "--report"]).arg(report)
}

/// The golden report that this machine's runs are compared with.
fn golden() -> PathBuf {
    let folder = workspace_root().join("tests/golden");
    let own = folder.join(format!("demo-{}", simd_level().unwrap()));
    let all = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    if own.is_dir() { own } else { all.min().unwrap() }
}

fn rows(report: &Path) -> Vec<Row> {
    table::read_rows(&report.join("cases.csv")).unwrap()
}

/// Compares the golden report with one where the test cases of `joint` are changed, which must fail; gives the
/// figures that the error names, each with its difference.
fn with_changed(change: impl Fn(&mut Row)) -> BTreeMap<String, f64> {
    let mut rows = rows(&golden());
    rows.iter_mut().filter(|row| is_tested(row)).for_each(change);
    let bench = Workbench::new();
    let columns: Vec<&str> = rows[0].keys().map(String::as_str).collect();
    let values: Vec<Vec<&String>> = rows.iter().map(|row| row.values().collect()).collect();
    table::write_rows(&bench.folder().join("cases.csv"), &columns, &values).unwrap();
    let failed = regress(bench.folder()).fails();
    failed.says(&["--update"]);
    let lines = failed.stderr.lines().filter_map(|line| line.strip_prefix("  "));
    // `joint: AUROC -0.051 (-0.080 to -0.025), margin …`
    let figure = |line: &str| {
        let (figure, _) = line.split_once(" (")?;
        let (name, difference) = figure.rsplit_once(' ')?;
        Some((name.to_owned(), difference.parse().ok()?))
    };
    lines.map(|line| figure(line).unwrap_or_else(|| panic!("\"{line}\":\n{failed}"))).collect()
}

fn is_tested(row: &Row) -> bool {
    row["arm"] == "joint" && row["role"] == "test"
}

fn number(row: &Row, column: &str) -> Option<f64> {
    row[column].parse().ok()
}

/// A case that grew is ranked lower.
fn lower_growth(row: &mut Row, by: f64) {
    if let (Some(probability), "1") = (number(row, "probability"), row["growth"].as_str()) {
        row.insert("probability".to_owned(), (probability - by).max(0.0).to_string());
    }
}

/// AUROC of `joint` over test cases: in each fold the share of pairs ranked right, then the mean over folds.
fn auroc(rows: &[Row]) -> f64 {
    let mut folds: BTreeMap<&str, [Vec<f64>; 2]> = BTreeMap::new();
    for row in rows.iter().filter(|row| is_tested(row)) {
        // No lesion found: below all others.
        let score = number(row, "probability").unwrap_or(f64::NEG_INFINITY);
        folds.entry(&row["fold"]).or_default()[usize::from(row["growth"] == "1")].push(score);
    }
    let of_fold = |[stable, grown]: &[Vec<f64>; 2]| {
        let pairs = grown.iter().flat_map(|grown| stable.iter().map(move |s| (grown, s)));
        let right = pairs
            .map(|(grown, stable)| f64::from(grown > stable) + 0.5 * f64::from(grown == stable));
        right.sum::<f64>() / (grown.len() * stable.len()) as f64
    };
    folds.values().map(of_fold).sum::<f64>() / folds.len() as f64
}
