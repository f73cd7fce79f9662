//! Two sums a channel over parts of a tensor, taken while a part is in the cache, and their merging.

use crate::simd::{Simd, load, store};

/// Two sums a channel of every part, and where each part lies.
#[derive(Clone, Debug, Default)]
pub(crate) struct PartSums {
    pub parts: Vec<Part>,
    /// `[part, 2, C]`.
    pub values: Vec<f32>,
}

/// Some voxels of one image.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub image: usize,
    pub n_voxels: usize,
}

impl PartSums {
    pub(crate) fn new(parts: Vec<Part>, n_channels: usize) -> Self {
        let values = vec![0.0; parts.len() * 2 * n_channels];
        Self { parts, values }
    }

    /// The parts with their sums, in order.
    fn iter(&self) -> impl Iterator<Item = (&Part, &[f32])> {
        let per_part = self.values.len() / self.parts.len().max(1);
        self.parts.iter().zip(self.values.chunks_exact(per_part.max(1)))
    }

    /// Mean and summed squared deviation of each channel of each image, `[B, 2, C]`, from those of the
    /// parts, each around its own mean (Chan et al., 1979): a mean far from 0 costs no digits.
    pub(crate) fn merge_moments(&self, n_images: usize, n_channels: usize) -> Vec<f64> {
        let mut merged = vec![0.0; n_images * 2 * n_channels];
        let mut n_merged = vec![0.0; n_images];
        for (part, sums) in self.iter() {
            let (n, n_part) = (n_merged[part.image], part.n_voxels as f64);
            let total = n + n_part;
            n_merged[part.image] = total;
            let of_image = &mut merged[part.image * 2 * n_channels..][..2 * n_channels];
            let (means, deviations) = of_image.split_at_mut(n_channels);
            for channel in 0..n_channels {
                let difference = f64::from(sums[channel]) - means[channel];
                means[channel] += difference * n_part / total;
                deviations[channel] += f64::from(sums[n_channels + channel])
                    + difference * difference * n * n_part / total;
            }
        }
        merged
    }

    /// Plain sums of each channel of each image, `[B, 2, C]`.
    pub(crate) fn merge(&self, n_images: usize, n_channels: usize) -> Vec<f64> {
        let mut merged = vec![0.0; n_images * 2 * n_channels];
        for (part, sums) in self.iter() {
            let of_image = &mut merged[part.image * 2 * n_channels..][..2 * n_channels];
            for (sum, x) in of_image.iter_mut().zip(sums) {
                *sum += f64::from(*x);
            }
        }
        merged
    }
}

/// What is summed over the voxels of a part.
#[derive(Clone, Copy)]
pub(crate) enum Summand<'a> {
    /// Mean and squared deviation from it.
    Moments,
    /// `g` and `g (x − mean)`, where the part is the gradient after an activation of `x` and `g` that
    /// before it.
    Gradient(&'a Activated<'a>),
}

/// A normalised tensor, `[B, voxels, C]`, and its parameters, `[B, C]`.
pub(crate) struct Activated<'a> {
    pub x: &'a [f32],
    pub scale: &'a [f32],
    pub shift: &'a [f32],
    pub mean: &'a [f32],
    pub slope: f32,
}

impl Summand<'_> {
    /// Sums over voxels from `first` on of `image`, whose values are `part`, into `[2, C]`.
    #[inline(always)]
    pub(crate) fn sum<S: Simd>(
        &self,
        s: S,
        part: &[f32],
        first: usize,
        image: usize,
        sums: &mut [f32],
    ) {
        let n = sums.len() / 2;
        let (one, two) = sums.split_at_mut(n);
        match self {
            Summand::Moments => moments(s, part, one, two),
            Summand::Gradient(of) => {
                let x = &of.x[first * n..first * n + part.len()];
                let channels = image * n..(image + 1) * n;
                let parameters =
                    [&of.scale[channels.clone()], &of.shift[channels.clone()], &of.mean[channels]];
                gradient_sums(s, part, x, parameters, of.slope, one, two);
            }
        }
    }
}

/// Mean and summed squared deviation of each channel.
#[inline(always)]
fn moments<S: Simd>(s: S, x: &[f32], mean: &mut [f32], deviation: &mut [f32]) {
    let n = mean.len();
    assert!(deviation.len() == n);
    let n_voxels = x.len() / n;
    let n_whole = n_voxels - n_voxels % 4;
    for channel in (0..n).step_by(S::LANES) {
        let lanes = (n - channel).min(S::LANES);
        // SAFETY: `lanes` channels from `channel` on of `n_voxels` voxels.
        unsafe {
            let p = x.as_ptr().add(channel);
            let mut sums = [s.zero(); 4];
            for voxel in (0..n_whole).step_by(4) {
                for (i, sum) in sums.iter_mut().enumerate() {
                    *sum = s.add(*sum, load(s, p.add((voxel + i) * n), lanes));
                }
            }
            for voxel in n_whole..n_voxels {
                sums[0] = s.add(sums[0], load(s, p.add(voxel * n), lanes));
            }
            let sum = s.add(s.add(sums[0], sums[1]), s.add(sums[2], sums[3]));
            let centre = s.mul(sum, s.splat(1.0 / n_voxels.max(1) as f32));
            let mut sums = [s.zero(); 4];
            for voxel in (0..n_whole).step_by(4) {
                for (i, sum) in sums.iter_mut().enumerate() {
                    let d = s.sub(load(s, p.add((voxel + i) * n), lanes), centre);
                    *sum = s.fma(d, d, *sum);
                }
            }
            for voxel in n_whole..n_voxels {
                let d = s.sub(load(s, p.add(voxel * n), lanes), centre);
                sums[0] = s.fma(d, d, sums[0]);
            }
            let sum = s.add(s.add(sums[0], sums[1]), s.add(sums[2], sums[3]));
            store(s, mean.as_mut_ptr().add(channel), centre, lanes);
            store(s, deviation.as_mut_ptr().add(channel), sum, lanes);
        }
    }
}

/// `Σ g` and `Σ g (x − mean)` of each channel, with `g` the gradient before the activation.
#[inline(always)]
fn gradient_sums<S: Simd>(
    s: S,
    gradient: &[f32],
    x: &[f32],
    [scale, shift, mean]: [&[f32]; 3],
    slope: f32,
    plain: &mut [f32],
    centred: &mut [f32],
) {
    let n = plain.len();
    assert!(gradient.len() == x.len() && centred.len() == n);
    assert!(scale.len() == n && shift.len() == n && mean.len() == n);
    let slope = s.splat(slope);
    for channel in (0..n).step_by(S::LANES) {
        let lanes = (n - channel).min(S::LANES);
        // SAFETY: `lanes` channels from `channel` on of every voxel, of slices equally long.
        unsafe {
            let scale = load(s, scale.as_ptr().add(channel), lanes);
            let shift = load(s, shift.as_ptr().add(channel), lanes);
            let mean = load(s, mean.as_ptr().add(channel), lanes);
            let mut sums = [[s.zero(); 2]; 2];
            for voxel in 0..x.len() / n {
                let at = voxel * n + channel;
                let x = load(s, x.as_ptr().add(at), lanes);
                let gradient = load(s, gradient.as_ptr().add(at), lanes);
                let z = s.fma(x, scale, shift);
                let g = s.select_positive(z, gradient, s.mul(gradient, slope));
                let sums = &mut sums[voxel % 2];
                sums[0] = s.add(sums[0], g);
                sums[1] = s.fma(g, s.sub(x, mean), sums[1]);
            }
            let plain = plain.as_mut_ptr().add(channel);
            store(s, plain, s.add(sums[0][0], sums[1][0]), lanes);
            let centred = centred.as_mut_ptr().add(channel);
            store(s, centred, s.add(sums[0][1], sums[1][1]), lanes);
        }
    }
}
