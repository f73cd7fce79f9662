//! The stage program `hemex-report`; as `hemex-report compare [--margin M] A B [PAGE.html]` it lays two finished
//! reports beside each other.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use hemex_report::runs::{Comparison, markdown, page};

const USAGE: &str = "usage: hemex-report compare [--margin M] A B [PAGE.html]";

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    match arguments.split_first() {
        Some((first, rest)) if first == "compare" => match compare(rest) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error),
        },
        _ => hemex_stage::main::<hemex_report::RawConfig, hemex_report::Config>(hemex_report::run),
    }
}

/// Prints the comparison as Markdown, or writes it as a page; with a margin, fails where the second run is not
/// shown to be as good.
#[expect(clippy::print_stdout, reason = "the summary is what the command is for")]
fn compare(arguments: &[OsString]) -> anyhow::Result<()> {
    let (margin, arguments) = match arguments {
        [first, margin, rest @ ..] if first == "--margin" => {
            let margin: Option<f64> = margin.to_str().and_then(|text| text.parse().ok());
            let margin = margin.filter(|margin| (0.0..1.0).contains(margin));
            (Some(margin.context("the margin: expected a number from 0 to below 1")?), rest)
        }
        rest => (None, rest),
    };
    let (first, second, file) = match arguments {
        [first, second] => (first, second, None),
        [first, second, file] => (first, second, Some(file)),
        _ => bail!(USAGE),
    };
    let comparison = Comparison::read(Path::new(first), Path::new(second))?;
    match file {
        Some(file) => std::fs::write(file, page(&comparison))
            .with_context(|| Path::new(file).display().to_string())?,
        None => println!("{}", markdown(&comparison)),
    }
    let worse = margin.map_or_else(Vec::new, |margin| comparison.worse(margin));
    if !worse.is_empty() {
        bail!("not shown to be as good as the first run:\n  {}", worse.join("\n  "));
    }
    Ok(())
}

#[expect(clippy::print_stderr, reason = "the one place where an error reaches the user")]
fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::FAILURE
}
