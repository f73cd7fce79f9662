//! Numbers that describe a scan: its brain without any lesion mask, and the lesion of a mask.

use std::f64::consts::PI;

use crate::surface_area::surface_area_mm2;
use crate::{Connectivity, Image, LabelMap, VolumeError, abc2, erode_mm};

/// HU of brain tissue, fluid and blood; bone at the edge of a brain mask is left out.
const TISSUE_HU: std::ops::RangeInclusive<f32> = -20.0..=100.0;

/// HU of fresh blood.
const HYPERDENSE_HU: std::ops::RangeInclusive<f32> = 50.0..=90.0;

/// The rim of a brain mask that blood is not looked for in, mm: there the partial volume of the skull is as
/// dense, and outweighs a hematoma.
const RIM_MM: f64 = 5.0;

/// What an image shows within the brain. Voxels from −20 to 100 HU count; blood is among them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BrainDescriptors {
    /// Volume of the brain mask, mL.
    pub volume_ml: f64,
    /// Mean, HU.
    pub mean_hu: f64,
    /// Standard deviation (of the population), HU.
    pub sd_hu: f64,
    /// The 5th, 25th, 50th, 75th and 95th percentiles, HU, linear between order statistics.
    pub percentiles_hu: [f64; 5],
    /// Volume of the voxels from 50 to 90 HU that lie more than 5 mm within the mask, mL: fresh blood, with
    /// it calcifications, sinuses and noise.
    pub hyperdense_ml: f64,
}

impl BrainDescriptors {
    /// Describes `image` where `brain` is 1; `None` where no voxel counts.
    ///
    /// # Errors
    /// [`VolumeError::GridMismatch`] if the two lie on different grids.
    pub fn of(image: &Image, brain: &LabelMap) -> Result<Option<Self>, VolumeError> {
        let (left, right) = (image.geometry(), brain.geometry());
        if !left.is_same_grid(right) {
            return Err(VolumeError::GridMismatch { left: left.shape(), right: right.shape() });
        }
        let pairs = image.voxels().iter().zip(brain.voxels());
        let mut tissue: Vec<f32> = pairs
            .filter(|(hu, brain)| **brain == 1 && TISSUE_HU.contains(*hu))
            .map(|(hu, _)| *hu)
            .collect();
        if tissue.is_empty() {
            return Ok(None);
        }
        let core = erode_mm(&brain.mask(&[1]), right, RIM_MM)?;
        let of_core = image.voxels().iter().zip(core).filter(|(_, inside)| *inside);
        let n_hyperdense = of_core.filter(|(hu, _)| HYPERDENSE_HU.contains(*hu)).count();
        let (mean_hu, sd_hu) = mean_and_sd(&tissue);
        tissue.sort_unstable_by(f32::total_cmp);
        Ok(Some(Self {
            volume_ml: brain.volume_ml(&[1]),
            mean_hu,
            sd_hu,
            percentiles_hu: [0.05, 0.25, 0.5, 0.75, 0.95].map(|part| percentile(&tissue, part)),
            hyperdense_ml: n_hyperdense as f64 * brain.geometry().voxel_ml(),
        }))
    }
}

/// Size, shape, density and place of a lesion.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LesionDescriptors {
    /// Volume, mL.
    pub volume_ml: f64,
    /// Connected parts; voxels that share a corner are connected.
    pub n_components: usize,
    /// ABC/2 of each part, summed, mL (Kothari et al., Stroke 27, 1996, 1304–1305).
    pub abc2_ml: f64,
    /// Area of the surface, mm². A surface of facets through midpoints between voxels: about 9 % over a
    /// ball's own.
    pub surface_mm2: f64,
    /// Area of a ball of this volume over that surface: about 0.92 for a digital ball, less the further
    /// from one, also for several parts.
    pub sphericity: f64,
    /// Mean, HU.
    pub mean_hu: f64,
    /// Standard deviation (of the population), HU.
    pub sd_hu: f64,
    /// Centre of mass `[x, y, z]`, mm, RAS+.
    pub centroid_mm: [f64; 3],
}

impl LesionDescriptors {
    /// Describes the voxels of `mask` that carry one of `labels`; `None` if there are none.
    ///
    /// # Errors
    /// [`VolumeError::GridMismatch`] if mask and image lie on different grids.
    pub fn of(mask: &LabelMap, labels: &[u8], image: &Image) -> Result<Option<Self>, VolumeError> {
        let geometry = mask.geometry();
        if !geometry.is_same_grid(image.geometry()) {
            let right = image.geometry().shape();
            return Err(VolumeError::GridMismatch { left: geometry.shape(), right });
        }
        let Some(centroid_mm) = mask.centroid_mm(labels) else { return Ok(None) };
        let inside = mask.mask(labels);
        let pairs = image.voxels().iter().zip(&inside);
        let hu: Vec<f32> = pairs.filter(|(_, inside)| **inside).map(|(hu, _)| *hu).collect();
        let (mean_hu, sd_hu) = mean_and_sd(&hu);
        let components = mask.components(labels, Connectivity::TwentySix);
        let volume_ml = mask.volume_ml(labels);
        let surface_mm2 = surface_area_mm2(&inside, geometry)?;
        let ball_mm2 = PI.cbrt() * (6.0 * volume_ml * 1000.0).powf(2.0 / 3.0);
        Ok(Some(Self {
            volume_ml,
            n_components: components.n_components(),
            abc2_ml: abc2::sum_ml(&components),
            surface_mm2,
            sphericity: ball_mm2 / surface_mm2,
            mean_hu,
            sd_hu,
            centroid_mm,
        }))
    }
}

fn mean_and_sd(values: &[f32]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
    let variance = values.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / n;
    (mean, variance.sqrt())
}

/// Of at least one value.
pub(crate) fn percentile(sorted: &[f32], part: f64) -> f64 {
    let at = part * (sorted.len() - 1) as f64;
    let (low, high) =
        (f64::from(sorted[at.floor() as usize]), f64::from(sorted[at.ceil() as usize]));
    low + (high - low) * at.fract()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;
    use crate::{Affine, Geometry};

    fn grid(shape: [usize; 3], spacing_mm: [f64; 3]) -> Geometry {
        Geometry::new(shape, Affine::from_spacing(spacing_mm, [-20.0, 5.0, 7.0]).unwrap()).unwrap()
    }

    #[test]
    fn a_brain_is_described_by_its_tissue() {
        let geometry = grid([1, 2, 4], [5.0, 2.0, 2.0]);
        let hu = vec![0.0, 20.0, 30.0, 40.0, 60.0, 900.0, -500.0, 70.0];
        let image = Image::new(geometry, hu).unwrap();
        // The last voxel lies outside, bone and air do not count.
        let brain = LabelMap::new(geometry, vec![1, 1, 1, 1, 1, 1, 1, 0]).unwrap();
        let found = BrainDescriptors::of(&image, &brain).unwrap().unwrap();
        assert_eq!((found.mean_hu, found.sd_hu), (30.0, 20.0));
        assert_eq!(found.percentiles_hu, [4.0, 20.0, 30.0, 40.0, 56.0]);
        assert!((found.volume_ml - 0.14).abs() < 1e-12);
        // The 60 HU are 6 mm from what is outside.
        assert!((found.hyperdense_ml - 0.02).abs() < 1e-12);
        assert_eq!(BrainDescriptors::of(&image, &LabelMap::empty(geometry)), Ok(None));
        let other = LabelMap::empty(grid([1, 4, 2], [5.0, 2.0, 2.0]));
        assert!(BrainDescriptors::of(&image, &other).is_err());
    }

    #[test]
    fn blood_is_looked_for_within_the_rim() {
        let geometry = grid([1, 21, 21], [5.0, 2.0, 2.0]);
        let hu = (0..441).map(|i| if (6..9).contains(&(i % 21)) { 60.0 } else { 95.0 }).collect();
        let image = Image::new(geometry, hu).unwrap();
        let inside = |i: usize| (2..19).contains(&(i / 21)) && (2..19).contains(&(i % 21));
        let brain = (0..441).map(|i| u8::from(inside(i))).collect();
        let brain = LabelMap::new(geometry, brain).unwrap();
        let found = BrainDescriptors::of(&image, &brain).unwrap().unwrap();
        // Voxels within 5 mm, that is the outer 2, are rim: columns 6 to 8 of rows 4 to 16.
        assert!((found.hyperdense_ml - 3.0 * 13.0 * 0.02).abs() < 1e-12, "{found:?}");
    }

    #[test]
    fn a_ball_is_described_by_its_closed_forms() {
        let geometry = grid([41, 41, 41], [1.0; 3]);
        let centre = geometry.point_mm([20.0; 3]);
        let (mut mask, mut image) = (LabelMap::empty(geometry), Image::filled(geometry, 30.0));
        for place in 0..geometry.n_voxels() {
            let index = [place / 1681, place / 41 % 41, place % 41].map(|i| i as f64);
            let p = geometry.point_mm(index);
            if (0..3).map(|a| (p[a] - centre[a]).powi(2)).sum::<f64>() <= 15.0 * 15.0 {
                mask.voxels_mut()[place] = 2;
                image.voxels_mut()[place] = if p[0] < centre[0] { 50.0 } else { 70.0 };
            }
        }
        let found = LesionDescriptors::of(&mask, &[1, 2], &image).unwrap().unwrap();
        let ball_ml = 4.0 / 3.0 * PI * 15f64.powi(3) / 1000.0;
        assert!((found.volume_ml / ball_ml - 1.0).abs() < 0.01, "{found:?}");
        // Slices within r / 2 of the middle have 75 % of its area, those within √3 r / 2 a quarter: C is
        // (1 + √3) r / 2 only, A and B are 2 r and a pixel's width.
        let abc2_ml = 31f64.powi(2) * (1.0 + 3f64.sqrt()) * 7.5 / 2000.0;
        assert!((found.abc2_ml / abc2_ml - 1.0).abs() < 0.03, "{found:?}");
        assert!((found.surface_mm2 / (4.0 * PI * 225.0) - 1.09).abs() < 0.02, "{found:?}");
        assert!((0.90..0.94).contains(&found.sphericity), "{found:?}");
        assert!((0..3).all(|a| (found.centroid_mm[a] - centre[a]).abs() < 1e-9), "{found:?}");
        assert!(
            (found.mean_hu - 60.5).abs() < 0.2 && (found.sd_hu - 10.0).abs() < 0.1,
            "{found:?}"
        );
        assert_eq!(found.n_components, 1);
        assert_eq!(LesionDescriptors::of(&mask, &[3], &image), Ok(None));
    }
}
