//! Weighted sums along one axis: what resampling, blurring and slice averaging have in common.

use std::ops::Range;

use rayon::prelude::*;

/// Rows a thread takes at least: below this, handing out work costs more than the work.
const MIN_ROWS: usize = 64;

/// For each target index along one axis: which source voxels it sums, and with which weights.
pub(crate) struct AxisTaps {
    n_source: usize,
    spans: Vec<Span>,
    weights: Vec<f32>,
}

/// `weights[first..first + len]` belong to the source voxels `start..start + len`.
#[derive(Clone, Copy)]
struct Span {
    start: usize,
    first: usize,
    len: usize,
}

impl AxisTaps {
    /// No targets yet, over a source axis of `n_source` (at least 1) voxels.
    pub(crate) fn new(n_source: usize) -> Self {
        Self { n_source, spans: Vec::new(), weights: Vec::new() }
    }

    /// The same kernel (odd length, its centre on the voxel) at every voxel; edges are repeated.
    pub(crate) fn convolution(n_source: usize, kernel: &[f64]) -> Self {
        let mut taps = Self::new(n_source);
        for target in 0..n_source {
            taps.push(target as i64 - (kernel.len() / 2) as i64, kernel);
        }
        taps
    }

    /// Adds a target whose `weights` start at the source index `first`; weight that would fall
    /// outside the axis goes to the voxel at its edge.
    pub(crate) fn push(&mut self, first: i64, weights: &[f64]) {
        let last_idx = self.n_source as i64 - 1;
        let clamped = |k: usize| (first + k as i64).clamp(0, last_idx) as usize;
        // Without the zeros at the ends a voxel of no weight cannot spoil a sum by being NaN.
        let begin = weights.iter().position(|w| *w != 0.0).unwrap_or(0);
        let end = weights.iter().rposition(|w| *w != 0.0).unwrap_or(0);
        let start = clamped(begin);
        let mut sums = vec![0.0; clamped(end) - start + 1];
        for (k, weight) in weights.iter().enumerate().take(end + 1).skip(begin) {
            sums[clamped(k) - start] += weight;
        }
        self.spans.push(Span { start, first: self.weights.len(), len: sums.len() });
        self.weights.extend(sums.iter().map(|w| *w as f32));
    }

    /// How many target voxels the axis gets.
    pub(crate) fn n_targets(&self) -> usize {
        self.spans.len()
    }

    /// Scales the weights of each target by `scale(weights)`.
    pub(crate) fn rescale(mut self, scale: impl Fn(&[f32]) -> f32) -> Self {
        for span in &self.spans {
            let weights = &mut self.weights[span.first..span.first + span.len];
            let factor = scale(weights);
            weights.iter_mut().for_each(|w| *w *= factor);
        }
        self
    }

    /// Whether every target is its own source voxel.
    pub(crate) fn is_identity(&self) -> bool {
        self.n_targets() == self.n_source
            && self.spans.iter().enumerate().all(|(target, span)| {
                span.start == target && span.len == 1 && self.weights[span.first] == 1.0
            })
    }

    /// Replaces one axis of `voxels` (`shape`, `[D, H, W]`) by the targets.
    pub(crate) fn apply(&self, voxels: &[f32], shape: [usize; 3], axis: usize) -> Vec<f32> {
        let mut out_shape = shape;
        out_shape[axis] = self.n_targets();
        let mut out = vec![0.0; out_shape.iter().product()];
        let width = out_shape[2];
        let rows = out.par_chunks_exact_mut(width).with_min_len(MIN_ROWS).enumerate();
        if axis == 2 {
            let runs = self.runs();
            rows.for_each(|(row, out)| {
                self.sum_within(&runs, out, &voxels[row * shape[2]..(row + 1) * shape[2]]);
            });
            return out;
        }
        // Along D or H whole rows are summed: [outer, axis, rows of one index] of contiguous W.
        let n_inner = if axis == 0 { shape[1] } else { 1 };
        rows.for_each(|(row, out)| {
            let (inner, target) = (row % n_inner, (row / n_inner) % self.n_targets());
            let outer = row / (n_inner * self.n_targets());
            let source_row = |idx: usize| {
                let begin = ((outer * self.n_source + idx) * n_inner + inner) * width;
                &voxels[begin..begin + width]
            };
            self.sum_rows(out, self.spans[target], source_row);
        });
        out
    }

    /// Replaces the axes `H` and `W` of `voxels` by the targets of `taps`, slice by slice: what lies between
    /// stays in a processor's cache. Shapes as of the source, so the number of targets is that of voxels.
    pub(crate) fn apply_in_plane(
        taps: [&AxisTaps; 2],
        voxels: &[f32],
        shape: [usize; 3],
    ) -> Vec<f32> {
        let [_, n_h, n_w] = shape;
        let slice = [1, n_h, n_w];
        let mut out = vec![0.0; voxels.len()];
        let slices = out.par_chunks_exact_mut(n_h * n_w).zip(voxels.par_chunks_exact(n_h * n_w));
        slices.for_each(|(out, voxels)| {
            let along_h = taps[0].apply(voxels, slice, 1);
            out.copy_from_slice(&taps[1].apply(&along_h, slice, 2));
        });
        out
    }

    /// Targets in a row that have the same weights, each a voxel further on: whole rows of them are summed at
    /// once, which a processor does many at a time.
    fn runs(&self) -> Vec<Range<usize>> {
        let weights = |span: &Span| &self.weights[span.first..span.first + span.len];
        let mut runs: Vec<Range<usize>> = Vec::new();
        for (target, span) in self.spans.iter().enumerate() {
            let goes_on = target > 0 && {
                let before = &self.spans[target - 1];
                before.start + 1 == span.start && weights(before) == weights(span)
            };
            match runs.last_mut() {
                Some(run) if goes_on => run.end = target + 1,
                _ => runs.push(target..target + 1),
            }
        }
        runs
    }

    fn sum_within(&self, runs: &[Range<usize>], out: &mut [f32], row: &[f32]) {
        for run in runs {
            let span = self.spans[run.start];
            if run.len() == 1 {
                let weights = &self.weights[span.first..span.first + span.len];
                let source = &row[span.start..span.start + span.len];
                out[run.start] = source.iter().zip(weights).map(|(v, w)| v * w).sum();
                continue;
            }
            let out = &mut out[run.clone()];
            self.sum_rows(out, span, |idx| &row[idx..idx + run.len()]);
        }
    }

    fn sum_rows<'a>(&self, out: &mut [f32], span: Span, source_row: impl Fn(usize) -> &'a [f32]) {
        for (k, &weight) in self.weights[span.first..span.first + span.len].iter().enumerate() {
            let source = source_row(span.start + k);
            if k > 0 {
                out.iter_mut().zip(source).for_each(|(o, s)| *o += weight * s);
            } else if weight == 1.0 {
                out.copy_from_slice(source);
            } else {
                out.iter_mut().zip(source).for_each(|(o, s)| *o = weight * s);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A moving sum of two along each axis against loops.
    #[test]
    fn sums_along_each_axis() {
        let shape = [2, 3, 4];
        let voxels: Vec<f32> = (0..24).map(|v| (v * v) as f32).collect();
        for axis in 0..3 {
            let mut taps = AxisTaps::new(shape[axis]);
            for first in 0..shape[axis] - 1 {
                taps.push(first as i64, &[1.0, 2.0]);
            }
            let out = taps.apply(&voxels, shape, axis);
            let mut out_shape = shape;
            out_shape[axis] -= 1;
            let at = |s: [usize; 3], i: [usize; 3]| (i[0] * s[1] + i[1]) * s[2] + i[2];
            for (place, value) in out.iter().enumerate() {
                let i = [
                    place / (out_shape[1] * out_shape[2]),
                    place / out_shape[2] % out_shape[1],
                    place % out_shape[2],
                ];
                let mut next = i;
                next[axis] += 1;
                assert_eq!(*value, voxels[at(shape, i)] + 2.0 * voxels[at(shape, next)]);
            }
        }
    }

    #[test]
    fn weight_outside_goes_to_the_edge() {
        let mut taps = AxisTaps::new(3);
        taps.push(-2, &[0.0, 0.25, 0.5, 0.25]);
        taps.push(5, &[1.0]);
        assert_eq!(taps.apply(&[1.0, 2.0, 4.0], [1, 1, 3], 2), vec![0.75 + 0.25 * 2.0, 4.0]);
    }

    #[test]
    fn identity_is_recognised() {
        assert!(AxisTaps::convolution(4, &[0.0, 1.0, 0.0]).is_identity());
        assert!(!AxisTaps::convolution(4, &[0.0, 0.5, 0.5]).is_identity());
    }
}
