//! Where what a logit rests on lies.

use hemex_volume::{Image, LabelMap, VolumeError, distance_mm};

/// How wide the rim around a lesion is, mm.
pub const RIM_MM: f64 = 5.0;

/// How a map of saliency is shared out; the lesion's rim and the brain do without what goes before them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SaliencyShares {
    /// Share in the lesion.
    pub lesion: f64,
    /// Share in the brain within [`RIM_MM`] of the lesion.
    pub rim: f64,
    /// Share in the rest of the brain. What is left of 1 lies outside: in skull, skin, head holder.
    pub brain: f64,
    /// Share of the voxels of brain and lesion that the lesion holds.
    pub even: f64,
}

impl SaliencyShares {
    /// Of a map that is nowhere negative, on the grid of both masks. The lesion is what carries one of `labels`, in the
    /// brain or not. `None` where the map is 0 throughout or there is no lesion.
    ///
    /// # Errors
    /// [`VolumeError::GridMismatch`] if they do not lie on one grid.
    pub fn of(
        map: &Image,
        lesion: &LabelMap,
        labels: &[u8],
        brain: &LabelMap,
    ) -> Result<Option<Self>, VolumeError> {
        let geometry = map.geometry();
        for other in [lesion.geometry(), brain.geometry()] {
            if !geometry.is_same_grid(other) {
                let (left, right) = (geometry.shape(), other.shape());
                return Err(VolumeError::GridMismatch { left, right });
            }
        }
        let is_lesion = lesion.mask(labels);
        let from_lesion_mm = distance_mm(&is_lesion, geometry)?;
        // In the lesion, its rim, the rest of the brain, and outside.
        let (mut sums, mut counts) = ([0.0; 4], [0_usize; 4]);
        for (place, value) in map.voxels().iter().enumerate() {
            let part = match (is_lesion[place], brain.voxels()[place] > 0) {
                (true, _) => 0,
                (_, true) if f64::from(from_lesion_mm[place]) <= RIM_MM + ROUNDING_MM => 1,
                (_, true) => 2,
                (_, false) => 3,
            };
            sums[part] += f64::from(*value);
            counts[part] += 1;
        }
        let all: f64 = sums.iter().sum();
        if all <= 0.0 || counts[0] == 0 {
            return Ok(None);
        }
        let [lesion, rim, brain, _] = sums.map(|sum| sum / all);
        let even = counts[0] as f64 / (counts[0] + counts[1] + counts[2]) as f64;
        Ok(Some(Self { lesion, rim, brain, even }))
    }
}

/// Slack of the rim, mm: a voxel exactly on it belongs to it, whatever the rounding.
const ROUNDING_MM: f64 = 1e-4;

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use hemex_volume::{Affine, Geometry};

    use super::*;

    #[test]
    fn a_map_is_shared_out_among_lesion_rim_brain_and_the_rest() {
        let affine = Affine::from_spacing([5.0, 2.5, 2.5], [0.0; 3]).unwrap();
        let geometry = Geometry::new([1, 1, 8], affine).unwrap();
        let map = |values: [f32; 8]| Image::new(geometry, values.to_vec()).unwrap();
        let labels = |labels: [u8; 8]| LabelMap::new(geometry, labels.to_vec()).unwrap();
        // The last two are no brain, and label 2 is no lesion; 2.5 and 5 mm from it lie two voxels of brain.
        let (lesion, brain) = (labels([2, 1, 0, 0, 0, 0, 0, 0]), labels([1, 0, 1, 1, 1, 1, 0, 0]));
        let values = map([8.0, 2.0, 1.0, 1.0, 0.5, 1.5, 4.0, 2.0]);
        let found = SaliencyShares::of(&values, &lesion, &[1], &brain).unwrap().unwrap();
        let expected = SaliencyShares { lesion: 0.1, rim: 0.5, brain: 0.1, even: 1.0 / 6.0 };
        assert_eq!(found, expected);
        let nothing = SaliencyShares::of(&map([0.0; 8]), &lesion, &[1], &brain);
        assert_eq!(nothing.unwrap(), None);
        assert_eq!(SaliencyShares::of(&values, &lesion, &[3], &brain).unwrap(), None);
        let other = Geometry::new([1, 1, 7], affine).unwrap();
        assert!(SaliencyShares::of(&values, &LabelMap::empty(other), &[1], &brain).is_err());
    }
}
