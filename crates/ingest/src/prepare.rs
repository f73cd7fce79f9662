use hemex_artifacts::limits::MAX_VOXELS;
use hemex_volume::{Geometry, Image, LabelMap, VolumeError};

use crate::brain::brain_mask;
use crate::head::{bounding_box, head_mask};
use crate::noise::noise_hu;
use crate::{PreparationSettings, Unusable};

/// Spacing within slices of the grid on which head and brain are looked for, mm: on a coarser one thin
/// bone is lost, on a finer one nothing is won.
const SEARCH_MM: f64 = 2.0;

/// The thickest slices of that grid, mm.
const SEARCH_SLICE_MM: f64 = 5.0;

/// The most voxels of that grid: a field of view of 500 mm takes 38 million on slices of 2 mm over 1,200 mm.
const MAX_SEARCH_VOXELS: usize = 1 << 26;

/// Spacings and extents that a head CT may have, mm.
const SPACING_MM: [f64; 2] = [0.05, 20.0];
const EXTENT_MM: [f64; 2] = [30.0, 1200.0];

/// HU of air, for what lies outside the scan.
const AIR_HU: f32 = -1024.0;

/// A case on its canonical grid.
#[derive(Debug, Clone, PartialEq)]
pub struct Prepared {
    /// HU within the window, canonical grid.
    pub image: Image,
    /// 1 inside the skull, on the same grid.
    pub brain: LabelMap,
    /// Noise measured inside the brain of the native image, HU; `None` if there are too few voxels.
    pub noise_hu: Option<f64>,
}

/// Brings a native image (HU, any orientation) onto the canonical grid: axes closest to RAS+, the
/// configured spacing, cropped to the head with a margin.
///
/// Values are limited to the window first and resampled in one pass then, so that bone, metal and
/// padding do not bleed into the brain. Head and brain are found on a copy with all its HU.
///
/// # Errors
/// [`Unusable`] if the grid cannot be that of a head CT, or no head or brain is found.
pub fn prepare(native: Image, settings: &PreparationSettings) -> Result<Prepared, Unusable> {
    check_plausible(native.geometry())?;
    // A grid that leans much covers far more when it stands upright.
    check_plausible(&native.geometry().straightened().map_err(unsound)?)?;
    let slice_mm = settings.spacing_mm[0].clamp(SEARCH_MM, SEARCH_SLICE_MM);
    let search_mm = [slice_mm, SEARCH_MM, SEARCH_MM];
    let whole = canonical_grid(native.geometry(), search_mm).map_err(unsound)?;
    check_size(&whole, MAX_SEARCH_VOXELS)?;
    let full_range = native.resample(&whole, AIR_HU);
    let head = head_mask(&full_range)?;
    let bounds = bounding_box(&head, whole.shape()).ok_or(Unusable::NoHead { largest_ml: 0.0 })?;
    let canonical = canonical_grid(native.geometry(), settings.spacing_mm).map_err(unsound)?;
    let target = cropped(&canonical, &whole, bounds, settings.margin_mm).map_err(unsound)?;
    check_size(&target, MAX_VOXELS)?;

    let brain = brain(&full_range, bounds, settings)?.resample(&target);
    let noise_hu = noise_hu(&native, &brain);
    let image = resampled(native, &target, settings);
    Ok(Prepared { image, brain, noise_hu })
}

/// An image within the window on a canonical grid.
pub(crate) fn resampled(native: Image, target: &Geometry, settings: &PreparationSettings) -> Image {
    let [low, high] = settings.window_hu;
    native.clip(low, high).resample(target, low.max(AIR_HU))
}

/// The grid of an image's whole field of view in the canonical orientation (axes permuted and flipped
/// to run closest to RAS+, made upright where it leans) and spacing (`[D, H, W]`, mm).
///
/// # Errors
/// [`VolumeError::BadSpacing`] if a spacing is not positive and finite, [`VolumeError::Sheared`] for a
/// grid that leans in more ways than a gantry's tilt.
pub fn canonical_grid(native: &Geometry, spacing_mm: [f64; 3]) -> Result<Geometry, VolumeError> {
    native.to_ras().straightened()?.with_spacing(spacing_mm)
}

fn unsound(error: VolumeError) -> Unusable {
    Unusable::Volume { what: "baseline CT", problem: error.to_string() }
}

fn check_plausible(geometry: &Geometry) -> Result<(), Unusable> {
    let [shape, spacing] = [geometry.shape().map(|n| n as f64), geometry.spacing_mm()];
    let within = |value: f64, [low, high]: [f64; 2]| (low..=high).contains(&value);
    let sound =
        (0..3).all(|a| within(spacing[a], SPACING_MM) && within(shape[a] * spacing[a], EXTENT_MM));
    if sound {
        return Ok(());
    }
    let extent: Vec<String> = (0..3).map(|a| format!("{:.1}", shape[a] * spacing[a])).collect();
    let steps: Vec<String> = spacing.iter().map(|mm| format!("{mm:.3}")).collect();
    let problem = format!(
        "a head CT cannot have spacing {} mm and extent {} mm",
        steps.join(" × "),
        extent.join(" × ")
    );
    Err(Unusable::Volume { what: "baseline CT", problem })
}

/// That a grid is made of no more than `most` voxels.
fn check_size(grid: &Geometry, most: usize) -> Result<(), Unusable> {
    let n = grid.n_voxels();
    if n <= most {
        return Ok(());
    }
    let steps: Vec<String> = grid.spacing_mm().iter().map(|mm| format!("{mm:.3}")).collect();
    let problem =
        format!("it takes {n} voxels of {} mm, and a head CT at most {most}", steps.join(" × "));
    Err(Unusable::Volume { what: "baseline CT", problem })
}

/// The brain on the part of the search grid that holds the head.
fn brain(
    image: &Image,
    bounds: [[usize; 2]; 3],
    settings: &PreparationSettings,
) -> Result<LabelMap, Unusable> {
    let start = bounds.map(|[begin, _]| begin as i64);
    let shape = bounds.map(|[begin, end]| end - begin);
    let grid = image.geometry().window(start, shape).map_err(unsound)?;
    let head = image.resample(&grid, AIR_HU);
    let mask = brain_mask(&head).map_err(unsound)?;
    let voxels = mask.into_iter().map(u8::from).collect();
    let brain = LabelMap::new(grid, voxels).map_err(unsound)?;
    let brain_ml = brain.volume_ml(&[1]);
    let limits_ml = settings.brain_ml;
    if !(limits_ml[0]..=limits_ml[1]).contains(&brain_ml) {
        return Err(Unusable::NoBrain { brain_ml, limits_ml });
    }
    Ok(brain)
}

/// The part of `canonical` that covers the box `bounds` of the grid `search` (same directions) and a
/// margin, as far as the field of view goes.
fn cropped(
    canonical: &Geometry,
    search: &Geometry,
    bounds: [[usize; 2]; 3],
    margin_mm: f64,
) -> Result<Geometry, VolumeError> {
    let inverse = canonical.affine().inverse();
    // Outer faces of the box's first and last voxels.
    let corner = |side: usize| {
        let index = bounds.map(|range| range[side] as f64 - 0.5);
        inverse.index(search.point_mm(index))
    };
    let (first, last) = (corner(0), corner(1));
    let spacing = canonical.spacing_mm();
    let range: [[i64; 2]; 3] = std::array::from_fn(|a| {
        let (margin, n) = (margin_mm / spacing[a], canonical.shape()[a] as i64);
        // A face that lies on a voxel's face up to rounding does not need the next voxel too.
        let begin = (first[a] - margin + 0.5 + 1e-6).floor() as i64;
        let end = (last[a] + margin + 0.5 - 1e-6).ceil() as i64;
        let begin = begin.clamp(0, n - 1);
        [begin, end.clamp(begin + 1, n)]
    });
    canonical
        .window(range.map(|[begin, _]| begin), range.map(|[begin, end]| (end - begin) as usize))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use hemex_volume::Affine;

    use super::*;

    fn grid(shape: [usize; 3], spacing_mm: [f64; 3]) -> Geometry {
        Geometry::new(shape, Affine::from_spacing(spacing_mm, [5.0, 6.0, 7.0]).unwrap()).unwrap()
    }

    #[test]
    fn the_crop_covers_the_box_and_its_margin_within_the_field_of_view() {
        let search = grid([20, 60, 60], [5.0, 2.0, 2.0]);
        let same = cropped(&search, &search, [[3, 9], [10, 20], [0, 60]], 6.0).unwrap();
        // 6 mm are two slices of 5 mm and three voxels of 2 mm.
        assert_eq!(same.shape(), [10, 16, 60]);
        assert_eq!(same.point_mm([0.0; 3]), search.point_mm([1.0, 7.0, 0.0]));

        let fine = search.with_spacing([5.0, 1.0, 1.0]).unwrap();
        let crop = cropped(&fine, &search, [[3, 9], [10, 20], [0, 60]], 0.0).unwrap();
        assert_eq!(crop.shape(), [6, 20, 120]);
    }

    #[test]
    fn implausible_grids_are_refused_before_they_cost_memory() {
        assert!(check_plausible(&grid([32, 512, 512], [5.0, 0.45, 0.45])).is_ok());
        assert!(check_plausible(&grid([32, 512, 512], [5.0, 45.0, 45.0])).is_err());
        assert!(check_plausible(&grid([32, 8, 8], [5.0, 0.5, 0.5])).is_err());
    }

    #[test]
    fn a_field_of_view_too_large_to_search_is_refused_before_it_is_searched() {
        let settings = PreparationSettings {
            spacing_mm: [5.0, 2.0, 2.0],
            window_hu: [-100.0, 200.0],
            margin_mm: 6.0,
            brain_ml: [300.0, 2200.0],
        };
        // A cube of 1,200 mm in 216,000 voxels.
        let coarse = Image::filled(grid([60; 3], [20.0; 3]), 0.0);
        let reason = prepare(coarse, &settings).unwrap_err().to_string();
        let expected = "it takes 86400000 voxels of 5.000 × 2.000 × 2.000 mm";
        assert!(reason.contains(expected), "{reason}");
        // The trunk with the head, in the widest field of view and thin slices.
        let long = grid([1920, 512, 512], [0.625, 0.98, 0.98]);
        let search = canonical_grid(&long, [SEARCH_MM; 3]).unwrap();
        assert!(check_plausible(&long).is_ok() && check_size(&search, MAX_SEARCH_VOXELS).is_ok());
    }
}
