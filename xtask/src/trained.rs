//! `cargo xtask regress --trained`: what the networks of the demo reach, against golden reports.
//!
//! On processors of one SIMD level a training gives the same bits whatever the number of threads, so an
//! unchanged workspace reproduces its golden report exactly. Between levels rounding parts two trainings as
//! another seed would, so each level has a golden report of its own, `tests/golden/demo-LEVEL`: the
//! `cases.csv` of a finished one, which is all that a comparison reads. It is made on a processor that has no
//! more than the level: `HEMEX_SIMD` chooses the kernels of hemex, while burn's own sums always take the widest
//! vectors there are.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use hemex_stage::simd_level;

use crate::cli::{PipelineArgs, RegressArgs};
use crate::{compare, pipeline, workspace};

/// How much AUROC or mean Dice may be lost. The 95 % interval of the paired difference, by bootstrap over
/// patients, must stay above its negative.
///
/// A loss of 0.05 must never pass. With that as the margin rounding would decide on a Dice that is worse by 0.05
/// in every case, since the interval ends where the margin lies. With 0.02 whatever loses 0.05 on these cases
/// fails, however narrow the interval: it reaches at least down to the difference itself. An unchanged training
/// differs by nothing and passes. A changed one has little room in AUROC, where the interval of two trainings on
/// the demo's 101 test cases reaches 0.1 either way: most fail, and their author says with `--update` that they
/// looked.
const MARGIN: f64 = 0.02;

/// What a golden report consists of.
const TABLE: &str = "cases.csv";

/// Runs the demo, or takes a finished report, and compares it with the golden one, or makes it that.
pub(crate) fn run(arguments: &RegressArgs) -> Result<()> {
    let level = simd_level()?;
    let folder = workspace::root().join("tests").join("golden");
    let own = folder.join(format!("demo-{level}"));
    if arguments.update {
        return update(&finished(arguments)?, &own);
    }
    // Before minutes of training: without any golden report they would be in vain.
    let golden = nearest(&folder, &own)?;
    if golden != own {
        println!(
            "no golden report of the SIMD level {level}: compared with {}, from which trainings of this level \
             differ as those of another seed would; `--update` writes one",
            golden.display()
        );
    }
    let mut report = compare::program(Some(MARGIN))?;
    let outcome = compare::must_pass(report.arg(&golden).arg(finished(arguments)?));
    outcome.map_err(|error| {
        anyhow!(
            "{error:#}\nif that is meant, `cargo xtask regress --trained --update` writes {}",
            own.display()
        )
    })
}

/// The report that is looked at.
fn finished(arguments: &RegressArgs) -> Result<PathBuf> {
    if let Some(report) = &arguments.report {
        return Ok(report.clone());
    }
    let demo = PipelineArgs {
        pipeline: "demo".to_owned(),
        device: "cpu".to_owned(),
        runs: arguments.runs.clone(),
        ..PipelineArgs::default()
    };
    pipeline::run(&demo)?.context(
        "pipelines/demo.toml ended without a report: it needs a stage that writes report/1",
    )
}

/// The golden report of this level, or else the first of another one.
fn nearest(folder: &Path, own: &Path) -> Result<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> =
        entries.map(|entry| entry.path()).filter(|path| path.join(TABLE).is_file()).collect();
    found.sort();
    if let Some(golden) = found.iter().find(|path| *path == own).or(found.first()) {
        return Ok(golden.clone());
    }
    bail!(
        "{} holds no golden report: `cargo xtask regress --trained --update` writes one",
        folder.display()
    );
}

/// Keeps of a report what a comparison reads.
fn update(report: &Path, golden: &Path) -> Result<()> {
    std::fs::create_dir_all(golden)
        .with_context(|| format!("cannot create {}", golden.display()))?;
    let (from, to) = (report.join(TABLE), golden.join(TABLE));
    std::fs::copy(&from, &to).with_context(|| {
        format!("cannot copy {} of a finished report to {}", from.display(), to.display())
    })?;
    println!("written: {}", to.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed test may panic")]

    use super::*;

    #[test]
    fn the_level_s_own_golden_report_is_taken_before_another() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("golden");
        let [fast, slow] = ["demo-fast", "demo-slow"].map(|name| root.join(name));
        let error = nearest(&root, &slow).map_err(|e| e.to_string()).unwrap_err();
        assert!(error.contains("golden holds no") && error.contains("--update"), "{error}");

        std::fs::write(folder.path().join(TABLE), "arm\n").unwrap();
        update(folder.path(), &fast).unwrap();
        assert_eq!(nearest(&root, &slow).unwrap(), fast);
        // A folder without the table is no golden report.
        std::fs::create_dir(&slow).unwrap();
        assert_eq!(nearest(&root, &slow).unwrap(), fast);
        update(folder.path(), &slow).unwrap();
        assert_eq!(nearest(&root, &slow).unwrap(), slow);
        assert_eq!(std::fs::read_to_string(slow.join(TABLE)).unwrap(), "arm\n");
    }

    #[test]
    fn what_is_no_report_becomes_no_golden_one() {
        let folder = tempfile::tempdir().unwrap();
        let error = update(folder.path(), &folder.path().join("own")).unwrap_err().to_string();
        assert!(error.contains(TABLE) && error.contains("finished report"), "{error}");
    }
}
