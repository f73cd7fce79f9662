use burn::module::Module;
use burn::tensor::{Device, Tensor};
use hemex_kernels::{Convolved, max_pool};

use crate::NetworkSpec;
use crate::conv::{Conv, Norm};

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

/// The contracting path: a block a level, pooled in between.
#[derive(Module, Debug)]
pub(crate) struct Encoder {
    levels: Vec<Block>,
    #[module(skip)]
    strides: Vec<[usize; 3]>,
}

impl Encoder {
    pub(crate) fn new(spec: &NetworkSpec, device: &Device) -> Self {
        let n_levels = spec.channels().len();
        let levels = (0..n_levels)
            .map(|level| {
                let channels_in =
                    if level == 0 { spec.input().n_channels() } else { spec.channels()[level - 1] };
                Block::new(spec, level, channels_in, device)
            })
            .collect();
        Self { levels, strides: (0..n_levels - 1).map(|level| spec.stride(level)).collect() }
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
        outputs
    }
}
