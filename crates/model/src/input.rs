use hemex_volume::{Geometry, Image, LabelMap};

use crate::InputSpec;

/// A case as a network sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseInput {
    voxels: Vec<f32>,
    geometry: Geometry,
}

impl CaseInput {
    /// Normalises an image; `brain` is not 0 within the brain, on the image's grid.
    pub fn new(image: &Image, brain: &LabelMap, input: &InputSpec) -> Self {
        let pairs = image.voxels().iter().zip(brain.voxels());
        let voxels = input.normalise(pairs.map(|(hu, brain)| (*hu, *brain > 0)));
        Self { voxels, geometry: *image.geometry() }
    }

    /// These slices alone, stacked; their places are those of the first ones.
    ///
    /// Slices beyond the volume are left out; without any left the input stays whole.
    #[must_use]
    pub fn keep_slices(&self, slices: &[usize]) -> Self {
        let [depth, h, w] = self.geometry.shape();
        let kept: Vec<usize> = slices.iter().copied().filter(|slice| *slice < depth).collect();
        let of_channel = |channel: &[f32]| -> Vec<f32> {
            kept.iter().flat_map(|d| channel[d * h * w..(d + 1) * h * w].iter().copied()).collect()
        };
        match self.geometry.window([0; 3], [kept.len(), h, w]) {
            Ok(geometry) => {
                Self { voxels: self.channels().flat_map(of_channel).collect(), geometry }
            }
            Err(_) => self.clone(),
        }
    }

    /// Normalised values of each channel, `[D, H, W]`.
    pub fn channels(&self) -> impl Iterator<Item = &[f32]> {
        self.voxels.chunks_exact(self.geometry.n_voxels())
    }

    /// The grid.
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }
}
