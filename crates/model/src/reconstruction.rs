use burn::module::Module;
use burn::tensor::{Device, FloatDType, Tensor};

use crate::NetworkSpec;
use crate::block::Block;
use crate::conv::{Pointwise, UpConv};

/// A decoder that tells the input from the deepest level alone: without skips, what it needs has to pass there.
#[derive(Module, Debug)]
pub(crate) struct Reconstruction {
    up: Vec<UpConv>,
    blocks: Vec<Block>,
    tell: Pointwise,
}

impl Reconstruction {
    pub(crate) fn new(spec: &NetworkSpec, device: &Device) -> Self {
        let channels = spec.channels();
        let levels = (0..channels.len() - 1).rev();
        let block = |level: usize| Block::new(spec, level, channels[level], device);
        Self {
            up: UpConv::path(spec, device),
            blocks: levels.map(block).collect(),
            tell: Pointwise::new([channels[0], spec.input().n_channels()], device),
        }
    }

    /// `[B, D, H, W, C]` of the deepest level to `[B, C, D, H, W]` of the input.
    pub(crate) fn forward(&self, deepest: Tensor<5>) -> Tensor<5> {
        let levels = self.up.iter().zip(&self.blocks);
        let x = levels.fold(deepest, |x, (up, block)| block.forward(up.forward(x)));
        self.tell.forward(x.cast(FloatDType::F32)).permute([0, 4, 1, 2, 3])
    }
}
