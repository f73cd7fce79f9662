use hemex_volume::{Geometry, LabelMap, VolumeError};
use rayon::prelude::*;

use crate::MetricError;
use crate::bit_rows::BitRows;
use crate::bootstrap::percentile_of_sorted;
use crate::error::check_grids;
use crate::nearest::distances_mm;

/// Distances between the surfaces of two masks, both ways, mm.
///
/// A mask's surface is its voxels that touch a voxel outside it (or the border of the grid) with a
/// face; a distance runs from such a voxel's centre to the nearest one of the other surface, as in
/// MONAI and scipy-based code. Voxels are not weighted by the area they stand for: on thick slices
/// [`SurfaceElements`](crate::SurfaceElements) are fairer. Axes are taken as perpendicular.
#[derive(Debug, Clone, PartialEq)]
pub struct SurfaceDistances {
    // Sorted, each at least one value.
    from_prediction: Vec<f64>,
    from_reference: Vec<f64>,
}

impl SurfaceDistances {
    /// Compares the voxels of `prediction` that carry one of `prediction_labels` with those of
    /// `reference` that carry one of `reference_labels`.
    ///
    /// `None` if either mask is empty: there is no surface to be near to.
    ///
    /// # Errors
    /// [`MetricError::Grid`] if the two lie on different grids.
    pub fn new(
        prediction: &LabelMap,
        prediction_labels: &[u8],
        reference: &LabelMap,
        reference_labels: &[u8],
    ) -> Result<Option<Self>, MetricError> {
        check_grids(prediction, reference)?;
        let geometry = reference.geometry();
        let surfaces = [
            BitRows::of_mask(prediction, prediction_labels).surface(),
            BitRows::of_mask(reference, reference_labels).surface(),
        ];
        if surfaces.iter().any(BitRows::is_empty) {
            return Ok(None);
        }
        let [prediction, reference] = &surfaces;
        let (from_prediction, from_reference) = rayon::join(
            || sorted_mm(prediction, reference, geometry),
            || sorted_mm(reference, prediction, geometry),
        );
        Ok(Some(Self { from_prediction: from_prediction?, from_reference: from_reference? }))
    }

    /// 95th percentile of the Hausdorff distance, mm: the larger of the two directed ones.
    pub fn hd95_mm(&self) -> f64 {
        self.hausdorff_mm(0.95)
    }

    /// The larger of the two directed percentiles (`fraction` in [0, 1]; 1 for the Hausdorff
    /// distance itself), linear between order statistics.
    pub fn hausdorff_mm(&self, fraction: f64) -> f64 {
        let fraction = fraction.clamp(0.0, 1.0);
        percentile_of_sorted(&self.from_prediction, fraction)
            .max(percentile_of_sorted(&self.from_reference, fraction))
    }

    /// Mean over all surface voxels of both masks, mm.
    pub fn mean_mm(&self) -> f64 {
        let all = || self.from_prediction.iter().chain(&self.from_reference);
        all().sum::<f64>() / all().count() as f64
    }

    /// Mean from the predicted surface to the reference, mm.
    pub fn mean_from_prediction_mm(&self) -> f64 {
        self.from_prediction.iter().sum::<f64>() / self.from_prediction.len() as f64
    }

    /// Mean from the reference surface to the predicted one, mm.
    pub fn mean_from_reference_mm(&self) -> f64 {
        self.from_reference.iter().sum::<f64>() / self.from_reference.len() as f64
    }
}

fn sorted_mm(from: &BitRows, to: &BitRows, geometry: &Geometry) -> Result<Vec<f64>, VolumeError> {
    // Rounded where the distance transform rounds, so that both ways of finding it agree.
    let rounded = |[d_mm2, h_mm2, w_mm2]: [f64; 3]| {
        let in_slice = (f64::from(w_mm2 as f32) + h_mm2) as f32;
        f64::from(((f64::from(in_slice) + d_mm2) as f32).sqrt())
    };
    let mut values = distances_mm(&from.all_places(), to, geometry, rounded)?;
    values.par_sort_unstable_by(f64::total_cmp);
    Ok(values)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use hemex_volume::{Affine, Geometry};

    use super::*;

    const SHAPE: [usize; 3] = [8, 24, 20];
    const SPACING_MM: [f64; 3] = [5.0, 1.0, 1.5];

    fn ball(centre: [f64; 3], radius_mm: f64) -> Vec<u8> {
        let mut voxels = Vec::new();
        for d in 0..SHAPE[0] {
            for h in 0..SHAPE[1] {
                for w in 0..SHAPE[2] {
                    let squared: f64 = [d, h, w]
                        .iter()
                        .zip(centre)
                        .zip(SPACING_MM)
                        .map(|((i, c), s)| ((*i as f64 - c) * s).powi(2))
                        .sum();
                    voxels.push(u8::from(squared <= radius_mm * radius_mm));
                }
            }
        }
        voxels
    }

    fn map(voxels: Vec<u8>) -> LabelMap {
        let affine = Affine::from_spacing(SPACING_MM, [3.0, -7.0, 11.0]).unwrap();
        LabelMap::new(Geometry::new(SHAPE, affine).unwrap(), voxels).unwrap()
    }

    // tests/reference/metrics.py, part `surface`.
    #[test]
    fn agrees_with_scipy() {
        let first = map(ball([3.5, 11.0, 9.0], 9.0));
        let second = ball([4.0, 13.0, 8.0], 8.0)
            .iter()
            .zip(ball([4.0, 20.0, 3.0], 3.0))
            .map(|(a, b)| (*a).max(b))
            .collect();
        let distances = SurfaceDistances::new(&first, &[1], &map(second), &[1]).unwrap().unwrap();
        assert_eq!(distances.from_prediction.len(), 318);
        assert_eq!(distances.from_reference.len(), 238);
        assert!((distances.hd95_mm() - 5.0).abs() < 1e-5);
        assert!((distances.hausdorff_mm(1.0) - 6.726812023536855).abs() < 1e-5);
        let directed = percentile_of_sorted(&distances.from_reference, 0.95);
        assert!((directed - 4.242640687119285).abs() < 1e-5, "{directed}");
        assert!((distances.mean_mm() - 1.6068109534725434).abs() < 1e-5);
    }

    #[test]
    fn an_empty_mask_has_no_distance() {
        let (empty, full) = (map(vec![0; 3840]), map(vec![1; 3840]));
        assert_eq!(SurfaceDistances::new(&empty, &[1], &full, &[1]), Ok(None));
        assert_eq!(SurfaceDistances::new(&full, &[1], &empty, &[1]), Ok(None));
        let same = SurfaceDistances::new(&full, &[1], &full, &[1]).unwrap().unwrap();
        assert_eq!((same.hd95_mm(), same.mean_mm()), (0.0, 0.0));
    }
}
