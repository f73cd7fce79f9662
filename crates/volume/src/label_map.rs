use crate::{Geometry, VolumeError};

/// The classes of a lesion mask; 0 is everything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Lesion {
    /// Blood within the brain tissue.
    Intraparenchymal = 1,
    /// Blood within the ventricles.
    Intraventricular = 2,
    /// Swelling around the hematoma.
    Edema = 3,
    /// Blood outside the brain tissue: subdural, epidural, subarachnoid.
    ExtraAxial = 4,
}

/// Labels on a grid, 0 for background; for lesion masks see [`Lesion`].
#[derive(Debug, Clone, PartialEq)]
pub struct LabelMap {
    geometry: Geometry,
    voxels: Vec<u8>,
}

impl LabelMap {
    /// Puts `voxels` (`[D, H, W]`, last axis fastest) on the grid.
    ///
    /// # Errors
    /// [`VolumeError::LengthMismatch`] if their number is not that of the grid.
    pub fn new(geometry: Geometry, voxels: Vec<u8>) -> Result<Self, VolumeError> {
        if voxels.len() != geometry.n_voxels() {
            return Err(VolumeError::LengthMismatch {
                shape: geometry.shape(),
                n_values: voxels.len(),
            });
        }
        Ok(Self { geometry, voxels })
    }

    /// Labels this crate made to fit the grid.
    pub(crate) fn on(geometry: Geometry, voxels: Vec<u8>) -> Self {
        debug_assert_eq!(voxels.len(), geometry.n_voxels(), "labels do not fill the grid");
        Self { geometry, voxels }
    }

    /// A grid of background.
    pub fn empty(geometry: Geometry) -> Self {
        Self { geometry, voxels: vec![0; geometry.n_voxels()] }
    }

    /// The grid.
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// The labels, `[D, H, W]`, last axis fastest.
    pub fn voxels(&self) -> &[u8] {
        &self.voxels
    }

    /// The labels, to be changed in place.
    pub fn voxels_mut(&mut self) -> &mut [u8] {
        &mut self.voxels
    }

    /// The labels alone.
    pub fn into_voxels(self) -> Vec<u8> {
        self.voxels
    }

    /// The labels of slice `d`, `[H, W]`.
    pub fn slice(&self, d: usize) -> &[u8] {
        let [_, h, w] = self.geometry.shape();
        &self.voxels[d * h * w..(d + 1) * h * w]
    }

    /// Which voxels carry one of `labels`, `[D, H, W]`.
    pub fn mask(&self, labels: &[u8]) -> Vec<bool> {
        self.voxels.iter().map(|v| labels.contains(v)).collect()
    }

    /// How many voxels carry one of `labels`.
    pub fn count(&self, labels: &[u8]) -> usize {
        self.voxels.iter().filter(|v| labels.contains(v)).count()
    }

    /// Volume of the voxels that carry one of `labels`, mL; 0 for an empty mask.
    pub fn volume_ml(&self, labels: &[u8]) -> f64 {
        self.count(labels) as f64 * self.geometry.voxel_ml()
    }

    /// First and last index along each axis, `[D, H, W]`, of the voxels with one of these labels; `None` if there are
    /// none.
    pub fn bounds(&self, labels: &[u8]) -> Option<[[usize; 2]; 3]> {
        let [_, n_h, n_w] = self.geometry.shape();
        let is_wanted = |label: &u8| labels.contains(label);
        let mut bounds: Option<[[usize; 2]; 3]> = None;
        for (r, row) in self.voxels.chunks_exact(n_w).enumerate() {
            let ends = (row.iter().position(is_wanted), row.iter().rposition(is_wanted));
            let (Some(first), Some(last)) = ends else { continue };
            let found = [[r / n_h; 2], [r % n_h; 2], [first, last]];
            let old = bounds.unwrap_or(found);
            bounds =
                Some([0, 1, 2].map(|a| [old[a][0].min(found[a][0]), old[a][1].max(found[a][1])]));
        }
        bounds
    }

    /// Centre of mass `[x, y, z]` (mm, RAS+) of the voxels that carry one of `labels`; `None` if there are
    /// none.
    pub fn centroid_mm(&self, labels: &[u8]) -> Option<[f64; 3]> {
        let [_, n_h, n_w] = self.geometry.shape();
        let inside = self.voxels.iter().enumerate().filter(|(_, label)| labels.contains(label));
        let (mut n, mut sums) = (0_usize, [0_usize; 3]);
        for (place, _) in inside {
            n += 1;
            sums[0] += place / (n_h * n_w);
            sums[1] += place / n_w % n_h;
            sums[2] += place % n_w;
        }
        (n > 0).then(|| self.geometry.point_mm(sums.map(|sum| sum as f64 / n as f64)))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;
    use crate::Affine;

    #[test]
    fn bounds_hold_every_voxel_of_the_labels_and_no_more() {
        let affine = Affine::from_spacing([5.0, 1.0, 1.0], [0.0; 3]).unwrap();
        let geometry = Geometry::new([4, 5, 6], affine).unwrap();
        let mut map = LabelMap::empty(geometry);
        assert_eq!(map.bounds(&[1, 2]), None);
        for (index, label) in [([1, 4, 2], 1), ([3, 0, 3], 2), ([2, 2, 0], 3)] {
            map.voxels_mut()[geometry.offset(index)] = label;
        }
        assert_eq!(map.bounds(&[1]), Some([[1, 1], [4, 4], [2, 2]]));
        assert_eq!(map.bounds(&[1, 2]), Some([[1, 3], [0, 4], [2, 3]]));
        assert_eq!(map.bounds(&[1, 2, 3]), Some([[1, 3], [0, 4], [0, 3]]));
    }
}
