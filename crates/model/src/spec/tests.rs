#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use super::*;

pub(crate) fn raw(kind: NetworkKind, dims: Dims) -> RawNetworkSpec {
    let (n_planar_levels, window) = match dims {
        Dims::Slices => (0, [1, 16, 24]),
        Dims::Volumes => (1, [4, 16, 8]),
    };
    RawNetworkSpec {
        kind,
        dims,
        channels: vec![4, 8, 8],
        n_groups: 4,
        n_planar_levels,
        pooling: Pooling::MeanMax,
        reconstructs: false,
        deep_supervision: false,
        followup: false,
        signs: Vec::new(),
        slice_attention: None,
        attention: (kind == NetworkKind::SwinUnet)
            .then_some(AttentionSpec { window: [4, 3], head_channels: 4 }),
        window,
        input: InputSpec { windows_hu: vec![[0.0, 100.0]], brain_only: true, n_neighbours: 0 },
    }
}

/// Every network over slices and volumes, with one channel and with several, under each head that it may have.
pub(crate) fn all() -> Vec<NetworkSpec> {
    use NetworkKind::{JointUnet, Resnet, SwinUnet, Unet, Vgg};
    let mut specs = Vec::new();
    for kind in [JointUnet, SwinUnet, Unet, Vgg, Resnet] {
        for dims in [Dims::Slices, Dims::Volumes] {
            for pooling in [Pooling::Mean, Pooling::MeanMax, Pooling::MaskGuided] {
                for [reconstructs, several] in [[false; 2], [false, true], [true, true]] {
                    let mut raw = raw(kind, dims);
                    (raw.pooling, raw.reconstructs) = (pooling, reconstructs);
                    if several {
                        raw.input.windows_hu.push([20.0, 70.0]);
                        raw.input.n_neighbours = usize::from(dims == Dims::Slices);
                    }
                    // The others are refused, by a test below.
                    specs.extend(NetworkSpec::try_from(raw).ok());
                }
            }
            let mut raw = raw(kind, dims);
            (raw.deep_supervision, raw.followup) = (kind.segments(), kind.segments());
            if kind.classifies() {
                raw.signs = vec![Sign::Blend, Sign::BlackHole, Sign::Swirl];
                raw.slice_attention = Some(SliceAttentionSpec { n_windows: 3, n_hidden: 5 });
            }
            specs.extend(NetworkSpec::try_from(raw).ok());
        }
    }
    assert_eq!(specs.len(), 2 * (9 + 6 + 4 + 4) + 9 + 9);
    specs
}

#[test]
fn what_cannot_be_built_is_refused_by_key() {
    let key = |change: fn(&mut RawNetworkSpec), dims| {
        let mut raw = raw(NetworkKind::JointUnet, dims);
        change(&mut raw);
        match NetworkSpec::try_from(raw) {
            Err(ModelError::Spec { key, .. }) => key,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(key(|r| r.channels = vec![8], Dims::Slices), "channels");
    assert_eq!(key(|r| r.n_groups = 3, Dims::Slices), "n_groups");
    let falling = |r: &mut RawNetworkSpec| r.input.windows_hu.push([100.0, 0.0]);
    assert_eq!(key(falling, Dims::Slices), "input.windows_hu");
    assert_eq!(key(|r| r.input.windows_hu.clear(), Dims::Slices), "input.windows_hu");
    assert_eq!(key(|r| r.n_groups = 0, Dims::Slices), "n_groups");
    assert_eq!(key(|r| r.window = [2, 16, 16], Dims::Slices), "window");
    assert_eq!(key(|r| r.window = [1, 18, 16], Dims::Slices), "window");
    let guided = |r: &mut RawNetworkSpec| {
        (r.kind, r.pooling) = (NetworkKind::Vgg, Pooling::MaskGuided);
    };
    assert_eq!(key(guided, Dims::Slices), "pooling");
    let unet = |r: &mut RawNetworkSpec| (r.kind, r.reconstructs) = (NetworkKind::Unet, true);
    assert_eq!(key(unet, Dims::Slices), "reconstructs");
    let vgg = |r: &mut RawNetworkSpec| (r.kind, r.deep_supervision) = (NetworkKind::Vgg, true);
    assert_eq!(key(vgg, Dims::Slices), "deep_supervision");
    let flat = |r: &mut RawNetworkSpec| (r.channels, r.deep_supervision) = (vec![4, 8], true);
    assert_eq!(key(flat, Dims::Slices), "deep_supervision");
    let vgg = |r: &mut RawNetworkSpec| (r.kind, r.followup) = (NetworkKind::Vgg, true);
    assert_eq!(key(vgg, Dims::Slices), "followup");
    let unet = |r: &mut RawNetworkSpec| {
        (r.kind, r.signs) = (NetworkKind::Unet, vec![Sign::Blend]);
    };
    assert_eq!(key(unet, Dims::Slices), "signs");
    let twice = |r: &mut RawNetworkSpec| r.signs = vec![Sign::Blend, Sign::Swirl, Sign::Blend];
    assert_eq!(key(twice, Dims::Slices), "signs");
    let unet = |r: &mut RawNetworkSpec| {
        r.kind = NetworkKind::Unet;
        r.slice_attention = Some(SliceAttentionSpec { n_windows: 2, n_hidden: 4 });
    };
    assert_eq!(key(unet, Dims::Slices), "slice_attention");
    let one = |r: &mut RawNetworkSpec| {
        r.slice_attention = Some(SliceAttentionSpec { n_windows: 1, n_hidden: 4 });
    };
    assert_eq!(key(one, Dims::Slices), "slice_attention.n_windows");
    let none = |r: &mut RawNetworkSpec| {
        r.slice_attention = Some(SliceAttentionSpec { n_windows: 2, n_hidden: 0 });
    };
    assert_eq!(key(none, Dims::Slices), "slice_attention.n_hidden");
    assert_eq!(key(|r| r.input.n_neighbours = 1, Dims::Volumes), "input.n_neighbours");
    assert_eq!(key(|r| r.n_planar_levels = 1, Dims::Slices), "n_planar_levels");
    assert_eq!(key(|r| r.n_planar_levels = 3, Dims::Volumes), "n_planar_levels");
    assert_eq!(key(|r| r.window = [3, 16, 16], Dims::Volumes), "window");
}

#[test]
fn a_spec_survives_json() {
    let spec = NetworkSpec::try_from(raw(NetworkKind::Vgg, Dims::Volumes)).unwrap();
    let text = serde_json::to_string(&spec).unwrap();
    assert_eq!(serde_json::from_str::<NetworkSpec>(&text).unwrap(), spec);
    let is_new = |key| text.contains(key);
    assert!(!is_new("deep_supervision") && !is_new("signs"), "not in cards of before: {text}");
    assert!(!is_new("followup"), "not in cards of before: {text}");
    let raw = RawNetworkSpec {
        deep_supervision: true,
        followup: true,
        signs: vec![Sign::FluidLevel],
        ..raw(NetworkKind::JointUnet, Dims::Slices)
    };
    let spec = NetworkSpec::try_from(raw).unwrap();
    let text = serde_json::to_string(&spec).unwrap();
    assert_eq!(serde_json::from_str::<NetworkSpec>(&text).unwrap(), spec);
}
