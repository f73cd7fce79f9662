use hemex_volume::{Geometry, LabelMap, VolumeError};
use rayon::prelude::*;

use crate::MetricError;
use crate::bit_rows::BitRows;
use crate::cell_areas::cell_areas_mm2;
use crate::error::{check_grids, check_parameter};
use crate::nearest::distances_mm;

/// Distances between the surfaces of two masks, both ways, each element of a surface weighted by its
/// area: the definition of DeepMind's surface-distance (Nikolov et al., JMIR 2021, 23(7):e26151).
///
/// An element is a corner shared by eight voxels of which some but not all belong to the mask; its
/// area is that of the marching-cubes surface between them. A distance runs from such a corner to the
/// nearest one of the other surface. What lies beyond the grid is outside the mask. Axes are taken as
/// perpendicular.
#[derive(Debug, Clone, PartialEq)]
pub struct SurfaceElements {
    from_prediction: Elements,
    from_reference: Elements,
}

/// The elements of a surface, at least one, by rising distance.
#[derive(Debug, Clone, PartialEq)]
struct Elements {
    distances_mm: Vec<f64>,
    areas_mm2: Vec<f64>,
}

/// What a sum of areas may miss a share by: 95 of 100 equal elements are 0.95 of their area.
const ROUNDING: f64 = 1e-12;

impl SurfaceElements {
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
        let masks = [
            BitRows::of_mask(prediction, prediction_labels),
            BitRows::of_mask(reference, reference_labels),
        ];
        if masks.iter().any(BitRows::is_empty) {
            return Ok(None);
        }
        let corners = masks.each_ref().map(BitRows::boundary_corners);
        let (from_prediction, from_reference) = rayon::join(
            || Elements::new(&masks[0], &corners[0], &corners[1], geometry),
            || Elements::new(&masks[1], &corners[1], &corners[0], geometry),
        );
        Ok(Some(Self { from_prediction: from_prediction?, from_reference: from_reference? }))
    }

    /// 95th percentile of the Hausdorff distance by area, mm: the larger of the two directed ones.
    pub fn hd95_mm(&self) -> f64 {
        self.hausdorff_mm(0.95)
    }

    /// The larger of the two directed percentiles by area, mm: the least distance that `fraction` of a
    /// surface's area does not exceed (clamped to [0, 1]; 1 for the Hausdorff distance itself).
    pub fn hausdorff_mm(&self, fraction: f64) -> f64 {
        self.from_prediction
            .percentile_mm(fraction)
            .max(self.from_reference.percentile_mm(fraction))
    }

    /// Mean over the area of the predicted surface of the distance to the reference, mm.
    pub fn mean_from_prediction_mm(&self) -> f64 {
        self.from_prediction.sum_mm3() / self.from_prediction.area_mm2()
    }

    /// Mean over the area of the reference surface of the distance to the predicted one, mm.
    pub fn mean_from_reference_mm(&self) -> f64 {
        self.from_reference.sum_mm3() / self.from_reference.area_mm2()
    }

    /// Average symmetric surface distance, mm: the mean over the area of both surfaces (Heimann et al.,
    /// IEEE TMI 2009, 28(8), with areas in the place of voxel counts).
    pub fn mean_mm(&self) -> f64 {
        (self.from_prediction.sum_mm3() + self.from_reference.sum_mm3())
            / (self.from_prediction.area_mm2() + self.from_reference.area_mm2())
    }

    /// Surface Dice: the share of the area of both surfaces that lies within `tolerance_mm` (included)
    /// of the other.
    ///
    /// # Errors
    /// [`MetricError::BadParameter`] for a tolerance below 0 or not a number.
    pub fn surface_dice(&self, tolerance_mm: f64) -> Result<f64, MetricError> {
        check_parameter("the tolerance in mm", tolerance_mm, 0.0.., "[0, ∞]")?;
        let within = self.from_prediction.area_within_mm2(tolerance_mm)
            + self.from_reference.area_within_mm2(tolerance_mm);
        Ok(within / (self.from_prediction.area_mm2() + self.from_reference.area_mm2()))
    }

    /// Share of the reference surface within `tolerance_mm` of the predicted one.
    ///
    /// # Errors
    /// As [`SurfaceElements::surface_dice`].
    pub fn reference_within(&self, tolerance_mm: f64) -> Result<f64, MetricError> {
        self.from_reference.share_within(tolerance_mm)
    }

    /// Share of the predicted surface within `tolerance_mm` of the reference.
    ///
    /// # Errors
    /// As [`SurfaceElements::surface_dice`].
    pub fn prediction_within(&self, tolerance_mm: f64) -> Result<f64, MetricError> {
        self.from_prediction.share_within(tolerance_mm)
    }
}

impl Elements {
    fn new(
        mask: &BitRows,
        from: &BitRows,
        to: &BitRows,
        geometry: &Geometry,
    ) -> Result<Self, VolumeError> {
        let places = from.all_places();
        let areas = cell_areas_mm2(geometry.spacing_mm());
        let euclid = |squares: [f64; 3]| squares.iter().sum::<f64>().sqrt();
        let distances = distances_mm(&places, to, geometry, euclid)?;
        let mut elements: Vec<(f64, f64)> = distances
            .into_par_iter()
            .zip(&places)
            .map(|(distance, place)| (distance, areas[mask.cell_code(*place)]))
            .collect();
        // By area within a distance, so that sums do not depend on where elements lie.
        elements.par_sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        let (distances_mm, areas_mm2) = elements.into_iter().unzip();
        Ok(Self { distances_mm, areas_mm2 })
    }

    fn area_mm2(&self) -> f64 {
        self.areas_mm2.iter().sum()
    }

    fn sum_mm3(&self) -> f64 {
        self.distances_mm.iter().zip(&self.areas_mm2).map(|(mm, mm2)| mm * mm2).sum()
    }

    fn area_within_mm2(&self, tolerance_mm: f64) -> f64 {
        let n = self.distances_mm.partition_point(|mm| *mm <= tolerance_mm);
        self.areas_mm2[..n].iter().sum()
    }

    fn share_within(&self, tolerance_mm: f64) -> Result<f64, MetricError> {
        check_parameter("the tolerance in mm", tolerance_mm, 0.0.., "[0, ∞]")?;
        Ok(self.area_within_mm2(tolerance_mm) / self.area_mm2())
    }

    fn percentile_mm(&self, fraction: f64) -> f64 {
        let (total, fraction) = (self.area_mm2(), fraction.clamp(0.0, 1.0));
        let mut covered = 0.0;
        let reached = self.areas_mm2.iter().position(|area| {
            covered += area;
            covered / total >= fraction - ROUNDING
        });
        self.distances_mm[reached.unwrap_or(self.distances_mm.len() - 1)]
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use hemex_volume::Affine;

    use super::*;

    fn slab(first: usize, n: usize) -> LabelMap {
        let affine = Affine::from_spacing([5.0, 1.0, 2.0], [0.0; 3]).unwrap();
        let geometry = Geometry::new([9, 8, 6], affine).unwrap();
        let inside = |i: usize| u8::from((first..first + n).contains(&(i / 48)));
        LabelMap::new(geometry, (0..432).map(inside).collect()).unwrap()
    }

    fn compare(prediction: &LabelMap, reference: &LabelMap) -> SurfaceElements {
        SurfaceElements::new(prediction, &[1], reference, &[1]).unwrap().unwrap()
    }

    #[test]
    fn a_slab_one_slice_off_is_off_by_the_slice() {
        let elements = compare(&slab(2, 3), &slab(3, 3));
        assert_eq!((elements.hausdorff_mm(1.0), elements.hd95_mm()), (5.0, 5.0));
        assert!(elements.mean_mm() > 0.0 && elements.mean_mm() < 5.0);
        assert_eq!(elements.mean_from_prediction_mm(), elements.mean_from_reference_mm());
        assert_eq!(elements.surface_dice(5.0), Ok(1.0));
        let within = elements.surface_dice(4.999).unwrap();
        assert!(within > 0.0 && within < 1.0, "{within}");
        assert_eq!(elements.reference_within(4.999), elements.prediction_within(4.999));
    }

    #[test]
    fn a_mask_agrees_with_itself() {
        let elements = compare(&slab(0, 9), &slab(0, 9));
        assert_eq!((elements.hausdorff_mm(1.0), elements.mean_mm()), (0.0, 0.0));
        assert_eq!(elements.surface_dice(0.0), Ok(1.0));
    }

    #[test]
    fn a_share_reached_exactly_is_reached() {
        // Added up, twenty of 0.1 are a little more than 2, so that one falls short of a twentieth.
        let elements =
            Elements { distances_mm: (0..20).map(f64::from).collect(), areas_mm2: vec![0.1; 20] };
        assert_eq!(elements.percentile_mm(0.05), 0.0);
        assert_eq!((elements.percentile_mm(0.95), elements.percentile_mm(1.0)), (18.0, 19.0));
    }

    #[test]
    fn an_empty_mask_has_no_surface_and_a_tolerance_is_a_length() {
        let (full, empty) = (slab(0, 9), slab(0, 0));
        assert_eq!(SurfaceElements::new(&full, &[1], &empty, &[1]), Ok(None));
        assert_eq!(SurfaceElements::new(&empty, &[1], &full, &[1]), Ok(None));
        let elements = compare(&full, &full);
        for tolerance_mm in [-0.1, f64::NAN] {
            let error = elements.surface_dice(tolerance_mm).unwrap_err();
            assert!(matches!(error, MetricError::BadParameter { .. }), "{error}");
            assert!(elements.reference_within(tolerance_mm).is_err());
        }
    }
}
