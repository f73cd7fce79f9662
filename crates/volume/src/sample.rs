//! Values between voxels: one at a time, and a row at a time.

use crate::index_map::{floor, nearest_unclamped};
use crate::{Image, LabelMap};

/// Reads an image's voxels at fractional indices.
#[derive(Clone, Copy)]
pub(crate) struct Sampler<'a> {
    voxels: &'a [f32],
    shape: [usize; 3],
}

impl<'a> Sampler<'a> {
    /// Over `voxels` of `shape` (`[D, H, W]`).
    pub(crate) fn new(voxels: &'a [f32], shape: [usize; 3]) -> Self {
        Self { voxels, shape }
    }

    /// Trilinear interpolation at `[d, h, w]`; outside the outermost centres the edge is repeated.
    #[inline]
    pub(crate) fn linear(&self, position: [f32; 3]) -> f32 {
        let [_, n_h, n_w] = self.shape;
        let (d, next_d, f_d) = split(position[0], self.shape[0]);
        let (h, next_h, f_h) = split(position[1], n_h);
        let (w, next_w, f_w) = split(position[2], n_w);
        let in_row = |d: usize, h: usize| {
            let row = &self.voxels[(d * n_h + h) * n_w..][..n_w];
            row[w] + f_w * (row[next_w] - row[w])
        };
        let in_slice = |d: usize| {
            let value = in_row(d, h);
            value + f_h * (in_row(d, next_h) - value)
        };
        let value = in_slice(d);
        // Within a slice (all of 2-D, and whole-slice moves) half the reads are saved.
        if f_d == 0.0 { value } else { value + f_d * (in_slice(next_d) - value) }
    }
}

/// The voxels on both sides of a position along an axis and the fraction between them.
#[inline]
fn split(position: f32, n: usize) -> (usize, usize, f32) {
    let last = n - 1;
    let position = position.clamp(0.0, last as f32);
    let idx = (position as usize).min(last);
    (idx, (idx + 1).min(last), position - idx as f32)
}

/// Where the voxels of a row come from, and room to read them.
#[derive(Default)]
pub(crate) struct Row {
    /// In source voxels, a list an axis `[D, H, W]`.
    pub(crate) places: [Vec<f32>; 3],
    taps: Taps,
}

/// What is read for each voxel of a row: the voxel before it along every axis, the step to the one behind
/// (0 at the edge) and the fraction between.
#[derive(Default)]
struct Taps {
    offset: Vec<u32>,
    inside: Vec<bool>,
    step: [Vec<u32>; 3],
    fraction: [Vec<f32>; 3],
}

impl Taps {
    /// Loops without branches, that compile to vectors.
    fn fill(&mut self, places: &[Vec<f32>; 3], shape: [usize; 3]) {
        let n = places[0].len();
        self.offset.clear();
        self.offset.resize(n, 0);
        self.inside.clear();
        self.inside.resize(n, true);
        let strides = [shape[1] * shape[2], shape[2], 1];
        for a in 0..3 {
            let (stride, last) = (strides[a] as u32, shape[a] as u32 - 1);
            let (step, fraction) = (&mut self.step[a], &mut self.fraction[a]);
            step.resize(n, 0);
            fraction.resize(n, 0.0);
            let high = shape[a] as f32 - 0.5;
            for (inside, place) in self.inside.iter_mut().zip(&places[a]) {
                *inside &= (*place >= -0.5) & (*place <= high);
            }
            let outputs = self.offset.iter_mut().zip(step.iter_mut().zip(fraction.iter_mut()));
            for ((offset, (step, fraction)), place) in outputs.zip(&places[a]) {
                let place = place.clamp(0.0, last as f32);
                let idx = floor(place);
                *fraction = place - idx as f32;
                let idx = idx as u32;
                *step = if idx < last { stride } else { 0 };
                *offset += idx * stride;
            }
        }
    }
}

/// Reads an image row by row; beyond half a voxel outside it lies the background.
pub(crate) struct LinearRows<'a> {
    voxels: &'a [f32],
    shape: [usize; 3],
    background: f32,
}

impl<'a> LinearRows<'a> {
    pub(crate) fn of(image: &'a Image, background: f32) -> Self {
        Self { voxels: image.voxels(), shape: image.geometry().shape(), background }
    }

    pub(crate) fn fill(&self, row: &mut Row, out: &mut [f32]) {
        row.taps.fill(&row.places, self.shape);
        let Taps { offset, inside, step, fraction } = &row.taps;
        // Cut to one length, so that the loop checks none.
        let n = out.len();
        let (offset, inside) = (&offset[..n], &inside[..n]);
        let [step_d, step_h, step_w] = step.each_ref().map(|axis| &axis[..n]);
        let [f_d, f_h, f_w] = fraction.each_ref().map(|axis| &axis[..n]);
        for w in 0..n {
            let first = offset[w];
            let cell = Cell { step_h: step_h[w], step_w: step_w[w], f_h: f_h[w], f_w: f_w[w] };
            let value = cell.in_slice(self.voxels, first);
            // Within a slice (all of 2-D, and whole-slice moves) half the reads are saved.
            let value = match f_d[w] == 0.0 {
                true => value,
                false => value + f_d[w] * (cell.in_slice(self.voxels, first + step_d[w]) - value),
            };
            out[w] = if inside[w] { value } else { self.background };
        }
    }
}

/// The four voxels of a slice around a place.
struct Cell {
    step_h: u32,
    step_w: u32,
    f_h: f32,
    f_w: f32,
}

impl Cell {
    #[inline(always)]
    fn in_slice(&self, voxels: &[f32], first: u32) -> f32 {
        let value = self.in_row(voxels, first);
        value + self.f_h * (self.in_row(voxels, first + self.step_h) - value)
    }

    #[inline(always)]
    fn in_row(&self, voxels: &[f32], first: u32) -> f32 {
        let value = voxels[first as usize];
        value + self.f_w * (voxels[(first + self.step_w) as usize] - value)
    }
}

/// Reads the nearest labels row by row; outside they are 0.
pub(crate) struct NearestRows<'a> {
    voxels: &'a [u8],
    shape: [usize; 3],
}

impl<'a> NearestRows<'a> {
    pub(crate) fn of(labels: &'a LabelMap) -> Self {
        Self { voxels: labels.voxels(), shape: labels.geometry().shape() }
    }

    pub(crate) fn fill(&self, row: &mut Row, out: &mut [u8]) {
        let Row { places, taps: Taps { offset, inside, .. } } = row;
        offset.clear();
        offset.resize(out.len(), 0);
        inside.clear();
        inside.resize(out.len(), true);
        let strides = [self.shape[1] * self.shape[2], self.shape[2], 1];
        for (axis, (n, stride)) in places.iter().zip(self.shape.into_iter().zip(strides)) {
            let (last, stride) = (n as i32 - 1, stride as u32);
            for ((offset, inside), place) in offset.iter_mut().zip(inside.iter_mut()).zip(axis) {
                let (idx, within) = nearest_unclamped(*place, n);
                *inside &= within;
                *offset += idx.clamp(0, last) as u32 * stride;
            }
        }
        for ((label, offset), inside) in out.iter_mut().zip(offset).zip(inside) {
            *label = if *inside { self.voxels[*offset as usize] } else { 0 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trilinear_reproduces_a_trilinear_function() {
        let f = |d: f32, h: f32, w: f32| 1.0 + 2.0 * d - h + 3.0 * w + d * h * w;
        let mut voxels = Vec::new();
        for i in 0..3 * 4 * 5 {
            voxels.push(f((i / 20) as f32, (i / 5 % 4) as f32, (i % 5) as f32));
        }
        let sampler = Sampler::new(&voxels, [3, 4, 5]);
        // Within one cell the function is trilinear.
        for [d, h, w] in [[0.25, 1.5, 3.75], [1.0, 2.0, 3.0], [2.0, 3.0, 4.0], [1.5, 0.0, 0.5]] {
            let corner = |x: f32, n: f32| x.floor().min(n - 2.0);
            let (d0, h0, w0) = (corner(d, 3.0), corner(h, 4.0), corner(w, 5.0));
            let mut expected = 0.0;
            for k in 0..8 {
                let (a, b, c) = ((k & 1) as f32, (k >> 1 & 1) as f32, (k >> 2) as f32);
                let weight = (1.0 - (d - d0 - a).abs())
                    * (1.0 - (h - h0 - b).abs())
                    * (1.0 - (w - w0 - c).abs());
                expected += weight * f(d0 + a, h0 + b, w0 + c);
            }
            assert!((sampler.linear([d, h, w]) - expected).abs() < 1e-4);
        }
    }

    #[test]
    fn outside_repeats_the_edge() {
        let sampler = Sampler::new(&[1.0, 2.0], [1, 1, 2]);
        assert_eq!(sampler.linear([3.0, -2.0, -0.4]), 1.0);
        assert_eq!(sampler.linear([0.0, 0.0, 9.0]), 2.0);
    }
}
