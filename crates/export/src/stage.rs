use hemex_stage::{Request, log};

use crate::{Cohort, Config, Format, bids, nnunet};

/// Runs the stage.
///
/// # Errors
/// If an input is not wired or cannot be read, the layout cannot hold the cohort, or the output cannot be
/// written.
pub fn run(config: &Config, request: &Request) -> anyhow::Result<()> {
    let cohort = Cohort::open(request)?;
    let output = request.output("dataset")?;
    match config.format {
        Format::Nnunet => nnunet::write(&cohort, config, output)?,
        Format::Bids => bids::write(&cohort, config, output)?,
    }
    log(format_args!("{} cases written", cohort.cases.rows.len()));
    Ok(())
}
