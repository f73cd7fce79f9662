//! Follow-up masks of heads that lie otherwise in the second scan, and whose scans differ by site.

use std::fs;

use hemex_artifacts::{LabelRow, nifti, table};
use hemex_tests::Workbench;
use hemex_volume::LabelMap;

use crate::tiny;

/// A case by its masks.
struct Pair {
    grew: bool,
    baseline: LabelMap,
    followup: LabelMap,
}

impl Pair {
    /// Voxels of the hematoma in both scans.
    fn n_both(&self) -> f64 {
        let pairs = self.baseline.voxels().iter().zip(self.followup.voxels());
        pairs.filter(|(a, b)| **a == 1 && **b == 1).count() as f64
    }

    fn dice(&self) -> f64 {
        2.0 * self.n_both() / (self.baseline.count(&[1]) + self.followup.count(&[1])) as f64
    }

    /// Part of the first hematoma that lies within the second.
    fn contained(&self) -> f64 {
        self.n_both() / self.baseline.count(&[1]) as f64
    }
}

/// The tiny cohort, ingested so.
fn ingested(bench: &Workbench, followup_masks: &str) -> Vec<Pair> {
    let text = fs::read_to_string(tiny()).unwrap();
    let (first_stages, _) = text.split_once("[stage.shift]").unwrap();
    let pipeline = bench.write("followup.toml", first_stages);
    let set = format!("ingest.labels.followup_masks={followup_masks}");
    bench.pipeline(pipeline).args(["--set", &set]).succeeds();
    let labels = bench.task("ingest").output("labels");
    let rows: Vec<LabelRow> = table::read_rows(&labels.join("labels.csv")).unwrap();
    let mask = |path: &Option<String>| nifti::read_label_map(&labels.join(path.as_ref()?)).ok();
    let pair = |row: &LabelRow| {
        let [baseline, followup] = [&row.mask, &row.followup_mask].map(mask);
        Some(Pair { grew: row.growth?, baseline: baseline?, followup: followup? })
    };
    rows.iter().filter_map(pair).collect()
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let values: Vec<f64> = values.collect();
    values.iter().sum::<f64>() / values.len() as f64
}

#[test]
fn registered_follow_up_masks_lie_where_the_hematoma_was_and_grew_to() {
    let (bench, other) = (Workbench::new(), Workbench::new());
    let registered = ingested(&bench, "registered");
    other.adopt(&bench, &["phantom"]);
    let as_scanned = ingested(&other, "as_scanned");
    // Every case with a label: no registration is refused.
    assert!(registered.len() >= 10 && registered.len() == as_scanned.len(), "{}", registered.len());
    let stable = |pairs: &[Pair]| mean(pairs.iter().filter(|pair| !pair.grew).map(Pair::dice));
    let grown = |pairs: &[Pair]| mean(pairs.iter().filter(|pair| pair.grew).map(Pair::contained));
    let figures = [&registered, &as_scanned].map(|pairs| (stable(pairs), grown(pairs)));
    let [(dice, contained), (dice_as_scanned, contained_as_scanned)] = figures;
    assert!(dice > 0.75 && dice > dice_as_scanned + 0.5, "{figures:?}");
    assert!(contained > 0.9 && contained > contained_as_scanned + 0.4, "{figures:?}");
}
