//! Times one of the reference workloads w1 to w3 and prints one line of JSON.
//!
//! w1 and w3 are a training step (forward, backward, AdamW) of the joint network on slices and on
//! volumes, w2 is inference on slices: `workload w1 [RUNS]`. `cargo xtask bench w1` calls it.
#![expect(clippy::unwrap_used, reason = "a failed measurement may panic")]

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use std::time::Instant;

use burn::nn::loss::BinaryCrossEntropyLossConfig;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Distribution, Tensor};
use hemex_kernels::{FusedAdamW, Level, mask_losses, work_on_this_thread};
use hemex_model::{Dims, InputSpec, Network, NetworkKind, NetworkSpec, Pooling, RawNetworkSpec};

fn spec(dims: Dims, window: [usize; 3]) -> NetworkSpec {
    let raw = RawNetworkSpec {
        kind: NetworkKind::JointUnet,
        dims,
        channels: vec![16, 32, 64, 128],
        n_groups: 8,
        n_planar_levels: if dims == Dims::Volumes { 1 } else { 0 },
        pooling: Pooling::Mean,
        reconstructs: false,
        deep_supervision: false,
        followup: false,
        signs: Vec::new(),
        slice_attention: None,
        attention: None,
        window,
        input: InputSpec { windows_hu: vec![[0.0, 100.0]], brain_only: false, n_neighbours: 0 },
    };
    NetworkSpec::try_from(raw).unwrap()
}

/// A training step with the loss of the workload: cross-entropy of the mask and of the label.
fn training(spec: &NetworkSpec, n_batch: usize) -> impl FnMut() {
    let device = Device::flex().autodiff();
    let [d, h, w] = spec.window();
    let x = Tensor::<5>::random([n_batch, 1, d, h, w], Distribution::Normal(0.0, 1.0), &device);
    let mask =
        Tensor::<5>::random(x.dims(), Distribution::Default, &device).lower_elem(0.05).float();
    let label =
        Tensor::<1>::random([n_batch], Distribution::Default, &device).lower_elem(0.3).int();
    let label_loss = BinaryCrossEntropyLossConfig::new().with_logits(true).init(&device);
    let mut network = Some(Network::new(spec, 1, &device));
    let mut optimizer = ModuleOptimizer::from(FusedAdamW::new(0.01));
    move || {
        let current = network.take().unwrap();
        let output = current.forward(x.clone());
        let mask_loss = mask_losses(output.mask_logits.unwrap(), mask.clone()).narrow(0, 1, 1);
        let loss = mask_loss + label_loss.forward(output.growth_logit.unwrap(), label.clone());
        let gradients = GradientsParams::from_grads(loss.backward(), &current);
        network = Some(optimizer.step(1e-3, current, gradients));
        assert!(loss.into_scalar::<f32>().is_finite());
    }
}

fn inference(spec: &NetworkSpec, n_batch: usize) -> impl FnMut() {
    let device = Device::flex();
    let [d, h, w] = spec.window();
    let x = Tensor::<5>::random([n_batch, 1, d, h, w], Distribution::Normal(0.0, 1.0), &device);
    let network = Network::new(spec, 1, &device);
    move || {
        let sum: f32 = network.forward(x.clone()).mask_logits.unwrap().sum().into_scalar();
        assert!(sum.is_finite());
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_default();
    let n_runs: usize = arguments.next().map_or(9, |n| n.parse().unwrap());
    work_on_this_thread();
    let slices = spec(Dims::Slices, [1, 128, 128]);
    let volumes = spec(Dims::Volumes, [16, 96, 96]);
    let mut step: Box<dyn FnMut()> = match name.as_str() {
        "w1" => Box::new(training(&slices, 8)),
        "w2" => Box::new(inference(&slices, 8)),
        "w3" => Box::new(training(&volumes, 2)),
        _ => panic!("`{name}` is not one of w1, w2, w3"),
    };
    step();
    let mut times: Vec<f64> = (0..n_runs)
        .map(|_| {
            let begin = Instant::now();
            step();
            begin.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    let line = serde_json::json!({
        "workload": name,
        "ms": (times[times.len() / 2] * 100.0).round() / 100.0,
        "runs": n_runs,
        "threads": rayon::current_num_threads(),
        "simd": Level::current().name(),
        "peak_mib": peak_mib(),
    });
    println!("{line}");
}

/// The most memory that this process has held, where the system tells.
fn peak_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1024)
}
