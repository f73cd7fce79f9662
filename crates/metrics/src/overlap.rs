use hemex_volume::LabelMap;

use crate::MetricError;
use crate::error::check_grids;

/// How a predicted mask covers a reference mask: the counts every overlap figure is made of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Overlap {
    /// Voxels in both masks.
    pub n_intersection: usize,
    /// Voxels of the predicted mask.
    pub n_prediction: usize,
    /// Voxels of the reference mask.
    pub n_reference: usize,
    /// Volume of a voxel, mL.
    pub voxel_ml: f64,
}

/// Compares the voxels of `prediction` that carry one of `prediction_labels` with those of
/// `reference` that carry one of `reference_labels`.
///
/// # Errors
/// [`MetricError::Grid`] if the two lie on different grids.
pub fn overlap(
    prediction: &LabelMap,
    prediction_labels: &[u8],
    reference: &LabelMap,
    reference_labels: &[u8],
) -> Result<Overlap, MetricError> {
    check_grids(prediction, reference)?;
    let n_intersection = prediction
        .voxels()
        .iter()
        .zip(reference.voxels())
        .filter(|(p, r)| prediction_labels.contains(p) && reference_labels.contains(r))
        .count();
    Ok(Overlap {
        n_intersection,
        n_prediction: prediction.count(prediction_labels),
        n_reference: reference.count(reference_labels),
        voxel_ml: reference.geometry().voxel_ml(),
    })
}

impl Overlap {
    /// Dice coefficient `2 |P ∩ R| / (|P| + |R|)`.
    ///
    /// 0 if one of the masks is empty. `None` if both are: there is nothing to agree on, and a 1
    /// would let empty scans lift a mean.
    pub fn dice(&self) -> Option<f64> {
        ratio(2 * self.n_intersection, self.n_prediction + self.n_reference)
    }

    /// Intersection over union, `None` if both masks are empty.
    pub fn iou(&self) -> Option<f64> {
        ratio(self.n_intersection, self.n_prediction + self.n_reference - self.n_intersection)
    }

    /// Share of the reference that was found, `None` if the reference is empty.
    pub fn sensitivity(&self) -> Option<f64> {
        ratio(self.n_intersection, self.n_reference)
    }

    /// Share of the prediction that is right, `None` if the prediction is empty.
    pub fn precision(&self) -> Option<f64> {
        ratio(self.n_intersection, self.n_prediction)
    }

    /// Predicted minus reference volume, mL.
    pub fn volume_error_ml(&self) -> f64 {
        (self.n_prediction as f64 - self.n_reference as f64) * self.voxel_ml
    }

    /// [`Overlap::volume_error_ml`] as a share of the reference volume, `None` if that is 0.
    pub fn relative_volume_error(&self) -> Option<f64> {
        (self.n_reference > 0).then(|| self.n_prediction as f64 / self.n_reference as f64 - 1.0)
    }
}

fn ratio(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use hemex_volume::{Affine, Geometry};

    use super::*;

    fn map(voxels: [u8; 6], spacing_mm: [f64; 3]) -> LabelMap {
        let affine = Affine::from_spacing(spacing_mm, [0.0; 3]).unwrap();
        LabelMap::new(Geometry::new([1, 2, 3], affine).unwrap(), voxels.to_vec()).unwrap()
    }

    #[test]
    fn counts_the_labels_asked_for() {
        let spacing = [5.0, 10.0, 20.0];
        let prediction = map([1, 1, 1, 0, 0, 0], spacing);
        let reference = map([0, 1, 2, 1, 3, 0], spacing);
        let strict = overlap(&prediction, &[1], &reference, &[1]).unwrap();
        assert_eq!((strict.n_intersection, strict.n_prediction, strict.n_reference), (1, 3, 2));
        assert_eq!(strict.dice(), Some(0.4));
        assert_eq!(strict.iou(), Some(0.25));
        assert_eq!(strict.sensitivity(), Some(0.5));
        assert_eq!(strict.precision(), Some(1.0 / 3.0));
        assert!((strict.volume_error_ml() - 1.0).abs() < 1e-12);
        assert_eq!(strict.relative_volume_error(), Some(0.5));
        let wide = overlap(&prediction, &[1], &reference, &[1, 2]).unwrap();
        assert_eq!(wide.dice(), Some(2.0 / 3.0));
    }

    #[test]
    fn empty_masks_are_undefined_or_zero_never_one() {
        let (empty, full) = (map([0; 6], [1.0; 3]), map([1; 6], [1.0; 3]));
        let both = overlap(&empty, &[1], &empty, &[1]).unwrap();
        assert_eq!((both.dice(), both.iou()), (None, None));
        assert_eq!((both.sensitivity(), both.precision()), (None, None));
        assert_eq!(both.relative_volume_error(), None);
        let missed = overlap(&empty, &[1], &full, &[1]).unwrap();
        assert_eq!((missed.dice(), missed.iou()), (Some(0.0), Some(0.0)));
        assert_eq!((missed.sensitivity(), missed.precision()), (Some(0.0), None));
        let invented = overlap(&full, &[1], &empty, &[1]).unwrap();
        assert_eq!((invented.sensitivity(), invented.precision()), (None, Some(0.0)));
    }

    #[test]
    fn other_grids_are_refused() {
        let (a, b) = (map([1; 6], [1.0; 3]), map([1; 6], [1.0, 1.0, 2.0]));
        assert!(matches!(overlap(&a, &[1], &b, &[1]), Err(MetricError::Grid(_))));
    }
}
