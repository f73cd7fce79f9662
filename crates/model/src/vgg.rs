use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, FloatDType, Tensor};

use crate::block::Encoder;
use crate::heads::{Heads, sign_head};
use crate::pool::{n_features, pool};
use crate::slice_attention::SliceAttention;
use crate::{NetworkSpec, Output, Pooling};

/// Plain VGG, the baseline: pairs of 3×3 convolutions and pooling, then two linear layers.
///
/// It never sees a mask. Besides growth it answers whether the window shows a hematoma at all, a
/// label of the image as well, without which it could not say which slices of a head to believe.
/// Group normalisation stands where VGG-BN has batch normalisation, as in the joint network.
#[derive(Module, Debug)]
pub struct Vgg {
    encoder: Encoder,
    hidden: Linear,
    classify: Linear,
    signs: Option<Linear>,
    attend: Option<SliceAttention>,
    #[module(skip)]
    pooling: Pooling,
}

impl Vgg {
    pub(crate) fn new(spec: &NetworkSpec, device: &Device) -> Self {
        let n_hidden = spec.channels().last().copied().unwrap_or_default();
        Self {
            encoder: Encoder::new(spec, device),
            hidden: LinearConfig::new(n_features(spec), n_hidden).init(device),
            classify: LinearConfig::new(n_hidden, 2).init(device),
            signs: sign_head(spec, n_hidden, device),
            attend: SliceAttention::new(spec, n_hidden, device),
            pooling: spec.pooling(),
        }
    }

    /// `[B, D, H, W, C]`.
    pub(crate) fn forward(&self, x: Tensor<5>, heads: Heads) -> Output {
        let mut levels = self.encoder.forward(x);
        let deepest = levels.remove(levels.len() - 1);
        let deepest = deepest.cast(FloatDType::F32);
        let features = relu(self.hidden.forward(pool(deepest, self.pooling)));
        let sign_logits = heads.tell_signs(self.signs.as_ref(), &features);
        let attention = self.attend.as_ref().map(|attend| attend.forward(&features));
        let logits = self.classify.forward(features.clone());
        Output { sign_logits, attention, ..Output::of_classifier(logits, features) }
    }

    pub(crate) fn n_features(&self) -> usize {
        self.classify.weight.dims()[0]
    }
}
