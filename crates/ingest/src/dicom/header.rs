use std::path::{Path, PathBuf};

use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};
use dicom_object::DefaultDicomObject;

use super::{file, syntax};
use crate::{Unusable, kernel};

/// The largest matrix that is believed.
const MAX_MATRIX: usize = 8192;

/// What a file of the folder is.
#[derive(Debug)]
pub(super) enum Content {
    /// No DICOM file.
    Foreign,
    /// DICOM by its first bytes, but it cannot be parsed.
    Damaged,
    /// DICOM in a transfer syntax that nobody here can parse.
    Undecodable(Unusable),
    /// DICOM, but no slice of an axial CT series.
    Other(&'static str),
    /// A CT image of several frames.
    MultiFrame,
    /// An axial CT slice.
    Slice(Box<SliceHeader>),
}

/// What an axial CT slice says of itself, its pixels not yet read.
#[derive(Debug, Clone)]
pub(super) struct SliceHeader {
    pub(super) path: PathBuf,
    pub(super) series_uid: String,
    pub(super) series_number: i64,
    pub(super) transfer_syntax: Result<(), Unusable>,
    pub(super) n_rows: usize,
    pub(super) n_columns: usize,
    /// Distance of rows, then of columns, mm.
    pub(super) pixel_spacing_mm: [f64; 2],
    /// Direction along a row, then along a column, patient coordinates (LPS).
    pub(super) orientation: [[f64; 3]; 2],
    /// Centre of the first voxel, patient coordinates (LPS), mm.
    pub(super) position_mm: [f64; 3],
    pub(super) convolution_kernel: Option<String>,
    pub(super) acquired: Option<String>,
}

/// Reads a file up to its pixels.
pub(super) fn read(path: &Path) -> Content {
    if !super::is_dicom(path) {
        return Content::Foreign;
    }
    let Some(opened) = file::open(path) else { return Content::Damaged };
    let meta = opened.meta.clone();
    if meta.sop_class == uids::MEDIA_STORAGE_DIRECTORY_STORAGE {
        return Content::Other("directories");
    }
    match (opened.parse(Some(tags::PIXEL_DATA)), syntax::check(&meta.transfer_syntax)) {
        (Some(object), _) => of_object(path, &object, &meta.transfer_syntax),
        (None, Err(refused)) => Content::Undecodable(refused),
        (None, Ok(())) => Content::Damaged,
    }
}

fn of_object(path: &Path, object: &DefaultDicomObject, transfer_syntax: &str) -> Content {
    let class = text(object, tags::SOP_CLASS_UID).unwrap_or_default();
    let is_enhanced = class == uids::ENHANCED_CT_IMAGE_STORAGE
        || class == uids::LEGACY_CONVERTED_ENHANCED_CT_IMAGE_STORAGE;
    if is_enhanced || integer(object, tags::NUMBER_OF_FRAMES).is_some_and(|n| n > 1) {
        return Content::MultiFrame;
    }
    if text(object, tags::MODALITY).as_deref() != Some("CT") {
        return Content::Other("images of other modalities");
    }
    if class != uids::CT_IMAGE_STORAGE {
        return Content::Other("secondary captures and reports");
    }
    let image_type = text(object, tags::IMAGE_TYPE).unwrap_or_default();
    let types: Vec<&str> = image_type.split('\\').map(str::trim).collect();
    if types.contains(&"LOCALIZER") {
        return Content::Other("localizers");
    }
    if types.contains(&"DERIVED") && types.contains(&"SECONDARY") {
        return Content::Other("derived secondary images");
    }
    let Some(slice) = slice(path, object, transfer_syntax) else {
        return Content::Other("images without position, orientation, spacing or matrix");
    };
    match is_axial(slice.orientation) {
        true => Content::Slice(Box::new(slice)),
        false => Content::Other("images that are not axial"),
    }
}

fn slice(path: &Path, object: &DefaultDicomObject, transfer_syntax: &str) -> Option<SliceHeader> {
    let matrix = |tag| {
        integer(object, tag)
            .and_then(|n| usize::try_from(n).ok())
            .filter(|n| (1..=MAX_MATRIX).contains(n))
    };
    let [a, b, c, d, e, f] = numbers(object, tags::IMAGE_ORIENTATION_PATIENT)?;
    let pixel_spacing_mm: [f64; 2] = numbers(object, tags::PIXEL_SPACING)?;
    if pixel_spacing_mm.iter().any(|mm| *mm <= 0.0) {
        return None;
    }
    Some(SliceHeader {
        path: path.to_owned(),
        series_uid: text(object, tags::SERIES_INSTANCE_UID).unwrap_or_default(),
        series_number: integer(object, tags::SERIES_NUMBER).unwrap_or(i64::MAX),
        transfer_syntax: syntax::check(transfer_syntax),
        n_rows: matrix(tags::ROWS)?,
        n_columns: matrix(tags::COLUMNS)?,
        pixel_spacing_mm,
        orientation: unit_and_perpendicular([[a, b, c], [d, e, f]])?,
        position_mm: numbers(object, tags::IMAGE_POSITION_PATIENT)?,
        convolution_kernel: text(object, tags::CONVOLUTION_KERNEL)
            .and_then(|name| kernel::plain(&name)),
        acquired: acquired(object),
    })
}

/// The two directions at length 1, if they are perpendicular unit vectors up to rounding.
fn unit_and_perpendicular(directions: [[f64; 3]; 2]) -> Option<[[f64; 3]; 2]> {
    let [row, column] = directions;
    let norm = |v: [f64; 3]| v.iter().map(|x| x * x).sum::<f64>().sqrt();
    let cosine: f64 = row.iter().zip(column).map(|(a, b)| a * b).sum();
    let sound =
        (norm(row) - 1.0).abs() < 0.01 && (norm(column) - 1.0).abs() < 0.01 && cosine.abs() < 0.01;
    sound.then(|| directions.map(|v| v.map(|x| x / norm(v))))
}

/// Whether the plane's normal runs closer to the body axis than to the other two.
fn is_axial(orientation: [[f64; 3]; 2]) -> bool {
    let [x, y, z] = super::stack::cross(orientation[0], orientation[1]).map(f64::abs);
    z > x && z > y
}

fn acquired(object: &DefaultDicomObject) -> Option<String> {
    let date = text(object, tags::ACQUISITION_DATE).or_else(|| text(object, tags::STUDY_DATE))?;
    let time = text(object, tags::ACQUISITION_TIME).or_else(|| text(object, tags::STUDY_TIME));
    Some(format!("{date}T{}", time.unwrap_or_default()))
}

/// The value as text without padding; `None` if it is missing, empty or no text.
pub(super) fn text(object: &DefaultDicomObject, tag: Tag) -> Option<String> {
    let value = object.get(tag)?.to_str().ok()?;
    let value = value.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    (!value.is_empty()).then(|| value.to_owned())
}

/// The value as a whole number.
pub(super) fn integer(object: &DefaultDicomObject, tag: Tag) -> Option<i64> {
    object.get(tag)?.to_int().ok()
}

/// The value as exactly `N` finite numbers.
pub(super) fn numbers<const N: usize>(object: &DefaultDicomObject, tag: Tag) -> Option<[f64; N]> {
    let values = object.get(tag)?.to_multi_float64().ok()?;
    let values: [f64; N] = values.try_into().ok()?;
    values.iter().all(|v| v.is_finite()).then_some(values)
}
