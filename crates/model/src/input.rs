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
    pub fn new(image: &Image, brain: &LabelMap, input: InputSpec) -> Self {
        let pairs = image.voxels().iter().zip(brain.voxels());
        let voxels = pairs.map(|(hu, brain)| input.normalise(*hu, *brain > 0)).collect();
        Self { voxels, geometry: *image.geometry() }
    }

    /// These slices alone, stacked; their places are those of the first ones.
    ///
    /// Slices beyond the volume are left out; without any left the input stays whole.
    #[must_use]
    pub fn keep_slices(&self, slices: &[usize]) -> Self {
        let [depth, h, w] = self.geometry.shape();
        let kept = slices.iter().filter(|slice| **slice < depth);
        let voxels: Vec<f32> =
            kept.flat_map(|d| self.voxels[d * h * w..(d + 1) * h * w].iter().copied()).collect();
        match self.geometry.window([0; 3], [voxels.len() / (h * w), h, w]) {
            Ok(geometry) => Self { voxels, geometry },
            Err(_) => self.clone(),
        }
    }

    /// Normalised values, `[D, H, W]`.
    pub fn voxels(&self) -> &[f32] {
        &self.voxels
    }

    /// The grid.
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }
}
