//! `cargo xtask`: runs pipelines, tests, checks, regressions and benches of the workspace.

mod bench;
mod check;
mod cli;
mod compare;
mod explain;
mod gallery;
mod graph;
mod mutate;
mod pipeline;
mod regress;
mod test;
mod trained;
mod workload;
mod workspace;

use std::process::ExitCode;

use clap::Parser;
use cli::Command;

fn main() -> ExitCode {
    let outcome = match cli::Cli::parse().command {
        Command::Pipeline(arguments) => pipeline::run(&arguments).map(|_| ()),
        Command::Request(arguments) => pipeline::write_request(arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Compare(arguments) => compare::run(&arguments),
        Command::Check => check::run(),
        Command::Test(arguments) => test::run(&arguments),
        Command::Regress(arguments) if arguments.trained => trained::run(&arguments),
        Command::Regress(arguments) => regress::run(&arguments),
        Command::Mutate => mutate::run(),
        Command::Gallery(arguments) => gallery::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            fail(&error);
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "the one place where an error reaches the user")]
fn fail(error: &anyhow::Error) {
    eprintln!("error: {error:#}");
}
