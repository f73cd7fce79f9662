use burn::module::Module;
use burn::tensor::{Device, Tensor};
use hemex_kernels::{Convolved, max_pool};

use crate::NetworkSpec;
use crate::conv::{Conv, Norm};
use crate::swin::SwinStage;

/// Twice: convolution without bias, group normalisation, ReLU.
#[derive(Module, Debug)]
pub(crate) struct Block {
    first: Conv,
    first_norm: Norm,
    second: Conv,
    second_norm: Norm,
}

impl Block {
    /// The block of `level` from `channels_in` to the level's channels.
    pub(crate) fn new(
        spec: &NetworkSpec,
        level: usize,
        channels_in: usize,
        device: &Device,
    ) -> Self {
        let channels = spec.channels()[level];
        let kernel = spec.kernel(level);
        let norm = || Norm::new(spec.n_groups(), channels, device);
        Self {
            first: Conv::new([channels_in, channels], kernel, device),
            first_norm: norm(),
            second: Conv::new([channels, channels], kernel, device),
            second_norm: norm(),
        }
    }

    pub(crate) fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        self.rest(self.first.forward(x))
    }

    /// The block of two inputs side by side along the channels.
    pub(crate) fn forward_pair(&self, x: Tensor<5>, skip: Tensor<5>) -> Tensor<5> {
        self.rest(self.first.forward_pair(x, skip))
    }

    fn rest(&self, x: Convolved) -> Tensor<5> {
        self.second_norm.forward(self.first_norm.forward_conv(x, &self.second))
    }
}

/// The contracting path: a block a level, pooled in between. With attention the finest level alone convolves, so that
/// outlines keep their voxels; each coarser one is a stage of a Swin transformer, which merges patches itself.
#[derive(Module, Debug)]
pub(crate) struct Encoder {
    levels: Vec<Block>,
    stages: Vec<SwinStage>,
    #[module(skip)]
    strides: Vec<[usize; 3]>,
}

impl Encoder {
    pub(crate) fn new(spec: &NetworkSpec, device: &Device) -> Self {
        let n_levels = spec.channels().len();
        let n_blocks = if spec.attention().is_some() { 1 } else { n_levels };
        let levels = (0..n_blocks)
            .map(|level| {
                let channels_in =
                    if level == 0 { spec.input().n_channels() } else { spec.channels()[level - 1] };
                Block::new(spec, level, channels_in, device)
            })
            .collect();
        let stage = |attention| {
            let pairs = spec.channels().windows(2);
            pairs.map(move |pair| SwinStage::new([pair[0], pair[1]], attention, device))
        };
        let stages = spec.attention().into_iter().flat_map(stage).collect();
        Self {
            levels,
            stages,
            strides: (0..n_levels - 1).map(|level| spec.stride(level)).collect(),
        }
    }

    /// The output of every level, the finest first.
    pub(crate) fn forward(&self, x: Tensor<5>) -> Vec<Tensor<5>> {
        let mut outputs: Vec<Tensor<5>> = Vec::with_capacity(self.levels.len());
        for (level, block) in self.levels.iter().enumerate() {
            let input = match outputs.last() {
                None => x.clone(),
                Some(finer) => max_pool(finer.clone(), self.strides[level - 1]),
            };
            outputs.push(block.forward(input));
        }
        for stage in &self.stages {
            let coarser = outputs.last().map(|finer| stage.forward(finer.clone()));
            outputs.extend(coarser);
        }
        outputs
    }
}
