//! How a scanner sees: slices that average what lies within their thickness.

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
        let step = spacing_mm / fine_mm;
        let first = ((n_fine - 1) as f64 - (n_slices - 1) as f64 * step) / 2.0;
        let half = thickness_mm / fine_mm / 2.0;
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
        let voxels = taps.apply(self.voxels(), self.geometry().shape(), 0);
        Ok(Image::on(target, voxels))
    }
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
    fn unusable_numbers_are_errors() {
        let fine = column(&[1.0, 2.0], 1.0);
        assert!(fine.average_slices(0.0, 5.0).is_err());
        assert!(fine.average_slices(5.0, f64::NAN).is_err());
        assert_eq!(fine.average_slices(100.0, 1e-6).unwrap().voxels().len(), 1);
    }
}
