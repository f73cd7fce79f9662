//! Convolution with stride 1 and the same extent, kernels 1×3×3 and 3×3×3, channels last.
//!
//! The gradient to the input is the same convolution with the weights flipped and transposed
//! ([`Weights::reversed`]); the gradient to the weights sums products over all voxels. Both go by
//! Winograd's F(4, 3) over planes, or directly where there are too few channels for that to pay.

mod direct;
mod tiles;
mod weight_gradient;
mod weights;
mod winograd_conv;

use std::ops::Range;

use crate::memory::{Buffer, Shared};
use crate::plan::{Algorithm, Plan};
use crate::simd::{Level, Simd, padded};
use crate::sums::{PartSums, Summand};

pub(crate) use weights::Weights;

/// Batch and extent of a channels-last tensor `[B, D, H, W, C]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grid {
    pub b: usize,
    pub d: usize,
    pub h: usize,
    pub w: usize,
}

impl Grid {
    pub(crate) fn n_voxels(self) -> usize {
        self.b * self.d * self.h * self.w
    }

    /// `[B, D, H, W, channels]`.
    pub(crate) fn with(self, channels: usize) -> [usize; 5] {
        [self.b, self.d, self.h, self.w, channels]
    }
}

/// `x ↦ leaky ReLU(scale · x + shift)`, applied to an input as it is read.
#[derive(Clone, Debug)]
pub(crate) struct Activation {
    /// `[B, C]`.
    pub scale: Vec<f32>,
    /// `[B, C]`.
    pub shift: Vec<f32>,
    /// Factor below 0; 0 is ReLU.
    pub slope: f32,
}

/// One input of a convolution; several lie one after the other along the channels.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    /// `[B, D, H, W, channels]`.
    pub data: &'a [f32],
    pub channels: usize,
    pub activation: Option<&'a Activation>,
}

/// One output; several divide the channels among them.
pub(crate) struct Target<'a> {
    /// `[B, D, H, W, channels]`.
    pub data: Shared<'a>,
    pub channels: usize,
}

/// What is summed over a target, and where the sums go.
#[derive(Clone, Copy)]
struct Summary<'a> {
    summand: Summand<'a>,
    /// `[part, 2, C]`.
    sums: Shared<'a>,
}

impl Summary<'_> {
    /// Sums over the voxels `[first, first + n)` of the target, which are part `part`.
    ///
    /// # Safety
    /// No other task touches these voxels, or this part.
    #[inline(always)]
    unsafe fn add<S: Simd>(
        &self,
        s: S,
        target: &Target<'_>,
        voxels: Range<usize>,
        image: usize,
        part: usize,
    ) {
        let n = target.channels;
        // SAFETY: the caller's word.
        let (written, sums) = unsafe {
            let written = target.data.part(voxels.start * n, voxels.len() * n);
            (written, self.sums.part(part * 2 * n, 2 * n))
        };
        self.summand.sum(s, written, voxels.start, image, sums);
    }
}

/// Channels of several tensors side by side, each padded to whole vectors of its own.
pub(crate) struct Segments {
    /// Channels, first channel, first padded channel of each.
    parts: Vec<Segment>,
    /// All channels.
    n: usize,
    /// All padded channels.
    n_padded: usize,
    lanes: usize,
}

#[derive(Clone, Copy)]
pub(crate) struct Segment {
    channels: usize,
    first: usize,
    first_padded: usize,
}

impl Segments {
    fn new(channels: impl Iterator<Item = usize>, lanes: usize) -> Self {
        let (mut n, mut n_padded) = (0, 0);
        let mut parts = Vec::new();
        for channels in channels {
            parts.push(Segment { channels, first: n, first_padded: n_padded });
            n += channels;
            n_padded += padded(channels, lanes);
        }
        Self { parts, n, n_padded, lanes }
    }

    /// The real channels of padded vector `vector`: the first and how many.
    fn vector(&self, vector: usize) -> (usize, usize) {
        let padded = vector * self.lanes;
        let part = self.parts.iter().rev().find(|part| part.first_padded <= padded);
        part.map_or((0, 0), |part| {
            let offset = padded - part.first_padded;
            (part.first + offset, part.channels.saturating_sub(offset).min(self.lanes))
        })
    }

    fn n_vectors(&self) -> usize {
        self.n_padded / self.lanes
    }
}

/// Convolves the sources with the weights into the targets, and sums over the first target what
/// `summand` says while it is in the cache.
pub(crate) fn convolve(
    plan: Plan,
    grid: Grid,
    sources: &[Source<'_>],
    weights: &Weights<'_>,
    targets: &[Target<'_>],
    summand: Option<Summand<'_>>,
) -> PartSums {
    let n_in = sources.iter().map(|source| source.channels).sum::<usize>();
    let n_out = targets.iter().map(|target| target.channels).sum::<usize>();
    assert_eq!([n_out, n_in], [weights.n_out, weights.n_in], "channels of a convolution");
    check_sizes(grid, sources);
    if grid.n_voxels() == 0 {
        return PartSums::default();
    }
    let widest = targets.iter().map(|target| target.channels).max().unwrap_or_default();
    let level = plan.level.for_channels(widest);
    match algorithm(plan, n_in, n_out) {
        Algorithm::Winograd => {
            winograd_conv::convolve(level, grid, sources, weights, targets, summand)
        }
        _ => direct::convolve(level, grid, sources, weights, targets, summand),
    }
}

/// Gradient to the weights `[C_out, C_in, kD, 3, 3]`, given that to the output.
pub(crate) fn weight_gradient(
    plan: Plan,
    grid: Grid,
    sources: &[Source<'_>],
    gradient: &Source<'_>,
    depth: usize,
) -> Buffer {
    let n_in = sources.iter().map(|source| source.channels).sum::<usize>();
    check_sizes(grid, sources);
    check_sizes(grid, std::slice::from_ref(gradient));
    let level = plan.level.for_channels(gradient.channels);
    match algorithm(plan, n_in, gradient.channels) {
        Algorithm::Winograd => weight_gradient::winograd(level, grid, sources, gradient, depth),
        _ => direct::weight_gradient(level, grid, sources, gradient, depth),
    }
}

/// The transforms read voxels by their place in the grid: every input must fill it.
fn check_sizes(grid: Grid, sources: &[Source<'_>]) {
    for source in sources {
        assert_eq!(source.data.len(), grid.n_voxels() * source.channels, "size of an input");
    }
}

/// Transforming tiles pays once each is used for several channels on both sides.
fn algorithm(plan: Plan, n_in: usize, n_out: usize) -> Algorithm {
    match plan.algorithm {
        Algorithm::Auto if n_in < 4 || n_out < 4 => Algorithm::Direct,
        Algorithm::Auto => Algorithm::Winograd,
        forced => forced,
    }
}

impl Level {
    fn segments_in(self, sources: &[Source<'_>]) -> Segments {
        Segments::new(sources.iter().map(|source| source.channels), self.lanes())
    }

    fn segments_out(self, targets: &[Target<'_>]) -> Segments {
        Segments::new(targets.iter().map(|target| target.channels), self.lanes())
    }
}
