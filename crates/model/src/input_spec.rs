use hemex_volume::LabelMap;
use serde::{Deserialize, Serialize};

use crate::Extent;

/// How Hounsfield units become the network's input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputSpec {
    /// Windows, a channel each: HU from the first to the second number become −1 to 1; what lies outside is
    /// clipped.
    pub windows_hu: Vec<[f32; 2]>,
    /// Whether everything outside the brain becomes −1, so that skull and head holder give no cue.
    pub brain_only: bool,
    /// How many slices below and as many above enter as further channels ("2.5-D"); 0 over volumes. Beyond the scan
    /// they are −1.
    pub n_neighbours: usize,
}

impl InputSpec {
    /// Channels of the network's input.
    pub fn n_channels(&self) -> usize {
        self.windows_hu.len() * self.n_slices()
    }

    /// Slices behind one slice of the output.
    pub fn n_slices(&self) -> usize {
        2 * self.n_neighbours + 1
    }

    /// Where there is something to see of a case with this brain mask.
    pub fn extent(&self, brain: &LabelMap) -> Extent {
        match self.brain_only {
            true => Extent::around(brain),
            false => Extent::whole(brain.geometry().shape()),
        }
    }

    /// Voxels `[D, H, W]` with their HU and whether they lie in the brain, each window of HU a channel: channels
    /// first, `[windows, D, H, W]`.
    pub fn normalise(&self, voxels: impl Iterator<Item = (f32, bool)> + Clone) -> Vec<f32> {
        let channel = |&[low, high]: &[f32; 2]| {
            voxels.clone().map(move |(hu, in_brain)| match in_brain || !self.brain_only {
                true => ((hu.clamp(low, high) - low) / (high - low)).mul_add(2.0, -1.0),
                false => -1.0,
            })
        };
        self.windows_hu.iter().flat_map(channel).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_window_becomes_a_channel_from_minus_one_to_one() {
        let input = InputSpec {
            windows_hu: vec![[0.0, 100.0], [50.0, 150.0]],
            brain_only: true,
            n_neighbours: 0,
        };
        let voxels = [-1024.0, 0.0, 50.0, 75.0, 3000.0].map(|hu| (hu, true));
        let of =
            |input: &InputSpec, voxels: &[(f32, bool)]| input.normalise(voxels.iter().copied());
        assert_eq!(of(&input, &voxels), [-1.0, -1.0, 0.0, 0.5, 1.0, -1.0, -1.0, -1.0, -0.5, 1.0]);
        assert_eq!(of(&input, &[(75.0, false)]), [-1.0, -1.0]);
        let whole = InputSpec { brain_only: false, ..input };
        assert_eq!(of(&whole, &[(75.0, false)]), [0.5, -0.5]);
    }
}
