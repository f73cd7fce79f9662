//! Convolution by its definition: a product a tap over rows of voxels, from a copy with a border of
//! zeros.

use std::ops::Range;

use rayon::prelude::*;

use super::{Grid, Segments, Source, Summary, Target, Weights};
use crate::gemm::{OuterSum, Product, Term, add_outer, product};
use crate::memory::{Buffer, Shared, with_scratch};
use crate::parallel::{parts, sum_parts};
use crate::simd::{self, Kernel, Level, Simd, padded};
use crate::sums::{Part, PartSums, Summand};

/// Numbers of a worker's copy that stay in its second cache.
const COPY_NUMBERS: usize = 60_000;
/// Parts of the voxels whose weight gradients are summed apart.
const N_PARTS: usize = 16;

/// Convolves by the definition, one target after the other.
pub(super) fn convolve(
    level: Level,
    grid: Grid,
    sources: &[Source<'_>],
    weights: &Weights<'_>,
    targets: &[Target<'_>],
    summand: Option<Summand<'_>>,
) -> PartSums {
    let frame = Frame::new(grid, weights.depth, sources);
    // A part is what a task has of a plane.
    let part = |task: usize| {
        let (plane, rows) = frame.task(task);
        Part { image: plane / grid.d, n_voxels: rows.len() * grid.w }
    };
    let parts = (0..frame.n_tasks()).map(part).collect();
    let mut sums = PartSums::new(parts, summand.map_or(0, |_| targets[0].channels));
    let values = Shared::new(&mut sums.values);
    let mut first = 0;
    for (i, target) in targets.iter().enumerate() {
        let summand = summand.filter(|_| i == 0);
        let summary = summand.map(|summand| Summary { summand, sums: values });
        let outs = Segments::new(std::iter::once(target.channels), level.lanes());
        let weights = weights.outputs(first..first + target.channels);
        let packed = weights.packed(level, &outs);
        (0..frame.n_tasks()).into_par_iter().for_each(|task| {
            let (plane, rows) = frame.task(task);
            with_scratch(frame.len(), |copy| {
                let work = Convolve {
                    frame: &frame,
                    plane,
                    rows,
                    copy,
                    target,
                    packed: &packed,
                    summary,
                    part: task,
                };
                simd::run(level, work);
            });
        });
        first += target.channels;
    }
    sums
}

/// The copy of some rows of a plane and its neighbours: `[kD][rows + 2][W + 2][C_in]`.
struct Frame<'a> {
    grid: Grid,
    depth: usize,
    sources: &'a [Source<'a>],
    /// Channels of all sources.
    n_in: usize,
    /// Rows of outputs that a copy serves.
    n_rows: usize,
}

impl<'a> Frame<'a> {
    fn new(grid: Grid, depth: usize, sources: &'a [Source<'a>]) -> Self {
        let n_in: usize = sources.iter().map(|source| source.channels).sum();
        let per_row = depth * (grid.w + 2) * n_in;
        let n_rows = (COPY_NUMBERS / per_row).clamp(3, 34) - 2;
        Self { grid, depth, sources, n_in, n_rows: n_rows.min(grid.h) }
    }

    fn n_bands(&self) -> usize {
        self.grid.h.div_ceil(self.n_rows)
    }

    /// Bands of rows in all planes, each a task.
    fn n_tasks(&self) -> usize {
        self.grid.b * self.grid.d * self.n_bands()
    }

    /// The plane of a task, and its rows there.
    fn task(&self, task: usize) -> (usize, Range<usize>) {
        let (plane, band) = (task / self.n_bands(), task % self.n_bands());
        (plane, band * self.n_rows..((band + 1) * self.n_rows).min(self.grid.h))
    }

    fn row_len(&self) -> usize {
        (self.grid.w + 2) * self.n_in
    }

    fn len(&self) -> usize {
        self.depth * (self.n_rows + 2) * self.row_len()
    }

    /// Where tap (`kd`, `kh`, `kw`) of output row `row` of the copy begins.
    fn tap(&self, row: usize, tap: usize) -> usize {
        let (kd, kh, kw) = (tap / 9, tap / 3 % 3, tap % 3);
        (kd * (self.n_rows + 2) + row + kh) * self.row_len() + kw * self.n_in
    }

    /// Fills the copy for `rows` of `plane`, activations applied.
    fn fill(&self, plane: usize, rows: &Range<usize>, copy: &mut [f32]) {
        copy[..self.len()].fill(0.0);
        let Grid { d, h, w, .. } = self.grid;
        for kd in 0..self.depth {
            let (image, z) = (plane / d, plane % d + kd);
            let Some(z) = z.checked_sub(self.depth / 2).filter(|z| *z < d) else { continue };
            for row in 0..rows.len() + 2 {
                let Some(y) = (rows.start + row).checked_sub(1).filter(|y| *y < h) else {
                    continue;
                };
                let to = (kd * (self.n_rows + 2) + row) * self.row_len() + self.n_in;
                let from = ((image * d + z) * h + y) * w;
                self.copy_row(image, from, &mut copy[to..to + w * self.n_in]);
            }
        }
    }

    /// Copies a row of voxels from voxel `from` on.
    fn copy_row(&self, image: usize, from: usize, to: &mut [f32]) {
        let mut first = 0;
        for source in self.sources {
            let n = source.channels;
            let voxels = &source.data[from * n..(from + self.grid.w) * n];
            for (to, from) in to.chunks_exact_mut(self.n_in).zip(voxels.chunks_exact(n)) {
                let to = &mut to[first..first + n];
                to.copy_from_slice(from);
                if let Some(a) = source.activation {
                    let of_image = image * n..(image + 1) * n;
                    let affine = a.scale[of_image.clone()].iter().zip(&a.shift[of_image]);
                    for (x, (scale, shift)) in to.iter_mut().zip(affine) {
                        let z = *x * scale + shift;
                        *x = if z > 0.0 { z } else { a.slope * z };
                    }
                }
            }
            first += n;
        }
    }
}

/// Some rows of a plane by one worker.
struct Convolve<'a> {
    frame: &'a Frame<'a>,
    plane: usize,
    rows: Range<usize>,
    copy: &'a mut [f32],
    target: &'a Target<'a>,
    packed: &'a [f32],
    summary: Option<Summary<'a>>,
    part: usize,
}

impl Kernel for Convolve<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { frame, plane, rows, copy, target, packed, summary, part } = self;
        frame.fill(plane, &rows, copy);
        let Grid { d, h, w, .. } = frame.grid;
        let n_taps = frame.depth * 9;
        for (row, y) in rows.clone().enumerate() {
            let mut terms = [const { Term { a: &[], first_k: 0, n_k: 0 } }; 27];
            for (tap, term) in terms.iter_mut().enumerate().take(n_taps) {
                let a = &copy[frame.tap(row, tap)..];
                *term = Term { a, first_k: tap * frame.n_in, n_k: frame.n_in };
            }
            let n = target.channels;
            let p = Product {
                n_rows: w,
                stride_a: frame.n_in,
                terms: &terms[..n_taps],
                b: packed,
                total_k: n_taps * frame.n_in,
                n_cols: n,
                bias: None,
            };
            // SAFETY: a row of voxels belongs to one task.
            let to = unsafe { target.data.part((plane * h + y) * w * n, w * n) };
            product(s, &p, to, n);
        }
        if let Some(summary) = summary {
            let voxels = (plane * h + rows.start) * w..(plane * h + rows.end) * w;
            // SAFETY: these rows of the plane are this task's, and so is the part.
            unsafe { summary.add(s, target, voxels, plane / d, part) };
        }
    }
}

/// Gradient to the weights by the definition.
pub(super) fn weight_gradient(
    level: Level,
    grid: Grid,
    sources: &[Source<'_>],
    gradient: &Source<'_>,
    depth: usize,
) -> Buffer {
    let frame = Frame::new(grid, depth, sources);
    let n_out = gradient.channels;
    let n_padded = padded(n_out, level.lanes());
    let n_taps = depth * 9;
    let parts = parts(frame.n_tasks(), N_PARTS);
    let len = n_taps * frame.n_in * n_padded;
    let mut sums = Buffer::zeroed(parts.len() * len);
    sums.par_chunks_mut(len.max(1)).zip(&parts).for_each(|(sums, part)| {
        for task in part.clone() {
            let (plane, rows) = frame.task(task);
            with_scratch(frame.len(), |copy| {
                simd::run(
                    level,
                    Sum { frame: &frame, plane, rows, copy, gradient, n_padded, sums },
                );
            });
        }
    });
    let sums = sum_parts(&sums, len);
    let mut result = Buffer::new(n_out * frame.n_in * n_taps);
    for out in 0..n_out {
        for input in 0..frame.n_in {
            for tap in 0..n_taps {
                result[(out * frame.n_in + input) * n_taps + tap] =
                    sums[(tap * frame.n_in + input) * n_padded + out];
            }
        }
    }
    result
}

/// Adds some rows of a plane to the sums `[tap][C_in][padded C_out]`.
struct Sum<'a> {
    frame: &'a Frame<'a>,
    plane: usize,
    rows: Range<usize>,
    copy: &'a mut [f32],
    gradient: &'a Source<'a>,
    n_padded: usize,
    sums: &'a mut [f32],
}

impl Kernel for Sum<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { frame, plane, rows, copy, gradient, n_padded, sums } = self;
        frame.fill(plane, &rows, copy);
        let Grid { h, w, .. } = frame.grid;
        let n_out = gradient.channels;
        for (row, y) in rows.enumerate() {
            let first = (plane * h + y) * w * n_out;
            for tap in 0..frame.depth * 9 {
                let p = OuterSum {
                    n_rows: w,
                    a: &copy[frame.tap(row, tap)..],
                    stride_a: frame.n_in,
                    n_m: frame.n_in,
                    b: &gradient.data[first..first + w * n_out],
                    stride_b: n_out,
                    n_cols: n_out,
                };
                let first = tap * frame.n_in * n_padded;
                add_outer(s, &p, &mut sums[first..], n_padded);
            }
        }
    }
}
