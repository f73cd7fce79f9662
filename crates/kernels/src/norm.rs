//! Group normalisation and leaky ReLU over channels-last tensors `[B, voxels, C]`.
//!
//! Kept for the gradient are the mean and 1/σ of each group alone; everything else is computed anew.
//! Instance normalisation is a group a channel.

use std::ops::Range;

use rayon::prelude::*;

use crate::conv::Activation;
use crate::memory::{Buffer, Shared};
use crate::parallel::parts;
use crate::simd::{self, Kernel, Level, Simd, load, store};
use crate::sums::{Activated, Part, PartSums, Summand};

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

    /// Sums over every part of every image.
    fn sums(&self, level: Level, x: &[f32], summand: Summand<'_>) -> PartSums {
        let voxel_parts = self.voxel_parts();
        let images = 0..self.n_images;
        let parts = images.flat_map(|image| {
            voxel_parts.iter().map(move |part| Part { image, n_voxels: part.len() })
        });
        let mut sums = PartSums::new(parts.collect(), self.n_channels);
        sums.values.par_chunks_mut(2 * self.n_channels).enumerate().for_each(|(task, sums)| {
            let (image, part) = (task / voxel_parts.len(), task % voxel_parts.len());
            let range = self.range(image, &voxel_parts[part]);
            let first = range.start / self.n_channels;
            simd::run(level, Sum { summand, part: &x[range], first, image, sums });
        });
        sums
    }

    /// Mean and summed squared deviation of each channel of each image, `[B, 2, C]`.
    pub(crate) fn channel_moments(&self, level: Level, x: &[f32]) -> Vec<f64> {
        let level = level.for_channels(self.n_channels);
        self.sums(level, x, Summand::Moments).merge_moments(self.n_images, self.n_channels)
    }

    /// Mean and 1/σ of every group, from those of its channels; σ² is the mean squared deviation (Wu and
    /// He, ECCV 2018, eq. 2).
    pub(crate) fn moments(&self, of_channels: &[f64]) -> Moments {
        let mut moments = Moments { mean: Vec::new(), inverse_sigma: Vec::new() };
        for of_image in of_channels.chunks_exact(2 * self.n_channels) {
            let (means, deviations) = of_image.split_at(self.n_channels);
            for group in 0..self.n_groups {
                let channels = group * self.per_group()..(group + 1) * self.per_group();
                let means = &means[channels.clone()];
                // Channels have equally many voxels.
                let mean = means.iter().sum::<f64>() / means.len() as f64;
                let between: f64 = means.iter().map(|m| (m - mean) * (m - mean)).sum();
                let within: f64 = deviations[channels].iter().sum();
                let n = (self.n_voxels * means.len()) as f64;
                let variance = (within + between * self.n_voxels as f64) / n;
                moments.mean.push(mean);
                moments.inverse_sigma.push(1.0 / (variance + f64::from(self.epsilon)).sqrt());
            }
        }
        moments
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
    /// `gradient` is overwritten by that to the input; gives those to γ and β. `sums` are those of
    /// [`gradient_sums`](Self::gradient_sums).
    pub(crate) fn gradients(
        &self,
        level: Level,
        x: &Activated<'_>,
        moments: &Moments,
        gamma: &[f32],
        gradient: &mut [f32],
        sums: &PartSums,
    ) -> [Buffer; 2] {
        let level = level.for_channels(self.n_channels);
        let n = self.n_channels;
        let of = |image: usize| image * n..(image + 1) * n;
        let merged = sums.merge(self.n_images, n);
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
                x: &x.x[range],
                gradient,
                scale: &x.scale[of(image)],
                shift: &x.shift[of(image)],
                slope: x.slope,
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

    /// `Σ g` and `Σ g (x − mean)` over the parts of `gradient`.
    pub(crate) fn gradient_sums(
        &self,
        level: Level,
        of: &Activated<'_>,
        gradient: &[f32],
    ) -> PartSums {
        self.sums(level.for_channels(self.n_channels), gradient, Summand::Gradient(of))
    }

    /// The mean of its group for every channel of every image, `[B, C]`.
    pub(crate) fn means(&self, moments: &Moments) -> Vec<f32> {
        let n = self.n_channels;
        let group = |i: usize| i / n * self.n_groups + i % n / self.per_group();
        (0..self.n_images * n).map(|i| moments.mean[group(i)] as f32).collect()
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

/// [`Summand::sum`] by one worker.
struct Sum<'a> {
    summand: Summand<'a>,
    part: &'a [f32],
    first: usize,
    image: usize,
    sums: &'a mut [f32],
}

impl Kernel for Sum<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        self.summand.sum(s, self.part, self.first, self.image, self.sums);
    }
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
