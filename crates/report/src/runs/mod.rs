//! Two runs beside each other: the second minus the first, on the test cases of both.

mod markdown;
mod page;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hemex_artifacts::{Role, table};
use hemex_metrics::Bootstrap;

use crate::evaluate::{Difference, PairedMean, RunFigures, paired_runs};
use crate::{CaseResult, ReportError};

pub use markdown::markdown;
pub use page::page;

/// Draws behind each interval.
const N_DRAWS: usize = 2000;
const SEED: u64 = 1;

/// The arms of two runs that both have.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Folders of the reports.
    pub folders: [PathBuf; 2],
    /// Arm by arm.
    pub arms: Vec<ArmComparison>,
    /// Arms that only the first or only the second run has.
    pub unpaired_arms: [Vec<String>; 2],
}

/// An arm in both runs.
#[derive(Debug, Clone, PartialEq)]
pub struct ArmComparison {
    /// Its name.
    pub arm: String,
    /// Test cases (once a fold and seed) that both runs have, with the same label.
    pub n_both: usize,
    /// Test cases that only the first or only the second run has.
    pub n_unpaired: [usize; 2],
    /// Test cases of both runs that the first one ranks and the second one does not (refused, never predicted).
    pub n_no_longer_ranked: usize,
    /// Test cases of both runs that have a Dice in the first alone.
    pub n_without_dice: usize,
    /// Test cases of both runs whose label is not the same: left out.
    pub n_label_changed: usize,
    /// AUROC of either run over the cases that every model of both ranks, as the difference is.
    pub auroc: [Option<f64>; 2],
    /// The second AUROC minus the first.
    pub difference: Difference,
    /// Dice, paired.
    pub dice: PairedMean,
    /// Absolute error of the volume, mL, paired.
    pub volume_error_ml: PairedMean,
}

impl Comparison {
    /// Reads the `cases.csv` of two reports and compares their test cases.
    ///
    /// A path names a report, a run that holds one, or a file of it.
    ///
    /// # Errors
    /// If a table cannot be read, or the runs share no arm or no test case.
    pub fn read(first: &Path, second: &Path) -> Result<Self, ReportError> {
        let folders = [report_folder(first)?, report_folder(second)?];
        let [first, second] = [tested(&folders[0])?, tested(&folders[1])?];
        let names = |rows: &[CaseResult]| {
            let mut names: Vec<String> = Vec::new();
            rows.iter().for_each(|row| {
                if !names.contains(&row.arm) {
                    names.push(row.arm.clone());
                }
            });
            names
        };
        let (of_first, of_second) = (names(&first), names(&second));
        let without = |names: &[String], others: &[String]| {
            names.iter().filter(|name| !others.contains(name)).cloned().collect()
        };
        let unpaired_arms = [without(&of_first, &of_second), without(&of_second, &of_first)];
        let both: Vec<&String> = of_first.iter().filter(|arm| of_second.contains(arm)).collect();
        if both.is_empty() {
            return Err(ReportError::NoCommonArm { first: of_first, second: of_second });
        }
        let arms = both.into_iter().map(|arm| compared(arm, [&first, &second]));
        Ok(Self { arms: arms.collect::<Result<_, _>>()?, folders, unpaired_arms })
    }
}

impl Comparison {
    /// Figures of the second run that are not shown to be as good as the first's: the 95 % interval of the
    /// difference in AUROC or mean Dice reaches below `-margin` (a test of non-inferiority at 2.5 %). A line each,
    /// with the figures; a difference that cannot be computed is not shown to be as good, either, nor is a run that
    /// says nothing of cases of which the first one spoke, or whose labels are others.
    pub fn worse(&self, margin: f64) -> Vec<String> {
        let mut lines = Vec::new();
        for arm in &self.arms {
            let (auroc, dice) = (&arm.difference, &arm.dice);
            lines.extend(shortfall(&arm.arm, "AUROC", (auroc.auroc, auroc.ci95), margin));
            let n_lost = arm.n_unpaired[0] + arm.n_no_longer_ranked;
            if n_lost > 0 {
                let all = arm.n_both + arm.n_unpaired[0];
                lines.push(format!(
                    "{}: {n_lost} of {all} test cases are no longer ranked",
                    arm.arm
                ));
            }
            if arm.n_label_changed > 0 {
                let n = arm.n_label_changed;
                lines.push(format!("{}: {n} test cases have another label", arm.arm));
            }
            if arm.n_without_dice > 0 {
                let n = arm.n_without_dice;
                lines.push(format!("{}: {n} test cases no longer have a Dice", arm.arm));
            }
            if dice.n > 0 {
                lines.extend(shortfall(
                    &arm.arm,
                    "mean Dice",
                    (dice.difference, dice.ci95),
                    margin,
                ));
            }
        }
        lines.extend(
            self.unpaired_arms[0].iter().map(|arm| format!("{arm}: not in the second run")),
        );
        lines
    }
}

/// Why a figure is not shown to be as good; `None` if it is.
fn shortfall(
    arm: &str,
    figure: &str,
    (difference, ci95): (Option<f64>, Option<[f64; 2]>),
    margin: f64,
) -> Option<String> {
    match (difference, ci95) {
        (None, _) => Some(format!("{arm}: {figure} cannot be compared")),
        // Draws that do not differ: the difference is what it is.
        (Some(value), None) => (value < -margin).then(|| format!("{arm}: {figure} {value:+.3}")),
        (Some(value), Some([low, high])) => (low < -margin).then(|| {
            format!("{arm}: {figure} {value:+.3} ({low:+.3} to {high:+.3}), margin {margin}")
        }),
    }
}

/// The folder with `cases.csv` that a path means.
fn report_folder(path: &Path) -> Result<PathBuf, ReportError> {
    let parent = path.parent().map(Path::to_owned).unwrap_or_default();
    let candidates = [path.to_owned(), path.join("report"), parent];
    let found = candidates.into_iter().find(|folder| folder.join("cases.csv").is_file());
    found.ok_or_else(|| ReportError::NoReport { path: path.to_owned() })
}

fn tested(folder: &Path) -> Result<Vec<CaseResult>, ReportError> {
    let rows: Vec<CaseResult> = table::read_rows(&folder.join("cases.csv"))?;
    Ok(rows.into_iter().filter(|row| row.role == Role::Test).collect())
}

fn compared(arm: &str, runs: [&Vec<CaseResult>; 2]) -> Result<ArmComparison, ReportError> {
    let by_key = runs.map(|rows| {
        let of_arm = rows.iter().filter(|row| row.arm == arm);
        of_arm
            .map(|row| ((row.fold, row.seed, row.case_id.as_str()), row))
            .collect::<BTreeMap<_, _>>()
    });
    let [first, second] = &by_key;
    let mut pairs: [Vec<&CaseResult>; 2] = [Vec::new(), Vec::new()];
    let mut n_label_changed = 0;
    for (key, row) in first {
        match second.get(key) {
            Some(other) if other.growth == row.growth => {
                pairs[0].push(row);
                pairs[1].push(other);
            }
            Some(_) => n_label_changed += 1,
            None => (),
        }
    }
    let n_both = pairs[0].len();
    if n_both == 0 {
        return Err(ReportError::NoCommonCase { arm: arm.to_owned() });
    }
    let is_lost =
        |(a, b): &(&&CaseResult, &&CaseResult)| a.score().is_some() && b.score().is_none();
    let n_no_longer_ranked = pairs[0].iter().zip(&pairs[1]).filter(is_lost).count();
    let is_undone = |(a, b): &(&&CaseResult, &&CaseResult)| a.dice.is_some() && b.dice.is_none();
    let n_without_dice = pairs[0].iter().zip(&pairs[1]).filter(is_undone).count();
    let bootstrap = Bootstrap { n_draws: N_DRAWS, seed: SEED };
    let RunFigures { auroc, difference, dice, volume_error_ml } = paired_runs(pairs, bootstrap)?;
    let n_unpaired = [first, second].map(|rows| rows.len() - n_both - n_label_changed);
    Ok(ArmComparison {
        arm: arm.to_owned(),
        n_both,
        n_unpaired,
        n_no_longer_ranked,
        n_without_dice,
        n_label_changed,
        auroc,
        difference,
        dice,
        volume_error_ml,
    })
}
