use serde::{Deserialize, Serialize};

use crate::{Dims, ModelError, NetworkKind, NetworkSpec};

/// Attention of a `swin_unet`, which every level but the finest has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttentionSpec {
    /// Voxels that attend to one another, `[H, W]`; a divisor of the extent of every level but the finest.
    pub window: [usize; 2],
    /// Channels of a head; a divisor of the channels of every level but the finest.
    pub head_channels: usize,
}

/// Passes a spec whose attention is there if it is used, and fits every level.
///
/// # Errors
/// [`ModelError::Spec`] with the key that does not.
pub(crate) fn check_attention(spec: &NetworkSpec) -> Result<(), ModelError> {
    let refuse =
        |key, expected: String, found: String| Err(ModelError::Spec { key, expected, found });
    let is_swin = spec.kind() == NetworkKind::SwinUnet;
    let attention = match (is_swin, spec.attention()) {
        (false, None) => return Ok(()),
        (false, Some(found)) => {
            let expected = "none: swin_unet alone attends".into();
            return refuse("attention", expected, format!("{found:?}"));
        }
        (true, None) => {
            return refuse("attention", "window and head_channels".into(), "none".into());
        }
        (true, Some(attention)) => attention,
    };
    if spec.dims() != Dims::Slices {
        return refuse("dims", "2d: swin_unet is over slices".into(), "3d".into());
    }
    for level in 1..spec.channels().len() {
        let [_, h, w] = spec.extent(level);
        let (window, channels) = (attention.window, spec.channels()[level]);
        if window.contains(&0) || !h.is_multiple_of(window[0]) || !w.is_multiple_of(window[1]) {
            let expected = format!("divisors of {h} × {w} (H, W) of level {level}");
            return refuse("attention.window", expected, format!("{window:?}"));
        }
        if attention.head_channels == 0 || !channels.is_multiple_of(attention.head_channels) {
            let expected = format!("a divisor of the {channels} channels of level {level}");
            let found = attention.head_channels.to_string();
            return refuse("attention.head_channels", expected, found);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RawNetworkSpec;
    use crate::spec::tests::raw;

    #[test]
    fn attention_that_does_not_fit_is_refused_by_key() {
        let key = |change: fn(&mut RawNetworkSpec)| {
            let mut raw = raw(NetworkKind::SwinUnet, Dims::Slices);
            change(&mut raw);
            match NetworkSpec::try_from(raw) {
                Err(ModelError::Spec { key, .. }) => key,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(key(|r| r.attention = None), "attention");
        assert_eq!(key(|r| r.kind = NetworkKind::JointUnet), "attention");
        assert_eq!(key(|r| (r.dims, r.window) = (Dims::Volumes, [4, 16, 24])), "dims");
        // Fits 8 × 12 of the first level and not 4 × 6 of the next.
        assert_eq!(
            key(|r| r.attention.iter_mut().for_each(|a| a.window = [8, 6])),
            "attention.window"
        );
        assert_eq!(
            key(|r| r.attention.iter_mut().for_each(|a| a.window = [4, 4])),
            "attention.window"
        );
        assert_eq!(
            key(|r| r.attention.iter_mut().for_each(|a| a.window = [0, 3])),
            "attention.window"
        );
        assert_eq!(
            key(|r| r.attention.iter_mut().for_each(|a| a.head_channels = 3)),
            "attention.head_channels"
        );
        assert_eq!(
            key(|r| r.attention.iter_mut().for_each(|a| a.head_channels = 0)),
            "attention.head_channels"
        );
    }
}
