//! Another tool's layout, written and read back.

use std::collections::BTreeMap;
use std::path::Path;

use hemex_artifacts::{LabelRow, table};
use hemex_tests::{Task, Workbench};

use crate::finished;

fn export(bench: &Workbench, raw: &Path) -> Task {
    bench.pipeline("export").arg("--data").arg(format!("raw={}", raw.display())).succeeds();
    bench.task("export")
}

/// Baseline volumes, sorted: pseudonyms differ from one ingest to the next.
fn volumes(ingest: &Task) -> Vec<String> {
    let rows: Vec<LabelRow> =
        table::read_rows(&ingest.output("labels").join("labels.csv")).unwrap();
    let mut volumes: Vec<String> =
        rows.iter().filter_map(|row| row.baseline_volume_ml).map(|ml| format!("{ml:.1}")).collect();
    volumes.sort();
    volumes
}

#[test]
fn an_exported_cohort_is_ingested_again() {
    let bench = Workbench::new();
    let raw = finished().task("phantom").output("raw");
    let exported = export(&bench, &raw).output("dataset").join("Dataset501_Hematoma");
    let folds = std::fs::read(exported.join("splits_final.json")).unwrap();
    let folds: Vec<BTreeMap<String, Vec<String>>> = serde_json::from_slice(&folds).unwrap();
    assert_eq!(folds.len(), 3);
    assert!(folds.iter().all(|fold| fold["train"].iter().all(|case| !fold["val"].contains(case))));

    let again = Workbench::new();
    let data = format!("raw={}", exported.display());
    again.pipeline("export").arg("--data").arg(data).succeeds();
    let (first, second) = (volumes(&bench.task("ingest")), volumes(&again.task("ingest")));
    let growths = |bench: &Workbench| {
        let path = bench.task("ingest").output("labels").join("labels.csv");
        let rows: Vec<LabelRow> = table::read_rows(&path).unwrap();
        [Some(true), Some(false), None]
            .map(|growth| rows.iter().filter(|row| row.growth == growth).count())
    };
    assert_eq!(growths(&bench), growths(&again));
    // Prepared masks have coarser voxels than native ones, so volumes are near, not equal.
    assert_eq!(first.len(), second.len());
    let sum = |volumes: &[String]| volumes.iter().map(|ml| ml.parse::<f64>().unwrap()).sum::<f64>();
    assert!((sum(&second) / sum(&first) - 1.0).abs() < 0.05, "{first:?} {second:?}");
}
