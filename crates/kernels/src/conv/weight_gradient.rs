use rayon::prelude::*;

use super::tiles::{Block, Place, Tiling, transform_gradient, transform_input};
use super::weights::SKEW;
use super::{Grid, Segments, Source};
use crate::gemm::{OuterSum, add_outer};
use crate::memory::{Buffer, Shared, with_scratch};
use crate::simd::{self, Kernel, Level, Simd, padded};
use crate::winograd::{IN, POINTS, filter_gradient};

/// Numbers of both tables together that stay in the last cache.
const TABLE_NUMBERS: usize = 1 << 20;
/// Numbers of sums that leave room for tables in a worker's second cache.
const SUM_NUMBERS: usize = 40_000;
/// Numbers of both tables together beside them.
const OWN_TABLE_NUMBERS: usize = 60_000;
/// Sums that are kept apart where each worker has its own: more than the threads of most machines.
const N_GROUPS: usize = 16;

/// What all workers share.
struct Job<'a> {
    level: Level,
    tiling: Tiling,
    depth: usize,
    sources: &'a [Source<'a>],
    ins: Segments,
    gradient: &'a Source<'a>,
    /// Padded channels of the gradient.
    n_out: usize,
    /// Numbers from the sums of one point to the next.
    sum_stride: usize,
}

/// Gradient to the weights `[C_out, C_in, depth, 3, 3]`: `Gᵀ [Σ_tiles (Bᵀ x B) ⊙ (A ∂y Aᵀ)] G`.
///
/// Block by block the tables of both sides are filled, and each point's sum grows by one product. The
/// order of a sum's terms depends on the shape alone.
pub(super) fn winograd(
    level: Level,
    grid: Grid,
    sources: &[Source<'_>],
    gradient: &Source<'_>,
    depth: usize,
) -> Buffer {
    let ins = level.segments_in(sources);
    let n_out = padded(gradient.channels, level.lanes());
    let job = Job {
        level,
        tiling: Tiling::new(grid, depth),
        depth,
        sources,
        gradient,
        n_out,
        sum_stride: depth * ins.n_padded * n_out + SKEW,
        ins,
    };
    let sums =
        if POINTS * job.sum_stride <= SUM_NUMBERS { job.by_blocks() } else { job.by_points() };
    let mut result = Buffer::new(gradient.channels * job.ins.n * depth * 9);
    let shared = Shared::new(&mut result);
    (0..depth * job.ins.n).into_par_iter().with_min_len(16).for_each(|task| {
        let (tap, input) = (task / job.ins.n, task % job.ins.n);
        simd::run(level, Finish { job: &job, sums: &sums, tap, input, result: shared });
    });
    result
}

impl Job<'_> {
    /// Blocks whose tables hold about so many numbers.
    fn blocks(&self, n_numbers: usize) -> Vec<Block> {
        self.tiling.blocks((n_numbers / (POINTS * (self.ins.n_padded + self.n_out))).max(1))
    }

    /// Where small sums leave room in a worker's cache, it has tables and sums of its own.
    ///
    /// Returns the sums of each group of blocks, one after the other.
    fn by_blocks(&self) -> Buffer {
        let blocks = self.blocks(OWN_TABLE_NUMBERS);
        let groups: Vec<&[Block]> = blocks.chunks(blocks.len().div_ceil(N_GROUPS).max(1)).collect();
        let strides = Strides::new(self, &blocks);
        let n_sums = POINTS * self.sum_stride;
        let mut sums = Buffer::zeroed(groups.len() * n_sums);
        sums.par_chunks_mut(n_sums).zip(groups).for_each(|(sums, group)| {
            with_scratch(POINTS * (strides.input + strides.output), |scratch| {
                let (inputs, outputs) = scratch.split_at_mut(POINTS * strides.input);
                for block in group {
                    let tables = Tables::new(inputs, outputs, strides);
                    (0..self.n_rows(block)).for_each(|row| self.transform(block, tables, row));
                    let of_points = sums.chunks_mut(self.sum_stride).enumerate();
                    of_points.for_each(|(point, sums)| {
                        self.multiply(block, (&*inputs, &*outputs), strides, point, sums);
                    });
                }
            });
        });
        sums
    }

    /// Where the sums are large, the workers share them and the tables, each with points of its own.
    fn by_points(&self) -> Buffer {
        let blocks = self.blocks(TABLE_NUMBERS);
        let strides = Strides::new(self, &blocks);
        let mut sums = Buffer::zeroed(POINTS * self.sum_stride);
        let mut inputs = Buffer::new(POINTS * strides.input);
        let mut outputs = Buffer::new(POINTS * strides.output);
        for block in &blocks {
            let tables = Tables::new(&mut inputs, &mut outputs, strides);
            let rows = (0..self.n_rows(block)).into_par_iter();
            rows.for_each(|row| self.transform(block, tables, row));
            let of_points = sums.par_chunks_mut(self.sum_stride).enumerate();
            of_points.for_each(|(point, sums)| {
                self.multiply(block, (&inputs, &outputs), strides, point, sums);
            });
        }
        sums
    }

    /// Rows of tiles in a block.
    fn n_rows(&self, block: &Block) -> usize {
        block.planes.len() * block.rows.len()
    }

    fn transform(&self, block: &Block, tables: Tables<'_>, row: usize) {
        simd::run(self.level, Transform { job: self, block, tables, row });
    }

    /// Adds a block's product of one point to that point's sums.
    fn multiply(
        &self,
        block: &Block,
        (inputs, outputs): (&[f32], &[f32]),
        strides: Strides,
        point: usize,
        sums: &mut [f32],
    ) {
        let inputs = &inputs[point * strides.input..(point + 1) * strides.input];
        let outputs = &outputs[point * strides.output..(point + 1) * strides.output];
        simd::run(self.level, Multiply { job: self, block, inputs, outputs, sums });
    }
}

/// Numbers from one point of a table to the next.
#[derive(Clone, Copy)]
struct Strides {
    input: usize,
    output: usize,
}

impl Strides {
    /// Room for each of the blocks.
    fn new(job: &Job<'_>, blocks: &[Block]) -> Self {
        let n_tiles =
            blocks.iter().map(|block| job.tiling.n_tiles(block)).max().unwrap_or_default();
        Self { input: n_tiles * job.ins.n_padded + SKEW, output: n_tiles * job.n_out + SKEW }
    }
}

#[derive(Clone, Copy)]
struct Tables<'a> {
    inputs: Shared<'a>,
    outputs: Shared<'a>,
    strides: Strides,
}

impl<'a> Tables<'a> {
    fn new(inputs: &'a mut [f32], outputs: &'a mut [f32], strides: Strides) -> Self {
        Self { inputs: Shared::new(inputs), outputs: Shared::new(outputs), strides }
    }
}

/// Fills the tables for one row of tiles.
struct Transform<'a> {
    job: &'a Job<'a>,
    block: &'a Block,
    tables: Tables<'a>,
    row: usize,
}

impl Kernel for Transform<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { job, block, tables, row } = self;
        let first_tile = row * job.tiling.n_cols;
        let plane = block.planes.start + row / block.rows.len();
        let row = block.rows.start + row % block.rows.len();
        for (source, segment) in job.sources.iter().zip(&job.ins.parts) {
            let place = Place {
                table: tables.inputs,
                point_stride: tables.strides.input,
                tile_stride: job.ins.n_padded,
                first_tile,
                channel: segment.first_padded,
            };
            // SAFETY: a row's tiles are its task's alone.
            unsafe { transform_input(s, source, &job.tiling, plane, row, &place) };
        }
        let place = Place {
            table: tables.outputs,
            point_stride: tables.strides.output,
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
    /// One or more sums to be added up.
    sums: &'a [f32],
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
            let n_sums = POINTS * job.sum_stride;
            assert!(first + S::LANES <= job.sum_stride && self.sums.len().is_multiple_of(n_sums));
            let mut numbers = [[0.0f32; 16]; 9];
            // SAFETY: each sums hold this vector at every point, as asserted; lanes are at most 16.
            unsafe {
                let u = self.sums.as_ptr().add(first);
                let mut rows = [[s.zero(); 3]; IN];
                for (i, row) in rows.iter_mut().enumerate() {
                    let mut points = [s.zero(); IN];
                    for (j, point) in points.iter_mut().enumerate() {
                        for sums in (0..self.sums.len()).step_by(n_sums) {
                            let u = u.add(sums + (i * IN + j) * job.sum_stride);
                            *point = s.add(*point, s.load(u));
                        }
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
