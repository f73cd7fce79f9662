//! How a scanner sees: slices that average what lies within their thickness.

use std::borrow::Cow;

use crate::axis::AxisTaps;
use crate::{Image, VolumeError};

impl Image {
    /// Slices of `thickness_mm`, one every `spacing_mm` along `D`, of a finely sampled volume.
    ///
    /// Each slice is the mean over its thickness (a rectangular slice sensitivity profile, as of a
    /// sequential scanner): what fills a slice only in part is diluted in it, the partial volume effect.
    /// A thickness above the spacing gives overlapping slices, one below it gaps. At the ends the mean
    /// is over what lies within the volume. Field of view and centre are kept (see
    /// [`Geometry::with_spacing`](crate::Geometry::with_spacing)).
    ///
    /// # Errors
    /// [`VolumeError::BadSpacing`] if the spacing or the thickness (then reported in its place) is not
    /// positive and finite.
    pub fn average_slices(&self, spacing_mm: f64, thickness_mm: f64) -> Result<Image, VolumeError> {
        let [fine_mm, h_mm, w_mm] = self.geometry().spacing_mm();
        if !(thickness_mm.is_finite() && thickness_mm > 0.0) {
            return Err(VolumeError::BadSpacing { spacing_mm: [thickness_mm, h_mm, w_mm] });
        }
        let target = self.geometry().with_spacing([spacing_mm, h_mm, w_mm])?;
        let (n_fine, n_slices) = (self.geometry().shape()[0], target.shape()[0]);
        let taps = profiles(n_fine, n_slices, spacing_mm / fine_mm, thickness_mm / fine_mm / 2.0);
        let voxels = taps.apply(self.voxels(), self.geometry().shape(), 0);
        Ok(Image::on(target, voxels))
    }

    /// The image as a scan of coarser voxels shows it, on its own grid: along each axis the mean over voxels
    /// of `spacing_mm` (`[D, H, W]`), then linear between their centres, edges repeated.
    ///
    /// Thicker slices along `D`, larger pixels along `H` and `W`. The coarse voxels fill the field of view
    /// about its centre, as many as come nearest to it (see
    /// [`Geometry::with_spacing`](crate::Geometry::with_spacing)). An axis whose spacing is that fine already,
    /// or with one voxel, is left alone. Constants are kept, and away from the ends ramps are, to a quarter of a
    /// voxel's step where coarse voxels begin within fine ones.
    ///
    /// # Errors
    /// [`VolumeError::BadSpacing`] if a spacing is not positive and finite.
    pub fn coarsened(&self, spacing_mm: [f64; 3]) -> Result<Image, VolumeError> {
        let coarse = self.geometry().with_spacing(spacing_mm)?.shape();
        let (shape, own_mm) = (self.geometry().shape(), self.geometry().spacing_mm());
        let mut voxels = Cow::Borrowed(self.voxels());
        for a in (0..3).filter(|a| shape[*a] > 1 && spacing_mm[*a] > own_mm[*a]) {
            let step = spacing_mm[a] / own_mm[a];
            let mut between = shape;
            between[a] = coarse[a];
            let means = profiles(shape[a], coarse[a], step, step / 2.0).apply(&voxels, shape, a);
            voxels = Cow::Owned(back(shape[a], coarse[a], step).apply(&means, between, a));
        }
        Ok(Image::on(*self.geometry(), voxels.into_owned()))
    }
}

/// Means over `2 · half` fine voxels, one every `step` of them, about the centre of `n_fine`.
fn profiles(n_fine: usize, n_slices: usize, step: f64, half: f64) -> AxisTaps {
    let first = ((n_fine - 1) as f64 - (n_slices - 1) as f64 * step) / 2.0;
    let mut taps = AxisTaps::new(n_fine);
    for slice in 0..n_slices {
        let centre = first + slice as f64 * step;
        let (low, high) = profile_within(centre - half, centre + half, n_fine);
        // A fine voxel i reaches from i − ½ to i + ½.
        let (begin, end) = ((low + 0.5).floor(), (high - 0.5).ceil());
        let overlap = |i: f64| ((high.min(i + 0.5) - low.max(i - 0.5)).max(0.0)) / (high - low);
        let n = (end - begin) as usize + 1;
        let weights: Vec<f64> = (0..n).map(|k| overlap(begin + k as f64)).collect();
        taps.push(begin as i64, &weights);
    }
    taps
}

/// From coarse voxels, `step` fine ones apart about the same centre, back to the fine ones: linear between
/// their centres, and beyond the outermost what it holds.
fn back(n_fine: usize, n_coarse: usize, step: f64) -> AxisTaps {
    let mut taps = AxisTaps::new(n_coarse);
    for fine in 0..n_fine {
        let from_centre = fine as f64 - (n_fine - 1) as f64 / 2.0;
        let place = from_centre / step + (n_coarse - 1) as f64 / 2.0;
        let fraction = place - place.floor();
        taps.push(place.floor() as i64, &[1.0 - fraction, fraction]);
    }
    taps
}

/// The part of a profile within a volume of `n` voxels; one wholly outside takes the voxel at the end.
fn profile_within(low: f64, high: f64, n: usize) -> (f64, f64) {
    let (start, end) = (-0.5, n as f64 - 0.5);
    if high <= start {
        return (start, start + 1.0);
    }
    if low >= end {
        return (end - 1.0, end);
    }
    (low.max(start), high.min(end))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;
    use crate::{Affine, Geometry};

    fn column(values: &[f32], spacing_mm: f64) -> Image {
        let affine = Affine::from_spacing([spacing_mm, 1.0, 1.0], [0.0; 3]).unwrap();
        Image::new(Geometry::new([values.len(), 1, 1], affine).unwrap(), values.to_vec()).unwrap()
    }

    #[test]
    fn slices_average_their_thickness() {
        let fine = column(&[0.0, 0.0, 0.0, 90.0, 90.0, 90.0, 30.0, 30.0, 30.0, 30.0], 1.0);
        let thick = fine.average_slices(5.0, 5.0).unwrap();
        assert_eq!(thick.geometry().spacing_mm()[0], 5.0);
        assert_eq!(thick.voxels(), [36.0, 42.0]);
        let gaps = fine.average_slices(5.0, 1.0).unwrap();
        assert_eq!(gaps.voxels(), [0.0, 30.0]);
        // 2 mm about the centre: half of a voxel on each side.
        let partial = fine.average_slices(5.0, 2.0).unwrap();
        assert_eq!(partial.voxels()[0], 22.5);
        let overlapping = fine.average_slices(5.0, 50.0).unwrap();
        assert!(overlapping.voxels().iter().all(|v| (v - 39.0).abs() < 1e-4));
    }

    #[test]
    fn the_mean_is_kept_where_slices_tile() {
        let values: Vec<f32> = (0..60).map(|v| ((v * 37) % 91) as f32).collect();
        let fine = column(&values, 0.5);
        let mean = |image: &Image| {
            image.voxels().iter().map(|v| f64::from(*v)).sum::<f64>() / image.voxels().len() as f64
        };
        for spacing in [1.0, 2.5, 5.0, 7.5, 30.0] {
            let slices = fine.average_slices(spacing, spacing).unwrap();
            assert!((mean(&slices) - mean(&fine)).abs() < 1e-4, "{spacing}");
        }
    }

    #[test]
    fn thicker_slices_are_means_with_lines_between() {
        // Slices of 2 mm about the centre: (0, 0), (90, 90), (30, 10); the fine ones lie a quarter between.
        let fine = column(&[0.0, 0.0, 90.0, 90.0, 30.0, 10.0], 1.0);
        let seen = fine.coarsened([2.0, 1.0, 1.0]).unwrap();
        assert_eq!(seen.geometry(), fine.geometry());
        assert_eq!(seen.voxels(), [0.0, 22.5, 67.5, 72.5, 37.5, 20.0]);
        for spacing in [1.7, 2.0, 3.3, 6.0, 11.0] {
            let flat = column(&[7.0; 13], 1.0);
            let seen = flat.coarsened([spacing, 9.0, 9.0]).unwrap();
            assert!(seen.voxels().iter().all(|v| (v - 7.0).abs() < 1e-5), "{spacing}");
            let ramp: Vec<f32> = (0..41).map(|v| 2.0 * v as f32).collect();
            let seen = column(&ramp, 1.0).coarsened([spacing, 1.0, 1.0]).unwrap();
            // Within the outermost coarse centres; a voxel's overhang over the end is cut off.
            let inside = (1.5 * spacing) as usize + 1..41 - (1.5 * spacing) as usize - 1;
            for i in inside {
                let off = f64::from((seen.voxels()[i] - ramp[i]).abs());
                assert!(off < 0.25 * 2.0 / spacing + 1e-3, "{spacing} {i} {off}");
            }
        }
    }

    #[test]
    fn finer_voxels_and_lone_ones_are_left_alone() {
        let affine = Affine::from_spacing([5.0, 1.0, 2.0], [0.0; 3]).unwrap();
        let geometry = Geometry::new([1, 4, 4], affine).unwrap();
        let image = Image::new(geometry, (0..16).map(|v| (v * v) as f32).collect()).unwrap();
        assert_eq!(image.coarsened([50.0, 1.0, 1.0]).unwrap(), image);
        assert_ne!(image.coarsened([5.0, 2.0, 2.0]).unwrap(), image);
        assert!(image.coarsened([5.0, 0.0, 2.0]).is_err());
    }

    #[test]
    fn unusable_numbers_are_errors() {
        let fine = column(&[1.0, 2.0], 1.0);
        assert!(fine.average_slices(0.0, 5.0).is_err());
        assert!(fine.average_slices(5.0, f64::NAN).is_err());
        assert_eq!(fine.average_slices(100.0, 1e-6).unwrap().voxels().len(), 1);
    }
}
