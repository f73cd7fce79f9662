//! Every operation at the shapes of workload w1, forward and its gradients apart, in operations of the
//! definition a second: `Gelem/s` reads GFLOP/s. The machine's own peak is printed first.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use std::time::{Duration, Instant};

use burn::tensor::{Device, Distribution, Tensor};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use hemex_kernels::{Level, NormSettings, matrix_product_peak};

const RELU: NormSettings = NormSettings { n_groups: 8, epsilon: 1e-5, slope: 0.0 };

fn random<const D: usize>(dims: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::random(dims, Distribution::Normal(0.0, 1.0), device)
}

/// The time of the way back from `y` to what asked for gradients.
///
/// A loss whose own gradient is no constant: `Σ y²/2`.
fn way_back(y: Tensor<5>, asked: &Tensor<5>) -> Duration {
    let loss = (y.clone() * y.detach()).sum();
    let begin = Instant::now();
    let gradients = loss.backward();
    let elapsed = begin.elapsed();
    assert!(asked.grad(&gradients).is_some());
    elapsed
}

/// Times an operation without gradients, and the gradient to each of its inputs alone.
///
/// A way back begins with the gradient of the loss to the operation's result; that takes what it takes
/// for a result that is itself a leaf, and is taken off.
fn operation(
    criterion: &mut Criterion,
    name: &str,
    n_flops: u64,
    inputs: &[(&str, Tensor<5>)],
    run: impl Fn(&[Tensor<5>]) -> Tensor<5>,
) {
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(n_flops));
    let plain: Vec<Tensor<5>> = inputs.iter().map(|(_, x)| x.clone()).collect();
    group.bench_function("forward", |bencher| bencher.iter(|| run(&plain)));
    for (i, (input, _)) in inputs.iter().enumerate() {
        let tracked: Vec<Tensor<5>> = plain
            .iter()
            .enumerate()
            .map(|(j, x)| {
                let x = Tensor::from_inner(x.clone());
                if i == j { x.require_grad() } else { x }
            })
            .collect();
        group.bench_function(BenchmarkId::new("gradient", input), |bencher| {
            bencher.iter_custom(|n| {
                let (mut whole, mut before) = (Duration::ZERO, Duration::ZERO);
                for _ in 0..n {
                    let y = run(&tracked);
                    let leaf = Tensor::from_inner(y.clone().inner()).require_grad();
                    whole += way_back(y, &tracked[i]);
                    before += way_back(leaf.clone(), &leaf);
                }
                whole.saturating_sub(before)
            });
        });
    }
    group.finish();
}

/// Edge length, inputs, inputs of the skip, outputs of the convolutions of w1, coarse to fine.
const CONVOLUTIONS: [[usize; 4]; 10] = [
    [128, 1, 0, 16],
    [128, 16, 0, 16],
    [128, 16, 16, 16],
    [64, 16, 0, 32],
    [64, 32, 0, 32],
    [64, 32, 32, 32],
    [32, 64, 0, 64],
    [32, 64, 64, 64],
    [16, 64, 0, 128],
    [16, 128, 0, 128],
];

fn convolutions(criterion: &mut Criterion) {
    let peak = matrix_product_peak(Level::current());
    println!("matrix product peak, {}: {peak:.0} GFLOP/s", Level::current().name());
    let device = Device::flex();
    for [edge, n_x, n_skip, n_out] in CONVOLUTIONS {
        let x = random([8, 1, edge, edge, n_x], &device);
        let weight = random([n_out, n_x + n_skip, 1, 3, 3], &device);
        let n_flops = 2 * 8 * edge * edge * 9 * (n_x + n_skip) * n_out;
        let name = format!("conv {edge}x{edge} {}+{n_skip} to {n_out}", n_x);
        if n_skip == 0 {
            operation(criterion, &name, n_flops as u64, &[("x", x), ("weight", weight)], |i| {
                hemex_kernels::conv(i[0].clone(), i[1].clone()).into_tensor()
            });
        } else {
            let skip = random([8, 1, edge, edge, n_skip], &device);
            let inputs = [("x", x), ("skip", skip), ("weight", weight)];
            operation(criterion, &name, n_flops as u64, &inputs, |i| {
                hemex_kernels::conv_pair(i[0].clone(), i[1].clone(), i[2].clone()).into_tensor()
            });
        }
    }
    let x = random([2, 8, 48, 48, 32], &device);
    let weight = random([32, 32, 3, 3, 3], &device);
    let n_flops = 2 * 2 * 8 * 48 * 48 * 27 * 32 * 32;
    operation(criterion, "conv 8x48x48 32 to 32", n_flops, &[("x", x), ("weight", weight)], |i| {
        hemex_kernels::conv(i[0].clone(), i[1].clone()).into_tensor()
    });
}

/// Bytes moved matter here, not operations: one a number.
fn others(criterion: &mut Criterion) {
    let device = Device::flex();
    let x = random([8, 1, 128, 128, 16], &device);
    let n = 8 * 128 * 128 * 16;
    let affine = |x: &Tensor<5>| {
        let ones = Tensor::<1>::ones([16], &x.device());
        [ones.clone(), ones.mul_scalar(0.1)]
    };
    operation(criterion, "norm and ReLU 128x128 16", n, &[("x", x.clone())], |i| {
        hemex_kernels::norm(i[0].clone(), affine(&i[0]), RELU)
    });
    operation(criterion, "max-pooling 128x128 16", n, &[("x", x.clone())], |i| {
        hemex_kernels::max_pool(i[0].clone(), [1, 2, 2])
    });
    let coarse = random([8, 1, 64, 64, 32], &device);
    let weight = random([32, 16, 1, 2, 2], &device);
    let n_flops = 2 * 8 * 64 * 64 * 4 * 32 * 16;
    let inputs = [("x", coarse), ("weight", weight)];
    operation(criterion, "transposed conv 64x64 32 to 16", n_flops, &inputs, |i| {
        let bias = Tensor::<1>::zeros([16], &i[0].device());
        hemex_kernels::up_conv(i[0].clone(), i[1].clone(), bias)
    });
    let weight = random([1, 16, 1, 1, 1], &device);
    let inputs = [("x", x), ("weight", weight)];
    operation(criterion, "1x1 conv 128x128 16 to 1", 2 * n, &inputs, |i| {
        let bias = Tensor::<1>::zeros([1], &i[0].device());
        hemex_kernels::pointwise(i[0].clone(), i[1].clone(), bias)
    });
    let logits = random([8, 1, 128, 128, 1], &device);
    let targets = logits.clone().greater_elem(1.6).float();
    operation(criterion, "Dice and cross-entropy 128x128", n / 16, &[("logits", logits)], |i| {
        let targets = if i[0].device().is_autodiff() {
            Tensor::from_inner(targets.clone())
        } else {
            targets.clone()
        };
        hemex_kernels::mask_losses(i[0].clone(), targets).reshape([1, 1, 1, 1, 2])
    });
}

fn config() -> Criterion {
    hemex_kernels::work_on_this_thread();
    Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(400))
}

criterion_group! {
    name = operations;
    config = config();
    targets = convolutions, others
}
criterion_main!(operations);
