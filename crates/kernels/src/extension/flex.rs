use burn::backend::Flex;
use burn_flex::FlexTensor;
use burn_std::Shape;

use super::{Layers, NormSettings, Step, Updates};
use crate::adamw;
use crate::conv::{Activation, Grid, Source, Target, Weights, convolve, weight_gradient};
use crate::loss::MaskSums;
use crate::memory::{Buffer, Shared};
use crate::norm::{Moments, Norm};
use crate::patch::Patch;
use crate::plan::Plan;
use crate::pool::{Indices, Pool};

impl Layers for Flex {
    fn conv(x: FlexTensor, weight: FlexTensor) -> FlexTensor {
        ConvInputs::new(vec![x], None, weight).forward()
    }

    fn conv_pair(x: FlexTensor, skip: FlexTensor, weight: FlexTensor) -> FlexTensor {
        ConvInputs::new(vec![x, skip], None, weight).forward()
    }

    fn norm_conv(
        x: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        weight: FlexTensor,
        settings: NormSettings,
    ) -> FlexTensor {
        let norm = Normalised::new(x, gamma, &beta, settings);
        let Normalised { x, .. } = &norm;
        ConvInputs::new(vec![x.clone()], Some(norm), weight).forward()
    }

    fn norm(
        x: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        settings: NormSettings,
    ) -> FlexTensor {
        Normalised::new(x, gamma, &beta, settings).forward()
    }

    fn max_pool(x: FlexTensor, stride: [usize; 3]) -> FlexTensor {
        Pooled::new(x, stride).0
    }

    fn patch(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        stride: [usize; 3],
        is_pointwise: bool,
    ) -> FlexTensor {
        let inputs = PatchInputs::new(x, weight, stride, is_pointwise);
        inputs.forward(&contiguous(bias))
    }

    fn mask_losses(logits: FlexTensor, targets: FlexTensor) -> FlexTensor {
        let (logits, targets) = (contiguous(logits), contiguous(targets));
        losses(&MaskSums::new(Plan::current().level, numbers(&logits), numbers(&targets)))
    }
}

impl Updates for Flex {
    fn adamw(
        tensor: FlexTensor,
        gradient: FlexTensor,
        moment_1: FlexTensor,
        moment_2: FlexTensor,
        step: Step,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let [tensor, gradient, moment_1, moment_2] =
            [tensor, gradient, moment_1, moment_2].map(contiguous);
        adamw::step(tensor, &gradient, moment_1, moment_2, step)
    }
}

/// The tensor with its numbers in a row, from the start of its memory.
pub(super) fn contiguous(tensor: FlexTensor) -> FlexTensor {
    let whole = Layout::whole(&tensor);
    if whole { tensor } else { tensor.to_contiguous() }
}

/// Stands for the three conditions under which a tensor's storage is the tensor.
struct Layout;

impl Layout {
    fn whole(tensor: &FlexTensor) -> bool {
        let layout = tensor.layout();
        layout.is_contiguous()
            && layout.start_offset() == 0
            && tensor.bytes().len() == layout.num_elements() * size_of::<f32>()
    }
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
        gamma: FlexTensor,
        beta: &FlexTensor,
        settings: NormSettings,
    ) -> Self {
        let (x, gamma, beta) = (contiguous(x), contiguous(gamma), contiguous(beta.clone()));
        let Grid { b, d, h, w } = grid(&x);
        let norm = Norm {
            n_images: b,
            n_voxels: d * h * w,
            n_channels: channels(&x),
            n_groups: settings.n_groups,
            epsilon: settings.epsilon,
            slope: settings.slope,
        };
        assert!(
            norm.n_channels.is_multiple_of(norm.n_groups),
            "{} channels do not divide into {} groups",
            norm.n_channels,
            norm.n_groups
        );
        let plan = Plan::current();
        let moments = norm.moments(plan.level, numbers(&x));
        let activation = norm.activation(&moments, numbers(&gamma), numbers(&beta));
        Self { x, gamma, norm, moments, activation, plan }
    }

    pub(super) fn forward(&self) -> FlexTensor {
        let y = self.norm.apply(self.plan.level, numbers(&self.x), &self.activation);
        y.into_tensor(&dims(&self.x))
    }

    /// Gradients to x, γ and β.
    ///
    /// That to x takes the memory of `gradient`, which is copied if somebody else holds it.
    pub(super) fn backward(&self, mut gradient: FlexTensor) -> [FlexTensor; 3] {
        let [gamma, beta] = self.norm.gradients(
            self.plan.level,
            numbers(&self.x),
            &self.moments,
            &self.activation,
            numbers(&self.gamma),
            gradient.storage_mut::<f32>(),
        );
        let n = self.norm.n_channels;
        [gradient, gamma.into_tensor(&[n]), beta.into_tensor(&[n])]
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

    pub(super) fn forward(&self) -> FlexTensor {
        let (grid, weights) = (self.grid(), self.weights());
        let mut y = Buffer::new(grid.n_voxels() * weights.n_out);
        let target = Target { data: Shared::new(&mut y), channels: weights.n_out };
        convolve(self.plan, grid, &self.views(), &weights, &[target]);
        y.into_tensor(&grid.with(weights.n_out))
    }

    /// The gradient to each source as the convolution saw it, normalised.
    pub(super) fn input_gradients(&self, gradient: &FlexTensor) -> Vec<FlexTensor> {
        let grid = self.grid();
        let n_channels = || self.sources.iter().map(channels);
        let mut gradients: Vec<Buffer> =
            n_channels().map(|n| Buffer::new(grid.n_voxels() * n)).collect();
        let targets: Vec<Target<'_>> = gradients
            .iter_mut()
            .zip(n_channels())
            .map(|(gradient, channels)| Target { data: Shared::new(gradient), channels })
            .collect();
        convolve(self.plan, grid, &[plain(gradient)], &self.weights().reversed(), &targets);
        gradients.into_iter().zip(n_channels()).map(|(g, n)| g.into_tensor(&grid.with(n))).collect()
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
