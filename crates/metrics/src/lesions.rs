use hemex_volume::{Components, Connectivity, LabelMap};

use crate::MetricError;
use crate::error::{check_grids, check_parameter};

/// When a lesion counts as found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Hit {
    /// A single voxel in common is enough.
    AnyOverlap,
    /// At least this share of the lesion's own voxels lies in the other mask, in (0, 1].
    Share(f64),
}

/// How many lesions were found, a lesion being a connected component of a mask.
///
/// A reference lesion is judged by how much of it the predicted mask covers, a predicted lesion by how
/// much of it the reference covers. So two reference lesions under one predicted lesion are two true
/// positives, and a lesion predicted in two parts is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LesionDetection {
    /// Reference lesions that the prediction hits.
    pub n_true_positive: usize,
    /// Reference lesions that it misses.
    pub n_false_negative: usize,
    /// Predicted lesions that hit the reference.
    pub n_predicted_right: usize,
    /// Predicted lesions that do not.
    pub n_false_positive: usize,
}

impl LesionDetection {
    /// Compares the components of the voxels of `prediction` that carry one of `prediction_labels` with
    /// those of `reference` that carry one of `reference_labels`.
    ///
    /// # Errors
    /// [`MetricError::Grid`] if the two lie on different grids, [`MetricError::BadParameter`] for a
    /// share outside (0, 1].
    pub fn new(
        (prediction, prediction_labels): (&LabelMap, &[u8]),
        (reference, reference_labels): (&LabelMap, &[u8]),
        connectivity: Connectivity,
        hit: Hit,
    ) -> Result<Self, MetricError> {
        check_grids(prediction, reference)?;
        if let Hit::Share(share) = hit {
            check_parameter("the share of a hit", share, f64::MIN_POSITIVE..=1.0, "(0, 1]")?;
        }
        let predicted = prediction.components(prediction_labels, connectivity);
        let present = reference.components(reference_labels, connectivity);
        let n_true_positive = n_hit(&present, &predicted, hit);
        let n_predicted_right = n_hit(&predicted, &present, hit);
        Ok(Self {
            n_true_positive,
            n_false_negative: present.n_components() - n_true_positive,
            n_predicted_right,
            n_false_positive: predicted.n_components() - n_predicted_right,
        })
    }

    /// Share of the reference lesions that were found; `None` without one.
    pub fn sensitivity(&self) -> Option<f64> {
        ratio(self.n_true_positive, self.n_true_positive + self.n_false_negative)
    }

    /// Share of the predicted lesions that are right; `None` without one.
    pub fn precision(&self) -> Option<f64> {
        ratio(self.n_predicted_right, self.n_predicted_right + self.n_false_positive)
    }

    /// `2 TP / (2 TP + FP + FN)`, TP counted in reference lesions; `None` if neither mask has a lesion.
    pub fn f1(&self) -> Option<f64> {
        let wrong = self.n_false_positive + self.n_false_negative;
        ratio(2 * self.n_true_positive, 2 * self.n_true_positive + wrong)
    }
}

fn ratio(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// How many of `lesions` the other mask hits.
fn n_hit(lesions: &Components, other: &Components, hit: Hit) -> usize {
    let mut n_covered = vec![0_usize; lesions.n_components()];
    for (lesion, beside) in lesions.voxels().iter().zip(other.voxels()) {
        if *lesion > 0 && *beside > 0 {
            n_covered[*lesion as usize - 1] += 1;
        }
    }
    let is_hit = |covered: usize, size: usize| match hit {
        Hit::AnyOverlap => covered > 0,
        Hit::Share(share) => covered as f64 >= share * size as f64,
    };
    n_covered.iter().zip(lesions.sizes()).filter(|(covered, n)| is_hit(**covered, **n)).count()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use hemex_volume::{Affine, Geometry};

    use super::*;

    fn map(voxels: [u8; 12]) -> LabelMap {
        let affine = Affine::from_spacing([5.0, 1.0, 1.0], [0.0; 3]).unwrap();
        LabelMap::new(Geometry::new([1, 1, 12], affine).unwrap(), voxels.to_vec()).unwrap()
    }

    fn detect(prediction: [u8; 12], reference: [u8; 12], hit: Hit) -> LesionDetection {
        let (prediction, reference) = (map(prediction), map(reference));
        LesionDetection::new((&prediction, &[1]), (&reference, &[1]), Connectivity::Six, hit)
            .unwrap()
    }

    #[test]
    fn a_share_asks_for_more_than_a_touch() {
        let reference = [1, 1, 1, 1, 0, 1, 1, 0, 0, 1, 0, 0];
        let predicted = [0, 0, 0, 1, 0, 1, 1, 1, 0, 0, 0, 1];
        let any = detect(predicted, reference, Hit::AnyOverlap);
        assert_eq!((any.n_true_positive, any.n_false_negative), (2, 1));
        assert_eq!((any.n_predicted_right, any.n_false_positive), (2, 1));
        assert_eq!(any.f1(), Some(4.0 / 6.0));
        let half = detect(predicted, reference, Hit::Share(0.5));
        assert_eq!((half.n_true_positive, half.n_false_negative), (1, 2));
        assert_eq!((half.n_predicted_right, half.n_false_positive), (2, 1));
        assert_eq!(half.sensitivity(), Some(1.0 / 3.0));
        // A quarter exactly is a quarter.
        assert_eq!(detect(predicted, reference, Hit::Share(0.25)).n_true_positive, 2);
    }

    #[test]
    fn one_predicted_lesion_may_find_two() {
        let merged = detect(
            [1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0],
            [1, 1, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0],
            Hit::Share(0.75),
        );
        assert_eq!((merged.n_true_positive, merged.n_predicted_right), (2, 1));
        assert_eq!(merged.f1(), Some(1.0));
    }

    #[test]
    fn without_lesions_nothing_is_defined() {
        let none = detect([0; 12], [0; 12], Hit::AnyOverlap);
        assert_eq!((none.sensitivity(), none.precision(), none.f1()), (None, None, None));
        let missed = detect([0; 12], [1; 12], Hit::AnyOverlap);
        assert_eq!((missed.sensitivity(), missed.precision()), (Some(0.0), None));
        assert_eq!(missed.f1(), Some(0.0));
        let (a, b) = (map([0; 12]), map([0; 12]));
        for share in [0.0, 1.5, f64::NAN] {
            let hit = Hit::Share(share);
            assert!(
                LesionDetection::new((&a, &[1]), (&b, &[1]), Connectivity::Six, hit).is_err(),
                "{share}"
            );
        }
    }
}
