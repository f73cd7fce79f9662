use std::ops::Range;

use rayon::prelude::*;

use super::tiles::{Block, Place, Tiling, transform_input, transform_output};
use super::weights::SKEW;
use super::{Grid, Segments, Source, Summary, Target, Weights};
use crate::gemm::{Product, Term, product};
use crate::memory::{Shared, with_scratch};
use crate::simd::{self, Kernel, Level, Simd};
use crate::sums::{Part, PartSums, Summand};
use crate::winograd::{OUT, POINTS};

/// Planes of transformed inputs that a worker keeps while it goes through a deep volume.
const RING: usize = 3;

/// What all workers share.
struct Job<'a> {
    tiling: Tiling,
    depth: usize,
    sources: &'a [Source<'a>],
    ins: Segments,
    targets: &'a [Target<'a>],
    outs: Segments,
    /// Weights in Winograd's domain.
    weights: &'a [f32],
    weight_stride: usize,
    summary: Option<Summary<'a>>,
}

impl Job<'_> {
    /// Sums over what was just written of plane `plane` of the block.
    #[inline(always)]
    fn summarise<S: Simd>(&self, s: S, block: &Block, first_part: usize, plane: usize) {
        let Some(summary) = &self.summary else { return };
        let grid = self.tiling.grid;
        let part = first_part + plane;
        let plane = block.planes.start + plane;
        let rows = block.rows.start * OUT..(block.rows.end * OUT).min(grid.h);
        let first = plane * grid.h * grid.w;
        let voxels = first + rows.start * grid.w..first + rows.end * grid.w;
        // SAFETY: these rows of the plane are the caller's, and so is the part.
        unsafe { summary.add(s, &self.targets[0], voxels, plane / grid.d, part) };
    }
}

/// Convolution by tiles: transform the inputs, one matrix product a point, transform back.
pub(crate) fn convolve(
    level: Level,
    grid: Grid,
    sources: &[Source<'_>],
    weights: &Weights<'_>,
    targets: &[Target<'_>],
    summand: Option<Summand<'_>>,
) -> PartSums {
    let ins = level.segments_in(sources);
    let outs = level.segments_out(targets);
    let transformed = weights.transformed(level, &outs);
    let tiling = Tiling::new(grid, weights.depth);
    let at_once = tiling.n_tiles_at_once(ins.n_padded + outs.n_padded);
    // A volume that is too deep to be held whole is gone through plane by plane.
    let is_deep = weights.depth == 3 && tiling.grid.d * tiling.n_cols > 2 * at_once;
    let blocks = if is_deep {
        tiling.blocks(at_once * tiling.grid.d / RING)
    } else {
        tiling.blocks(at_once)
    };
    // A part is what a block has of a plane.
    let mut parts = Vec::new();
    let mut first_parts = Vec::with_capacity(blocks.len());
    for block in &blocks {
        first_parts.push(parts.len());
        let rows = block.rows.start * OUT..(block.rows.end * OUT).min(grid.h);
        let part = |plane: usize| Part { image: plane / grid.d, n_voxels: rows.len() * grid.w };
        parts.extend(block.planes.clone().map(part));
    }
    let mut sums = PartSums::new(parts, summand.map_or(0, |_| targets[0].channels));
    let values = Shared::new(&mut sums.values);
    let job = Job {
        tiling,
        depth: weights.depth,
        sources,
        weight_stride: weights.point_stride(&outs),
        ins,
        targets,
        outs,
        weights: &transformed,
        summary: summand.map(|summand| Summary { summand, sums: values }),
    };
    blocks.par_iter().zip(&first_parts).for_each(|(block, first_part)| {
        let first_part = *first_part;
        let n_slots = if is_deep { RING } else { block.planes.len() };
        let runs = runs(block.planes.len(), job.depth, is_deep);
        let per_plane = job.tiling.n_tiles_of_plane(block);
        let n_longest = runs.iter().map(|(planes, _)| planes.len()).max().unwrap_or_default();
        let in_stride = n_slots * per_plane * job.ins.n_padded + SKEW;
        let out_stride = n_longest * per_plane * job.outs.n_padded + SKEW;
        with_scratch(POINTS * (in_stride + out_stride), |scratch| {
            let (inputs, outputs) = scratch.split_at_mut(POINTS * in_stride);
            simd::run(
                level,
                Work {
                    job: &job,
                    block,
                    first_part,
                    runs: &runs,
                    n_slots,
                    inputs,
                    in_stride,
                    outputs,
                    out_stride,
                },
            );
        });
    });
    sums
}

/// Planes that are done by one product a point, with the taps along the depth that they have.
///
/// The first and the last plane of a volume lack a neighbour.
fn runs(n_planes: usize, depth: usize, is_deep: bool) -> Vec<(Range<usize>, Range<usize>)> {
    if depth == 1 {
        return vec![(0..n_planes, 0..1)];
    }
    let taps = |plane: usize| usize::from(plane == 0)..3 - usize::from(plane + 1 == n_planes);
    let mut runs: Vec<(Range<usize>, Range<usize>)> = Vec::new();
    for plane in 0..n_planes {
        match runs.last_mut() {
            Some((planes, last)) if *last == taps(plane) && !is_deep => planes.end += 1,
            _ => runs.push((plane..plane + 1, taps(plane))),
        }
    }
    runs
}

/// One block by one worker.
struct Work<'a> {
    job: &'a Job<'a>,
    block: &'a Block,
    /// The part that the block's first plane is.
    first_part: usize,
    runs: &'a [(Range<usize>, Range<usize>)],
    /// Planes that `inputs` holds; plane `p` of the block lies in slot `p % n_slots`.
    n_slots: usize,
    inputs: &'a mut [f32],
    in_stride: usize,
    outputs: &'a mut [f32],
    out_stride: usize,
}

impl Kernel for Work<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let n_planes = self.block.planes.len();
        let mut n_read = 0;
        for (planes, taps) in self.runs {
            let n_needed = (planes.end + self.job.depth / 2).min(n_planes);
            for plane in n_read..n_needed {
                self.read(s, plane);
            }
            n_read = n_read.max(n_needed);
            self.multiply(s, planes, taps);
            self.write(s, planes);
        }
    }
}

impl Work<'_> {
    #[inline(always)]
    fn read<S: Simd>(&mut self, s: S, plane: usize) {
        let job = self.job;
        let per_plane = job.tiling.n_tiles_of_plane(self.block);
        let table = Shared::new(self.inputs);
        for (i, row) in self.block.rows.clone().enumerate() {
            let slot = (plane % self.n_slots) * per_plane;
            for (source, segment) in job.sources.iter().zip(&job.ins.parts) {
                let place = Place {
                    table,
                    point_stride: self.in_stride,
                    tile_stride: job.ins.n_padded,
                    first_tile: slot + i * job.tiling.n_cols,
                    channel: segment.first_padded,
                };
                let plane = self.block.planes.start + plane;
                // SAFETY: the scratch is this worker's alone.
                unsafe { transform_input(s, source, &job.tiling, plane, row, &place) };
            }
        }
    }

    #[inline(always)]
    fn multiply<S: Simd>(&mut self, s: S, planes: &Range<usize>, taps: &Range<usize>) {
        let job = self.job;
        let per_plane = job.tiling.n_tiles_of_plane(self.block);
        let n_in = job.ins.n;
        for point in 0..POINTS {
            let inputs = &self.inputs[point * self.in_stride..(point + 1) * self.in_stride];
            let empty = || Term { a: inputs, first_k: 0, n_k: 0 };
            // At most three taps of at most two sources.
            let mut terms = [empty(), empty(), empty(), empty(), empty(), empty()];
            let mut n_terms = 0;
            for tap in taps.clone() {
                let plane = planes.start + tap - job.depth / 2;
                let slot = (plane % self.n_slots) * per_plane * job.ins.n_padded;
                for segment in &job.ins.parts {
                    terms[n_terms] = Term {
                        a: &inputs[slot + segment.first_padded..],
                        first_k: tap * n_in + segment.first,
                        n_k: segment.channels,
                    };
                    n_terms += 1;
                }
            }
            let p = Product {
                n_rows: planes.len() * per_plane,
                stride_a: job.ins.n_padded,
                terms: &terms[..n_terms],
                b: &job.weights[point * job.weight_stride..],
                total_k: job.depth * n_in,
                n_cols: job.outs.n_padded,
                bias: None,
            };
            let outputs = &mut self.outputs[point * self.out_stride..(point + 1) * self.out_stride];
            product(s, &p, outputs, job.outs.n_padded);
        }
    }

    #[inline(always)]
    fn write<S: Simd>(&mut self, s: S, planes: &Range<usize>) {
        let job = self.job;
        let per_plane = job.tiling.n_tiles_of_plane(self.block);
        let table = Shared::new(self.outputs);
        for plane in planes.clone() {
            for (i, row) in self.block.rows.clone().enumerate() {
                for (target, segment) in job.targets.iter().zip(&job.outs.parts) {
                    let place = Place {
                        table,
                        point_stride: self.out_stride,
                        tile_stride: job.outs.n_padded,
                        first_tile: (plane - planes.start) * per_plane + i * job.tiling.n_cols,
                        channel: segment.first_padded,
                    };
                    let plane = self.block.planes.start + plane;
                    // SAFETY: blocks are disjoint, and the scratch is this worker's alone.
                    unsafe { transform_output(s, target, &job.tiling, plane, row, &place) };
                }
            }
            job.summarise(s, self.block, self.first_part, plane);
        }
    }
}
