use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, FloatDType, Tensor};
use hemex_kernels::max_pool;

use crate::conv::{Conv, Norm, Pointwise};
use crate::heads::{Heads, sign_head};
use crate::pool::{n_features, pool};
use crate::slice_attention::SliceAttention;
use crate::{NetworkSpec, Output, Pooling};

/// A residual classifier (He et al., CVPR 2016): two basic blocks a level, pooling, one linear layer.
///
/// As [`Vgg`](crate::Vgg) it never sees a mask and answers whether the window shows a hematoma at all. Group
/// normalisation stands where the paper has batch normalisation, and pooling between levels where it has strides.
#[derive(Module, Debug)]
pub struct Resnet {
    levels: Vec<Level>,
    classify: Linear,
    signs: Option<Linear>,
    attend: Option<SliceAttention>,
    #[module(skip)]
    strides: Vec<[usize; 3]>,
    #[module(skip)]
    pooling: Pooling,
}

impl Resnet {
    pub(crate) fn new(spec: &NetworkSpec, device: &Device) -> Self {
        let n_levels = spec.channels().len();
        Self {
            levels: (0..n_levels).map(|level| Level::new(spec, level, device)).collect(),
            classify: LinearConfig::new(n_features(spec), 2).init(device),
            signs: sign_head(spec, n_features(spec), device),
            attend: SliceAttention::new(spec, n_features(spec), device),
            strides: (0..n_levels - 1).map(|level| spec.stride(level)).collect(),
            pooling: spec.pooling(),
        }
    }

    /// `[B, D, H, W, C]`.
    pub(crate) fn forward(&self, x: Tensor<5>, heads: Heads) -> Output {
        let mut x = x;
        for (i, level) in self.levels.iter().enumerate() {
            if i > 0 {
                x = max_pool(x, self.strides[i - 1]);
            }
            x = level.second.forward(level.first.forward(x));
        }
        let features = pool(x.cast(FloatDType::F32), self.pooling);
        let sign_logits = heads.tell_signs(self.signs.as_ref(), &features);
        let attention = self.attend.as_ref().map(|attend| attend.forward(&features));
        let logits = self.classify.forward(features.clone());
        Output { sign_logits, attention, ..Output::of_classifier(logits, features) }
    }

    pub(crate) fn n_features(&self) -> usize {
        self.classify.weight.dims()[0]
    }
}

#[derive(Module, Debug)]
struct Level {
    first: Basic,
    second: Basic,
}

impl Level {
    fn new(spec: &NetworkSpec, level: usize, device: &Device) -> Self {
        let channels = spec.channels();
        let n_in = if level == 0 { spec.input().n_channels() } else { channels[level - 1] };
        Self {
            first: Basic::new(spec, level, n_in, device),
            second: Basic::new(spec, level, channels[level], device),
        }
    }
}

/// Convolution, normalisation and ReLU, convolution and normalisation; the input is added before the last ReLU.
#[derive(Module, Debug)]
struct Basic {
    first: Conv,
    first_norm: Norm,
    second: Conv,
    second_norm: Norm,
    /// Brings the input to the level's channels, where they differ.
    project: Option<Pointwise>,
}

impl Basic {
    fn new(spec: &NetworkSpec, level: usize, n_in: usize, device: &Device) -> Self {
        let (n_out, kernel) = (spec.channels()[level], spec.kernel(level));
        Self {
            first: Conv::new([n_in, n_out], kernel, device),
            first_norm: Norm::new(spec.n_groups(), n_out, device),
            second: Conv::new([n_out, n_out], kernel, device),
            second_norm: Norm::new(spec.n_groups(), n_out, device),
            project: (n_in != n_out).then(|| Pointwise::new([n_in, n_out], device)),
        }
    }

    fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        let shortcut = match &self.project {
            Some(project) => project.forward(x.clone()),
            None => x.clone(),
        };
        let x = self.first_norm.forward_conv(self.first.forward(x), &self.second);
        relu(self.second_norm.forward_linear(x) + shortcut)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use burn::module::{ModuleMapper, Param};
    use burn::tensor::TensorData;

    use super::*;
    use crate::spec::tests::raw;
    use crate::{Dims, NetworkKind};

    /// Switches off every convolution, which leaves the shortcuts.
    struct NoConvolutions;

    impl ModuleMapper for NoConvolutions {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let dims = param.dims();
            let is_kernel = D == 5 && dims[2..] != [1, 1, 1];
            param.map(|weights| if is_kernel { weights.zeros_like() } else { weights })
        }
    }

    #[test]
    fn a_block_without_convolutions_passes_its_input_on() {
        let device = Device::flex();
        let spec = NetworkSpec::try_from(raw(NetworkKind::Resnet, Dims::Slices)).unwrap();
        let block = Basic::new(&spec, 0, 4, &device).map(&mut NoConvolutions);
        let values: Vec<f32> = (0..4 * 36).map(|i| i as f32 - 70.0).collect();
        let x = Tensor::<5>::from_data(TensorData::new(values.clone(), [1, 1, 6, 6, 4]), &device);
        let found = block.forward(x).into_data();
        let expected: Vec<f32> = values.iter().map(|v| v.max(0.0)).collect();
        assert_eq!(found.as_slice::<f32>().unwrap(), expected);
    }
}
