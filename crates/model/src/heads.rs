use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};

use crate::{ModelError, NetworkSpec, Pooling, RawNetworkSpec, Sign};

/// Which heads of a network are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heads {
    /// Those whose word counts.
    Main,
    /// Also those that only teach the others.
    All,
}

/// Every head has what it reads.
pub(crate) fn check_heads(raw: &RawNetworkSpec) -> Result<(), ModelError> {
    let (segments, classifies) = (raw.kind.segments(), raw.kind.classifies());
    let refuse = |key, expected: &str, found: String| {
        Err(ModelError::Spec { key, expected: expected.to_owned(), found })
    };
    if !segments && raw.pooling == Pooling::MaskGuided {
        let expected = "mean or mean_max: this network has no mask";
        return refuse("pooling", expected, "mask_guided".into());
    }
    if raw.reconstructs && !(segments && classifies) {
        let expected = "false: joint_unet and swin_unet alone have that decoder";
        return refuse("reconstructs", expected, "true".into());
    }
    if raw.deep_supervision && !segments {
        let expected = "false: this network has no mask";
        return refuse("deep_supervision", expected, "true".into());
    }
    if raw.deep_supervision && raw.channels.len() < 3 {
        let expected = "false: of two levels the decoder has the finest alone";
        return refuse("deep_supervision", expected, "true".into());
    }
    if raw.followup && !segments {
        let expected = "false: this network has no mask";
        return refuse("followup", expected, "true".into());
    }
    if !raw.signs.is_empty() && !classifies {
        let expected = "none: this network has no features of growth that could tell them";
        return refuse("signs", expected, Sign::names(&raw.signs));
    }
    if raw.signs.iter().enumerate().any(|(i, sign)| raw.signs[..i].contains(sign)) {
        return refuse("signs", "each sign once", Sign::names(&raw.signs));
    }
    Ok(())
}

/// The layer to a logit a sign, from what the classification head is given; `None` where the network tells no signs.
pub(crate) fn sign_head(spec: &NetworkSpec, n_features: usize, device: &Device) -> Option<Linear> {
    let n_signs = spec.signs().len();
    (n_signs > 0).then(|| LinearConfig::new(n_features, n_signs).init(device))
}

impl Heads {
    /// Logits of signs from the features, `[B, signs]`, if they are asked.
    pub(crate) fn tell_signs(
        self,
        head: Option<&Linear>,
        features: &Tensor<2>,
    ) -> Option<Tensor<2>> {
        head.filter(|_| self == Heads::All).map(|head| head.forward(features.clone()))
    }
}
