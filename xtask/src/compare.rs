//! `cargo xtask compare`: two runs beside each other. The work is done by `hemex-report`.

use anyhow::{Context, Result};

use crate::cli::{CompareArgs, CompareFormat};
use crate::workspace;

/// Runs the command.
#[expect(clippy::print_stdout, reason = "where the page is is what the command tells")]
pub(crate) fn run(arguments: &CompareArgs) -> Result<()> {
    let mut build = workspace::cargo();
    build.args(["build", "--release", "--locked", "--workspace", "--bins", "--quiet"]);
    workspace::must_succeed(&mut build, "the build of hemex-report")?;
    let programs = workspace::target_folder(&workspace::metadata()?).join("release");
    let mut report = std::process::Command::new(programs.join("hemex-report"));
    report.arg("compare");
    if let Some(margin) = arguments.margin {
        report.args(["--margin", &margin.to_string()]);
    }
    for run in [&arguments.first, &arguments.second] {
        report.arg(std::path::absolute(run).with_context(|| run.display().to_string())?);
    }
    if arguments.format == CompareFormat::Md {
        return workspace::must_succeed(&mut report, "the comparison");
    }
    let page = std::path::absolute(&arguments.out)?;
    workspace::must_succeed(report.arg(&page), "the comparison")?;
    println!("page: {}", page.display());
    Ok(())
}
