//! From a native grid to the canonical one.

use hemex_ingest::{PreparationSettings, Unusable, prepare};
use hemex_volume::{Affine, Geometry, Image};

use crate::support::head;

fn settings() -> PreparationSettings {
    PreparationSettings {
        spacing_mm: [5.0, 2.0, 2.0],
        window_hu: [-100.0, 200.0],
        margin_mm: 6.0,
        brain_ml: [600.0, 2200.0],
    }
}

/// 1 mm in the plane, so that preparing is averaging.
fn fine_grid() -> Geometry {
    let affine = Affine::from_spacing([5.0, 1.0, 1.0], [-90.0, -90.0, -80.0]).unwrap();
    Geometry::new([33, 181, 181], affine).unwrap()
}

#[test]
fn values_are_limited_before_they_are_averaged() {
    let native = head(fine_grid(), 10.0);
    let prepared = prepare(native.clone(), &settings()).unwrap();
    let grid = *prepared.image.geometry();
    assert_eq!(grid.spacing_mm(), [5.0, 2.0, 2.0]);
    assert_eq!(prepared.image, native.clone().clip(-100.0, 200.0).resample(&grid, -100.0));
    // The other order lets bone of 1,000 HU shine into the brain.
    let other = native.resample(&grid, -1024.0).clip(-100.0, 200.0);
    let brightest = |image: &Image| {
        let inside = image.voxels().iter().zip(prepared.brain.voxels());
        inside.filter(|(_, brain)| **brain == 1).map(|(hu, _)| *hu).fold(f32::MIN, f32::max)
    };
    assert!(brightest(&prepared.image) + 20.0 < brightest(&other));
}

#[test]
fn without_a_skull_or_a_head_there_is_no_case() {
    let refused = |image: Image| prepare(image, &settings()).unwrap_err();
    let mut boneless = head(fine_grid(), 10.0);
    boneless.voxels_mut().iter_mut().for_each(|hu| *hu = hu.min(60.0));
    let reason = refused(boneless);
    assert!(matches!(reason, Unusable::NoBrain { brain_ml: 0.0, .. }), "{reason}");
    // Stored values that nobody brought to HU: air is 24, water 1,024.
    let mut raw = head(fine_grid(), 10.0);
    raw.voxels_mut().iter_mut().for_each(|hu| *hu += 1024.0);
    assert!(matches!(refused(raw), Unusable::NoBrain { .. }));
    let air = refused(Image::filled(fine_grid(), -1000.0));
    assert!(matches!(air, Unusable::NoHead { largest_ml: 0.0 }), "{air}");
}
