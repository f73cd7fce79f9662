//! Faint regions that the blood around encloses.

use std::f64::consts::PI;

use super::foci::places_of;
use super::hematoma::{Hematoma, percentile};
use crate::{Connectivity, Geometry, VolumeError, distance_mm};

/// Least difference of a black hole from the blood around it, HU (Li et al., Stroke 47, 2016, 1777–1781).
const BLACK_HOLE_HU: f64 = 28.0;
/// Where a voxel lies so far below the way out, it belongs to a hole, HU: about three SD of the noise that
/// smoothing leaves of 5 HU.
const ENCLOSED_HU: f32 = 6.0;
/// Least depth of a hypodensity, HU. No paper states one: five SD of that noise.
pub(super) const HYPODENSITY_HU: f64 = 10.0;
/// A hole is so large in one slice at least, mm²: 3 mm across.
const LEAST_MM2: f64 = 7.0;
/// How far around a hole its surroundings reach, mm. A difference is reached within it, or the margin is not
/// well defined.
const SURROUNDINGS_MM: f32 = 4.0;
/// Least share of a round, oval or rod-like region that a disc within it fills: a rod three times as long as
/// wide has 0.28, a streak eight times as long 0.1.
const LEAST_COMPACTNESS: f64 = 0.28;
/// A compact hole as wide as a thick slice keeps most of its contrast, mm.
const WIDE_MM: f64 = 6.0;
/// Percentiles that stand for what is faint and what is dense.
pub(super) const FAINT: f64 = 0.1;
pub(super) const DENSE: f64 = 0.9;

/// An enclosed region.
pub(super) struct Hole {
    /// Its voxels.
    pub(super) places: Vec<usize>,
    /// How far its faintest voxel lies below the faintest way out, HU.
    pub(super) depth_hu: f64,
    /// How far it lies below the blood around it, HU.
    difference_hu: f64,
    /// Its largest area in a slice, mm², and the diameter of the largest disc within that, mm.
    area_mm2: f64,
    width_mm: f64,
}

impl Hole {
    /// All holes that are large enough. The outermost slices hold none: there partial volume is as faint.
    pub(super) fn all(hematoma: &Hematoma, brim_hu: &[f32]) -> Result<Vec<Self>, VolumeError> {
        let depth_hu = |place: usize| brim_hu[place] - hematoma.hu[place];
        let is_hole = |place| hematoma.is_covered[place] && depth_hu(place) >= ENCLOSED_HU;
        let map = hematoma.map(is_hole);
        let parts = map.components(&[1], Connectivity::TwentySix);
        // Holes do not touch, so the margin nearest to a voxel is that of its own.
        let outside: Vec<bool> = map.voxels().iter().map(|hole| *hole == 0).collect();
        let to_margin_mm = distance_mm(&outside, &hematoma.flat)?;
        let mut holes = Vec::new();
        for places in places_of(&parts) {
            let largest = hematoma.largest_slice(&places);
            let area_mm2 = largest.len() as f64 * hematoma.pixel_mm2();
            if area_mm2 < LEAST_MM2 {
                continue;
            }
            let radius_mm = largest.iter().map(|place| to_margin_mm[*place]).fold(0.0, f32::max);
            let deepest = places.iter().map(|place| depth_hu(*place)).fold(0.0, f32::max);
            holes.push(Self {
                depth_hu: f64::from(deepest),
                difference_hu: difference_hu(hematoma, &places, &outside)?,
                area_mm2,
                // The margin lies half a pixel before the first centre outside.
                width_mm: 2.0 * f64::from(radius_mm) - hematoma.pixel_mm(),
                places,
            });
        }
        Ok(holes)
    }

    /// How far it lies below the blood around it, HU, where it is round, oval or rod-like; 0 of a streak.
    pub(super) fn compact_difference_hu(&self) -> f64 {
        if self.is_compact() { self.difference_hu } else { 0.0 }
    }

    /// Whether it is a black hole.
    pub(super) fn is_black(&self) -> bool {
        self.compact_difference_hu() >= BLACK_HOLE_HU
    }

    /// Whether it is so wide and compact that its own density shows.
    pub(super) fn is_wide(&self) -> bool {
        self.width_mm >= WIDE_MM && self.is_compact()
    }

    /// Whether it is no streak.
    fn is_compact(&self) -> bool {
        PI / 4.0 * self.width_mm.powi(2) >= LEAST_COMPACTNESS * self.area_mm2
    }
}

/// How far a hole lies below the core around it that is no hole, within its slices, HU; 0 where there is none.
fn difference_hu(
    hematoma: &Hematoma,
    places: &[usize],
    is_no_hole: &[bool],
) -> Result<f64, VolumeError> {
    let ([_, n_h, n_w], n_pixels) = (hematoma.flat.shape(), hematoma.n_pixels());
    let [first, last] = [0, places.len() - 1].map(|at| hematoma.slice_of(places[at]));
    let (start, n_slices) = (first * n_pixels, last + 1 - first);
    let slab = Geometry::new([n_slices, n_h, n_w], hematoma.flat.affine())?;
    let mut own = vec![false; slab.n_voxels()];
    places.iter().for_each(|place| own[*place - start] = true);
    let from_mm = distance_mm(&own, &slab)?;
    let is_around = |place: &usize| {
        hematoma.core[*place] && is_no_hole[*place] && from_mm[*place - start] <= SURROUNDINGS_MM
    };
    let hu_of = |places: &mut dyn Iterator<Item = usize>| {
        places.map(|place| hematoma.hu[place]).collect::<Vec<f32>>()
    };
    let around = hu_of(&mut (start..start + own.len()).filter(is_around));
    let within = hu_of(&mut places.iter().copied());
    let ends = percentile(around, DENSE).zip(percentile(within, FAINT));
    Ok(ends.map_or(0.0, |(around, within)| around - within))
}
