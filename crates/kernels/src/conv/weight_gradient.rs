use rayon::prelude::*;

use super::tiles::{Block, Place, Tiling, transform_gradient, transform_input};
use super::weights::SKEW;
use super::{Grid, Segments, Source};
use crate::gemm::{OuterSum, add_outer};
use crate::memory::{Buffer, Shared};
use crate::simd::{self, Kernel, Level, Simd, padded};
use crate::winograd::{IN, POINTS, filter_gradient};

/// Numbers of both tables together that stay in the last cache.
const TABLE_NUMBERS: usize = 1 << 20;

/// What all workers share.
struct Job<'a> {
    tiling: Tiling,
    depth: usize,
    sources: &'a [Source<'a>],
    ins: Segments,
    gradient: &'a Source<'a>,
    /// Padded channels of the gradient.
    n_out: usize,
}

/// Gradient to the weights `[C_out, C_in, depth, 3, 3]`: `Gᵀ [Σ_tiles (Bᵀ x B) ⊙ (A ∂y Aᵀ)] G`.
///
/// Block by block the tables of both sides are filled, and each point's sum grows by one product. A
/// point's sum is one task's: the order of its terms depends on the shape alone.
pub(super) fn winograd(
    level: Level,
    grid: Grid,
    sources: &[Source<'_>],
    gradient: &Source<'_>,
    depth: usize,
) -> Buffer {
    let job = Job {
        tiling: Tiling::new(grid, depth),
        depth,
        sources,
        ins: level.segments_in(sources),
        gradient,
        n_out: padded(gradient.channels, level.lanes()),
    };
    let sum_stride = depth * job.ins.n_padded * job.n_out + SKEW;
    let mut sums = Buffer::zeroed(POINTS * sum_stride);
    let per_tile = POINTS * (job.ins.n_padded + job.n_out);
    let blocks = job.tiling.blocks((TABLE_NUMBERS / per_tile).max(1));
    let n_tiles = blocks.iter().map(|block| job.tiling.n_tiles(block)).max().unwrap_or_default();
    let in_stride = n_tiles * job.ins.n_padded + SKEW;
    let out_stride = n_tiles * job.n_out + SKEW;
    let mut inputs = Buffer::new(POINTS * in_stride);
    let mut outputs = Buffer::new(POINTS * out_stride);
    for block in &blocks {
        let tables = Tables {
            inputs: Shared::new(&mut inputs),
            in_stride,
            outputs: Shared::new(&mut outputs),
            out_stride,
        };
        let n_rows = block.planes.len() * block.rows.len();
        (0..n_rows).into_par_iter().for_each(|task| {
            simd::run(level, Transform { job: &job, block, tables, task });
        });
        let (inputs, outputs) = (&inputs[..], &outputs[..]);
        sums.par_chunks_mut(sum_stride).enumerate().for_each(|(point, sums)| {
            let inputs = &inputs[point * in_stride..(point + 1) * in_stride];
            let outputs = &outputs[point * out_stride..(point + 1) * out_stride];
            simd::run(level, Multiply { job: &job, block, inputs, outputs, sums });
        });
    }
    let mut result = Buffer::new(gradient.channels * job.ins.n * depth * 9);
    let shared = Shared::new(&mut result);
    (0..depth * job.ins.n).into_par_iter().with_min_len(16).for_each(|task| {
        let (tap, input) = (task / job.ins.n, task % job.ins.n);
        let finish = Finish { job: &job, sums: &sums, sum_stride, tap, input, result: shared };
        simd::run(level, finish);
    });
    result
}

#[derive(Clone, Copy)]
struct Tables<'a> {
    inputs: Shared<'a>,
    in_stride: usize,
    outputs: Shared<'a>,
    out_stride: usize,
}

/// Fills the tables for one row of tiles.
struct Transform<'a> {
    job: &'a Job<'a>,
    block: &'a Block,
    tables: Tables<'a>,
    task: usize,
}

impl Kernel for Transform<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { job, block, tables, task } = self;
        let plane = block.planes.start + task / block.rows.len();
        let row = block.rows.start + task % block.rows.len();
        let first_tile = task * job.tiling.n_cols;
        for (source, segment) in job.sources.iter().zip(&job.ins.parts) {
            let place = Place {
                table: tables.inputs,
                point_stride: tables.in_stride,
                tile_stride: job.ins.n_padded,
                first_tile,
                channel: segment.first_padded,
            };
            // SAFETY: a task's tiles are its own.
            unsafe { transform_input(s, source, &job.tiling, plane, row, &place) };
        }
        let place = Place {
            table: tables.outputs,
            point_stride: tables.out_stride,
            tile_stride: job.n_out,
            first_tile,
            channel: 0,
        };
        // SAFETY: as above.
        unsafe { transform_gradient(s, job.gradient, &job.tiling, plane, row, &place) };
    }
}

/// Adds a block to the sums `[tap][input][output]` of one point.
struct Multiply<'a> {
    job: &'a Job<'a>,
    block: &'a Block,
    inputs: &'a [f32],
    outputs: &'a [f32],
    sums: &'a mut [f32],
}

impl Kernel for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { job, block, inputs, outputs, sums } = self;
        let n_in = job.ins.n_padded;
        let per_plane = job.tiling.n_tiles_of_plane(block);
        let n_planes = block.planes.len();
        for tap in 0..job.depth {
            // Tap 0 reads the plane before: the first plane has none, with tap 2 the last.
            let shift = tap as isize - (job.depth / 2) as isize;
            let n_shared = n_planes.saturating_sub(shift.unsigned_abs());
            let first_in = shift.max(0) as usize * per_plane;
            let first_out = (-shift).max(0) as usize * per_plane;
            if n_shared == 0 {
                continue;
            }
            for segment in &job.ins.parts {
                let p = OuterSum {
                    n_rows: n_shared * per_plane,
                    a: &inputs[first_in * n_in + segment.first_padded..],
                    stride_a: n_in,
                    n_m: segment.channels,
                    b: &outputs[first_out * job.n_out..],
                    stride_b: job.n_out,
                    n_cols: job.n_out,
                };
                let first = (tap * n_in + segment.first_padded) * job.n_out;
                add_outer(s, &p, &mut sums[first..], job.n_out);
            }
        }
    }
}

/// `Gᵀ u G` of one input and one tap along the depth.
struct Finish<'a> {
    job: &'a Job<'a>,
    sums: &'a [f32],
    sum_stride: usize,
    tap: usize,
    /// Unpadded.
    input: usize,
    result: Shared<'a>,
}

impl Kernel for Finish<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let job = self.job;
        let n_real = job.gradient.channels;
        let segment = job.ins.parts.iter().rev().find(|part| part.first <= self.input);
        let Some(segment) = segment else { return };
        let input = segment.first_padded + self.input - segment.first;
        for channel in (0..n_real).step_by(S::LANES) {
            let first = (self.tap * job.ins.n_padded + input) * job.n_out + channel;
            assert!((POINTS - 1) * self.sum_stride + first + S::LANES <= self.sums.len());
            let mut numbers = [[0.0f32; 16]; 9];
            // SAFETY: the furthest vector lies inside the sums, as asserted; lanes are at most 16.
            unsafe {
                let u = self.sums.as_ptr().add(first);
                let mut rows = [[s.zero(); 3]; IN];
                for (i, row) in rows.iter_mut().enumerate() {
                    let mut points = [s.zero(); IN];
                    for (j, point) in points.iter_mut().enumerate() {
                        *point = s.load(u.add((i * IN + j) * self.sum_stride));
                    }
                    *row = filter_gradient(s, points);
                }
                for j in 0..3 {
                    let column = filter_gradient(
                        s,
                        [rows[0][j], rows[1][j], rows[2][j], rows[3][j], rows[4][j], rows[5][j]],
                    );
                    for (i, g) in column.iter().enumerate() {
                        s.store(numbers[i * 3 + j].as_mut_ptr(), *g);
                    }
                }
            }
            for lane in 0..(n_real - channel).min(S::LANES) {
                let weight = (channel + lane) * job.ins.n + self.input;
                // SAFETY: one task has this input and tap.
                let result = unsafe { self.result.part((weight * job.depth + self.tap) * 9, 9) };
                for (result, numbers) in result.iter_mut().zip(&numbers) {
                    *result = numbers[lane];
                }
            }
        }
    }
}
