//! Gradients against central differences of the definitions, computed in `f64` by plain loops.

use burn::tensor::{Device, Tensor, TensorData};
use hemex_kernels::{Algorithm, Level, NormSettings, Plan};

/// Half the step of a central difference.
const STEP: f64 = 1e-4;
/// What counts as equal, relative to the largest value: Winograd in `f32` is off by up to 1e-5, and a
/// difference by the square of its step.
const TOLERANCE: f64 = 3e-5;

/// A tensor `[B, D, H, W, C]` or of weights, in `f64`.
#[derive(Clone)]
struct Array {
    dims: [usize; 5],
    values: Vec<f64>,
}

impl Array {
    /// Numbers around 0 that repeat nowhere near.
    fn new(dims: [usize; 5], phase: f64) -> Self {
        let n: usize = dims.iter().product();
        let values =
            (0..n).map(|i| (i as f64 * 1.618 + phase).sin() + 0.3 * (i as f64 * 0.377).cos());
        // As the operations see them: rounded.
        Self { dims, values: values.map(|x| f64::from(x as f32)).collect() }
    }

    fn zeros(dims: [usize; 5]) -> Self {
        Self { dims, values: vec![0.0; dims.iter().product()] }
    }

    fn offset(&self, at: [usize; 5]) -> usize {
        at.iter().zip(self.dims).fold(0, |offset, (i, n)| offset * n + i)
    }

    fn at(&self, at: [usize; 5]) -> f64 {
        self.values[self.offset(at)]
    }

    fn tensor<const D: usize>(&self, dims: [usize; D], device: &Device) -> Tensor<D> {
        let values: Vec<f32> = self.values.iter().map(|x| *x as f32).collect();
        Tensor::from_data(TensorData::new(values, dims), device).require_grad()
    }
}

/// Every place of an extent.
fn places(dims: [usize; 5]) -> impl Iterator<Item = [usize; 5]> {
    (0..dims.iter().product()).map(move |mut i| {
        let mut at = [0; 5];
        for axis in (0..5).rev() {
            at[axis] = i % dims[axis];
            i /= dims[axis];
        }
        at
    })
}

fn conv(x: &Array, weight: &Array) -> Array {
    let [b, d, h, w, _] = x.dims;
    let [n_out, n_in, depth, ..] = weight.dims;
    let mut y = Array::zeros([b, d, h, w, n_out]);
    for [b, z, i, j, out] in places(y.dims) {
        let mut sum = 0.0;
        for [_, kd, kh, kw, input] in places([1, depth, 3, 3, n_in]) {
            let at = [
                (z + kd).wrapping_sub(depth / 2),
                (i + kh).wrapping_sub(1),
                (j + kw).wrapping_sub(1),
            ];
            if at[0] < d && at[1] < h && at[2] < w {
                sum += x.at([b, at[0], at[1], at[2], input]) * weight.at([out, input, kd, kh, kw]);
            }
        }
        let offset = y.offset([b, z, i, j, out]);
        y.values[offset] = sum;
    }
    y
}

fn side_by_side(x: &Array, skip: &Array) -> Array {
    let [b, d, h, w, n] = x.dims;
    let mut y = Array::zeros([b, d, h, w, n + skip.dims[4]]);
    for at in places(y.dims) {
        let [b, z, i, j, c] = at;
        let offset = y.offset(at);
        y.values[offset] = if c < n { x.at(at) } else { skip.at([b, z, i, j, c - n]) };
    }
    y
}

fn norm(x: &Array, gamma: &Array, beta: &Array, settings: NormSettings) -> Array {
    let [b, d, h, w, c] = x.dims;
    let per_group = c / settings.n_groups;
    let mut y = x.clone();
    for image in 0..b {
        for group in 0..settings.n_groups {
            let of_group = || {
                places([1, d, h, w, per_group])
                    .map(move |[_, z, i, j, k]| [image, z, i, j, group * per_group + k])
            };
            let n = (d * h * w * per_group) as f64;
            let mean = of_group().map(|at| x.at(at)).sum::<f64>() / n;
            let variance = of_group().map(|at| (x.at(at) - mean).powi(2)).sum::<f64>() / n;
            for at in of_group() {
                let normal = (x.at(at) - mean) / (variance + f64::from(settings.epsilon)).sqrt();
                let z = normal * gamma.values[at[4]] + beta.values[at[4]];
                let offset = y.offset(at);
                y.values[offset] = if z > 0.0 { z } else { f64::from(settings.slope) * z };
            }
        }
    }
    y
}

fn max_pool(x: &Array, [sd, sh, sw]: [usize; 3]) -> Array {
    let [b, d, h, w, c] = x.dims;
    let mut y = Array::zeros([b, d / sd, h / sh, w / sw, c]);
    for at in places(y.dims) {
        let [b, z, i, j, c] = at;
        let block = places([1, sd, sh, sw, 1]);
        let values = block.map(|[_, k, l, m, _]| x.at([b, z * sd + k, i * sh + l, j * sw + m, c]));
        let offset = y.offset(at);
        y.values[offset] = values.fold(f64::NEG_INFINITY, f64::max);
    }
    y
}

fn up_conv(x: &Array, weight: &Array, bias: &Array) -> Array {
    let [b, d, h, w, n_in] = x.dims;
    let [_, n_out, sd, sh, sw] = weight.dims;
    let mut y = Array::zeros([b, d * sd, h * sh, w * sw, n_out]);
    for at in places(y.dims) {
        let [b, z, i, j, out] = at;
        let terms = (0..n_in).map(|input| {
            x.at([b, z / sd, i / sh, j / sw, input])
                * weight.at([input, out, z % sd, i % sh, j % sw])
        });
        let offset = y.offset(at);
        y.values[offset] = bias.values[out] + terms.sum::<f64>();
    }
    y
}

fn losses(logits: &Array, targets: &Array) -> Array {
    let p: Vec<f64> = logits.values.iter().map(|z| 1.0 / (1.0 + (-z).exp())).collect();
    let overlap: f64 = p.iter().zip(&targets.values).map(|(p, t)| p * t).sum();
    let size: f64 = p.iter().sum::<f64>() + targets.values.iter().sum::<f64>();
    let pairs = p.iter().zip(&targets.values);
    let entropy: f64 = pairs.map(|(p, t)| -t * p.ln() - (1.0 - t) * (1.0 - p).ln()).sum();
    let dice = 1.0 - (2.0 * overlap + 1.0) / (size + 1.0);
    Array { dims: [1, 1, 1, 1, 2], values: vec![dice, entropy / p.len() as f64] }
}

/// Compares the gradient to every input of `Σ y · r` with central differences of the definition.
fn check<const N: usize>(
    name: &str,
    inputs: [Array; N],
    definition: impl Fn(&[Array; N]) -> Array,
    operation: impl Fn(&[Tensor<5>; N]) -> Tensor<5>,
) {
    let r = Array::new(definition(&inputs).dims, 0.7);
    let weighted = |inputs: &[Array; N]| -> f64 {
        definition(inputs).values.iter().zip(&r.values).map(|(y, r)| y * r).sum()
    };
    let differences: Vec<Vec<f64>> = (0..N)
        .map(|input| {
            (0..inputs[input].values.len())
                .map(|i| {
                    let moved = |step: f64| {
                        let mut moved = inputs.clone();
                        moved[input].values[i] += step;
                        weighted(&moved)
                    };
                    (moved(STEP) - moved(-STEP)) / (2.0 * STEP)
                })
                .collect()
        })
        .collect();
    let device = Device::flex().autodiff();
    for level in Level::available().into_iter().chain([Level::Wide]) {
        for algorithm in [Algorithm::Direct, Algorithm::Winograd] {
            Plan { level, algorithm }.force(|| {
                let tensors: [Tensor<5>; N] =
                    std::array::from_fn(|i| inputs[i].tensor(inputs[i].dims, &device));
                let y = operation(&tensors);
                let gradients = (y * r.tensor(r.dims, &device)).sum().backward();
                for (i, (tensor, differences)) in tensors.iter().zip(&differences).enumerate() {
                    let what = format!("input {i} of {name}, {level:?}, {algorithm:?}");
                    let Some(gradient) = tensor.grad(&gradients) else {
                        panic!("{what} has no gradient");
                    };
                    let largest = differences.iter().fold(0.0f64, |a, b| a.max(b.abs()));
                    let found =
                        gradient.into_data().iter::<f32>().map(f64::from).collect::<Vec<_>>();
                    for (found, expected) in found.iter().zip(differences) {
                        let is_close = (found - expected).abs() <= TOLERANCE * largest.max(1e-3);
                        assert!(is_close, "{what}: {found} in place of {expected}, of {largest}");
                    }
                }
            });
        }
    }
}

/// A vector, as an input of [`check`].
fn vector(n: usize, phase: f64) -> Array {
    Array::new([1, 1, 1, 1, n], phase)
}

fn flat(tensor: &Tensor<5>) -> Tensor<1> {
    let n = tensor.dims()[4];
    tensor.clone().reshape([n])
}

#[test]
fn convolutions() {
    for depth in [1, 3] {
        let [x, skip] = [Array::new([2, 3, 5, 6, 2], 0.0), Array::new([2, 3, 5, 6, 3], 1.0)];
        let weight = Array::new([3, 2, depth, 3, 3], 2.0);
        check(
            "conv",
            [x.clone(), weight],
            |[x, weight]| conv(x, weight),
            |[x, weight]| hemex_kernels::conv(x.clone(), weight.clone()).into_tensor(),
        );
        check(
            "conv_pair",
            [x, skip, Array::new([2, 5, depth, 3, 3], 2.0)],
            |[x, skip, weight]| conv(&side_by_side(x, skip), weight),
            |[x, skip, weight]| {
                hemex_kernels::conv_pair(x.clone(), skip.clone(), weight.clone()).into_tensor()
            },
        );
    }
}

#[test]
fn normalisations() {
    for (n_groups, slope) in [(2, 0.0), (4, 0.1), (1, 1.0)] {
        let settings = NormSettings { n_groups, epsilon: 1e-5, slope };
        let inputs = || [Array::new([2, 1, 4, 5, 4], 0.0), vector(4, 1.0), vector(4, 2.0)];
        check(
            "norm",
            inputs(),
            |[x, gamma, beta]| norm(x, gamma, beta, settings),
            |[x, gamma, beta]| hemex_kernels::norm(x.clone(), [flat(gamma), flat(beta)], settings),
        );
        let [x, gamma, beta] = inputs();
        check(
            "norm_conv",
            [x, gamma, beta, Array::new([3, 4, 1, 3, 3], 0.4)],
            |[x, gamma, beta, weight]| conv(&norm(x, gamma, beta, settings), weight),
            |[x, gamma, beta, weight]| {
                let affine = [flat(gamma), flat(beta)];
                hemex_kernels::norm_conv(x.clone(), affine, weight.clone(), settings).into_tensor()
            },
        );
    }
}

/// A normalisation takes its statistics from the convolution before: the gradient must see through.
#[test]
fn a_normalised_convolution() {
    let settings = NormSettings { n_groups: 3, epsilon: 1e-5, slope: 0.0 };
    check(
        "norm of conv",
        [
            Array::new([2, 2, 5, 4, 2], 0.0),
            Array::new([3, 2, 3, 3, 3], 2.0),
            vector(3, 1.0),
            vector(3, 2.0),
        ],
        |[x, weight, gamma, beta]| norm(&conv(x, weight), gamma, beta, settings),
        |[x, weight, gamma, beta]| {
            let y = hemex_kernels::conv(x.clone(), weight.clone());
            hemex_kernels::norm(y, [flat(gamma), flat(beta)], settings)
        },
    );
}

#[test]
fn the_rest() {
    for stride in [[1, 2, 2], [2, 2, 2]] {
        check(
            "max_pool",
            [Array::new([1, 2, 4, 6, 3], 0.0)],
            |[x]| max_pool(x, stride),
            |[x]| hemex_kernels::max_pool(x.clone(), stride),
        );
        let [d, h, w] = stride;
        check(
            "up_conv",
            [Array::new([1, 2, 3, 4, 3], 0.0), Array::new([3, 2, d, h, w], 1.0), vector(2, 2.0)],
            |[x, weight, bias]| up_conv(x, weight, bias),
            |[x, weight, bias]| hemex_kernels::up_conv(x.clone(), weight.clone(), flat(bias)),
        );
    }
    let targets = Array {
        dims: [1, 1, 4, 5, 1],
        values: (0..20).map(|i| f64::from(u8::from(i % 3 == 0))).collect(),
    };
    check(
        "mask_losses",
        [Array::new([1, 1, 4, 5, 1], 0.0)],
        |[logits]| losses(logits, &targets),
        |[logits]| {
            let targets = targets.tensor(targets.dims, &logits.device()).detach();
            hemex_kernels::mask_losses(logits.clone(), targets).reshape([1, 1, 1, 1, 2])
        },
    );
}
