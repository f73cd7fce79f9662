//! Layers that see one voxel at a time: the 1×1×1 convolution, and the transposed convolution whose
//! stride is its kernel, which makes a block of each voxel.

use rayon::prelude::*;

use crate::conv::Grid;
use crate::gemm::{OuterSum, Product, Term, add_outer, packed_index, product};
use crate::memory::{Buffer, Shared};
use crate::parallel::{parts, sum_parts};
use crate::simd::{self, Kernel, Level, Simd, padded};

/// Parts of the rows whose weight gradients are summed apart.
const N_PARTS: usize = 16;
/// Voxels of a block at most.
const MAX_TAPS: usize = 27;

/// Extent of a layer: `[B, D, H, W, n_in]` to `[B, D·s₀, H·s₁, W·s₂, n_out]`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patch {
    pub grid: Grid,
    pub n_in: usize,
    pub n_out: usize,
    pub stride: [usize; 3],
    /// Whether weights are `[n_out, n_in]`, as a convolution has them, or `[n_in, n_out, stride]`, as a
    /// transposed one.
    pub is_pointwise: bool,
}

/// Gradients of a layer; a bias is there to be trained or not at all.
pub(crate) struct PatchGradients {
    /// As the weights.
    pub weight: Buffer,
    /// `[n_out]`.
    pub bias: Buffer,
}

impl Patch {
    pub(crate) fn out_grid(&self) -> Grid {
        let (grid, s) = (self.grid, self.stride);
        Grid { b: grid.b, d: grid.d * s[0], h: grid.h * s[1], w: grid.w * s[2] }
    }

    fn n_taps(&self) -> usize {
        self.stride.iter().product()
    }

    fn n_rows(&self) -> usize {
        self.grid.b * self.grid.d * self.grid.h
    }

    fn weight_index(&self, input: usize, output: usize, tap: usize) -> usize {
        if self.is_pointwise {
            output * self.n_in + input
        } else {
            (input * self.n_out + output) * self.n_taps() + tap
        }
    }

    /// Where row `row` of the input goes in the output under `tap`: its first number.
    fn out_first(&self, row: usize, tap: usize) -> usize {
        let (grid, [sd, sh, sw]) = (self.grid, self.stride);
        let (i, j, k) = (tap / sw / sh, tap / sw % sh, tap % sw);
        let (image, z, y) = (row / grid.h / grid.d, row / grid.h % grid.d, row % grid.h);
        let plane = (image * grid.d + z) * sd + i;
        let out_row = plane * grid.h * sh + y * sh + j;
        (out_row * grid.w * sw + k) * self.n_out
    }

    /// Numbers from the place of a voxel in the output to that of the next.
    fn out_stride(&self) -> usize {
        self.stride[2] * self.n_out
    }

    fn check(&self, x: &[f32], weight: &[f32]) {
        assert_eq!(x.len(), self.grid.n_voxels() * self.n_in, "size of an input");
        assert_eq!(weight.len(), self.n_in * self.n_out * self.n_taps(), "size of the weights");
        assert!(self.n_taps() <= MAX_TAPS, "blocks of {:?}", self.stride);
        assert!(!self.is_pointwise || self.n_taps() == 1, "a 1×1×1 convolution has stride 1");
    }

    pub(crate) fn forward(&self, level: Level, x: &[f32], weight: &[f32], bias: &[f32]) -> Buffer {
        self.check(x, weight);
        let level = level.for_channels(self.n_out);
        let n_vectors = self.n_out.div_ceil(level.lanes());
        let per_tap = n_vectors * level.lanes() * self.n_in;
        let mut packed = Buffer::zeroed(self.n_taps() * per_tap);
        for (tap, packed) in packed.chunks_exact_mut(per_tap.max(1)).enumerate() {
            for input in 0..self.n_in {
                for output in 0..self.n_out {
                    let vector = output / level.lanes();
                    let at = packed_index(level.lanes(), n_vectors, self.n_in, input, vector);
                    packed[at + output % level.lanes()] =
                        weight[self.weight_index(input, output, tap)];
                }
            }
        }
        let mut padded_bias = vec![0.0; n_vectors * level.lanes()];
        padded_bias[..self.n_out].copy_from_slice(bias);
        let mut y = Buffer::new(self.out_grid().n_voxels() * self.n_out);
        let shared = Shared::new(&mut y);
        let row_len = self.grid.w * self.n_in;
        (0..self.n_rows()).into_par_iter().with_min_len(8).for_each(|row| {
            let x = &x[row * row_len..(row + 1) * row_len];
            let forward =
                Forward { patch: self, row, x, packed: &packed, bias: &padded_bias, y: shared };
            simd::run(level, forward);
        });
        y
    }

    /// The gradient to the input.
    pub(crate) fn input_gradient(&self, level: Level, weight: &[f32], gradient: &[f32]) -> Buffer {
        let level = level.for_channels(self.n_in);
        let n_vectors = self.n_in.div_ceil(level.lanes());
        let total_k = self.n_taps() * self.n_out;
        let mut packed = Buffer::zeroed(n_vectors * level.lanes() * total_k);
        for tap in 0..self.n_taps() {
            for output in 0..self.n_out {
                for input in 0..self.n_in {
                    let (k, vector) = (tap * self.n_out + output, input / level.lanes());
                    let at = packed_index(level.lanes(), n_vectors, total_k, k, vector);
                    packed[at + input % level.lanes()] =
                        weight[self.weight_index(input, output, tap)];
                }
            }
        }
        let row_len = self.grid.w * self.n_in;
        let mut result = Buffer::new(self.n_rows() * row_len);
        result.par_chunks_mut(row_len.max(1)).with_min_len(8).enumerate().for_each(|(row, to)| {
            simd::run(level, InputGradient { patch: self, row, gradient, packed: &packed, to });
        });
        result
    }

    /// The gradients to the weights and the bias.
    pub(crate) fn weight_gradients(
        &self,
        level: Level,
        x: &[f32],
        gradient: &[f32],
    ) -> PatchGradients {
        let level = level.for_channels(self.n_out);
        let n_padded = padded(self.n_out, level.lanes());
        // The bias has the weights of one more input, which is 1 everywhere.
        let len = (self.n_taps() * self.n_in + 1) * n_padded;
        let parts = parts(self.n_rows(), N_PARTS);
        let mut sums = Buffer::zeroed(parts.len() * len);
        sums.par_chunks_mut(len.max(1)).zip(&parts).for_each(|(sums, part)| {
            for row in part.clone() {
                let x = &x[row * self.grid.w * self.n_in..(row + 1) * self.grid.w * self.n_in];
                let work = WeightGradient { patch: self, row, x, gradient, n_padded, sums };
                simd::run(level, work);
            }
        });
        let sums = sum_parts(&sums, len);
        let mut weight = Buffer::new(self.n_taps() * self.n_in * self.n_out);
        for tap in 0..self.n_taps() {
            for input in 0..self.n_in {
                for output in 0..self.n_out {
                    weight[self.weight_index(input, output, tap)] =
                        sums[(tap * self.n_in + input) * n_padded + output];
                }
            }
        }
        let mut bias = Buffer::new(self.n_out);
        let first = self.n_taps() * self.n_in * n_padded;
        bias.copy_from_slice(&sums[first..first + self.n_out]);
        PatchGradients { weight, bias }
    }
}

struct Forward<'a> {
    patch: &'a Patch,
    row: usize,
    x: &'a [f32],
    packed: &'a [f32],
    bias: &'a [f32],
    y: Shared<'a>,
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { patch, row, x, packed, bias, y } = self;
        let w = patch.grid.w;
        let per_tap = padded(patch.n_out, S::LANES) * patch.n_in;
        let terms = [Term { a: x, first_k: 0, n_k: patch.n_in }];
        for tap in 0..patch.n_taps() {
            let p = Product {
                n_rows: w,
                stride_a: patch.n_in,
                terms: &terms,
                b: &packed[tap * per_tap..],
                total_k: patch.n_in,
                n_cols: patch.n_out,
                bias: Some(bias),
            };
            let len = (w - 1) * patch.out_stride() + patch.n_out;
            // SAFETY: the slices of two tasks lie in rows of their own; those of two taps of one task
            // overlap, but follow each other.
            let to = unsafe { y.part(patch.out_first(row, tap), len) };
            product(s, &p, to, patch.out_stride());
        }
    }
}

struct InputGradient<'a> {
    patch: &'a Patch,
    row: usize,
    gradient: &'a [f32],
    packed: &'a [f32],
    to: &'a mut [f32],
}

impl Kernel for InputGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { patch, row, gradient, packed, to } = self;
        let n_taps = patch.n_taps();
        let mut terms = [const { Term { a: &[], first_k: 0, n_k: 0 } }; MAX_TAPS];
        for (tap, term) in terms.iter_mut().enumerate().take(n_taps) {
            let a = &gradient[patch.out_first(row, tap)..];
            *term = Term { a, first_k: tap * patch.n_out, n_k: patch.n_out };
        }
        let p = Product {
            n_rows: patch.grid.w,
            stride_a: patch.out_stride(),
            terms: &terms[..n_taps],
            b: packed,
            total_k: n_taps * patch.n_out,
            n_cols: patch.n_in,
            bias: None,
        };
        product(s, &p, to, patch.n_in);
    }
}

struct WeightGradient<'a> {
    patch: &'a Patch,
    row: usize,
    x: &'a [f32],
    gradient: &'a [f32],
    n_padded: usize,
    sums: &'a mut [f32],
}

impl Kernel for WeightGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { patch, row, x, gradient, n_padded, sums } = self;
        let (weights, bias) = sums.split_at_mut(patch.n_taps() * patch.n_in * n_padded);
        for tap in 0..patch.n_taps() {
            let p = OuterSum {
                n_rows: patch.grid.w,
                a: x,
                stride_a: patch.n_in,
                n_m: patch.n_in,
                b: &gradient[patch.out_first(row, tap)..],
                stride_b: patch.out_stride(),
                n_cols: patch.n_out,
            };
            add_outer(s, &p, &mut weights[tap * patch.n_in * n_padded..], n_padded);
            add_outer(s, &OuterSum { a: &[1.0], stride_a: 0, n_m: 1, ..p }, bias, n_padded);
        }
    }
}
