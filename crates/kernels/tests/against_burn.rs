//! Every operation and its gradients against Burn's own, on every path and on shapes that hurt.

use burn::tensor::{Device, Tensor, TensorData};
use hemex_kernels::{Algorithm, Level, NormSettings, Plan, stock};

/// What counts as equal, relative to the largest value.
const TOLERANCE: f32 = 2e-5;

/// Numbers around 0, the same for the same seed.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f32 {
        // Steele et al., OOPSLA 2014: SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    fn tensor<const D: usize>(&mut self, dims: [usize; D], device: &Device) -> Tensor<D> {
        let numbers: Vec<f32> = (0..dims.iter().product()).map(|_| self.next()).collect();
        Tensor::from_data(TensorData::new(numbers, dims), device)
    }
}

/// Every path that a convolution can take on this machine.
fn plans() -> Vec<Plan> {
    let algorithms = [Algorithm::Auto, Algorithm::Direct, Algorithm::Winograd];
    let with = |level| algorithms.map(|algorithm| Plan { level, algorithm });
    Level::available().into_iter().chain([Level::Wide]).flat_map(with).collect()
}

fn values(tensor: Tensor<1>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// Differences relative to the largest value expected.
///
/// One to three numbers may be sums over `n_voxels` that cancel by chance: these are held to the size
/// that such a sum of numbers about 1 has.
fn assert_close(found: &[f32], expected: &[f32], n_voxels: usize, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(0.0f32, |largest, x| largest.max(x.abs()));
    let typical = (n_voxels as f32).sqrt();
    let largest = if expected.len() < 4 { largest.max(typical) } else { largest };
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        let difference = (found - expected).abs();
        let is_close = difference <= TOLERANCE * largest.max(f32::MIN_POSITIVE);
        assert!(is_close, "{what}: number {i} is {found} in place of {expected}, of {largest}");
    }
}

/// An operation on tensors that are told apart by what they are to it.
struct Inputs {
    x: Tensor<5>,
    skip: Tensor<5>,
    weight: Tensor<5>,
    affine: [Tensor<1>; 2],
}

/// Extents and channels of an operation's inputs.
#[derive(Clone, Copy, Debug)]
struct Shape {
    /// `[B, D, H, W]`.
    grid: [usize; 4],
    n_x: usize,
    n_skip: usize,
    weight: [usize; 5],
    n_affine: usize,
}

impl Inputs {
    fn new(shape: Shape, device: &Device) -> Self {
        let mut numbers = Numbers(7);
        let [b, d, h, w] = shape.grid;
        Self {
            x: numbers.tensor([b, d, h, w, shape.n_x], device).require_grad(),
            skip: numbers.tensor([b, d, h, w, shape.n_skip], device).require_grad(),
            weight: numbers.tensor(shape.weight, device).require_grad(),
            affine: [0; 2].map(|_| numbers.tensor([shape.n_affine], device).require_grad()),
        }
    }

    /// The output and the gradient to each input that has one, of `Σ output · r` with `r` random.
    fn run(&self, operation: impl Fn(&Inputs) -> Tensor<5>) -> Vec<(&'static str, Vec<f32>)> {
        let y = operation(self);
        let n: usize = y.dims().iter().product();
        let r = Numbers(11).tensor(y.dims(), &y.device());
        let gradients = (y.clone() * r).sum().backward();
        let mut results = vec![("output", values(y.reshape([n])))];
        let tensors = [("x", &self.x), ("skip", &self.skip), ("weight", &self.weight)];
        for (name, tensor) in tensors {
            if let Some(gradient) = tensor.grad(&gradients) {
                results.push((name, gradient.into_data().iter::<f32>().collect()));
            }
        }
        for (name, tensor) in ["gamma", "beta"].into_iter().zip(&self.affine) {
            if let Some(gradient) = tensor.grad(&gradients) {
                results.push((name, gradient.into_data().iter::<f32>().collect()));
            }
        }
        results
    }
}

/// Compares an operation with Burn's on one shape, under every plan.
fn compare(
    shape: Shape,
    operation: impl Fn(&Inputs) -> Tensor<5>,
    of_burn: impl Fn(&Inputs) -> Tensor<5>,
) {
    let inputs = Inputs::new(shape, &Device::flex().autodiff());
    let expected = inputs.run(of_burn);
    assert!(expected.len() > 1, "no gradient to compare for {shape:?}");
    for plan in plans() {
        let found = plan.force(|| inputs.run(&operation));
        assert_eq!(found.len(), expected.len(), "{plan:?} {shape:?}");
        for ((name, found), (_, expected)) in found.iter().zip(&expected) {
            let n_voxels = shape.grid.iter().product();
            assert_close(found, expected, n_voxels, &format!("{name} of {shape:?} under {plan:?}"));
        }
    }
}

const GRIDS: [[usize; 4]; 11] = [
    [1, 1, 1, 1],
    [1, 1, 5, 1],
    [1, 1, 1, 9],
    [2, 1, 4, 4],
    [1, 1, 7, 13],
    [3, 1, 12, 10],
    [9, 1, 6, 5],
    [1, 2, 3, 5],
    [2, 3, 9, 6],
    [1, 5, 8, 17],
    [1, 7, 21, 34],
];

/// Inputs, the skip's, outputs: one channel, less than a vector, no multiple of it, several.
const CHANNELS: [[usize; 3]; 8] = [
    [1, 1, 1],
    [1, 3, 16],
    [8, 8, 8],
    [5, 7, 6],
    [16, 16, 16],
    [19, 3, 21],
    [33, 17, 40],
    [4, 20, 1],
];

fn conv_shapes() -> Vec<Shape> {
    let mut shapes = Vec::new();
    for grid in GRIDS {
        for [n_x, n_skip, n_out] in CHANNELS {
            for depth in [1, 3] {
                let weight = [n_out, n_x, depth, 3, 3];
                shapes.push(Shape { grid, n_x, n_skip, weight, n_affine: n_x });
            }
        }
    }
    shapes
}

#[test]
fn convolution() {
    for shape in conv_shapes() {
        compare(
            shape,
            |i| hemex_kernels::conv(i.x.clone(), i.weight.clone()).into_tensor(),
            |i| stock::conv(i.x.clone(), i.weight.clone()),
        );
    }
}

#[test]
fn convolution_of_two_inputs() {
    for mut shape in conv_shapes() {
        shape.weight[1] = shape.n_x + shape.n_skip;
        compare(
            shape,
            |i| {
                hemex_kernels::conv_pair(i.x.clone(), i.skip.clone(), i.weight.clone())
                    .into_tensor()
            },
            |i| stock::conv_pair(i.x.clone(), i.skip.clone(), i.weight.clone()),
        );
    }
}

/// The groups of so many channels: all together, some, each alone.
fn settings(n_channels: usize) -> Vec<NormSettings> {
    let n_groups = (1..=n_channels).filter(|n| n_channels.is_multiple_of(*n));
    let each =
        |n_groups| [0.0, 0.01, 1.0].map(|slope| NormSettings { n_groups, epsilon: 1e-5, slope });
    n_groups.flat_map(each).collect()
}

/// A group of one number has no spread to normalise.
fn has_spread(shape: &Shape) -> bool {
    shape.grid[1..].iter().product::<usize>() > 8
}

#[test]
fn normalisation() {
    for shape in conv_shapes().into_iter().filter(has_spread) {
        for settings in settings(shape.n_x) {
            compare(
                shape,
                |i| hemex_kernels::norm(i.x.clone(), i.affine.clone(), settings),
                |i| stock::norm(i.x.clone(), i.affine.clone(), settings),
            );
        }
    }
}

#[test]
fn convolution_of_a_normalised_input() {
    for shape in conv_shapes().into_iter().filter(has_spread) {
        for settings in settings(shape.n_x).into_iter().take(4) {
            compare(
                shape,
                |i| {
                    let (x, affine, weight) = (i.x.clone(), i.affine.clone(), i.weight.clone());
                    hemex_kernels::norm_conv(x, affine, weight, settings).into_tensor()
                },
                |i| {
                    let (x, affine, weight) = (i.x.clone(), i.affine.clone(), i.weight.clone());
                    stock::norm_conv(x, affine, weight, settings)
                },
            );
        }
    }
}

#[test]
fn max_pooling() {
    for shape in conv_shapes() {
        for stride in [[1, 2, 2], [2, 2, 2], [1, 1, 1], [1, 3, 2]] {
            let fits = shape.grid[1..].iter().zip(stride).all(|(extent, stride)| *extent >= stride);
            if fits {
                compare(
                    shape,
                    |i| hemex_kernels::max_pool(i.x.clone(), stride),
                    |i| stock::max_pool(i.x.clone(), stride),
                );
            }
        }
    }
}

#[test]
fn layers_that_see_one_voxel() {
    for [n_in, _, n_out] in CHANNELS {
        for grid in GRIDS {
            for [d, h, w] in [[1, 2, 2], [2, 2, 2], [1, 1, 1], [1, 1, 3]] {
                let weight = [n_in, n_out, d, h, w];
                compare(
                    Shape { grid, n_x: n_in, n_skip: 1, weight, n_affine: n_out },
                    |i| hemex_kernels::up_conv(i.x.clone(), i.weight.clone(), i.affine[0].clone()),
                    |i| stock::up_conv(i.x.clone(), i.weight.clone(), i.affine[0].clone()),
                );
            }
            let weight = [n_out, n_in, 1, 1, 1];
            compare(
                Shape { grid, n_x: n_in, n_skip: 1, weight, n_affine: n_out },
                |i| hemex_kernels::pointwise(i.x.clone(), i.weight.clone(), i.affine[0].clone()),
                |i| stock::pointwise(i.x.clone(), i.weight.clone(), i.affine[0].clone()),
            );
        }
    }
}

#[test]
fn losses_of_a_mask() {
    for grid in GRIDS {
        let shape = Shape { grid, n_x: 1, n_skip: 1, weight: [1; 5], n_affine: 1 };
        let targets = |i: &Inputs| i.skip.clone().detach().greater_elem(0.3).float();
        let logits = |i: &Inputs| i.x.clone().mul_scalar(9.0);
        compare(
            shape,
            |i| hemex_kernels::mask_losses(logits(i), targets(i)).reshape([1, 1, 1, 1, 2]),
            |i| stock::mask_losses(logits(i), targets(i)).reshape([1, 1, 1, 1, 2]),
        );
    }
}

/// Views have strides and offsets of their own, which a kernel must not read past.
#[test]
fn inputs_that_are_views() {
    let device = Device::flex();
    let whole = Numbers(3).tensor([2, 5, 9, 12, 6], &device);
    let view = || whole.clone().narrow(1, 1, 3).narrow(4, 2, 4).swap_dims(2, 3);
    let weight = Numbers(5).tensor([7, 4, 3, 3, 3], &device);
    let flat = |x: Tensor<5>| x.into_data().iter::<f32>().collect::<Vec<_>>();
    let found = flat(hemex_kernels::conv(view(), weight.clone()).into_tensor());
    assert_close(&found, &flat(stock::conv(view(), weight)), 1, "a view");
}

/// A gradient that is zero everywhere, and one that no parent wants.
#[test]
fn gradients_that_are_empty() {
    let device = Device::flex().autodiff();
    let mut numbers = Numbers(3);
    let x = numbers.tensor([2, 1, 8, 8, 4], &device);
    let weight = numbers.tensor([6, 4, 1, 3, 3], &device).require_grad();
    let y = hemex_kernels::conv(x.clone(), weight.clone()).into_tensor();
    let gradients = y.mul_scalar(0.0).sum().backward();
    let of_weight =
        weight.grad(&gradients).map(|g| g.into_data().iter::<f32>().collect::<Vec<_>>());
    assert!(of_weight.is_some_and(|g| g.iter().all(|g| *g == 0.0)));
    assert!(x.grad(&gradients).is_none());
    let y = hemex_kernels::conv(x.clone(), numbers.tensor([6, 4, 1, 3, 3], &device)).into_tensor();
    assert_eq!(y.dims(), [2, 1, 8, 8, 6]);
}
