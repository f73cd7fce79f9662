//! `cargo xtask compare`: two runs beside each other. The work is done by `hemex-report`.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::cli::{CompareArgs, CompareFormat};
use crate::workspace;

/// Runs the command.
#[expect(clippy::print_stdout, reason = "where the page is is what the command tells")]
pub(crate) fn run(arguments: &CompareArgs) -> Result<()> {
    let mut report = program(arguments.margin)?;
    for run in [&arguments.first, &arguments.second] {
        report.arg(std::path::absolute(run).with_context(|| run.display().to_string())?);
    }
    if arguments.format == CompareFormat::Md {
        return must_pass(&mut report);
    }
    let page = std::path::absolute(&arguments.out)?;
    must_pass(report.arg(&page))?;
    println!("page: {}", page.display());
    Ok(())
}

/// `hemex-report compare`, built; the two runs are to be added.
pub(crate) fn program(margin: Option<f64>) -> Result<Command> {
    let mut build = workspace::cargo();
    build.args(["build", "--release", "--locked", "--workspace", "--bins", "--quiet"]);
    workspace::must_succeed(&mut build, "the build of hemex-report")?;
    let programs = workspace::target_folder(&workspace::metadata()?).join("release");
    let mut report = Command::new(programs.join("hemex-report"));
    report.arg("compare");
    if let Some(margin) = margin {
        report.args(["--margin", &margin.to_string()]);
    }
    Ok(report)
}

/// Runs it; what it says of a failure is the error's text, so that one error reaches the user.
pub(crate) fn must_pass(report: &mut Command) -> Result<()> {
    report.stdout(Stdio::inherit()).stderr(Stdio::piped());
    let output = report.output().with_context(|| format!("cannot start {report:?}"))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        bail!("{}", text.trim().trim_start_matches("error: "));
    }
    Ok(())
}
