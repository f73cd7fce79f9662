//! The reference workloads w1 (training step) and w2 (inference) of the joint 2-D U-Net.
#![expect(clippy::unwrap_used, reason = "a failed bench may panic")]

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use burn::nn::loss::BinaryCrossEntropyLossConfig;
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::{Device, Distribution, Tensor};
use criterion::{Criterion, criterion_group, criterion_main};
use hemex_model::{Dims, InputSpec, Network, NetworkKind, NetworkSpec, Pooling, RawNetworkSpec};

fn spec() -> NetworkSpec {
    let raw = RawNetworkSpec {
        kind: NetworkKind::JointUnet,
        dims: Dims::Slices,
        channels: vec![16, 32, 64, 128],
        n_groups: 8,
        n_planar_levels: 0,
        pooling: Pooling::Mean,
        window: [1, 128, 128],
        input: InputSpec { window_hu: [0.0, 100.0], brain_only: false },
    };
    NetworkSpec::try_from(raw).unwrap()
}

fn w1(criterion: &mut Criterion) {
    let device = Device::flex().autodiff();
    let x = Tensor::<5>::random([8, 1, 1, 128, 128], Distribution::Normal(0.0, 1.0), &device);
    let mask = x.clone().greater_elem(1.6).int();
    let label = Tensor::<1>::from_data([0., 1., 0., 0., 1., 0., 0., 0.], &device).int();
    let loss = BinaryCrossEntropyLossConfig::new().with_logits(true).init(&device);
    let mut network = Some(Network::new(&spec(), 1, &device));
    let mut optimizer = AdamWConfig::new().init();
    criterion.bench_function("w1 training step, joint 2-D U-Net, 8 x 128 x 128", |bencher| {
        bencher.iter(|| {
            let current = network.take().unwrap();
            let output = current.forward(x.clone());
            let total = loss.forward(output.mask_logits.unwrap(), mask.clone())
                + loss.forward(output.growth_logit, label.clone());
            let gradients = GradientsParams::from_grads(total.backward(), &current);
            network = Some(optimizer.step(1e-3, current, gradients));
        });
    });
}

fn w2(criterion: &mut Criterion) {
    let device = Device::flex();
    let x = Tensor::<5>::random([8, 1, 1, 128, 128], Distribution::Normal(0.0, 1.0), &device);
    let network = Network::new(&spec(), 1, &device);
    criterion.bench_function("w2 inference, joint 2-D U-Net, 8 x 128 x 128", |bencher| {
        bencher.iter(|| network.forward(x.clone()).mask_logits.unwrap().sum().into_scalar::<f32>());
    });
}

criterion_group! {
    name = workloads;
    config = Criterion::default().sample_size(10);
    targets = w1, w2
}
criterion_main!(workloads);
