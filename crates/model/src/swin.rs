use burn::module::Module;
use burn::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::activation::gelu;
use burn::tensor::{Device, FloatDType, Tensor};

use crate::AttentionSpec;
use crate::attention::WindowAttention;

/// Channels within the perceptron of a block for one of the block's.
pub(crate) const EXPANSION: usize = 4;

/// A level of a hierarchical transformer (Liu et al., ICCV 2021): patches of 2 × 2 voxels of the finer level become
/// one each, then a block with plain windows and one with shifted ones. Without dropped paths.
#[derive(Module, Debug)]
pub(crate) struct SwinStage {
    merge: Merge,
    plain: SwinBlock,
    shifted: SwinBlock,
    norm: LayerNorm,
}

impl SwinStage {
    /// `channels` are those of the finer level and of this one.
    pub(crate) fn new(
        [n_in, n_out]: [usize; 2],
        attention: AttentionSpec,
        device: &Device,
    ) -> Self {
        let block = |is_shifted| SwinBlock::new(attention, n_out, is_shifted, device);
        Self {
            merge: Merge::new([n_in, n_out], device),
            plain: block(false),
            shifted: block(true),
            norm: LayerNormConfig::new(n_out).init(device),
        }
    }

    /// `[B, 1, H, W, C]` to `[B, 1, H / 2, W / 2, C']`; in single precision, whatever that of the input.
    pub(crate) fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        let [b, _, h, w, c] = x.dims();
        let precision = FloatDType::from(x.dtype());
        let x = self.merge.forward(x.cast(FloatDType::F32).reshape([b, h, w, c]));
        let x = self.norm.forward(self.shifted.forward(self.plain.forward(x)));
        let [b, h, w, c] = x.dims();
        x.reshape([b, 1, h, w, c]).cast(precision)
    }
}

/// The channels of 2 × 2 voxels side by side, normalised, to those of one.
#[derive(Module, Debug)]
struct Merge {
    norm: LayerNorm,
    reduce: Linear,
}

impl Merge {
    fn new([n_in, n_out]: [usize; 2], device: &Device) -> Self {
        Self {
            norm: LayerNormConfig::new(4 * n_in).init(device),
            reduce: LinearConfig::new(4 * n_in, n_out).with_bias(false).init(device),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [b, h, w, c] = x.dims();
        // Rows are the inner ones of a patch, as in the paper's code.
        let patches = x.reshape([b, h / 2, 2, w / 2, 2, c]).permute([0, 1, 3, 4, 2, 5]);
        self.reduce.forward(self.norm.forward(patches.reshape([b, h / 2, w / 2, 4 * c])))
    }
}

/// Attention, then a perceptron a voxel; each normalises what it is given and is added to it.
#[derive(Module, Debug)]
struct SwinBlock {
    attention_norm: LayerNorm,
    attention: WindowAttention,
    perceptron_norm: LayerNorm,
    expand: Linear,
    reduce: Linear,
}

impl SwinBlock {
    fn new(spec: AttentionSpec, n_channels: usize, is_shifted: bool, device: &Device) -> Self {
        let norm = || LayerNormConfig::new(n_channels).init(device);
        let n_hidden = EXPANSION * n_channels;
        Self {
            attention_norm: norm(),
            attention: WindowAttention::new(spec, n_channels, is_shifted, device),
            perceptron_norm: norm(),
            expand: LinearConfig::new(n_channels, n_hidden).init(device),
            reduce: LinearConfig::new(n_hidden, n_channels).init(device),
        }
    }

    /// `[B, H, W, C]`.
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = self.attention.forward(self.attention_norm.forward(x.clone())) + x;
        let hidden = gelu(self.expand.forward(self.perceptron_norm.forward(x.clone())));
        self.reduce.forward(hidden) + x
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use burn::module::{ModuleMapper, Param};
    use burn::tensor::TensorData;

    use super::*;

    /// `amplitude · sin(0.9 i + k)` for number i of the k-th tensor, as in the script.
    fn wave(n: usize, k: usize, amplitude: f64) -> Vec<f32> {
        (0..n).map(|i| (amplitude * (0.9 * i as f64 + k as f64).sin()) as f32).collect()
    }

    /// Sets the parameters, which are numbered from 1 in their order, to waves.
    struct Waves(usize);

    impl ModuleMapper for Waves {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            self.0 += 1;
            let dims = param.dims();
            let values = wave(dims.iter().product(), self.0, 0.5);
            param.map(|tensor| Tensor::from_data(TensorData::new(values, dims), &tensor.device()))
        }
    }

    /// tests/reference/swin.py: the last channel of every voxel that a stage gives.
    const STAGE: [f32; 24] = [
        0.262544, 0.843191, 0.215416, 0.851487, 0.361053, 0.582909, 0.555545, 0.619232, 0.235650,
        0.851174, 0.232891, 0.830596, 0.822306, 0.404855, 0.488313, 0.670460, 0.216373, 0.890941,
        0.858797, 0.256172, 0.791261, 0.450424, 0.449927, 0.710460,
    ];

    #[test]
    fn a_stage_gives_the_figures_of_the_definition() {
        let device = Device::flex();
        let attention = AttentionSpec { window: [2, 3], head_channels: 2 };
        let stage = SwinStage::new([2, 4], attention, &device).map(&mut Waves(0));
        let x = TensorData::new(wave(8 * 12 * 2, 0, 1.0), [1, 1, 8, 12, 2]);
        let found = stage.forward(Tensor::from_data(x, &device));
        assert_eq!(found.dims(), [1, 1, 4, 6, 4]);
        let found = found.into_data();
        let found: Vec<f32> = found.as_slice::<f32>().unwrap().chunks(4).map(|c| c[3]).collect();
        for (found, expected) in found.iter().zip(STAGE) {
            assert!((found - expected).abs() < 1e-4, "{found} for {expected}");
        }
    }
}
