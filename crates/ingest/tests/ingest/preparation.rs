//! From a native grid to the canonical one.

use hemex_artifacts::GeometryRecord;
use hemex_ingest::{PreparationSettings, Unusable, canonical_grid, prepare};
use hemex_volume::{Affine, Geometry, Image, LabelMap};

use crate::support::head;
use crate::support::real::data;

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

/// Labels of a real lesion to the canonical grid and back to their own.
#[test]
fn labels_find_the_way_back_to_their_native_grid() {
    let Some(data) = data("a real mask on its way and back") else { return };
    let path = data.join("hematoma_mask/scan_0_segmentation.nii.gz");
    let mask = hemex_artifacts::nifti::read_label_map(&path).unwrap();
    let there_and_back = |native: &LabelMap, spacing_mm: [f64; 3]| {
        let canonical = canonical_grid(native.geometry(), spacing_mm).unwrap();
        native.resample(&canonical).resample(native.geometry())
    };
    let same = there_and_back(&mask, [1.0; 3]);
    assert_eq!(same.voxels(), mask.voxels(), "Dice 1.0 at equal spacing");

    // As a scanner of 0.45 mm would have it, to 1 mm and back.
    let fine = mask.geometry().with_spacing([1.0, 0.45, 0.45]).unwrap();
    let fine = mask.resample(&fine);
    let back = there_and_back(&fine, [1.0; 3]);
    let count = |f: &dyn Fn(u8, u8) -> bool| {
        fine.voxels().iter().zip(back.voxels()).filter(|(a, b)| f(**a, **b)).count() as f64
    };
    for label in 1..=4 {
        let both = count(&|a, b| a == label && b == label);
        let either = count(&|a, _| a == label) + count(&|_, b| b == label);
        let dice = 2.0 * both / either;
        println!("label {label}: Dice {dice:.4}");
        assert!(dice >= 0.95, "label {label}: {dice}");
    }
}

/// The grid that a case's masks go back to is written with the precision that they need.
#[test]
fn the_native_grid_survives_its_record() {
    let rows = [[-0.448, 0.012, 0.0, 101.7], [0.012, 0.448, -1.391, -97.3], [0.0, 0.0, 4.81, 12.9]];
    let native = Geometry::new([31, 512, 512], Affine::new(rows).unwrap()).unwrap();
    let text = serde_json::to_string(&GeometryRecord::from(&native)).unwrap();
    let record: GeometryRecord = serde_json::from_str(&text).unwrap();
    let back = Geometry::try_from(&record).unwrap();
    assert_eq!(back.shape(), native.shape());
    let pairs = back
        .affine()
        .rows()
        .into_iter()
        .flatten()
        .zip(native.affine().rows().into_iter().flatten());
    pairs.for_each(|(a, b)| assert!((a - b).abs() < 1e-4, "{a} {b}"));
}
