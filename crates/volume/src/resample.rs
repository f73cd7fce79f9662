//! Moving voxels onto another grid.

use std::borrow::Cow;

use rayon::prelude::*;

use crate::axis::AxisTaps;
use crate::index_map::{IndexMap, SNAP, nearest};
use crate::sample::Sampler;
use crate::{Geometry, Image, LabelMap};

/// An axis of an oblique image is averaged first if a target voxel spans more voxels than this.
const COARSENED: f64 = 1.25;

/// The fewest rows of an oblique grid worth a thread of their own.
const MIN_ROWS: usize = 16;

impl Image {
    /// The image on the grid `target`, by linear interpolation along the source's own axes.
    ///
    /// Along an axis that is coarsened the linear kernel is widened to the target step (a triangle of
    /// half-width one target step, as in antialiased image scaling), so that detail the target cannot
    /// hold is averaged and not aliased. Its weights are corrected to sum to 1 and to be centred on
    /// the target voxel: constants and ramps come out exact at every ratio, and the integral over
    /// the image does at whole ratios.
    ///
    /// Where each source axis depends on one target axis alone (same directions but for permutation
    /// and flip, or a shift) the axes are done one after the other. Otherwise a source that is finer
    /// than the target is first averaged to about the target's spacing along its own axes, then
    /// interpolated trilinearly.
    ///
    /// A target voxel whose centre lies more than half a voxel outside the outermost source centres
    /// is `background`; within that half voxel the edge is repeated.
    pub fn resample(&self, target: &Geometry, background: f32) -> Image {
        let map = IndexMap::between(self.geometry(), target);
        let voxels = match map.aligned_axes(target.shape()) {
            Some(pairing) => self.resample_aligned(&map, pairing, target, background),
            None => self.resample_oblique(&map, target, background),
        };
        Image::on(*target, voxels)
    }

    fn resample_aligned(
        &self,
        map: &IndexMap,
        pairing: [usize; 3],
        target: &Geometry,
        background: f32,
    ) -> Vec<f32> {
        let taps: [AxisTaps; 3] = std::array::from_fn(|a| {
            let (n_source, n_target) = (self.geometry().shape()[a], target.shape()[pairing[a]]);
            linear_taps(n_source, n_target, map.linear[a][pairing[a]], map.offset[a])
        });
        let mut shape = self.geometry().shape();
        // The axis that shrinks most first: later passes then have less to do.
        let mut order = [0, 1, 2];
        order.sort_by(|a, b| {
            let ratio = |axis: usize| taps[axis].n_targets() as f64 / shape[axis] as f64;
            ratio(*a).total_cmp(&ratio(*b))
        });
        let mut voxels = Cow::Borrowed(self.voxels());
        for axis in order {
            if !taps[axis].is_identity() {
                voxels = Cow::Owned(taps[axis].apply(&voxels, shape, axis));
                shape[axis] = taps[axis].n_targets();
            }
        }
        let mut voxels = permuted(voxels, shape, pairing);
        let inside = pairing_of_targets(pairing).map(|a| {
            let n_target = target.shape()[pairing[a]];
            let (at, step) = (map.offset[a], map.linear[a][pairing[a]]);
            IndexMap::inside(at, step, self.geometry().shape()[a], n_target)
        });
        fill_outside(&mut voxels, target.shape(), inside, background);
        voxels
    }

    fn resample_oblique(&self, map: &IndexMap, target: &Geometry, background: f32) -> Vec<f32> {
        let own = self.geometry();
        let spacing = own.spacing_mm();
        let steps = IndexMap::between(target, own).spans();
        let coarse = [0, 1, 2]
            .map(|a| if steps[a] > COARSENED { spacing[a] * steps[a] } else { spacing[a] });
        let averaged = match own.with_spacing(coarse) {
            Ok(grid) if coarse != spacing => Cow::Owned(self.resample(&grid, background)),
            _ => Cow::Borrowed(self),
        };
        let sampler = Sampler::new(averaged.voxels(), averaged.geometry().shape());
        let to_averaged = IndexMap::between(averaged.geometry(), target);

        let [_, n_h, n_w] = target.shape();
        let mut voxels = vec![background; target.n_voxels()];
        voxels.par_chunks_exact_mut(n_w).with_min_len(MIN_ROWS).enumerate().for_each(|(r, row)| {
            let start = [(r / n_h) as f64, (r % n_h) as f64, 0.0];
            let [begin, end] = inside_row(map, start, own.shape(), n_w);
            let at = to_averaged.source(start);
            for (w, value) in row.iter_mut().enumerate().take(end).skip(begin) {
                let place = |a: usize| (at[a] + w as f64 * to_averaged.linear[a][2]) as f32;
                *value = sampler.linear([place(0), place(1), place(2)]);
            }
        });
        voxels
    }
}

impl LabelMap {
    /// The labels on the grid `target`, each voxel that of the nearest source voxel.
    ///
    /// Voxels whose centre lies more than half a voxel outside the outermost source centres are 0.
    /// A position halfway between two voxels goes to the lower index.
    pub fn resample(&self, target: &Geometry) -> LabelMap {
        let map = IndexMap::between(self.geometry(), target);
        let voxels = match map.aligned_axes(target.shape()) {
            Some(pairing) => self.pick_aligned(&map, pairing, target),
            None => self.pick_oblique(&map, target),
        };
        LabelMap::on(*target, voxels)
    }

    fn pick_aligned(&self, map: &IndexMap, pairing: [usize; 3], target: &Geometry) -> Vec<u8> {
        let source = self.geometry().shape();
        let strides = [source[1] * source[2], source[2], 1];
        // Where the voxels nearest to the targets of an axis begin in the source; none outside it.
        let starts = pairing_of_targets(pairing).map(|a| {
            let (at, step) = (map.offset[a], map.linear[a][pairing[a]]);
            let start = |t: usize| Some(nearest(at + t as f64 * step, source[a])? * strides[a]);
            (0..target.shape()[pairing[a]]).map(start).collect::<Vec<_>>()
        });
        let [of_d, of_h, of_w] = &starts;
        let mut voxels = vec![0; target.n_voxels()];
        let rows = voxels.par_chunks_exact_mut(of_w.len()).with_min_len(MIN_ROWS).enumerate();
        rows.for_each(|(r, row)| {
            if let (Some(d), Some(h)) = (of_d[r / of_h.len()], of_h[r % of_h.len()]) {
                for (label, start) in row.iter_mut().zip(of_w) {
                    *label = start.map_or(0, |w| self.voxels()[d + h + w]);
                }
            }
        });
        voxels
    }

    fn pick_oblique(&self, map: &IndexMap, target: &Geometry) -> Vec<u8> {
        let source = self.geometry().shape();
        let [_, n_h, n_w] = target.shape();
        let mut voxels = vec![0; target.n_voxels()];
        voxels.par_chunks_exact_mut(n_w).with_min_len(MIN_ROWS).enumerate().for_each(|(r, row)| {
            let start = [(r / n_h) as f64, (r % n_h) as f64, 0.0];
            let [begin, end] = inside_row(map, start, source, n_w);
            let at = map.source(start);
            for (w, label) in row.iter_mut().enumerate().take(end).skip(begin) {
                let idx = |a: usize| nearest(at[a] + w as f64 * map.linear[a][2], source[a]);
                if let (Some(d), Some(h), Some(w)) = (idx(0), idx(1), idx(2)) {
                    *label = self.voxels()[(d * source[1] + h) * source[2] + w];
                }
            }
        });
        voxels
    }
}

/// The targets `begin..end` of the row at `start` that lie inside a source grid along every axis.
fn inside_row(map: &IndexMap, start: [f64; 3], source: [usize; 3], n_w: usize) -> [usize; 2] {
    let at = map.source(start);
    let ranges: [[usize; 2]; 3] =
        std::array::from_fn(|a| IndexMap::inside(at[a], map.linear[a][2], source[a], n_w));
    let begin = ranges.iter().fold(0, |m, r| m.max(r[0]));
    [begin, ranges.iter().fold(n_w, |m, r| m.min(r[1])).max(begin)]
}

/// Interpolation along one axis: target `t` lies at `offset + t · step` in source voxels.
fn linear_taps(n_source: usize, n_target: usize, step: f64, offset: f64) -> AxisTaps {
    let width = if step.abs() < 1.0 + SNAP { 1.0 } else { step.abs() };
    let mut taps = AxisTaps::new(n_source);
    let mut weights = Vec::new();
    for target in 0..n_target {
        let mut position = offset + target as f64 * step;
        if (position - position.round()).abs() < SNAP {
            position = position.round();
        }
        let first = (position - width).ceil();
        let n_taps = ((position + width).floor() - first) as usize + 1;
        weights.clear();
        weights.extend((0..n_taps).map(|k| 1.0 - (first + k as f64 - position).abs() / width));
        centre(&mut weights, first - position);
        taps.push(first as i64, &weights);
    }
    taps
}

/// Scales kernel weights so that they sum to 1 and tilts them so that their centre of mass is 0;
/// the first weight belongs to the distance `first` from the centre, the next to `first + 1`, ….
///
/// Sampled at fractional positions, a widened triangle is off centre by up to some hundredths of a
/// voxel, which would shift a ramp. (Local linear regression with the triangle as its kernel.)
fn centre(weights: &mut [f64], first: f64) {
    let mut moments = [0.0; 3];
    for (k, weight) in weights.iter().enumerate() {
        let distance = first + k as f64;
        moments[0] += weight;
        moments[1] += weight * distance;
        moments[2] += weight * distance * distance;
    }
    let [m0, m1, m2] = moments;
    let determinant = m0 * m2 - m1 * m1;
    // One voxel with all the weight: nothing to tilt.
    let (scale, tilt) =
        if m2 < SNAP { (1.0 / m0, 0.0) } else { (m2 / determinant, -m1 / determinant) };
    for (k, weight) in weights.iter_mut().enumerate() {
        *weight *= scale + tilt * (first + k as f64);
    }
}

/// For each target axis, the source axis paired with it.
fn pairing_of_targets(pairing: [usize; 3]) -> [usize; 3] {
    let mut source_axis = [0; 3];
    for (source, target) in pairing.into_iter().enumerate() {
        source_axis[target] = source;
    }
    source_axis
}

/// Brings voxels from the order of the source axes into that of the target axes.
fn permuted(voxels: Cow<'_, [f32]>, shape: [usize; 3], pairing: [usize; 3]) -> Vec<f32> {
    if pairing == [0, 1, 2] {
        return voxels.into_owned();
    }
    let source_strides = [shape[1] * shape[2], shape[2], 1];
    let source_axis = pairing_of_targets(pairing);
    let [_, n_h, n_w] = source_axis.map(|a| shape[a]);
    let [stride_d, stride_h, stride_w] = source_axis.map(|a| source_strides[a]);
    let mut out = vec![0.0; voxels.len()];
    out.par_chunks_exact_mut(n_w).with_min_len(MIN_ROWS).enumerate().for_each(|(r, row)| {
        let begin = (r / n_h) * stride_d + (r % n_h) * stride_h;
        for (w, value) in row.iter_mut().enumerate() {
            *value = voxels[begin + w * stride_w];
        }
    });
    out
}

/// Sets every voxel outside the box `inside` (a range an axis) to `background`.
fn fill_outside(voxels: &mut [f32], shape: [usize; 3], inside: [[usize; 2]; 3], background: f32) {
    let [_, n_h, n_w] = shape;
    if (0..3).all(|a| inside[a] == [0, shape[a]]) {
        return;
    }
    let holds = |range: [usize; 2], idx: usize| idx >= range[0] && idx < range[1];
    voxels.par_chunks_exact_mut(n_w).with_min_len(MIN_ROWS).enumerate().for_each(|(r, row)| {
        if holds(inside[0], r / n_h) && holds(inside[1], r % n_h) {
            row[..inside[2][0]].fill(background);
            row[inside[2][1]..].fill(background);
        } else {
            row.fill(background);
        }
    });
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Affine;

    /// A grid along the axes of the world, each of them either way.
    fn grid(
        shape: [usize; 3],
        spacing_mm: [f64; 3],
        first_mm: [f64; 3],
        flipped: [bool; 3],
    ) -> Geometry {
        let step = [2, 1, 0].map(|a| if flipped[a] { -spacing_mm[a] } else { spacing_mm[a] });
        let rows = std::array::from_fn(|r| {
            let mut row = [0.0, 0.0, 0.0, first_mm[r]];
            row[r] = step[r];
            row
        });
        Geometry::new(shape, Affine::new(rows).unwrap()).unwrap()
    }

    proptest! {
        /// Tables along the axes give what a look at every voxel gives.
        #[test]
        fn aligned_labels_are_picked_as_oblique_ones_are(
            shapes in prop::array::uniform2(prop::array::uniform3(1_usize..9)),
            spacings in prop::array::uniform2(prop::array::uniform3(0.5_f64..3.0)),
            first_mm in prop::array::uniform3(-6.0_f64..6.0),
            flipped in any::<[bool; 3]>(),
        ) {
            let source = grid(shapes[0], spacings[0], [0.0; 3], flipped);
            let target = grid(shapes[1], spacings[1], first_mm, [false; 3]);
            let labels = (0..source.n_voxels()).map(|i| (i % 251) as u8 + 1).collect();
            let labels = LabelMap::new(source, labels).unwrap();
            let map = IndexMap::between(&source, &target);
            let pairing = map.aligned_axes(target.shape()).unwrap();
            let picked = labels.pick_aligned(&map, pairing, &target);
            prop_assert_eq!(picked, labels.pick_oblique(&map, &target));
        }
    }
}
