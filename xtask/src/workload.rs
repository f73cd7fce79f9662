//! `cargo xtask bench w1|w2|w3|w4|w5|w6|w7|w8`: the reference workloads, alone or in turn with a peer.
//!
//! Machines are shared and noisy: an absolute time means little, a ratio of runs that alternate does.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::workspace;

/// The workloads, and the example that runs each: the networks', augmentation's, ingest's and the metrics'.
const PROGRAMS: [(&str, &str); 8] = [
    ("w1", "workload"),
    ("w2", "workload"),
    ("w3", "workload"),
    ("w4", "augment_workload"),
    ("w5", "ingest_workload"),
    ("w6", "ingest_workload"),
    ("w7", "metrics_workload"),
    ("w8", "metrics_workload"),
];

/// The example that runs this workload, if it is one.
pub(crate) fn program_of(name: &str) -> Option<&'static str> {
    PROGRAMS.iter().find(|(workload, _)| *workload == name).map(|(_, program)| *program)
}

/// Prints one JSON object for the workload; with a peer's command, the ratio of their times too.
#[expect(clippy::print_stderr, reason = "each round takes a while, and stdout is for the figure")]
pub(crate) fn run(name: &str, example: &str, peer: Option<&str>, n_rounds: usize) -> Result<()> {
    let build = ["build", "--release", "--locked", "--workspace", "--example", example];
    workspace::must_succeed(workspace::cargo().args(build), "building the workloads")?;
    let program =
        workspace::target_folder(&workspace::metadata()?).join("release/examples").join(example);
    let ours = || -> Result<Value> {
        let mut command = Command::new(&program);
        let (text, _) = output(command.arg(name), &program.display().to_string())?;
        lines_of(&text, name).next().with_context(|| format!("{text:?} holds no figure of {name}"))
    };
    let Some(peer) = peer else {
        println!("{}", ours()?);
        return Ok(());
    };
    let mut rounds = Vec::new();
    for round in 0..n_rounds.max(1) {
        let ours = ours()?;
        let theirs = of_peer(peer, name)?;
        eprintln!(
            "round {} of {n_rounds}: {} ms, peer {} ms",
            round + 1,
            ms(&ours),
            ms(&theirs.figure)
        );
        rounds.push((ours, theirs));
    }
    println!("{}", summary(name, &rounds));
    Ok(())
}

/// What a peer's command said.
struct Peer {
    /// Its fastest line of the workload.
    figure: Value,
    peak_mib: Option<u64>,
}

/// Runs the peer's command; of several lines for the workload, such as two layouts, the fastest counts.
fn of_peer(command: &str, name: &str) -> Result<Peer> {
    let mut shell = Command::new("sh");
    let (text, peak_mib) = output(shell.args(["-c", &format!("exec {command}")]), command)?;
    let figure =
        lines_of(&text, name).min_by(|a, b| ms(a).total_cmp(&ms(b))).with_context(|| {
            format!(
                "`{command}` printed no line {{\"workload\": \"{name}\", \"ms\": …}}, but {text:?}"
            )
        })?;
    Ok(Peer { figure, peak_mib })
}

/// The lines that are a figure of the workload.
fn lines_of<'a>(text: &'a str, name: &'a str) -> impl Iterator<Item = Value> + 'a {
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(move |line| line["workload"] == name && line["ms"].is_number())
}

fn ms(figure: &Value) -> f64 {
    figure["ms"].as_f64().unwrap_or(f64::INFINITY)
}

/// Medians over the rounds, and the ratio of each.
fn summary(name: &str, rounds: &[(Value, Peer)]) -> Value {
    let ours: Vec<f64> = rounds.iter().map(|(ours, _)| ms(ours)).collect();
    let theirs: Vec<f64> = rounds.iter().map(|(_, peer)| ms(&peer.figure)).collect();
    let ratios: Vec<f64> = ours.iter().zip(&theirs).map(|(a, b)| a / b).collect();
    let peak = |peaks: Vec<Option<u64>>| peaks.into_iter().flatten().max();
    let our_peak = peak(rounds.iter().map(|(ours, _)| ours["peak_mib"].as_u64()).collect());
    let peer_peak = peak(rounds.iter().map(|(_, peer)| peer.peak_mib).collect());
    let (first, peer) = &rounds[0];
    json!({
        "workload": name,
        "ms": median(&ours),
        "runs": rounds.len(),
        "threads": first["threads"],
        "simd": first["simd"],
        "peak_mib": our_peak,
        "peer": peer.figure["peer"],
        "peer_ms": median(&theirs),
        "peer_peak_mib": peer_peak,
        "ratio": rounded(median(&ours) / median(&theirs)),
        "ratios": ratios.into_iter().map(rounded).collect::<Vec<_>>(),
        "peak_ratio": our_peak.zip(peer_peak).map(|(a, b)| rounded(a as f64 / b as f64)),
    })
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    (sorted[(n - 1) / 2] + sorted[n / 2]) / 2.0
}

fn rounded(x: f64) -> f64 {
    (x * 1000.0).round() / 1000.0
}

/// What a command printed, and the most memory that it held, where the system tells.
fn output(command: &mut Command, what: &str) -> Result<(String, Option<u64>)> {
    let mut child =
        command.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot start `{what}`"))?;
    let mut stdout = child.stdout.take().context("a child without stdout")?;
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).map(|_| text)
    });
    let (is_success, peak) = wait(&mut child)?;
    let text = match reader.join() {
        Ok(text) => text?,
        Err(_) => bail!("reading what `{what}` prints failed"),
    };
    if !is_success {
        bail!("`{what}` failed; it printed {text:?}");
    }
    Ok((text, peak))
}

/// Waits for the child: whether it succeeded, and its peak of memory in MiB as last seen.
fn wait(child: &mut Child) -> Result<(bool, Option<u64>)> {
    let mut peak = None;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok((status.success(), peak));
        }
        peak = peak.max(peak_mib(child.id()));
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn peak_mib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(ms: f64) -> Value {
        json!({ "workload": "w1", "ms": ms, "threads": 2, "simd": "avx2", "peak_mib": 200 })
    }

    #[test]
    fn the_fastest_line_of_the_workload_counts() {
        let echo = r#"printf '%s\n' 'hello' '{"workload": "w2", "ms": 1}' '{"workload": "w1", "ms": 9.5, "peer": "a"}' '{"workload": "w1", "ms": 7, "peer": "b"}'"#;
        let peer = of_peer(echo, "w1");
        assert!(peer.is_ok_and(|peer| peer.figure["peer"] == "b"));
        let error = of_peer("echo nothing", "w1").err().map(|e| e.to_string());
        assert!(error.is_some_and(|e| e.contains("echo nothing") && e.contains("w1")));
    }

    #[test]
    fn the_ratio_is_that_of_medians() {
        let peer = |ms| Peer { figure: figure(ms), peak_mib: Some(800) };
        let rounds =
            [(figure(1.0), peer(10.0)), (figure(4.0), peer(8.0)), (figure(3.0), peer(30.0))];
        let summary = summary("w1", &rounds);
        assert_eq!(summary["ratio"], 0.3);
        assert_eq!(summary["ratios"], json!([0.1, 0.5, 0.1]));
        assert_eq!(summary["peak_ratio"], 0.25);
    }
}
