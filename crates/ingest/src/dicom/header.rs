//! What a DICOM file says of itself before its pixels are read.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dicom_core::Tag;
use dicom_dictionary_std::{tags, uids};
use hemex_artifacts::limits::MAX_MATRIX;
use hemex_volume::vector::{cross, dot, norm};

use super::dataset::{DataSet, Fault};
use super::file::{Opened, Pixels, open};
use super::pixels::Format;
use crate::acquisition::known_maker;
use crate::{Unusable, kernel};

/// What a file of the folder is.
#[derive(Debug)]
pub(super) enum Content {
    /// No DICOM file.
    Foreign,
    /// DICOM by its first bytes, but it cannot be parsed.
    Damaged,
    /// DICOM, but no image that could be of the series that is looked for.
    Other(Other),
    /// An axial CT slice, or several in one file.
    Slices(Vec<Slice>),
}

/// A file that is not of a series that can be taken.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Other {
    /// As [`SeriesHeader::uid`].
    pub(super) series_uid: String,
    /// As [`SeriesHeader::number`].
    pub(super) series_number: Option<i64>,
    /// What it is, in the plural.
    pub(super) what: &'static str,
}

/// What the slices of a series share.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SeriesHeader {
    /// Series instance UID; empty if there is none.
    pub(super) uid: String,
    /// Study instance UID; empty if there is none.
    pub(super) study_uid: String,
    /// Series number.
    pub(super) number: Option<i64>,
    pub(super) convolution_kernel: Option<String>,
    pub(super) tube_voltage_kvp: Option<f64>,
    pub(super) manufacturer: Option<String>,
    /// Nominal thickness of its slices.
    pub(super) thickness_mm: Option<f64>,
    /// Date and time as they are written; for the private artifact alone.
    pub(super) acquired: Option<String>,
}

/// What an axial CT slice says of itself, its pixels not yet read.
#[derive(Debug, Clone)]
pub(super) struct Slice {
    pub(super) path: PathBuf,
    pub(super) series: SeriesHeader,
    /// SOP instance UID; for the private artifact alone.
    pub(super) sop_instance_uid: String,
    /// Tells acquisitions within a series apart.
    pub(super) acquisition_number: Option<i64>,
    pub(super) frame_idx: usize,
    pub(super) n_frames: usize,
    pub(super) n_rows: usize,
    pub(super) n_columns: usize,
    /// Distance of rows, then of columns, mm.
    pub(super) pixel_spacing_mm: [f64; 2],
    /// Direction along a row, then along a column, patient coordinates (LPS).
    pub(super) orientation: [[f64; 3]; 2],
    /// Centre of the first voxel, patient coordinates (LPS), mm.
    pub(super) position_mm: [f64; 3],
    /// Shared by the frames of a file.
    pub(super) pixels: Arc<Pixels>,
    /// How stored values become HU, or why they do not.
    pub(super) format: Result<Format, Unusable>,
    /// The extended offset table of a file of several frames.
    pub(super) frame_offsets: Arc<[u64]>,
}

/// Body parts that show the head; others are out. A file that names none may be a head.
const HEAD: [&str; 10] = [
    "HEAD",
    "BRAIN",
    "SKULL",
    "HEADNECK",
    "HEAD AND NECK",
    "HEAD_NECK",
    "NEUROHEAD",
    "CRANIUM",
    "SCHAEDEL",
    "NEURO",
];

/// Words of an image type that name images computed from others.
const REFORMATTED: [&str; 7] =
    ["MPR", "REFORMATTED", "MIP", "MINIP", "PROJECTION IMAGE", "3D", "VRT"];

/// Reads a file up to its pixels.
pub(super) fn read(path: &Path) -> Content {
    match open(path) {
        Opened::Foreign => Content::Foreign,
        Opened::Damaged => Content::Damaged,
        Opened::Content(content) => {
            if content.sop_class == uids::MEDIA_STORAGE_DIRECTORY_STORAGE {
                return other(None, "directories");
            }
            let (syntax, begin) = (content.transfer_syntax.clone(), content.begin());
            let found = content.with_data_set(path, |set| of_set(path, set, &syntax, begin));
            match found {
                Ok(content) => content,
                Err(Fault::CutShort | Fault::Nonsense | Fault::TooDeep) => Content::Damaged,
            }
        }
    }
}

/// Whose file it is, and of which study.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct StudyId {
    pub(crate) study_instance_uid: String,
    /// The study's UID where the file names no patient.
    pub(crate) patient_id: String,
}

/// The study of a file, and when that and the slices in it were begun, as the file writes it: nothing of a file that is
/// no head CT. `None` for one that is no DICOM file or of no study.
pub(crate) fn study_of(path: &Path) -> Option<(StudyId, Vec<String>)> {
    let Opened::Content(content) = open(path) else { return None };
    let study = content.with_data_set(path, |set| {
        let study_instance_uid = set.text(tags::STUDY_INSTANCE_UID)?;
        let patient_id = set.text(tags::PATIENT_ID).unwrap_or_else(|| study_instance_uid.clone());
        let study = written(set.text(tags::STUDY_DATE), set.text(tags::STUDY_TIME));
        let begun = acquired(set).into_iter().chain(study);
        let begun = begun.filter(|_| out_of_question(set).is_none()).collect();
        Some((StudyId { study_instance_uid, patient_id }, begun))
    });
    study.ok().flatten()
}

fn other(set: Option<&DataSet<'_>>, what: &'static str) -> Content {
    Content::Other(Other {
        series_uid: set.and_then(|set| set.text(tags::SERIES_INSTANCE_UID)).unwrap_or_default(),
        series_number: set.and_then(|set| set.integer(tags::SERIES_NUMBER)),
        what,
    })
}

fn of_set(path: &Path, set: &DataSet<'_>, transfer_syntax: &str, begin: usize) -> Content {
    if let Some(what) = out_of_question(set) {
        return other(Some(set), what);
    }
    let Some(place) = set.pixels else {
        // A CT image that ends before its pixels.
        return Content::Damaged;
    };
    let pixels = Arc::new(Pixels::new(place, begin, transfer_syntax));
    let frame_offsets: Arc<[u64]> =
        set.longs(tags::EXTENDED_OFFSET_TABLE).unwrap_or_default().into();
    let n_frames = set.integer(tags::NUMBER_OF_FRAMES).unwrap_or(1);
    let groups = set.items(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE);
    if n_frames < 1 || n_frames as usize != groups.len().max(1) {
        return other(Some(set), "multi-frame images without geometry of each frame");
    }
    let shared = set.items(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE);
    let mut slices = Vec::with_capacity(n_frames as usize);
    for frame_idx in 0..n_frames as usize {
        let frame = Frame { set, shared: shared.first(), own: groups.get(frame_idx) };
        if let Some(what) = kind_of_frame(&frame) {
            return other(Some(set), what);
        }
        let Some(mut slice) = slice(path, &frame, &pixels, frame_idx) else {
            return other(Some(set), "images without position, orientation, spacing or matrix");
        };
        slice.n_frames = n_frames as usize;
        slice.frame_offsets = Arc::clone(&frame_offsets);
        if !is_axial(slice.orientation) {
            return other(Some(set), "images that are not axial");
        }
        slices.push(slice);
    }
    Content::Slices(slices)
}

/// Why no image of this file can be taken, by rules that hold for all its frames.
fn out_of_question(set: &DataSet<'_>) -> Option<&'static str> {
    let class = set.text(tags::SOP_CLASS_UID).unwrap_or_default();
    let modality = set.text(tags::MODALITY).unwrap_or_default();
    let is_report = modality == "SR" || class.starts_with("1.2.840.10008.5.1.4.1.1.88.");
    if is_report {
        return Some("dose and other reports");
    }
    let is_capture = class.starts_with("1.2.840.10008.5.1.4.1.1.7");
    if is_capture {
        return Some("secondary captures");
    }
    if modality != "CT" {
        return Some("objects of other modalities");
    }
    let is_ct = [
        uids::CT_IMAGE_STORAGE,
        uids::ENHANCED_CT_IMAGE_STORAGE,
        uids::LEGACY_CONVERTED_ENHANCED_CT_IMAGE_STORAGE,
    ]
    .contains(&class.as_str());
    if !is_ct {
        return Some("CT objects that are no images");
    }
    if set.text(tags::BURNED_IN_ANNOTATION).is_some_and(|text| text == "YES") {
        return Some("images with burned-in annotation");
    }
    let body_part = set.text(tags::BODY_PART_EXAMINED);
    if body_part.is_some_and(|part| !HEAD.contains(&part.to_uppercase().as_str())) {
        return Some("images of other body parts");
    }
    None
}

/// A frame's attributes: those of a classic image, or of the functional groups of an Enhanced one.
struct Frame<'a, 's> {
    set: &'s DataSet<'a>,
    shared: Option<&'s DataSet<'a>>,
    own: Option<&'s DataSet<'a>>,
}

impl<'a, 's> Frame<'a, 's> {
    /// The data set that holds an attribute: an item of a functional group, else the image itself.
    fn group(&self, sequence: Tag) -> Cow<'s, DataSet<'a>> {
        let item = |groups: Option<&'s DataSet<'a>>| match groups?.items(sequence) {
            Cow::Borrowed(items) => items.first().map(Cow::Borrowed),
            Cow::Owned(items) => items.into_iter().next().map(Cow::Owned),
        };
        item(self.own).or_else(|| item(self.shared)).unwrap_or(Cow::Borrowed(self.set))
    }
}

/// Why a frame is no slice, by its image type.
fn kind_of_frame(frame: &Frame<'_, '_>) -> Option<&'static str> {
    let group = frame.group(tags::CT_IMAGE_FRAME_TYPE_SEQUENCE);
    let image_type = group.text(tags::FRAME_TYPE).or_else(|| frame.set.text(tags::IMAGE_TYPE));
    kind_of_image_type(&image_type.unwrap_or_default())
}

/// Of enhanced images the third value is `VOLUME` for slices too, and the fourth tells projections (PS3.3 C.8.16.1).
fn kind_of_image_type(image_type: &str) -> Option<&'static str> {
    let image_type = image_type.to_uppercase();
    let types: Vec<&str> = image_type.split('\\').map(str::trim).collect();
    if types.contains(&"LOCALIZER") {
        return Some("localizers");
    }
    let is_derived = types.contains(&"DERIVED");
    let is_projection = matches!(types.get(3), Some(&("MAXIMUM" | "MINIMUM")));
    let is_rendered = is_derived && types.contains(&"VOLUME");
    if is_projection || is_rendered || types.iter().any(|word| REFORMATTED.contains(word)) {
        return Some("reformats");
    }
    if is_derived && types.contains(&"SECONDARY") {
        return Some("derived secondary images");
    }
    None
}

fn slice(
    path: &Path,
    frame: &Frame<'_, '_>,
    pixels: &Arc<Pixels>,
    frame_idx: usize,
) -> Option<Slice> {
    let set = frame.set;
    let matrix = |tag| set.word(tag).map(usize::from).filter(|n| (1..=MAX_MATRIX).contains(n));
    let orientation = frame.group(tags::PLANE_ORIENTATION_SEQUENCE);
    let [a, b, c, d, e, f] = orientation.numbers(tags::IMAGE_ORIENTATION_PATIENT)?;
    let measures = frame.group(tags::PIXEL_MEASURES_SEQUENCE);
    let pixel_spacing_mm: [f64; 2] = measures.numbers(tags::PIXEL_SPACING)?;
    if pixel_spacing_mm.iter().any(|mm| *mm <= 0.0) {
        return None;
    }
    let position = frame.group(tags::PLANE_POSITION_SEQUENCE);
    let content = frame.group(tags::FRAME_CONTENT_SEQUENCE);
    Some(Slice {
        path: path.to_owned(),
        series: series(frame),
        sop_instance_uid: set.text(tags::SOP_INSTANCE_UID).unwrap_or_default(),
        acquisition_number: set
            .integer(tags::ACQUISITION_NUMBER)
            .or_else(|| content.word(tags::FRAME_ACQUISITION_NUMBER).map(i64::from)),
        frame_idx,
        n_frames: 1,
        n_rows: matrix(tags::ROWS)?,
        n_columns: matrix(tags::COLUMNS)?,
        pixel_spacing_mm,
        orientation: unit_and_perpendicular([[a, b, c], [d, e, f]])?,
        position_mm: position.numbers(tags::IMAGE_POSITION_PATIENT)?,
        pixels: Arc::clone(pixels),
        format: Format::of(
            set,
            &frame.group(tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE),
            &pixels.transfer_syntax,
        ),
        frame_offsets: Arc::new([]),
    })
}

fn series(frame: &Frame<'_, '_>) -> SeriesHeader {
    let set = frame.set;
    let reconstruction = frame.group(tags::CT_RECONSTRUCTION_SEQUENCE);
    let measures = frame.group(tags::PIXEL_MEASURES_SEQUENCE);
    let one = |set: &DataSet<'_>, tag| set.numbers::<1>(tag).map(|[value]| value);
    let name = |set: &DataSet<'_>, tag| set.text(tag).and_then(|name| kernel::known(&name));
    SeriesHeader {
        uid: set.text(tags::SERIES_INSTANCE_UID).unwrap_or_default(),
        study_uid: set.text(tags::STUDY_INSTANCE_UID).unwrap_or_default(),
        number: set.integer(tags::SERIES_NUMBER),
        convolution_kernel: name(&reconstruction, tags::CONVOLUTION_KERNEL),
        tube_voltage_kvp: one(set, tags::KVP),
        manufacturer: set.text(tags::MANUFACTURER).and_then(|name| known_maker(&name)),
        thickness_mm: one(&measures, tags::SLICE_THICKNESS).filter(|mm| *mm > 0.0),
        acquired: acquired(set),
    }
}

/// The two directions at length 1, if they are perpendicular unit vectors up to rounding.
fn unit_and_perpendicular(directions: [[f64; 3]; 2]) -> Option<[[f64; 3]; 2]> {
    let [row, column] = directions;
    let cosine = dot(row, column);
    let sound =
        (norm(row) - 1.0).abs() < 0.01 && (norm(column) - 1.0).abs() < 0.01 && cosine.abs() < 0.01;
    sound.then(|| directions.map(|v| v.map(|x| x / norm(v))))
}

/// Whether the plane's normal runs closer to the body axis than to the other two.
fn is_axial(orientation: [[f64; 3]; 2]) -> bool {
    let [x, y, z] = cross(orientation[0], orientation[1]).map(f64::abs);
    z > x && z > y
}

fn acquired(set: &DataSet<'_>) -> Option<String> {
    let date = set.text(tags::ACQUISITION_DATE).or_else(|| set.text(tags::STUDY_DATE));
    let time = set.text(tags::ACQUISITION_TIME).or_else(|| set.text(tags::STUDY_TIME));
    written(date, time)
}

/// Date and time as one text.
fn written(date: Option<String>, time: Option<String>) -> Option<String> {
    Some(format!("{}T{}", date?, time.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::kind_of_image_type;

    #[test]
    fn slices_of_enhanced_images_are_no_reformats() {
        for (image_type, expected) in [
            ("ORIGINAL\\PRIMARY\\AXIAL", None),
            ("ORIGINAL\\PRIMARY\\VOLUME\\NONE", None),
            ("", None),
            ("ORIGINAL\\PRIMARY\\LOCALIZER", Some("localizers")),
            ("ORIGINAL\\PRIMARY\\VOLUME\\MAXIMUM", Some("reformats")),
            ("DERIVED\\SECONDARY\\VOLUME", Some("reformats")),
            ("DERIVED\\PRIMARY\\AXIAL\\MPR", Some("reformats")),
            ("DERIVED\\SECONDARY\\AXIAL", Some("derived secondary images")),
        ] {
            assert_eq!(kind_of_image_type(image_type), expected, "{image_type}");
        }
    }
}
