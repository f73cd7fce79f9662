//! Real scans: read, or refused by name.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use crate::support::DICOM;
use crate::support::real::{data, unpacked};
use dicom_dictionary_std::tags;
use dicom_pixeldata::PixelDecoder;
use hemex_ingest::dicom::{PADDING_HU, read_series};
use hemex_ingest::{
    DicomSettings, PreparationSettings, StackProblem, UnevenSlices, Unusable, prepare,
};
use hemex_volume::{Affine, Geometry, Image, RigidMotion, register};

fn settings() -> PreparationSettings {
    PreparationSettings {
        spacing_mm: [5.0, 2.0, 2.0],
        window_hu: [-100.0, 200.0],
        margin_mm: 6.0,
        brain_ml: [300.0, 2200.0],
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    hemex_stage::digest::list_files(folder).unwrap()
}

/// Slices in spatial order as another reader decodes them: z, then HU without padding made air.
fn by_another_reader(folder: &Path) -> Vec<(f64, Vec<f32>)> {
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
    slices
}

#[test]
fn the_ge_head_stands_upright_at_its_true_positions() {
    let Some(data) = data("the GE head") else { return };
    let folder = unpacked(&data.join("headct_ge_tilt/dicom.tar.xz"));
    let series = read_series(&files(folder.path()), &DICOM).unwrap();
    let stack = &series.stack;
    assert!((stack.tilt_degrees() - 18.5).abs() < 0.01, "{}", stack.tilt_degrees());
    // Steps of 4.22, 1.14 and 7.38 mm along the table are these along the normal.
    let cosine = 18.5f64.to_radians().cos();
    let steps: Vec<f64> = stack.depths_mm.windows(2).map(|pair| pair[1] - pair[0]).collect();
    for (step, expected) in steps.iter().zip([[4.22; 13].as_slice(), &[1.14], &[7.38; 13]].concat())
    {
        assert!((step - expected * cosine).abs() < 0.02, "{steps:?}");
    }
    // The voxel's volume from the tags: 0.48828² × 4.22 × cos 18.5° mm³.
    for slice_idx in 0..13 {
        assert!((stack.voxel_mm3(slice_idx) / 0.954 - 1.0).abs() < 0.005);
    }
    let refuse = DicomSettings { uneven_slices: UnevenSlices::Refuse, ..DICOM };
    let refused = stack.clone().into_image(series.voxels.clone(), &refuse);
    assert!(matches!(refused, Err(Unusable::Stack { .. })));

    let expected = by_another_reader(folder.path());
    let n_voxels = 512 * 512;
    for (i, (_, slice)) in expected.iter().enumerate() {
        let found = &series.voxels[i * n_voxels..(i + 1) * n_voxels];
        let same =
            |(found, raw): (&f32, &f32)| *found == if *raw == -1500.0 { PADDING_HU } else { *raw };
        assert!(found.iter().zip(slice).all(same), "slice {i}");
    }
}

#[test]
fn the_brain_of_the_ge_head_is_found_whole() {
    let Some(data) = data("the brain of the GE head") else { return };
    let folder = unpacked(&data.join("headct_ge_tilt/dicom.tar.xz"));
    let series = read_series(&files(folder.path()), &DICOM).unwrap();
    let native = series.stack.into_image(series.voxels, &DICOM).unwrap();
    // The grid leans with the gantry, so that its voxels hold what the scanner measured.
    let step = native.geometry().spacing_mm()[0] * 18.5f64.to_radians().cos();
    let pixels_mm2 = 0.48828 * 0.48828;
    assert!((native.geometry().voxel_ml() * 1000.0 - pixels_mm2 * step).abs() < 1e-4);
    let prepared = prepare(native, &settings()).unwrap();
    let brain_ml = prepared.brain.volume_ml(&[1]);
    assert!((1000.0..1700.0).contains(&brain_ml), "{brain_ml}");
    let [d, h, w] = prepared.image.geometry().affine().axes_mm();
    let dot = |a: [f64; 3], b: [f64; 3]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    assert!(dot(d, h).abs() < 1e-6 && dot(d, w).abs() < 1e-6, "the canonical grid is upright");
    let noise_hu = prepared.noise_hu.unwrap();
    assert!((0.3..3.5).contains(&noise_hu), "{noise_hu}");
}

#[test]
fn a_tilt_without_a_tag_is_seen_and_a_missing_slice_is_interpolated() {
    let Some(data) = data("tilt and missing slice") else { return };
    let folder = unpacked(&data.join("geometry/tilt_and_missing_slice.tar.xz"));
    let tilted = read_series(&files(&folder.path().join("gantrytilting/001")), &DICOM).unwrap();
    assert!((tilted.stack.tilt_degrees() - 14.0).abs() < 0.1, "{}", tilted.stack.tilt_degrees());
    let files = files(&folder.path().join("sliceincrement/001"));
    let missing = read_series(&files, &DICOM).unwrap();
    let problem = missing.stack.unevenness();
    assert!(matches!(problem, Some(StackProblem::Missing { n: 1, .. })), "{problem:?}");
    let image = missing.stack.into_image(missing.voxels, &DICOM).unwrap();
    // 5, 5 and 10 mm.
    assert_eq!(image.geometry().shape()[0], 5);
    assert!((image.geometry().spacing_mm()[0] - 5.0).abs() < 1e-3);
}

#[test]
fn of_the_philips_tree_the_one_axial_series_is_taken() {
    let Some(data) = data("the Philips tree") else { return };
    let folder = unpacked(&data.join("headphantom_philips/S21570.tar.xz"));
    let series = read_series(&files(folder.path()), &DICOM).unwrap();
    let facts = &series.facts;
    let taken: Vec<_> = facts.candidates.iter().filter(|c| c.taken).collect();
    assert_eq!((taken.len(), taken[0].series_number), (1, Some(201)), "{:?}", facts.candidates);
    let others: Vec<(Option<i64>, &str)> = facts
        .candidates
        .iter()
        .filter(|c| !c.taken)
        .map(|c| (c.series_number, c.reason.as_str()))
        .collect();
    assert!(others.contains(&(Some(100), "localizers")), "{others:?}");
    assert!(others.iter().any(|(_, reason)| *reason == "secondary captures"), "{others:?}");
    assert!(others.iter().all(|(_, reason)| !reason.is_empty()));
    assert_eq!(facts.convolution_kernel.as_deref(), Some("UB"));
    assert_eq!(facts.manufacturer.as_deref(), Some("Philips"));
    assert_eq!(facts.slice_thickness_mm, Some(5.0));

    let image = series.stack.into_image(series.voxels, &DICOM).unwrap();
    assert_eq!(image.geometry().shape(), [28, 512, 512]);
    let spacing = image.geometry().spacing_mm();
    let expected = [5.0, 0.451171875, 0.451171875];
    assert!((0..3).all(|a| (spacing[a] - expected[a]).abs() < 1e-3), "{spacing:?}");
    // Rows from left to right of the image run to the patient's left, downwards to the back.
    let [_, h, w] = image.geometry().affine().axes_mm();
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

/// One slice in each transfer syntax, made a stack of two by moving a copy up: lossless ones give the
/// same voxels, lossy ones stay within what their compression loses.
#[test]
fn transfer_syntaxes_are_exact_or_within_their_loss() {
    let Some(data) = data("transfer syntaxes") else { return };
    let read = |name: &str| -> Result<Vec<f32>, Unusable> {
        let folder = tempfile::tempdir().unwrap();
        let bytes = std::fs::read(data.join("transfer_syntax").join(name)).unwrap();
        std::fs::write(folder.path().join("second"), moved_up(&bytes, name)).unwrap();
        std::fs::write(folder.path().join("first"), bytes).unwrap();
        read_series(&files(folder.path()), &DICOM).map(|series| series.voxels)
    };
    let names: Vec<String> = std::fs::read_dir(data.join("transfer_syntax"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("CTImage"))
        .collect();
    let reference = read("CTImage_implicitLE.dcm").unwrap();
    let mut n_exact = 0;
    for name in &names {
        // The largest and the mean difference that a lossy one may have, HU. Process 1 has 8 bits for
        // 4,400 HU, steps of 17.
        let lossy = [
            ("JPEG2000TransferSyntax", 8.0, 1.0),
            ("JPEGLSLossy", 1.0, 1.0),
            ("JPEGProcess1T", 100.0, 25.0),
            ("JPEGProcess2_4", 60.0, 6.0),
        ];
        let lossy = lossy.iter().find(|(word, ..)| name.contains(word));
        match (read(name), lossy) {
            (Ok(voxels), None) => {
                assert!(voxels == reference, "{name}");
                n_exact += 1;
            }
            (Ok(voxels), Some((_, most, mean))) => {
                // Padding is no longer exact where it is compressed with loss: tissue is compared.
                let pairs = voxels.iter().zip(&reference).filter(|(_, b)| **b > -1000.0);
                let differences: Vec<f32> = pairs.map(|(a, b)| (a - b).abs()).collect();
                let largest = differences.iter().copied().fold(0.0, f32::max);
                let average = differences.iter().sum::<f32>() / differences.len() as f32;
                assert!(largest <= *most && average <= *mean, "{name}: {largest}, {average}");
                assert!(average > 0.0, "{name} is no lossy one");
            }
            (Err(Unusable::TransferSyntax { uid, .. }), _) => {
                assert!(name.contains(&uid), "{name}: {uid}");
                let others = ["JPEGLS", "JPEGProcess6_8", "JPEGProcess10_12"];
                assert!(others.iter().any(|word| name.contains(word)), "{name}");
            }
            (Err(other), _) => panic!("{name}: {other}"),
        }
    }
    let n_expected = if cfg!(feature = "jpeg-ls") { 9 } else { 8 };
    assert_eq!(n_exact, n_expected, "of {}", names.len());
}

/// Two frames of 12-bit JPEG in several fragments without an offset table.
#[test]
fn frames_in_fragments_are_told_apart() {
    let Some(data) = data("frames in fragments") else { return };
    let file = data.join("transfer_syntax/CT0012.fragmented_no_bot_jpeg_baseline.51.dcm");
    let series = read_series(&[file], &DICOM).unwrap();
    assert_eq!((series.stack.depths_mm.len(), series.stack.matrix), (2, [512, 512]));
    let lowest = series.voxels.iter().copied().fold(f32::INFINITY, f32::min);
    let highest = series.voxels.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    // As SimpleITK has them.
    assert!((lowest + 14.0).abs() <= 1.0 && (highest - 1199.0).abs() <= 1.0, "{lowest} {highest}");
}

/// The block of even steps of the GE head as if it stood upright.
fn ge_block(folder: &Path) -> Image {
    let slices = by_another_reader(folder);
    let steps: Vec<f64> = slices.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    let n = 1 + steps.iter().take_while(|step| (**step - 4.22).abs() < 0.02).count();
    // The scanner's first row is the front, its first column the right.
    let rows = [[-0.48828, 0.0, 0.0, 125.0], [0.0, -0.48828, 0.0, 125.0], [0.0, 0.0, 4.22, 0.0]];
    let geometry = Geometry::new([n, 512, 512], Affine::new(rows).unwrap()).unwrap();
    let voxels = slices.into_iter().take(n).flat_map(|(_, hu)| hu).collect();
    Image::new(geometry, voxels).unwrap()
}

#[test]
fn a_part_of_a_brain_is_found() {
    let Some(data) = data("the brain of the GE head") else { return };
    let folder = unpacked(&data.join("headct_ge_tilt/dicom.tar.xz"));
    let native = ge_block(folder.path());
    assert_eq!(native.geometry().shape(), [14, 512, 512]);
    let prepared = prepare(native, &settings()).unwrap();
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

/// The GE head as another scanner sees it once it has turned by 8.8° and gone 19 mm: slices of 6 mm, a grid of its own,
/// noise of some HU.
#[test]
fn a_real_head_that_has_moved_is_found_back() {
    let Some(data) = data("a GE head that has moved") else { return };
    let folder = unpacked(&data.join("headct_ge_tilt/dicom.tar.xz"));
    let series = read_series(&files(folder.path()), &DICOM).unwrap();
    let native = series.stack.into_image(series.voxels, &DICOM).unwrap();
    let prepared = prepare(native.clone(), &settings()).unwrap();
    let middle_mm = prepared.brain.centroid_mm(&[1]).unwrap();
    let truth = RigidMotion::about(middle_mm, [5.0, -4.0, 6.0], [9.0, -7.0, 15.0]);
    let [x, y, z] = truth.point_mm(middle_mm);
    let affine = Affine::from_spacing([6.0, 0.9, 0.9], [x - 115.0, y - 115.0, z - 81.0]).unwrap();
    let grid = Geometry::new([28, 256, 256], affine).unwrap();
    let mut moved = native.resample_moved(&truth.inverse(), &grid, PADDING_HU);
    for (i, hu) in moved.voxels_mut().iter_mut().enumerate() {
        *hu += ((i as u32).wrapping_mul(2_654_435_761) >> 16) as f32 % 13.0 - 6.0;
    }
    let found = register(&moved, &prepared.image, None).unwrap();
    let bounds = prepared.brain.bounds(&[1]).unwrap();
    // At the corners of the brain's box, some of which lie outside the head.
    let errors_mm = (0..8).map(|corner| {
        let index = std::array::from_fn(|axis| bounds[axis][corner >> axis & 1] as f64);
        let point = prepared.brain.geometry().point_mm(index);
        let (found, truth) = (found.motion.point_mm(point), truth.point_mm(point));
        (0..3).map(|i| (found[i] - truth[i]).powi(2)).sum::<f64>().sqrt()
    });
    let error_mm = errors_mm.fold(0.0, f64::max);
    assert!(error_mm < 0.5, "{error_mm} mm, {found:?}");
    assert!(found.agreement > 0.9, "{found:?}");
}
