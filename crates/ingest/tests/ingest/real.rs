//! Real scans: read, or refused by name.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use crate::support::real::{data, unpacked};
use dicom_dictionary_std::tags;
use dicom_pixeldata::PixelDecoder;
use hemex_ingest::dicom::read_series;
use hemex_ingest::{PreparationSettings, StackProblem, Unusable, prepare};
use hemex_volume::{Affine, Geometry, Image};

fn files(folder: &Path) -> Vec<PathBuf> {
    hemex_stage::digest::list_files(folder).unwrap()
}

fn stack_problems(folder: &Path) -> Vec<StackProblem> {
    match read_series(&files(folder)).unwrap_err() {
        Unusable::Stack { problems } => problems,
        other => panic!("{other}"),
    }
}

#[test]
fn the_ge_head_is_refused_for_tilt_and_uneven_slices() {
    let Some(data) = data("the GE head") else { return };
    let folder = unpacked(&data.join("headct_ge_tilt/dicom.tar.xz"));
    let problems = stack_problems(folder.path());
    let [StackProblem::Tilt { degrees }, StackProblem::Uneven { distances_mm }] = &problems[..]
    else {
        panic!("{problems:?}")
    };
    assert!((degrees - 18.5).abs() < 0.01, "{degrees}");
    // Steps of 1.14, 4.22 and 7.38 mm along the table are these along the normal.
    let expected = [1.14, 4.22, 7.38].map(|mm: f64| mm * 18.5f64.to_radians().cos());
    for (found, expected) in distances_mm.iter().zip(expected) {
        assert!((found - expected).abs() < 0.01, "{distances_mm:?}");
    }
}

#[test]
fn a_tilt_without_a_tag_and_a_missing_slice_are_seen() {
    let Some(data) = data("tilt and missing slice") else { return };
    let folder = unpacked(&data.join("geometry/tilt_and_missing_slice.tar.xz"));
    let tilted = stack_problems(&folder.path().join("gantrytilting/001"));
    assert!(
        matches!(tilted[..], [StackProblem::Tilt { degrees }] if (degrees - 14.0).abs() < 0.1),
        "{tilted:?}"
    );
    let missing = stack_problems(&folder.path().join("sliceincrement/001"));
    assert!(matches!(missing[..], [StackProblem::Missing { n: 1, .. }]), "{missing:?}");
}

#[test]
fn the_philips_tree_has_one_axial_series() {
    let Some(data) = data("the Philips tree") else { return };
    let folder = unpacked(&data.join("headphantom_philips/S21570.tar.xz"));
    let series = read_series(&files(folder.path())).unwrap();
    assert_eq!(series.image.geometry().shape(), [28, 512, 512]);
    let spacing = series.image.geometry().spacing_mm();
    let expected = [5.0, 0.451171875, 0.451171875];
    assert!((0..3).all(|a| (spacing[a] - expected[a]).abs() < 1e-3), "{spacing:?}");
    assert_eq!((series.n_other_series, series.convolution_kernel.as_deref()), (0, Some("UB")));
    // Rows from left to right of the image run to the patient's left, downwards to the back.
    let [_, h, w] = series.image.geometry().affine().axes_mm();
    assert!(w[0] < 0.0 && h[1] < 0.0);
}

/// The file with its slice 5 mm higher: its text `4.700000` becomes `9.700000`.
fn moved_up(bytes: &[u8], name: &str) -> Vec<u8> {
    let replaced = |bytes: &[u8]| {
        let at = bytes.windows(9).position(|window| window == b"\\4.700000").unwrap();
        let mut bytes = bytes.to_vec();
        bytes[at + 1] = b'9';
        bytes
    };
    if !name.contains("Deflated") {
        return replaced(bytes);
    }
    let meta = 144 + u32::from_le_bytes(bytes[140..144].try_into().unwrap()) as usize;
    let mut inflated = Vec::new();
    flate2::read::DeflateDecoder::new(&bytes[meta..]).read_to_end(&mut inflated).unwrap();
    let mut encoder =
        flate2::write::DeflateEncoder::new(bytes[..meta].to_vec(), Default::default());
    encoder.write_all(&replaced(&inflated)).unwrap();
    encoder.finish().unwrap()
}

/// One slice in each transfer syntax, made a stack of two by moving a copy up.
#[test]
fn every_lossless_transfer_syntax_gives_the_same_voxels() {
    let Some(data) = data("transfer syntaxes") else { return };
    let read = |name: &str| -> Result<Image, Unusable> {
        let folder = tempfile::tempdir().unwrap();
        let bytes = std::fs::read(data.join("transfer_syntax").join(name)).unwrap();
        std::fs::write(folder.path().join("second"), moved_up(&bytes, name)).unwrap();
        std::fs::write(folder.path().join("first"), bytes).unwrap();
        read_series(&files(folder.path())).map(|series| series.image)
    };
    let names: Vec<String> = std::fs::read_dir(data.join("transfer_syntax"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("CTImage"))
        .collect();
    let reference = read("CTImage_implicitLE.dcm").unwrap();
    let mut n_read = 0;
    for name in &names {
        let lossless = [
            "ImplicitLE",
            "implicitLE",
            "Deflated",
            "BigEndian",
            "LittleEndianExplicit",
            "RLELossless",
            "JPEGProcess14",
        ];
        match read(name) {
            Ok(image) => {
                assert_eq!(image.voxels(), reference.voxels(), "{name}");
                n_read += 1;
            }
            Err(Unusable::TransferSyntax { uid, .. }) => {
                assert!(name.contains(&uid), "{name}: {uid}");
                assert!(!lossless.iter().any(|word| name.contains(word)), "{name}");
            }
            Err(other) => panic!("{name}: {other}"),
        }
    }
    assert_eq!(n_read, 7, "of {}", names.len());
}

/// The block of even steps of the GE head as if it stood upright.
fn ge_block(folder: &Path) -> Image {
    let mut slices: Vec<(f64, Vec<f32>)> = files(folder)
        .iter()
        .map(|path| {
            let object = dicom_object::open_file(path).unwrap();
            let position = object.element(tags::IMAGE_POSITION_PATIENT).unwrap();
            let z = position.to_multi_float64().unwrap()[2];
            let pixels = object.decode_pixel_data().unwrap();
            let words = pixels.data().as_chunks::<2>().0;
            let hu: Vec<f32> = words.iter().map(|w| f32::from(i16::from_le_bytes(*w))).collect();
            (z, hu)
        })
        .collect();
    slices.sort_by(|a, b| a.0.total_cmp(&b.0));
    let steps: Vec<f64> = slices.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    let n = 1 + steps.iter().take_while(|step| (**step - 4.22).abs() < 0.02).count();
    // The scanner's first row is the front, its first column the right.
    let rows = [[-0.48828, 0.0, 0.0, 125.0], [0.0, -0.48828, 0.0, 125.0], [0.0, 0.0, 4.22, 0.0]];
    let geometry = Geometry::new([n, 512, 512], Affine::new(rows).unwrap()).unwrap();
    let voxels = slices.into_iter().take(n).flat_map(|(_, hu)| hu).collect();
    Image::new(geometry, voxels).unwrap()
}

#[test]
fn a_real_brain_is_found() {
    let Some(data) = data("the brain of the GE head") else { return };
    let folder = unpacked(&data.join("headct_ge_tilt/dicom.tar.xz"));
    let native = ge_block(folder.path());
    assert_eq!(native.geometry().shape(), [14, 512, 512]);
    let settings = PreparationSettings {
        spacing_mm: [5.0, 2.0, 2.0],
        window_hu: [-100.0, 200.0],
        margin_mm: 6.0,
        brain_ml: [300.0, 2200.0],
    };
    let prepared = prepare(native, &settings).unwrap();
    let brain_ml = prepared.brain.volume_ml(&[1]);
    // 59 mm from the skull base to the upper midbrain, looked at in a picture.
    assert!((390.0..450.0).contains(&brain_ml), "{brain_ml}");
    let geometry = *prepared.brain.geometry();
    assert_eq!(geometry.shape(), [12, 112, 103]);
    let is_brain = |index| prepared.brain.voxels()[geometry.offset(index)] == 1;
    assert!(is_brain([6, 51, 51]), "the pons");
    assert!(is_brain([11, 80, 50]), "a frontal lobe");
    assert!(!is_brain([6, 92, 77]), "an eye");
    assert!(!is_brain([2, 30, 51]), "the neck");
    let noise_hu = prepared.noise_hu.unwrap();
    assert!((0.3..3.0).contains(&noise_hu), "{noise_hu}");
}
