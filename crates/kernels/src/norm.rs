//! Group normalisation and leaky ReLU over channels-last tensors `[B, voxels, C]`.
//!
//! Kept for the gradient are the mean and 1/σ of each group alone; everything else is computed anew.
//! Instance normalisation is a group a channel.

use std::ops::Range;

use rayon::prelude::*;

use crate::conv::Activation;
use crate::memory::{Buffer, Shared};
use crate::parallel::parts;
use crate::simd::{self, Kernel, Level, Simd};

/// Numbers of a worker's part that stay in its second cache.
const PART_NUMBERS: usize = 1 << 16;

/// Extent and settings of a normalisation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Norm {
    pub n_images: usize,
    /// Voxels of an image.
    pub n_voxels: usize,
    pub n_channels: usize,
    pub n_groups: usize,
    pub epsilon: f32,
    /// Factor of the activation below 0: 0 is ReLU, 1 none.
    pub slope: f32,
}

/// Mean and 1/σ of each group, `[B, groups]`.
#[derive(Clone, Debug)]
pub(crate) struct Moments {
    mean: Vec<f64>,
    inverse_sigma: Vec<f64>,
}

impl Norm {
    fn per_group(&self) -> usize {
        self.n_channels / self.n_groups
    }

    /// Parts of an image's voxels, divided by shape alone.
    fn voxel_parts(&self) -> Vec<Range<usize>> {
        let n_parts = (self.n_voxels * self.n_channels).div_ceil(PART_NUMBERS);
        parts(self.n_voxels, n_parts.max(1))
    }

    fn range(&self, image: usize, part: &Range<usize>) -> Range<usize> {
        let first = image * self.n_voxels;
        (first + part.start) * self.n_channels..(first + part.end) * self.n_channels
    }

    /// Two sums a channel over every part of every image, `[B, part, 2, C]`.
    fn sums(
        &self,
        part_sums: impl Fn(usize, Range<usize>, &mut [f32], &mut [f32]) + Sync,
    ) -> Vec<f32> {
        let voxel_parts = self.voxel_parts();
        let mut sums = vec![0.0; self.n_images * voxel_parts.len() * 2 * self.n_channels];
        sums.par_chunks_mut(2 * self.n_channels).enumerate().for_each(|(task, sums)| {
            let (image, part) = (task / voxel_parts.len(), task % voxel_parts.len());
            let (first, second) = sums.split_at_mut(self.n_channels);
            part_sums(image, self.range(image, &voxel_parts[part]), first, second);
        });
        sums
    }

    /// Mean and 1/σ of every group; σ² is the mean squared deviation (Wu and He, ECCV 2018, eq. 2).
    ///
    /// Parts are summed around their own mean and merged in `f64` (Chan et al., 1979), so that a mean
    /// far from 0 costs no digits.
    pub(crate) fn moments(&self, level: Level, x: &[f32]) -> Moments {
        let voxel_parts = self.voxel_parts();
        let sums = self.sums(|_, range, mean, deviation| {
            let deviations = Deviations { x: &x[range], n: self.n_channels, mean, deviation };
            simd::run(level.for_channels(self.n_channels), deviations);
        });
        let per_image = voxel_parts.len() * 2 * self.n_channels;
        let (mut means, mut inverse_sigmas) = (Vec::new(), Vec::new());
        for image in sums.chunks_exact(per_image) {
            for group in 0..self.n_groups {
                let (mut n, mut mean, mut deviation) = (0.0, 0.0, 0.0);
                for (part, sums) in voxel_parts.iter().zip(image.chunks_exact(2 * self.n_channels))
                {
                    for channel in group * self.per_group()..(group + 1) * self.per_group() {
                        let n_part = part.len() as f64;
                        let difference = f64::from(sums[channel]) - mean;
                        let total: f64 = n + n_part;
                        mean += difference * n_part / total;
                        deviation += f64::from(sums[self.n_channels + channel])
                            + difference * difference * n * n_part / total;
                        n = total;
                    }
                }
                means.push(mean);
                inverse_sigmas.push(1.0 / (deviation / n + f64::from(self.epsilon)).sqrt());
            }
        }
        Moments { mean: means, inverse_sigma: inverse_sigmas }
    }

    /// The normalisation, γ, β and the leaky ReLU as one affine map a channel of each image.
    pub(crate) fn activation(&self, moments: &Moments, gamma: &[f32], beta: &[f32]) -> Activation {
        let (mut scale, mut shift) = (Vec::new(), Vec::new());
        for image in 0..self.n_images {
            for channel in 0..self.n_channels {
                let group = image * self.n_groups + channel / self.per_group();
                let factor = f64::from(gamma[channel]) * moments.inverse_sigma[group];
                scale.push(factor as f32);
                shift.push((f64::from(beta[channel]) - moments.mean[group] * factor) as f32);
            }
        }
        Activation { scale, shift, slope: self.slope }
    }

    /// Applies the activation.
    pub(crate) fn apply(&self, level: Level, x: &[f32], activation: &Activation) -> Buffer {
        let mut y = Buffer::new(x.len());
        let shared = Shared::new(&mut y);
        let voxel_parts = self.voxel_parts();
        (0..self.n_images * voxel_parts.len()).into_par_iter().for_each(|task| {
            let (image, part) = (task / voxel_parts.len(), task % voxel_parts.len());
            let range = self.range(image, &voxel_parts[part]);
            // SAFETY: parts are disjoint.
            let y = unsafe { shared.part(range.start, range.len()) };
            let of_image = image * self.n_channels..(image + 1) * self.n_channels;
            let affine = Apply {
                x: &x[range],
                y,
                scale: &activation.scale[of_image.clone()],
                shift: &activation.shift[of_image],
                slope: activation.slope,
            };
            simd::run(level.for_channels(self.n_channels), affine);
        });
        y
    }

    /// The gradients, given that to the output. With `x̂` the normalised input and `g` the gradient
    /// before the activation: `∂γ = Σ g x̂`, `∂β = Σ g`, and over the n numbers of a group
    /// `∂x = (γ g − Σ γ g / n − x̂ Σ γ g x̂ / n) / σ`.
    ///
    /// `gradient` is overwritten by that to the input; gives those to γ and β.
    pub(crate) fn gradients(
        &self,
        level: Level,
        x: &[f32],
        moments: &Moments,
        activation: &Activation,
        gamma: &[f32],
        gradient: &mut [f32],
    ) -> [Buffer; 2] {
        let level = level.for_channels(self.n_channels);
        let n = self.n_channels;
        let means: Vec<f32> = (0..self.n_images * n)
            .map(|i| moments.mean[i / n * self.n_groups + i % n / self.per_group()] as f32)
            .collect();
        let of = |image: usize| image * n..(image + 1) * n;
        let sums = self.sums(|image, range, plain, centred| {
            let gradient_sums = GradientSums {
                x: &x[range.clone()],
                gradient: &gradient[range],
                scale: &activation.scale[of(image)],
                shift: &activation.shift[of(image)],
                mean: &means[of(image)],
                slope: self.slope,
                plain,
                centred,
            };
            simd::run(level, gradient_sums);
        });
        let merged = self.merge(&sums);
        let (mut gamma_gradient, mut beta_gradient) = (vec![0.0f64; n], vec![0.0f64; n]);
        let maps = self.gradient_maps(moments, gamma, &merged);
        for (image, sums) in merged.chunks_exact(2 * n).enumerate() {
            for channel in 0..n {
                let group = image * self.n_groups + channel / self.per_group();
                beta_gradient[channel] += sums[channel];
                gamma_gradient[channel] += sums[n + channel] * moments.inverse_sigma[group];
            }
        }
        let voxel_parts = self.voxel_parts();
        let shared = Shared::new(gradient);
        (0..self.n_images * voxel_parts.len()).into_par_iter().for_each(|task| {
            let (image, part) = (task / voxel_parts.len(), task % voxel_parts.len());
            let range = self.range(image, &voxel_parts[part]);
            // SAFETY: parts are disjoint.
            let gradient = unsafe { shared.part(range.start, range.len()) };
            let map = GradientMap {
                x: &x[range],
                gradient,
                scale: &activation.scale[of(image)],
                shift: &activation.shift[of(image)],
                slope: self.slope,
                maps: &maps[3 * image * n..3 * (image + 1) * n],
            };
            simd::run(level, map);
        });
        let rounded = |sums: Vec<f64>| {
            let mut buffer = Buffer::new(n);
            for (to, from) in buffer.iter_mut().zip(sums) {
                *to = from as f32;
            }
            buffer
        };
        [rounded(gamma_gradient), rounded(beta_gradient)]
    }

    /// Sums of parts to sums of images, `[B, 2, C]`.
    fn merge(&self, sums: &[f32]) -> Vec<f64> {
        let per_part = 2 * self.n_channels;
        let per_image = per_part * self.voxel_parts().len();
        let mut merged = vec![0.0; self.n_images * per_part];
        for (image, merged) in sums.chunks_exact(per_image).zip(merged.chunks_exact_mut(per_part)) {
            for part in image.chunks_exact(per_part) {
                for (sum, x) in merged.iter_mut().zip(part) {
                    *sum += f64::from(*x);
                }
            }
        }
        merged
    }

    /// `∂x = a · g + b · x + c` a channel of each image, `[B, 3, C]`.
    fn gradient_maps(&self, moments: &Moments, gamma: &[f32], sums: &[f64]) -> Vec<f32> {
        let n = self.n_channels;
        let count = (self.n_voxels * self.per_group()) as f64;
        let mut maps = Vec::with_capacity(3 * self.n_images * n);
        for (image, sums) in sums.chunks_exact(2 * n).enumerate() {
            let mut of_image = vec![0.0f32; 3 * n];
            for group in 0..self.n_groups {
                let index = image * self.n_groups + group;
                let (mean, inverse) = (moments.mean[index], moments.inverse_sigma[index]);
                let channels = group * self.per_group()..(group + 1) * self.per_group();
                let (mut plain, mut centred) = (0.0, 0.0);
                for channel in channels.clone() {
                    plain += f64::from(gamma[channel]) * sums[channel];
                    centred += f64::from(gamma[channel]) * sums[n + channel] * inverse;
                }
                let slope = -inverse * inverse * centred / count;
                for channel in channels {
                    of_image[channel] = (f64::from(gamma[channel]) * inverse) as f32;
                    of_image[n + channel] = slope as f32;
                    of_image[2 * n + channel] = (-inverse * plain / count - slope * mean) as f32;
                }
            }
            maps.extend(of_image);
        }
        maps
    }
}

/// Mean and summed squared deviation of each channel.
struct Deviations<'a> {
    x: &'a [f32],
    n: usize,
    mean: &'a mut [f32],
    deviation: &'a mut [f32],
}

impl Kernel for Deviations<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { x, n, mean, deviation } = self;
        let n_voxels = x.len() / n;
        for channel in (0..n).step_by(S::LANES) {
            let lanes = (n - channel).min(S::LANES);
            assert!(mean.len() >= channel + lanes && deviation.len() >= channel + lanes);
            // SAFETY: `lanes` channels from `channel` on of `n_voxels` voxels, as asserted.
            unsafe {
                let p = x.as_ptr().add(channel);
                let mut sums = [s.zero(); 4];
                for voxel in (0..n_voxels - n_voxels % 4).step_by(4) {
                    for (i, sum) in sums.iter_mut().enumerate() {
                        *sum = s.add(*sum, load(s, p.add((voxel + i) * n), lanes));
                    }
                }
                for voxel in n_voxels - n_voxels % 4..n_voxels {
                    sums[0] = s.add(sums[0], load(s, p.add(voxel * n), lanes));
                }
                let sum = s.add(s.add(sums[0], sums[1]), s.add(sums[2], sums[3]));
                let centre = s.mul(sum, s.splat(1.0 / n_voxels.max(1) as f32));
                let mut sums = [s.zero(); 4];
                for voxel in (0..n_voxels - n_voxels % 4).step_by(4) {
                    for (i, sum) in sums.iter_mut().enumerate() {
                        let d = s.sub(load(s, p.add((voxel + i) * n), lanes), centre);
                        *sum = s.fma(d, d, *sum);
                    }
                }
                for voxel in n_voxels - n_voxels % 4..n_voxels {
                    let d = s.sub(load(s, p.add(voxel * n), lanes), centre);
                    sums[0] = s.fma(d, d, sums[0]);
                }
                let sum = s.add(s.add(sums[0], sums[1]), s.add(sums[2], sums[3]));
                s.store_first(mean.as_mut_ptr().add(channel), centre, lanes);
                s.store_first(deviation.as_mut_ptr().add(channel), sum, lanes);
            }
        }
    }
}

#[inline(always)]
unsafe fn load<S: Simd>(s: S, p: *const f32, lanes: usize) -> S::V {
    // SAFETY: the caller's.
    unsafe { if lanes == S::LANES { s.load(p) } else { s.load_first(p, lanes) } }
}

#[inline(always)]
unsafe fn store<S: Simd>(s: S, p: *mut f32, v: S::V, lanes: usize) {
    // SAFETY: the caller's.
    unsafe { if lanes == S::LANES { s.store(p, v) } else { s.store_first(p, v, lanes) } }
}

/// `y = leaky ReLU(scale · x + shift)`.
struct Apply<'a> {
    x: &'a [f32],
    y: &'a mut [f32],
    scale: &'a [f32],
    shift: &'a [f32],
    slope: f32,
}

impl Kernel for Apply<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let n = self.scale.len();
        assert!(self.y.len() == self.x.len() && self.shift.len() == n);
        let slope = s.splat(self.slope);
        for channel in (0..n).step_by(S::LANES) {
            let lanes = (n - channel).min(S::LANES);
            // SAFETY: `lanes` channels from `channel` on of every voxel, of slices equally long.
            unsafe {
                let scale = s.load_first(self.scale.as_ptr().add(channel), lanes);
                let shift = s.load_first(self.shift.as_ptr().add(channel), lanes);
                for voxel in 0..self.x.len() / n {
                    let at = voxel * n + channel;
                    let z = s.fma(load(s, self.x.as_ptr().add(at), lanes), scale, shift);
                    let y = s.select_positive(z, z, s.mul(z, slope));
                    store(s, self.y.as_mut_ptr().add(at), y, lanes);
                }
            }
        }
    }
}

/// `Σ g` and `Σ g (x − mean)`, where `g` is the gradient before the activation.
struct GradientSums<'a> {
    x: &'a [f32],
    gradient: &'a [f32],
    scale: &'a [f32],
    shift: &'a [f32],
    mean: &'a [f32],
    slope: f32,
    plain: &'a mut [f32],
    centred: &'a mut [f32],
}

impl Kernel for GradientSums<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let n = self.scale.len();
        assert!(self.gradient.len() == self.x.len() && self.shift.len() == n);
        assert!(self.mean.len() == n && self.plain.len() == n && self.centred.len() == n);
        let slope = s.splat(self.slope);
        for channel in (0..n).step_by(S::LANES) {
            let lanes = (n - channel).min(S::LANES);
            // SAFETY: `lanes` channels from `channel` on of every voxel, of slices equally long.
            unsafe {
                let scale = s.load_first(self.scale.as_ptr().add(channel), lanes);
                let shift = s.load_first(self.shift.as_ptr().add(channel), lanes);
                let mean = s.load_first(self.mean.as_ptr().add(channel), lanes);
                let (mut plain, mut centred) = (s.zero(), s.zero());
                for voxel in 0..self.x.len() / n {
                    let at = voxel * n + channel;
                    let x = load(s, self.x.as_ptr().add(at), lanes);
                    let gradient = load(s, self.gradient.as_ptr().add(at), lanes);
                    let z = s.fma(x, scale, shift);
                    let g = s.select_positive(z, gradient, s.mul(gradient, slope));
                    plain = s.add(plain, g);
                    centred = s.fma(g, s.sub(x, mean), centred);
                }
                s.store_first(self.plain.as_mut_ptr().add(channel), plain, lanes);
                s.store_first(self.centred.as_mut_ptr().add(channel), centred, lanes);
            }
        }
    }
}

/// `∂x = a · g + b · x + c` in place of the gradient.
struct GradientMap<'a> {
    x: &'a [f32],
    gradient: &'a mut [f32],
    scale: &'a [f32],
    shift: &'a [f32],
    slope: f32,
    /// `[3, C]`.
    maps: &'a [f32],
}

impl Kernel for GradientMap<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let n = self.scale.len();
        assert!(self.gradient.len() == self.x.len() && self.shift.len() == n);
        assert!(self.maps.len() == 3 * n);
        let slope = s.splat(self.slope);
        for channel in (0..n).step_by(S::LANES) {
            let lanes = (n - channel).min(S::LANES);
            // SAFETY: `lanes` channels from `channel` on of every voxel, of slices equally long.
            unsafe {
                let scale = s.load_first(self.scale.as_ptr().add(channel), lanes);
                let shift = s.load_first(self.shift.as_ptr().add(channel), lanes);
                let a = s.load_first(self.maps.as_ptr().add(channel), lanes);
                let b = s.load_first(self.maps.as_ptr().add(n + channel), lanes);
                let c = s.load_first(self.maps.as_ptr().add(2 * n + channel), lanes);
                for voxel in 0..self.x.len() / n {
                    let at = voxel * n + channel;
                    let x = load(s, self.x.as_ptr().add(at), lanes);
                    let to = self.gradient.as_mut_ptr().add(at);
                    let gradient = load(s, to, lanes);
                    let z = s.fma(x, scale, shift);
                    let g = s.select_positive(z, gradient, s.mul(gradient, slope));
                    store(s, to, s.fma(a, g, s.fma(b, x, c)), lanes);
                }
            }
        }
    }
}
