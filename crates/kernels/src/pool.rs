//! Maximum over blocks of voxels, channels last.

use std::sync::Arc;

use rayon::prelude::*;

use crate::conv::Grid;
use crate::memory::{Buffer, Shared};
use crate::simd::{self, Kernel, Level, Simd};

/// Pooling of `[B, D, H, W, C]` by blocks of at most 255 voxels; voxels past the last whole block are
/// left out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pool {
    pub grid: Grid,
    pub channels: usize,
    /// `[D, H, W]`.
    pub stride: [usize; 3],
}

/// What max-pooling keeps for its gradient: which voxel of the block, a byte a number.
#[derive(Clone)]
pub(crate) struct Indices(Arc<Buffer>);

impl std::fmt::Debug for Indices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Indices").finish_non_exhaustive()
    }
}

impl Pool {
    /// Extent after pooling.
    pub(crate) fn pooled(&self) -> Grid {
        let (grid, s) = (self.grid, self.stride);
        Grid { b: grid.b, d: grid.d / s[0], h: grid.h / s[1], w: grid.w / s[2] }
    }

    /// The maxima. The first of equal numbers counts, and not a number above all numbers.
    pub(crate) fn forward(&self, level: Level, x: &[f32]) -> (Buffer, Indices) {
        assert!(self.stride.iter().product::<usize>() <= 255, "blocks of {:?}", self.stride);
        assert_eq!(x.len(), self.grid.n_voxels() * self.channels, "size of the input");
        let level = level.for_channels(self.channels);
        let pooled = self.pooled();
        let row = (pooled.w * self.channels).max(1);
        let mut y = Buffer::new(pooled.n_voxels() * self.channels);
        let mut indices = Buffer::new(y.len().div_ceil(4));
        let bytes = &mut indices.bytes_mut()[..y.len()];
        y.par_chunks_mut(row).zip(bytes.par_chunks_mut(row)).with_min_len(4).enumerate().for_each(
            |(row, (y, indices))| simd::run(level, Forward { pool: self, x, row, y, indices }),
        );
        (y, Indices(Arc::new(indices)))
    }

    /// The gradient to the input, given that to the maxima.
    pub(crate) fn gradient(&self, level: Level, indices: &Indices, gradient: &[f32]) -> Buffer {
        let (grid, pooled) = (self.grid, self.pooled());
        assert_eq!(gradient.len(), pooled.n_voxels() * self.channels, "size of the gradient");
        let is_whole = grid.d == pooled.d * self.stride[0]
            && grid.h == pooled.h * self.stride[1]
            && grid.w == pooled.w * self.stride[2];
        let n = grid.n_voxels() * self.channels;
        let mut result = if is_whole { Buffer::new(n) } else { Buffer::zeroed(n) };
        let to = Shared::new(&mut result);
        let indices = &indices.0.bytes()[..gradient.len()];
        let n_rows = pooled.b * pooled.d * pooled.h;
        (0..n_rows).into_par_iter().with_min_len(4).for_each(|row| {
            simd::run(level, Backward { pool: self, row, indices, gradient, to });
        });
        result
    }

    /// The rows of voxels that pooled row `row` draws on: each row's number in the block, and its first
    /// voxel.
    fn rows_of_block(&self, row: usize) -> impl Iterator<Item = (usize, usize)> + use<> {
        let (grid, pooled, stride) = (self.grid, self.pooled(), self.stride);
        let (image, z, y) = (row / pooled.h / pooled.d, row / pooled.h % pooled.d, row % pooled.h);
        (0..stride[0] * stride[1]).map(move |index| {
            let z = z * stride[0] + index / stride[1];
            let y = y * stride[1] + index % stride[1];
            (index, ((image * grid.d + z) * grid.h + y) * grid.w)
        })
    }
}

/// One row of maxima.
struct Forward<'a> {
    pool: &'a Pool,
    x: &'a [f32],
    row: usize,
    y: &'a mut [f32],
    indices: &'a mut [u8],
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { pool, x, row, y, indices } = self;
        let (n, w) = (pool.channels, pool.stride[2]);
        let rows: Vec<(usize, usize)> = pool.rows_of_block(row).collect();
        let voxels = y.chunks_exact_mut(n).zip(indices.chunks_exact_mut(n));
        for (voxel, (y, indices)) in voxels.enumerate() {
            for channel in (0..n).step_by(S::LANES) {
                let lanes = (n - channel).min(S::LANES);
                let mut kept = [s.splat(f32::NEG_INFINITY), s.zero()];
                for &(index, first) in &rows {
                    for k in 0..w {
                        let from = (first + voxel * w + k) * n + channel;
                        let numbers = &x[from..from + lanes];
                        // SAFETY: `lanes` numbers, by the slice.
                        let numbers = unsafe { s.load_first(numbers.as_ptr(), lanes) };
                        let index = s.splat((index * w + k) as f32);
                        kept = s.keep_larger(numbers, index, kept[0], kept[1]);
                    }
                }
                let y = &mut y[channel..channel + lanes];
                let mut wide = [0.0f32; 16];
                // SAFETY: `lanes` numbers by the slice, and a vector has at most 16.
                unsafe {
                    s.store_first(y.as_mut_ptr(), kept[0], lanes);
                    s.store(wide.as_mut_ptr(), kept[1]);
                }
                for (narrow, wide) in indices[channel..channel + lanes].iter_mut().zip(&wide) {
                    // SAFETY: a whole number up to 255.
                    *narrow = unsafe { wide.to_int_unchecked::<i32>() } as u8;
                }
            }
        }
    }
}

/// The rows of the input's gradient that one row of maxima draws on.
struct Backward<'a> {
    pool: &'a Pool,
    row: usize,
    indices: &'a [u8],
    gradient: &'a [f32],
    to: Shared<'a>,
}

impl Kernel for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let Self { pool, row, indices, gradient, to } = self;
        let (n, w) = (pool.channels, pool.stride[2]);
        let len = pool.pooled().w * n;
        let (indices, gradient) = (&indices[row * len..][..len], &gradient[row * len..][..len]);
        for (index, first) in pool.rows_of_block(row) {
            // SAFETY: a block's rows belong to one task.
            let to = unsafe { to.part(first * n, len * w) };
            let voxels = gradient.chunks_exact(n).zip(indices.chunks_exact(n));
            for (to, (gradient, kept)) in to.chunks_exact_mut(w * n).zip(voxels) {
                for (k, to) in to.chunks_exact_mut(n).enumerate() {
                    spread(gradient, kept, (index * w + k) as u8, to);
                }
            }
        }
    }
}

/// The gradient where `kept` is `index`, 0 elsewhere.
#[inline(always)]
fn spread(gradient: &[f32], kept: &[u8], index: u8, to: &mut [f32]) {
    let (wide, rest) = to.as_chunks_mut::<8>();
    let (gradients, last_gradients) = gradient.as_chunks::<8>();
    let (kepts, last_kepts) = kept.as_chunks::<8>();
    for ((to, gradient), kept) in wide.iter_mut().zip(gradients).zip(kepts) {
        for i in 0..8 {
            to[i] = if kept[i] == index { gradient[i] } else { 0.0 };
        }
    }
    for ((to, gradient), kept) in rest.iter_mut().zip(last_gradients).zip(last_kepts) {
        *to = if *kept == index { *gradient } else { 0.0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_equals_counts_and_not_a_number_stays() {
        let pool = Pool { grid: Grid { b: 1, d: 1, h: 2, w: 4 }, channels: 1, stride: [1, 2, 2] };
        let x = [3.0, 3.0, f32::NAN, 1.0, 3.0, 2.0, 5.0, 9.0];
        for level in Level::available() {
            let (y, indices) = pool.forward(level, &x);
            assert!(y[0] == 3.0 && y[1].is_nan(), "{:?} under {level:?}", &y[..]);
            let gradient = pool.gradient(level, &indices, &[1.0, 2.0]);
            assert_eq!(gradient[..], [1.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0], "{level:?}");
        }
    }
}
