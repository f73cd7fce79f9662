use crate::{Geometry, VolumeError};

/// A CT volume: Hounsfield units (or values derived from them) on a grid.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    geometry: Geometry,
    voxels: Vec<f32>,
}

impl Image {
    /// Puts `voxels` (`[D, H, W]`, last axis fastest) on the grid.
    ///
    /// # Errors
    /// [`VolumeError::LengthMismatch`] if their number is not that of the grid.
    pub fn new(geometry: Geometry, voxels: Vec<f32>) -> Result<Self, VolumeError> {
        if voxels.len() != geometry.n_voxels() {
            return Err(VolumeError::LengthMismatch {
                shape: geometry.shape(),
                n_values: voxels.len(),
            });
        }
        Ok(Self { geometry, voxels })
    }

    /// Voxels this crate made to fit the grid.
    pub(crate) fn on(geometry: Geometry, voxels: Vec<f32>) -> Self {
        debug_assert_eq!(voxels.len(), geometry.n_voxels(), "voxels do not fill the grid");
        Self { geometry, voxels }
    }

    /// A grid that holds `value` everywhere.
    pub fn filled(geometry: Geometry, value: f32) -> Self {
        Self { geometry, voxels: vec![value; geometry.n_voxels()] }
    }

    /// The grid.
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// The voxels, `[D, H, W]`, last axis fastest.
    pub fn voxels(&self) -> &[f32] {
        &self.voxels
    }

    /// The voxels, to be changed in place.
    pub fn voxels_mut(&mut self) -> &mut [f32] {
        &mut self.voxels
    }

    /// The voxels alone.
    pub fn into_voxels(self) -> Vec<f32> {
        self.voxels
    }

    /// The voxels of slice `d`, `[H, W]`.
    pub fn slice(&self, d: usize) -> &[f32] {
        let [_, h, w] = self.geometry.shape();
        &self.voxels[d * h * w..(d + 1) * h * w]
    }

    /// Every value limited to `[low, high]`.
    ///
    /// Clip before resampling: scanner padding at −3024 HU would bleed into the skull.
    pub fn clip(mut self, low: f32, high: f32) -> Self {
        for value in &mut self.voxels {
            *value = value.clamp(low, high);
        }
        self
    }
}
