use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, FloatDType, Tensor};

use crate::block::{Block, Encoder};
use crate::conv::{Pointwise, UpConv};
use crate::heads::{Heads, sign_head};
use crate::pool::{n_features, pool, pool_under_mask};
use crate::reconstruction::Reconstruction;
use crate::slice_attention::SliceAttention;
use crate::{NetworkSpec, Output, Pooling};

/// U-Net with a segmentation head and, unless it is to segment alone, a classification head on one encoder.
///
/// Skips by concatenation; the segmentation head is a 1×1×1 convolution to one logit a voxel, the
/// classification head a linear layer to one logit on what the spec's pooling gives it.
#[derive(Module, Debug)]
pub struct JointUnet {
    encoder: Encoder,
    up: Vec<UpConv>,
    decoder: Vec<Block>,
    segment: Pointwise,
    /// Heads of coarser levels, the finest first; none without deep supervision.
    segment_coarse: Vec<Pointwise>,
    /// Head of the mask at follow-up, where it is told.
    segment_followup: Option<Pointwise>,
    /// `None` where it segments alone.
    classify: Option<Linear>,
    signs: Option<Linear>,
    attend: Option<SliceAttention>,
    reconstruct: Option<Reconstruction>,
    #[module(skip)]
    pooling: Pooling,
}

impl JointUnet {
    pub(crate) fn new(spec: &NetworkSpec, device: &Device) -> Self {
        let channels = spec.channels();
        let levels = (0..channels.len() - 1).rev();
        Self {
            encoder: Encoder::new(spec, device),
            up: UpConv::path(spec, device),
            decoder: levels
                .map(|level| Block::new(spec, level, 2 * channels[level], device))
                .collect(),
            segment: Pointwise::new([channels[0], 1], device),
            segment_coarse: (spec.coarse_mask_levels())
                .map(|level| Pointwise::new([channels[level], 1], device))
                .collect(),
            segment_followup: (spec.followup()).then(|| Pointwise::new([channels[0], 1], device)),
            classify: (spec.kind().classifies())
                .then(|| LinearConfig::new(n_features(spec), 1).init(device)),
            signs: sign_head(spec, n_features(spec), device),
            attend: SliceAttention::new(spec, n_features(spec), device),
            reconstruct: (spec.reconstructs()).then(|| Reconstruction::new(spec, device)),
            pooling: spec.pooling(),
        }
    }

    /// `[B, D, H, W, C]`.
    pub(crate) fn forward(&self, x: Tensor<5>, heads: Heads) -> Output {
        let mut skips = self.encoder.forward(x);
        // The encoder has at least two levels: the spec checks it.
        let deepest = skips.remove(skips.len() - 1);
        let (finest, coarse_masks) = self.decode(deepest.clone(), skips, heads);
        let finest = finest.cast(FloatDType::F32);
        let mask_logits = self.segment.forward(finest.clone());
        let tell_followup = |head: &Pointwise| channels_first(head.forward(finest.clone()));
        let followup_logits = self.segment_followup.as_ref().map(tell_followup);
        let reconstruct = self.reconstruct.as_ref().filter(|_| heads == Heads::All);
        let reconstruction = reconstruct.map(|decoder| decoder.forward(deepest.clone()));
        let deepest = deepest.cast(FloatDType::F32);
        let features = self.classify.is_some().then(|| match self.pooling {
            Pooling::MaskGuided => pool_under_mask(deepest, finest, &mask_logits),
            Pooling::Mean | Pooling::MeanMax => pool(deepest, self.pooling),
        });
        let tell_signs = |features| heads.tell_signs(self.signs.as_ref(), features);
        let sign_logits = features.as_ref().and_then(tell_signs);
        let attention =
            self.attend.as_ref().zip(features.as_ref()).map(|(attend, f)| attend.forward(f));
        let growth_logit =
            self.classify.as_ref().zip(features.as_ref()).map(|(classify, features)| {
                let logit = classify.forward(features.clone());
                let n = logit.dims()[0];
                logit.reshape([n])
            });
        Output {
            growth_logit,
            mask_logits: Some(channels_first(mask_logits)),
            coarse_masks,
            followup_logits,
            presence_logit: None,
            reconstruction,
            features,
            sign_logits,
            attention,
        }
    }

    /// Of the classification head, where there is one.
    pub(crate) fn n_features(&self) -> Option<usize> {
        Some(self.classify.as_ref()?.weight.dims()[0])
    }

    /// From the deepest level and the skips, the finest first, to the decoder's finest level, `[B, D, H, W, C]`, and the
    /// coarser masks that are asked.
    fn decode(
        &self,
        deepest: Tensor<5>,
        mut skips: Vec<Tensor<5>>,
        heads: Heads,
    ) -> (Tensor<5>, Vec<Tensor<5>>) {
        let coarse_heads: &[Pointwise] = match heads {
            Heads::Main => &[],
            Heads::All => &self.segment_coarse,
        };
        // From the deepest on, as the decoder goes; none is left for its finest level.
        let mut coarse_heads = coarse_heads.iter().rev();
        let mut coarse_masks = Vec::new();
        let mut x = deepest;
        for (up, block) in self.up.iter().zip(&self.decoder) {
            let skip = skips.remove(skips.len() - 1);
            x = block.forward_pair(up.forward(x), skip);
            let mask =
                coarse_heads.next().map(|head| head.forward(x.clone().cast(FloatDType::F32)));
            coarse_masks.extend(mask.map(channels_first));
        }
        coarse_masks.reverse();
        (x, coarse_masks)
    }
}

/// `[B, D, H, W, 1]` to `[B, 1, D, H, W]`.
fn channels_first(mask: Tensor<5>) -> Tensor<5> {
    let [b, d, h, w, c] = mask.dims();
    mask.reshape([b, c, d, h, w])
}
