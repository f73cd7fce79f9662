//! DICOM series made as scanners make them, sound and unsound.

use std::path::Path;

use crate::support::series::{Series, write};
use crate::support::{DICOM, grid, head};
use dicom_dictionary_std::uids;
use hemex_ingest::dicom::{Facts, PADDING_HU, Stack, read_series};
use hemex_ingest::{DicomSettings, SliceThickness, StackProblem, UnevenSlices, Unusable};
use hemex_volume::{Geometry, Image};

/// A series as the volume it makes.
struct Read {
    image: Image,
    stack: Stack,
    facts: Facts,
}

fn read_as(folder: &Path, settings: &DicomSettings) -> Result<Read, Unusable> {
    let files = hemex_stage::digest::list_files(folder).unwrap();
    let series = read_series(&files, settings)?;
    let image = series.stack.clone().into_image(series.voxels, settings)?;
    Ok(Read { image, stack: series.stack, facts: series.facts })
}

fn read(folder: &Path) -> Result<Read, Unusable> {
    read_as(folder, &DICOM)
}

fn small() -> Image {
    let geometry: Geometry = grid().window([8, 20, 20], [6, 50, 40]).unwrap();
    head(geometry, 10.0)
}

fn written(series: &Series) -> Result<Read, Unusable> {
    written_as(series, &DICOM)
}

fn written_as(series: &Series, settings: &DicomSettings) -> Result<Read, Unusable> {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &small(), series);
    read_as(folder.path(), settings)
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
            assert_eq!(found.facts.convolution_kernel.as_deref(), Some("H31s"));
            assert_eq!(found.facts.acquired.as_deref(), Some("20200229T123456"));
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

/// The reasons of all series but the one taken, and the number of that one.
fn choice(read: &Read) -> (Option<i64>, Vec<String>) {
    let taken = read.facts.candidates.iter().find(|c| c.taken).unwrap();
    let others = read.facts.candidates.iter().filter(|c| !c.taken);
    (taken.series_number, others.map(|c| c.reason.clone()).collect())
}

#[test]
fn one_series_is_taken_and_every_other_has_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let image = small();
    let put = |name: &str, series: Series| write(&folder.path().join(name), &image, &series);
    put("head", Series { number: 3, ..Series::default() });
    put("part", Series { uid: "1.2.3.2", number: 1, without: vec![4, 5], ..Series::default() });
    let localizer = "ORIGINAL\\PRIMARY\\LOCALIZER";
    put(
        "localizer",
        Series { uid: "1.2.3.3", number: 4, image_type: localizer, ..Series::default() },
    );
    let capture = uids::SECONDARY_CAPTURE_IMAGE_STORAGE;
    put("capture", Series { uid: "1.2.3.4", number: 5, class: capture, ..Series::default() });
    let reformat = "DERIVED\\PRIMARY\\MPR";
    put(
        "reformat",
        Series { uid: "1.2.3.5", number: 6, image_type: reformat, ..Series::default() },
    );
    put(
        "chest",
        Series { uid: "1.2.3.6", number: 7, body_part: Some("CHEST"), ..Series::default() },
    );
    put("bone", Series { uid: "1.2.3.7", number: 2, kernel: "H60s", ..Series::default() });
    std::fs::write(folder.path().join("notes.txt"), "no DICOM").unwrap();

    let found = read(folder.path()).unwrap();
    let (number, others) = choice(&found);
    assert_eq!((number, found.image.geometry().shape()[0]), (Some(3), 6));
    let expected = [
        "4 axial slices every 5.00 mm, soft-tissue kernel: covers too little of the head",
        "6 axial slices every 5.00 mm, bone kernel: not the wanted kernel",
        "localizers",
        "secondary captures",
        "reformats",
        "images of other body parts",
    ];
    assert_eq!(others, expected);
    let bone = DicomSettings { kernel: hemex_ingest::Sharpness::Bone, ..DICOM };
    assert_eq!(choice(&read_as(folder.path(), &bone).unwrap()).0, Some(2));
}

#[test]
fn thin_or_thick_slices_by_config() {
    let folder = tempfile::tempdir().unwrap();
    let image = small();
    let fine = image.geometry().with_spacing([1.0, 2.0, 2.0]).unwrap();
    write(&folder.path().join("thick"), &image, &Series { number: 9, ..Series::default() });
    let thin = Series { uid: "1.2.3.2", number: 1, ..Series::default() };
    write(&folder.path().join("thin"), &image.resample(&fine, 0.0), &thin);
    for (slices, number, n_slices) in [(SliceThickness::Thick, 9, 6), (SliceThickness::Thin, 1, 30)]
    {
        let found = read_as(folder.path(), &DicomSettings { slices, ..DICOM }).unwrap();
        assert_eq!(choice(&found).0, Some(number));
        assert_eq!(found.stack.depths_mm.len(), n_slices);
    }
}

#[test]
fn tilt_gaps_and_uneven_steps_are_put_right_or_refused() {
    let refuse = DicomSettings { uneven_slices: UnevenSlices::Refuse, ..DICOM };
    let problems = |series: &Series, settings: &DicomSettings| match written_as(series, settings) {
        Err(Unusable::Stack { problems }) => problems,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was read"),
    };
    let missing = Series { without: vec![2], ..Series::default() };
    let expected = StackProblem::Missing { n: 1, distances_mm: vec![5.0, 10.0] };
    assert_eq!(problems(&missing, &refuse), [expected]);
    let found = written(&missing).unwrap();
    assert_eq!(found.image.geometry().shape()[0], 6);
    // The slice that is missing is the mean of its neighbours.
    let (below, above) = (found.image.slice(1), found.image.slice(3));
    for ((middle, a), b) in found.image.slice(2).iter().zip(below).zip(above) {
        assert!((middle - (a + b) / 2.0).abs() < 1e-3);
    }

    let uneven = Series { gap: Some((2, 1.25)), ..Series::default() };
    let expected = StackProblem::Uneven { distances_mm: vec![5.0, 6.25] };
    assert_eq!(problems(&uneven, &refuse), [expected]);
    let wide = Series { gap: Some((2, 11.0)), ..Series::default() };
    let expected = StackProblem::Gap { gap_mm: 16.0, max_gap_mm: 15.0 };
    assert_eq!(problems(&wide, &DICOM), [expected]);

    // Shifted by the tangent of 14° along the slices.
    let tilted = Series { shift_mm: 5.0 * 14f64.to_radians().tan(), ..Series::default() };
    let found = written_as(&tilted, &refuse).unwrap();
    assert!((found.stack.tilt_degrees() - 14.0).abs() < 0.01, "{}", found.stack.tilt_degrees());
    assert!((found.image.geometry().voxel_ml() - small().geometry().voxel_ml()).abs() < 1e-9);
}

/// The same slice twice is kept once; two that differ are a question only their acquisitions answer.
#[test]
fn slices_at_one_position() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("a"), &small(), &Series::default());
    write(&folder.path().join("b"), &small(), &Series::default());
    let found = read(folder.path()).unwrap();
    assert_eq!((found.image.geometry().shape()[0], found.facts.n_duplicates), (6, 6));

    let mut other = small();
    other.voxels_mut().iter_mut().for_each(|hu| *hu += 1.0);
    write(&folder.path().join("b"), &other, &Series::default());
    let Err(Unusable::Stack { problems }) = read(folder.path()) else { panic!() };
    assert_eq!(problems, [StackProblem::Duplicates { n: 6 }]);

    let second = Series { acquisition: Some(2), ..Series::default() };
    write(&folder.path().join("b"), &other, &second);
    let first = Series { acquisition: Some(1), ..Series::default() };
    write(&folder.path().join("a"), &small(), &first);
    let found = read(folder.path()).unwrap();
    let back = found.image.resample(small().geometry(), 0.0);
    assert_eq!(back.voxels(), small().voxels(), "the first acquisition");
    let (_, others) = choice(&found);
    assert!(others[0].contains("one of several acquisitions"), "{others:?}");
}

#[test]
fn files_without_preamble_are_read_and_any_name_will_do() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &small(), &Series::default());
    for path in hemex_stage::digest::list_files(folder.path()).unwrap() {
        let bytes = std::fs::read(&path).unwrap();
        // The meta group's length is its first element's value.
        let length = u32::from_le_bytes(*bytes[140..].first_chunk().unwrap()) as usize;
        std::fs::write(path.with_extension("JPG"), &bytes[144 + length..]).unwrap();
        std::fs::remove_file(path).unwrap();
    }
    let found = read(folder.path()).unwrap();
    assert_eq!(found.image.resample(small().geometry(), 0.0).voxels(), small().voxels());
}

#[test]
fn the_way_back_names_each_slices_instance() {
    let found = written(&Series::default()).unwrap();
    let uids: Vec<&str> =
        found.facts.sources.iter().map(|source| source.sop_instance_uid.as_str()).collect();
    assert_eq!(
        uids,
        ["1.2.3.1.1", "1.2.3.1.2", "1.2.3.1.3", "1.2.3.1.4", "1.2.3.1.5", "1.2.3.1.6"]
    );
}

#[test]
fn other_pixels_are_refused_by_name() {
    let reason = |series: Series| written(&series).err().unwrap().to_string();
    let colour = reason(Series { photometric: "RGB", ..Series::default() });
    assert!(colour.contains("MONOCHROME"), "{colour}");
    let localizers = Series { image_type: "ORIGINAL\\PRIMARY\\LOCALIZER", ..Series::default() };
    assert!(reason(localizers).contains("only 6 localizers"));
    let derived = Series { image_type: "DERIVED\\SECONDARY\\AXIAL", ..Series::default() };
    assert!(reason(derived).contains("6 derived secondary images"));

    // MONOCHROME1 asks for another display, not for other HU.
    let inverted = written(&Series { photometric: "MONOCHROME1", ..Series::default() }).unwrap();
    assert_eq!(inverted.image.resample(small().geometry(), 0.0).voxels(), small().voxels());

    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &small(), &Series::default());
    let wider = head(grid().window([14, 20, 20], [1, 50, 41]).unwrap(), 10.0);
    write(&folder.path().join("more"), &wider, &Series::default());
    let mixed = read(folder.path()).err().unwrap().to_string();
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
    let refuse = DicomSettings { uneven_slices: UnevenSlices::Refuse, ..DICOM };
    assert!(matches!(read_as(folder.path(), &refuse), Err(Unusable::Stack { .. })));
    std::fs::write(&file, &bytes).unwrap();
    assert!(read(folder.path()).is_ok());
}
