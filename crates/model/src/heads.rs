use crate::{ModelError, Pooling, RawNetworkSpec};

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
    Ok(())
}
