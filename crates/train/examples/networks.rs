//! What each network of a config takes: `cargo run --release -p hemex-train --example networks -- configs/train.toml`.
//!
//! Counted for one window of each arm ([`NetworkCost`]); the memory of a training step is that for the config's
//! `batch_size`.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use hemex_model::{NetworkCost, NetworkSpec};
use serde::Deserialize;

/// The part of a config that networks and their batches come from.
#[derive(Deserialize)]
struct Networks {
    batch_size: usize,
    arm: BTreeMap<String, NetworkSpec>,
}

fn main() -> anyhow::Result<()> {
    let path = std::env::args_os().nth(1).context("usage: networks CONFIG.toml")?;
    let path = Path::new(&path);
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let config: Networks = toml::from_str(&text).with_context(|| path.display().to_string())?;
    let mib = |bytes: usize| bytes as f64 / f64::from(1 << 20);
    println!(
        "{:<30} {:>12} {:>16} {:>12} {:>15} {:>10}",
        "arm", "parameters", "multiply-adds", "weights MiB", "a window's MiB", "step MiB"
    );
    for (name, spec) in &config.arm {
        let cost = NetworkCost::of(spec);
        println!(
            "{name:<30} {:>12} {:>16} {:>12.2} {:>15.2} {:>10.1}",
            cost.n_parameters,
            cost.n_multiply_adds,
            mib(cost.weight_bytes()),
            mib(cost.activation_bytes()),
            mib(cost.step_bytes(config.batch_size))
        );
    }
    Ok(())
}
