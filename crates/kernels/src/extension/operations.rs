//! The operations on tensors of `Flex`: from tensor to slices and back, and what a gradient needs.

use burn_flex::FlexTensor;
use burn_std::Shape;

use super::NormSettings;
use crate::conv::{Activation, Grid, Source, Target, Weights, convolve, weight_gradient};
use crate::loss::MaskSums;
use crate::memory::{Buffer, Shared};
use crate::norm::{Moments, Norm};
use crate::patch::Patch;
use crate::plan::Plan;
use crate::pool::{Indices, Pool};
use crate::sums::{Activated, PartSums, Summand};

/// The tensor with its numbers in a row, from the start to the end of its memory.
pub(super) fn contiguous(tensor: FlexTensor) -> FlexTensor {
    let layout = tensor.layout();
    let is_whole = layout.is_contiguous()
        && layout.start_offset() == 0
        && tensor.bytes().len() == layout.num_elements() * size_of::<f32>();
    if is_whole { tensor } else { tensor.to_contiguous() }
}

pub(super) fn numbers(tensor: &FlexTensor) -> &[f32] {
    tensor.storage::<f32>()
}

pub(super) fn losses(sums: &MaskSums) -> FlexTensor {
    let mut buffer = Buffer::new(2);
    buffer.copy_from_slice(&sums.losses());
    buffer.into_tensor(&[2])
}

fn dims(tensor: &FlexTensor) -> [usize; 5] {
    let shape: &Shape = tensor.layout().shape();
    match shape[..] {
        [b, d, h, w, c] => [b, d, h, w, c],
        _ => panic!("expected [B, D, H, W, C], found {shape:?}"),
    }
}

fn grid(tensor: &FlexTensor) -> Grid {
    let [b, d, h, w, _] = dims(tensor);
    Grid { b, d, h, w }
}

fn channels(tensor: &FlexTensor) -> usize {
    dims(tensor)[4]
}

fn norm_of(x: &FlexTensor, settings: NormSettings) -> Norm {
    let Grid { b, d, h, w } = grid(x);
    Norm {
        n_images: b,
        n_voxels: d * h * w,
        n_channels: channels(x),
        n_groups: settings.n_groups,
        epsilon: settings.epsilon,
        slope: settings.slope,
    }
}

/// The moments of a tensor that no convolution has found.
pub(super) fn moments_of(x: &FlexTensor) -> FlexTensor {
    let settings = NormSettings { n_groups: channels(x), epsilon: 0.0, slope: 1.0 };
    let norm = norm_of(x, settings);
    let moments = norm.channel_moments(Plan::current().level, numbers(x));
    moments_tensor(&moments, norm.n_images, norm.n_channels)
}

fn moments_tensor(moments: &[f64], n_images: usize, n_channels: usize) -> FlexTensor {
    let mut buffer = Buffer::new(moments.len());
    for (to, from) in buffer.iter_mut().zip(moments) {
        *to = *from as f32;
    }
    buffer.into_tensor(&[n_images, 2, n_channels])
}

/// A normalisation with what its gradient needs.
#[derive(Clone, Debug)]
pub(super) struct Normalised {
    pub x: FlexTensor,
    gamma: FlexTensor,
    norm: Norm,
    moments: Moments,
    activation: Activation,
    plan: Plan,
}

impl Normalised {
    pub(super) fn new(
        x: FlexTensor,
        moments: FlexTensor,
        gamma: FlexTensor,
        beta: &FlexTensor,
        settings: NormSettings,
    ) -> Self {
        let (x, gamma, beta) = (contiguous(x), contiguous(gamma), contiguous(beta.clone()));
        let norm = norm_of(&x, settings);
        assert!(
            norm.n_channels.is_multiple_of(norm.n_groups),
            "{} channels do not divide into {} groups",
            norm.n_channels,
            norm.n_groups
        );
        let plan = Plan::current();
        let of_channels: Vec<f64> =
            numbers(&contiguous(moments)).iter().map(|x| f64::from(*x)).collect();
        let moments = norm.moments(&of_channels);
        let activation = norm.activation(&moments, numbers(&gamma), numbers(&beta));
        Self { x, gamma, norm, moments, activation, plan }
    }

    pub(super) fn forward(&self) -> FlexTensor {
        let y = self.norm.apply(self.plan.level, numbers(&self.x), &self.activation);
        y.into_tensor(&dims(&self.x))
    }

    /// Gradients to x, γ and β.
    ///
    /// That to x takes the memory of `gradient`, which is copied if somebody else holds it. `sums` are
    /// found unless a convolution did so.
    pub(super) fn backward(
        &self,
        mut gradient: FlexTensor,
        sums: Option<PartSums>,
    ) -> [FlexTensor; 3] {
        let level = self.plan.level;
        let means = self.norm.means(&self.moments);
        let x = self.activated(&means);
        let sums = sums.unwrap_or_else(|| self.norm.gradient_sums(level, &x, numbers(&gradient)));
        let [gamma, beta] = self.norm.gradients(
            level,
            &x,
            &self.moments,
            numbers(&self.gamma),
            gradient.storage_mut::<f32>(),
            &sums,
        );
        let n = self.norm.n_channels;
        [gradient, gamma.into_tensor(&[n]), beta.into_tensor(&[n])]
    }

    fn activated<'a>(&'a self, means: &'a [f32]) -> Activated<'a> {
        Activated {
            x: numbers(&self.x),
            scale: &self.activation.scale,
            shift: &self.activation.shift,
            mean: means,
            slope: self.activation.slope,
        }
    }
}

/// A convolution with what its gradient needs.
#[derive(Clone, Debug)]
pub(super) struct ConvInputs {
    sources: Vec<FlexTensor>,
    /// Normalises the only source.
    pub norm: Option<Normalised>,
    weight: FlexTensor,
    plan: Plan,
}

impl ConvInputs {
    pub(super) fn new(
        sources: Vec<FlexTensor>,
        norm: Option<Normalised>,
        weight: FlexTensor,
    ) -> Self {
        let sources: Vec<_> = sources.into_iter().map(contiguous).collect();
        for source in &sources[1..] {
            assert_eq!(grid(source), grid(&sources[0]), "extents of inputs side by side");
        }
        Self { sources, norm, weight: contiguous(weight), plan: Plan::current() }
    }

    fn grid(&self) -> Grid {
        grid(&self.sources[0])
    }

    fn views(&self) -> Vec<Source<'_>> {
        let activation = self.norm.as_ref().map(|norm| &norm.activation);
        let view =
            |source| Source { data: numbers(source), channels: channels(source), activation };
        self.sources.iter().map(view).collect()
    }

    /// Outputs, inputs and depth of the kernel.
    fn weights(&self) -> Weights<'_> {
        let [n_out, n_in, depth, h, w] = dims(&self.weight);
        assert_eq!([h, w], [3, 3], "kernels are 1×3×3 or 3×3×3");
        Weights::new(numbers(&self.weight), n_out, n_in, depth)
    }

    /// The output and its moments.
    pub(super) fn forward(&self) -> (FlexTensor, FlexTensor) {
        let (grid, weights) = (self.grid(), self.weights());
        let n = weights.n_out;
        let mut y = Buffer::new(grid.n_voxels() * n);
        let target = Target { data: Shared::new(&mut y), channels: n };
        let (views, summand) = (self.views(), Some(Summand::Moments));
        let sums = convolve(self.plan, grid, &views, &weights, &[target], summand);
        let moments = moments_tensor(&sums.merge_moments(grid.b, n), grid.b, n);
        (y.into_tensor(&grid.with(n)), moments)
    }

    /// The gradient to each source as the convolution saw it.
    pub(super) fn input_gradients(&self, gradient: &FlexTensor) -> Vec<FlexTensor> {
        self.input_gradients_and_sums(gradient, None).0
    }

    /// The gradients to the source before its normalisation, to γ and to β.
    pub(super) fn norm_gradients(&self, gradient: &FlexTensor) -> Option<[FlexTensor; 3]> {
        let norm = self.norm.as_ref()?;
        let means = norm.norm.means(&norm.moments);
        let activated = norm.activated(&means);
        let summand = Some(Summand::Gradient(&activated));
        let (mut gradients, sums) = self.input_gradients_and_sums(gradient, summand);
        Some(norm.backward(gradients.pop()?, Some(sums)))
    }

    fn input_gradients_and_sums(
        &self,
        gradient: &FlexTensor,
        summand: Option<Summand<'_>>,
    ) -> (Vec<FlexTensor>, PartSums) {
        let grid = self.grid();
        let n_channels = || self.sources.iter().map(channels);
        let mut gradients: Vec<Buffer> =
            n_channels().map(|n| Buffer::new(grid.n_voxels() * n)).collect();
        let targets: Vec<Target<'_>> = gradients
            .iter_mut()
            .zip(n_channels())
            .map(|(gradient, channels)| Target { data: Shared::new(gradient), channels })
            .collect();
        let weights = self.weights().reversed();
        let sums = convolve(self.plan, grid, &[plain(gradient)], &weights, &targets, summand);
        let tensor = |(gradient, n): (Buffer, usize)| gradient.into_tensor(&grid.with(n));
        (gradients.into_iter().zip(n_channels()).map(tensor).collect(), sums)
    }

    pub(super) fn weight_gradient(&self, gradient: &FlexTensor) -> FlexTensor {
        let depth = self.weights().depth;
        weight_gradient(self.plan, self.grid(), &self.views(), &plain(gradient), depth)
            .into_tensor(&dims(&self.weight))
    }
}

/// A tensor as a source that is taken as it is.
fn plain(tensor: &FlexTensor) -> Source<'_> {
    Source { data: numbers(tensor), channels: channels(tensor), activation: None }
}

/// What the gradient of max-pooling needs.
#[derive(Clone, Debug)]
pub(super) struct Pooled {
    pool: Pool,
    indices: Indices,
    plan: Plan,
}

impl Pooled {
    pub(super) fn new(x: FlexTensor, stride: [usize; 3]) -> (FlexTensor, Self) {
        let x = contiguous(x);
        let plan = Plan::current();
        let pool = Pool { grid: grid(&x), channels: channels(&x), stride };
        let (y, indices) = pool.forward(plan.level, numbers(&x));
        (y.into_tensor(&pool.pooled().with(pool.channels)), Self { pool, indices, plan })
    }

    pub(super) fn backward(&self, gradient: &FlexTensor) -> FlexTensor {
        let Self { pool, indices, plan } = self;
        pool.gradient(plan.level, indices, numbers(gradient))
            .into_tensor(&pool.grid.with(pool.channels))
    }
}

/// A layer that sees one voxel at a time, with what its gradient needs.
#[derive(Clone, Debug)]
pub(super) struct PatchInputs {
    x: FlexTensor,
    weight: FlexTensor,
    patch: Patch,
    plan: Plan,
}

impl PatchInputs {
    pub(super) fn new(
        x: FlexTensor,
        weight: FlexTensor,
        stride: [usize; 3],
        is_pointwise: bool,
    ) -> Self {
        let (x, weight) = (contiguous(x), contiguous(weight));
        let [first, second, ..] = dims(&weight);
        let [n_in, n_out] = if is_pointwise { [second, first] } else { [first, second] };
        assert_eq!(channels(&x), n_in, "channels of a layer");
        let patch = Patch { grid: grid(&x), n_in, n_out, stride, is_pointwise };
        Self { x, weight, patch, plan: Plan::current() }
    }

    pub(super) fn forward(&self, bias: &FlexTensor) -> FlexTensor {
        let level = self.plan.level;
        let y = self.patch.forward(level, numbers(&self.x), numbers(&self.weight), numbers(bias));
        y.into_tensor(&self.patch.out_grid().with(self.patch.n_out))
    }

    pub(super) fn input_gradient(&self, gradient: &FlexTensor) -> FlexTensor {
        self.patch
            .input_gradient(self.plan.level, numbers(&self.weight), numbers(gradient))
            .into_tensor(&dims(&self.x))
    }

    /// Gradients to the weights and the bias.
    pub(super) fn weight_gradients(&self, gradient: &FlexTensor) -> [FlexTensor; 2] {
        let gradients =
            self.patch.weight_gradients(self.plan.level, numbers(&self.x), numbers(gradient));
        [
            gradients.weight.into_tensor(&dims(&self.weight)),
            gradients.bias.into_tensor(&[self.patch.n_out]),
        ]
    }
}
