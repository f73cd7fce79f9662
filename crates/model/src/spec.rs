use serde::{Deserialize, Serialize};

use crate::attention_spec::check_attention;
use crate::heads::check_heads;
use crate::{AttentionSpec, InputSpec, ModelError, Sign};

/// A network as it is written in a config.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawNetworkSpec {
    /// Which network.
    pub kind: NetworkKind,
    /// Over slices or volumes.
    pub dims: Dims,
    /// Channels of each level, the finest first.
    pub channels: Vec<usize>,
    /// Groups of the normalisation; each level's channels are a multiple of it.
    pub n_groups: usize,
    /// How many levels from the finest keep the depth: kernels 1×3×3, pooling 1×2×2. 3-D only.
    pub n_planar_levels: usize,
    /// What the classification head is given.
    pub pooling: Pooling,
    /// Whether a second decoder, without skips, tells the input from the deepest level (after the reconstruction branch
    /// of Hirata and Okita's multi-task Swin-Unet). Networks that segment and classify.
    #[serde(default)]
    pub reconstructs: bool,
    /// Whether the decoder's coarser levels tell the mask too while the network learns (deep supervision; Lee et al.,
    /// AISTATS 2015): all that lie between the finest and the deepest, at which no decoder has been yet. Networks that
    /// segment, of three levels or more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deep_supervision: bool,
    /// Whether a second head beside the mask's, on the same features, tells where the hematoma will be at follow-up.
    /// Networks that segment.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub followup: bool,
    /// Signs of growth that a second head tells, while the network learns, from what the classification head is given.
    /// Networks that classify.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signs: Vec<Sign>,
    /// Of a `swin_unet`, and of no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attention: Option<AttentionSpec>,
    /// The window the network sees, `[D, H, W]` voxels; `D` is 1 over slices.
    pub window: [usize; 3],
    /// How Hounsfield units become the network's input.
    pub input: InputSpec,
}

/// A network that can be built: a checked [`RawNetworkSpec`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(into = "RawNetworkSpec")]
#[serde(try_from = "RawNetworkSpec")]
pub struct NetworkSpec(RawNetworkSpec);

/// Which network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NetworkKind {
    /// U-Net with a segmentation head and a classification head on its encoder.
    JointUnet,
    /// The joint U-Net with a Swin transformer below the finest level of its encoder.
    SwinUnet,
    /// U-Net with a segmentation head alone.
    Unet,
    /// Plain VGG: the encoder's blocks and a classification head.
    Vgg,
    /// Residual blocks and a classification head.
    Resnet,
}

impl NetworkKind {
    /// Whether it writes a mask.
    pub fn segments(self) -> bool {
        match self {
            NetworkKind::JointUnet | NetworkKind::SwinUnet | NetworkKind::Unet => true,
            NetworkKind::Vgg | NetworkKind::Resnet => false,
        }
    }

    /// Whether it tells growth itself.
    pub fn classifies(self) -> bool {
        self != NetworkKind::Unet
    }
}

/// What a network runs over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Dims {
    /// Slices, one at a time.
    #[serde(rename = "2d")]
    Slices,
    /// Volumes with anisotropic voxels.
    #[serde(rename = "3d")]
    Volumes,
}

/// What the classification head is given of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// Mean of each channel of the deepest level.
    Mean,
    /// Mean and maximum of each channel of the deepest level, side by side: a small lesion is not averaged away.
    MeanMax,
    /// What lies where the network finds the hematoma: mean of the deepest level, mean and standard deviation of the
    /// finest, and how much of the window it takes. Networks with a segmentation head.
    MaskGuided,
}

impl TryFrom<RawNetworkSpec> for NetworkSpec {
    type Error = ModelError;

    fn try_from(raw: RawNetworkSpec) -> Result<Self, ModelError> {
        let refuse =
            |key, expected: String, found: String| Err(ModelError::Spec { key, expected, found });
        let n_levels = raw.channels.len();
        if !(2..=8).contains(&n_levels) {
            return refuse("channels", "2 to 8 levels".into(), format!("{n_levels}"));
        }
        if raw.n_groups == 0
            || raw.channels.iter().any(|c| *c == 0 || !c.is_multiple_of(raw.n_groups))
        {
            let expected = "a divisor of every level's channels".into();
            let found = format!("{} for {:?}", raw.n_groups, raw.channels);
            return refuse("n_groups", expected, found);
        }
        let rises = |[low, high]: &[f32; 2]| low.is_finite() && high.is_finite() && low < high;
        if raw.input.windows_hu.is_empty() || !raw.input.windows_hu.iter().all(rises) {
            let found = format!("{:?}", raw.input.windows_hu);
            let expected = "at least one pair of rising finite numbers".into();
            return refuse("input.windows_hu", expected, found);
        }
        match raw.dims {
            Dims::Slices if raw.window[0] != 1 => {
                let found = format!("{:?}", raw.window);
                return refuse("window", "a depth of 1 over slices".into(), found);
            }
            Dims::Slices if raw.n_planar_levels != 0 => {
                let found = raw.n_planar_levels.to_string();
                return refuse("n_planar_levels", "0 over slices".into(), found);
            }
            Dims::Volumes if raw.input.n_neighbours != 0 => {
                let found = raw.input.n_neighbours.to_string();
                return refuse("input.n_neighbours", "0 over volumes".into(), found);
            }
            Dims::Volumes if raw.n_planar_levels >= n_levels => {
                let found = raw.n_planar_levels.to_string();
                let expected = format!("fewer than the {n_levels} levels");
                return refuse("n_planar_levels", expected, found);
            }
            _ => (),
        }
        check_heads(&raw)?;
        let spec = Self(raw);
        let step = spec.window_multiple();
        let window = spec.window();
        if (0..3).any(|a| window[a] == 0 || !window[a].is_multiple_of(step[a])) {
            let expected = format!("multiples of {step:?} (D, H, W), since each level halves them");
            return refuse("window", expected, format!("{window:?}"));
        }
        check_attention(&spec)?;
        Ok(spec)
    }
}

impl From<NetworkSpec> for RawNetworkSpec {
    fn from(spec: NetworkSpec) -> Self {
        spec.0
    }
}

impl NetworkSpec {
    /// Which network.
    pub fn kind(&self) -> NetworkKind {
        self.0.kind
    }

    /// Over slices or volumes.
    pub fn dims(&self) -> Dims {
        self.0.dims
    }

    /// Channels of each level, the finest first.
    pub fn channels(&self) -> &[usize] {
        &self.0.channels
    }

    /// Groups of the normalisation.
    pub fn n_groups(&self) -> usize {
        self.0.n_groups
    }

    /// How many levels from the finest keep the depth.
    pub(crate) fn n_planar_levels(&self) -> usize {
        self.0.n_planar_levels
    }

    /// What the classification head is given.
    pub fn pooling(&self) -> Pooling {
        self.0.pooling
    }

    /// Whether a second decoder tells the input.
    pub fn reconstructs(&self) -> bool {
        self.0.reconstructs
    }

    /// Levels below the finest whose masks are learnt too, the finest first.
    pub(crate) fn coarse_mask_levels(&self) -> std::ops::Range<usize> {
        match self.0.deep_supervision {
            true => 1..self.0.channels.len() - 1,
            false => 1..1,
        }
    }

    /// Whether the mask at follow-up is told too.
    pub fn followup(&self) -> bool {
        self.0.followup
    }

    /// Signs of growth that are learnt beside growth itself, in the order of their logits.
    pub fn signs(&self) -> &[Sign] {
        &self.0.signs
    }

    /// Attention of the levels below the finest; none of a network that convolves throughout.
    pub fn attention(&self) -> Option<AttentionSpec> {
        self.0.attention
    }

    /// How Hounsfield units become the network's input.
    pub fn input(&self) -> &InputSpec {
        &self.0.input
    }

    /// The window the network sees, `[D, H, W]` voxels.
    pub fn window(&self) -> [usize; 3] {
        self.0.window
    }

    /// Kernel of level `level`, `[D, H, W]`.
    pub(crate) fn kernel(&self, level: usize) -> [usize; 3] {
        let depth = if self.keeps_depth(level) { 1 } else { 3 };
        [depth, 3, 3]
    }

    /// Pooling between `level` and the next coarser one, `[D, H, W]`.
    pub(crate) fn stride(&self, level: usize) -> [usize; 3] {
        let depth = if self.keeps_depth(level) { 1 } else { 2 };
        [depth, 2, 2]
    }

    /// Every window must be a multiple of this, `[D, H, W]`.
    pub(crate) fn window_multiple(&self) -> [usize; 3] {
        self.shrinkage(self.0.channels.len() - 1)
    }

    /// Extent of `level` for a whole window, `[D, H, W]`.
    pub(crate) fn extent(&self, level: usize) -> [usize; 3] {
        let by = self.shrinkage(level);
        std::array::from_fn(|a| self.0.window[a] / by[a])
    }

    /// Voxels of the finest level for one of `level`, an axis each.
    fn shrinkage(&self, level: usize) -> [usize; 3] {
        let strides = (0..level).map(|level| self.stride(level));
        strides.fold([1; 3], |product, s| std::array::from_fn(|a| product[a] * s[a]))
    }

    fn keeps_depth(&self, level: usize) -> bool {
        self.0.dims == Dims::Slices || level < self.0.n_planar_levels
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
pub(crate) mod tests {
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
}
