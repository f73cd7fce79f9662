use serde::{Deserialize, Serialize};

use crate::attention_spec::check_attention;
use crate::heads::check_heads;
use crate::slice_attention::check_slice_attention;
use crate::{AttentionSpec, InputSpec, ModelError, Sign, SliceAttentionSpec};

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
    /// How much each slice of a case counts for its growth; without it, as much as it shows of the hematoma. Networks that
    /// classify.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slice_attention: Option<SliceAttentionSpec>,
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
        check_slice_attention(&raw)?;
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

    /// Attention over the slices of a case.
    pub fn slice_attention(&self) -> Option<SliceAttentionSpec> {
        self.0.slice_attention
    }

    /// Windows of a case from which its label is learnt together.
    pub fn n_windows_of_case(&self) -> usize {
        self.0.slice_attention.map_or(1, |attention| attention.n_windows)
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
pub(crate) mod tests;
