use std::path::PathBuf;
use std::process::ExitCode;

use serde::de::DeserializeOwned;

use crate::progress::Message;
use crate::{ConfigError, Request, config};

/// What a stage does with a request.
pub type Run<Config> = fn(&Config, &Request) -> anyhow::Result<()>;

/// A flag, and what it makes of a request in place of a run.
pub type Mode<Config> = (&'static str, Run<Config>);

/// `main` of a stage: `PROGRAM request.json` runs it, `PROGRAM --check request.json` checks its config.
///
/// `Raw` is the config as it is written (`#[serde(deny_unknown_fields)]`), `Config` the form that can
/// only hold valid values. Exit codes: 0 done, 1 failed (the last lines of stderr say why), 2 a config
/// or call that cannot be used.
pub fn main<Raw, Config>(run: Run<Config>) -> ExitCode
where
    Raw: DeserializeOwned,
    Config: TryFrom<Raw, Error = ConfigError>,
{
    main_with::<Raw, Config>(run, &[])
}

/// As [`main`]; `PROGRAM FLAG request.json` does what one of the modes does.
pub fn main_with<Raw, Config>(run: Run<Config>, modes: &[Mode<Config>]) -> ExitCode
where
    Raw: DeserializeOwned,
    Config: TryFrom<Raw, Error = ConfigError>,
{
    let mut arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let check = arguments.first().is_some_and(|first| first == "--check");
    let mode = modes.iter().find(|(flag, _)| arguments.first().is_some_and(|first| first == *flag));
    if check || mode.is_some() {
        arguments.remove(0);
    }
    let run = mode.map_or(run, |(_, run)| *run);
    let [path] = arguments.as_slice() else {
        let flags: String = modes.iter().map(|(flag, _)| format!(" | {flag}")).collect();
        return fail(2, &format!("usage: PROGRAM [--check{flags}] request.json"));
    };
    let request = match Request::read(&PathBuf::from(path)) {
        Ok(request) => request,
        Err(error) => return fail(2, &error.to_string()),
    };
    let config = match config::parse::<Raw>(&request.config).and_then(Config::try_from) {
        Ok(config) => config,
        Err(error) => {
            let text = format!("stage `{}`: {error}", request.stage);
            Message::ConfigError(error).print();
            return fail(2, &text);
        }
    };
    if check {
        return ExitCode::SUCCESS;
    }
    match run(&config, &request) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(1, &format!("{error:#}")),
    }
}

#[expect(clippy::print_stderr, reason = "the contract: the last lines of stderr say why")]
fn fail(code: u8, why: &str) -> ExitCode {
    eprintln!("error: {why}");
    ExitCode::from(code)
}
