//! DICOM series made as scanners make them, sound and unsound.

use std::path::Path;

use crate::support::series::{Series, write};
use crate::support::{grid, head};
use dicom_dictionary_std::uids;
use hemex_ingest::dicom::{PADDING_HU, Series as Read, read_series};
use hemex_ingest::{StackProblem, Unusable};
use hemex_volume::{Geometry, Image};

fn read(folder: &Path) -> Result<Read, Unusable> {
    read_series(&hemex_stage::digest::list_files(folder).unwrap())
}

fn small() -> Image {
    let geometry: Geometry = grid().window([8, 20, 20], [6, 50, 40]).unwrap();
    head(geometry, 10.0)
}

fn written(series: &Series) -> Result<Read, Unusable> {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &small(), series);
    read(folder.path())
}

#[test]
fn a_series_is_the_volume_it_was_made_of() {
    let image = small();
    for transfer_syntax in [
        uids::EXPLICIT_VR_LITTLE_ENDIAN,
        uids::IMPLICIT_VR_LITTLE_ENDIAN,
        "1.2.840.10008.1.2.2",
        uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    ] {
        for is_signed in [false, true] {
            let found = written(&Series { transfer_syntax, is_signed, ..Series::default() });
            let found = found.unwrap_or_else(|reason| panic!("{transfer_syntax}: {reason}"));
            let back = found.image.resample(image.geometry(), 0.0);
            assert_eq!(back.voxels(), image.voxels(), "{transfer_syntax} {is_signed}");
            assert_eq!(found.convolution_kernel.as_deref(), Some("H31s"));
            assert_eq!(found.acquired.as_deref(), Some("20200229T123456"));
        }
    }
}

#[test]
fn padding_becomes_air() {
    let folder = tempfile::tempdir().unwrap();
    let mut image = small();
    image.voxels_mut()[0] = -2000.0;
    let series = Series { is_signed: true, padding: Some(-2000), ..Series::default() };
    write(folder.path(), &image, &series);
    let found = read(folder.path()).unwrap().image.resample(image.geometry(), 0.0);
    assert_eq!(found.voxels()[0], PADDING_HU);
    assert_eq!(found.voxels()[1..], image.voxels()[1..]);
}

#[test]
fn of_several_series_the_one_with_most_slices_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let image = small();
    write(&folder.path().join("head"), &image, &Series { number: 3, ..Series::default() });
    let part = Series { uid: "1.2.3.2", number: 1, without: vec![5], ..Series::default() };
    write(&folder.path().join("part"), &image, &part);
    let localizer = Series {
        uid: "1.2.3.3",
        number: 4,
        image_type: "ORIGINAL\\PRIMARY\\LOCALIZER",
        ..Series::default()
    };
    write(&folder.path().join("localizer"), &image, &localizer);
    let capture = Series {
        uid: "1.2.3.4",
        number: 5,
        class: uids::SECONDARY_CAPTURE_IMAGE_STORAGE,
        ..Series::default()
    };
    write(&folder.path().join("capture"), &image, &capture);
    std::fs::write(folder.path().join("notes.txt"), "no DICOM").unwrap();
    let found = read(folder.path()).unwrap();
    assert_eq!((found.image.geometry().shape()[0], found.n_other_series), (6, 1));
}

#[test]
fn what_makes_no_even_stack_is_refused_by_name() {
    let problems = |series: Series| match written(&series).unwrap_err() {
        Unusable::Stack { problems } => problems,
        other => panic!("{other}"),
    };
    let missing = problems(Series { without: vec![2], ..Series::default() });
    assert_eq!(missing, [StackProblem::Missing { n: 1, distances_mm: vec![5.0, 10.0] }]);
    let uneven = problems(Series { gap: Some((2, 1.25)), ..Series::default() });
    assert_eq!(uneven, [StackProblem::Uneven { distances_mm: vec![5.0, 6.25] }]);
    let tilted = problems(Series { shift_mm: 5.0 * 14f64.to_radians().tan(), ..Series::default() });
    assert!(
        matches!(tilted[..], [StackProblem::Tilt { degrees }] if (degrees - 14.0).abs() < 0.01),
        "{tilted:?}"
    );

    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("a"), &small(), &Series::default());
    write(&folder.path().join("b"), &small(), &Series::default());
    let Unusable::Stack { problems } = read(folder.path()).unwrap_err() else { panic!() };
    assert_eq!(problems, [StackProblem::Duplicates { n: 6 }]);
}

#[test]
fn other_pixels_are_refused_by_name() {
    let reason = |series: Series| written(&series).unwrap_err().to_string();
    let inverted = reason(Series { photometric: "MONOCHROME1", ..Series::default() });
    assert!(inverted.contains("MONOCHROME1"), "{inverted}");
    let localizers = Series { image_type: "ORIGINAL\\PRIMARY\\LOCALIZER", ..Series::default() };
    assert!(reason(localizers).contains("only 6 localizers"));
    let derived = Series { image_type: "DERIVED\\SECONDARY\\MPR", ..Series::default() };
    assert!(reason(derived).contains("6 derived secondary images"));
    let enhanced = Series { class: uids::ENHANCED_CT_IMAGE_STORAGE, ..Series::default() };
    assert!(reason(enhanced).contains("multi-frame"));

    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &small(), &Series::default());
    let wider = head(grid().window([14, 20, 20], [1, 50, 41]).unwrap(), 10.0);
    write(&folder.path().join("more"), &wider, &Series::default());
    let mixed = read(folder.path()).unwrap_err().to_string();
    assert!(mixed.contains("differ in matrix"), "{mixed}");
}

/// A file may end anywhere: the reason is named and nothing panics.
#[test]
fn a_file_cut_short_anywhere_costs_its_series() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &small(), &Series::default());
    let file = folder.path().join("2-003");
    let bytes = std::fs::read(&file).unwrap();
    for length in [140, 200, 400, 600, 800, 1000, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&file, &bytes[..length]).unwrap();
        let reason = read(folder.path()).err().unwrap_or_else(|| panic!("cut at {length}: read"));
        let text = reason.to_string();
        let named = text.contains("cut short") || text.contains("missing");
        assert!(named, "cut at {length}: {text}");
        assert!(!text.contains(&*folder.path().to_string_lossy()), "{text}");
    }
    // With fewer than 132 bytes it is no DICOM file any more, and the stack has a gap.
    std::fs::write(&file, &bytes[..100]).unwrap();
    assert!(matches!(read(folder.path()), Err(Unusable::Stack { .. })));
    std::fs::write(&file, &bytes).unwrap();
    assert!(read(folder.path()).is_ok());
}
