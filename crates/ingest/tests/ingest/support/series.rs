//! DICOM series as a scanner writes them.

use std::path::Path;
use std::sync::OnceLock;

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry, TagRange};
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{StandardDataDictionary, tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use hemex_volume::Image;

/// What differs between the series of a test.
#[derive(Clone)]
pub(crate) struct Series {
    pub(crate) study: &'static str,
    pub(crate) patient: &'static str,
    pub(crate) date: &'static str,
    pub(crate) uid: &'static str,
    pub(crate) number: i32,
    pub(crate) image_type: &'static str,
    pub(crate) class: &'static str,
    pub(crate) photometric: &'static str,
    pub(crate) transfer_syntax: &'static str,
    /// Unsigned 12 bits with intercept −1024, or signed 16 bits with intercept 0.
    pub(crate) is_signed: bool,
    /// Stored value of padding; voxels of the image below −1500 HU are written so.
    pub(crate) padding: Option<i32>,
    /// Further along the patient's y by this much a slice, mm.
    pub(crate) shift_mm: f64,
    /// Slices left out.
    pub(crate) without: Vec<usize>,
    /// Extra distance above this slice, mm.
    pub(crate) gap: Option<(usize, f64)>,
    pub(crate) kernel: &'static str,
    pub(crate) body_part: Option<&'static str>,
    pub(crate) acquisition: Option<i32>,
    /// Every text element of the standard that changes nothing holds a canary.
    pub(crate) canaries: bool,
}

impl Default for Series {
    fn default() -> Self {
        Self {
            study: "1.2.3",
            patient: "Canary-007",
            date: "20200229",
            uid: "1.2.3.1",
            number: 2,
            image_type: "ORIGINAL\\PRIMARY\\AXIAL",
            class: uids::CT_IMAGE_STORAGE,
            photometric: "MONOCHROME2",
            transfer_syntax: uids::EXPLICIT_VR_LITTLE_ENDIAN,
            is_signed: false,
            padding: None,
            shift_mm: 0.0,
            without: Vec::new(),
            gap: None,
            kernel: "H31s",
            body_part: None,
            acquisition: None,
            canaries: false,
        }
    }
}

/// Writes the image, whose axes must run along RAS, slice by slice in scanner order: rows to the
/// patient's left, columns to the back, file names against the spatial order.
pub(crate) fn write(folder: &Path, image: &Image, series: &Series) {
    std::fs::create_dir_all(folder).unwrap();
    let n_slices = image.geometry().shape()[0];
    for d in (0..n_slices).filter(|d| !series.without.contains(d)) {
        let name = format!("{}-{:03}", series.number, n_slices - d);
        let meta = FileMetaTableBuilder::new().transfer_syntax(series.transfer_syntax);
        slice(image, d, series).with_meta(meta).unwrap().write_to_file(folder.join(name)).unwrap();
    }
}

/// A canary for every text element of the standard, and a private one.
fn canaries() -> InMemDicomObject {
    static ELEMENTS: OnceLock<Vec<(Tag, VR, &'static str)>> = OnceLock::new();
    let elements = ELEMENTS.get_or_init(text_elements);
    assert!(elements.len() > 1000, "{} elements", elements.len());
    let mut object = InMemDicomObject::new_empty();
    for (tag, vr, text) in elements {
        object.put(DataElement::new(*tag, *vr, PrimitiveValue::from(*text)));
    }
    object
}

fn text_elements() -> Vec<(Tag, VR, &'static str)> {
    // These decide what a file is: a canary there would leave the series out.
    let deciding = [
        tags::IMAGE_TYPE,
        tags::BODY_PART_EXAMINED,
        tags::RESCALE_TYPE,
        tags::FRAME_TYPE,
        tags::NUMBER_OF_FRAMES,
        tags::SPECIFIC_CHARACTER_SET,
    ];
    let mut elements = vec![(Tag(0x0009, 0x1001), VR::LO, "Canary")];
    for group in (0x0008..0x0090).step_by(2).chain([0x0100, 0x2010, 0x3006, 0x4000, 0x4010]) {
        for element in 1..=u16::MAX {
            let tag = Tag(group, element);
            let Some(entry) = StandardDataDictionary.by_tag(tag) else { continue };
            if !matches!(entry.tag_range(), TagRange::Single(_)) || deciding.contains(&tag) {
                continue;
            }
            let (vr, text) = match entry.vr().exact() {
                Some(vr @ (VR::AE | VR::CS | VR::SH)) => (vr, "CANARY"),
                Some(vr @ (VR::LO | VR::LT | VR::PN | VR::ST | VR::UC | VR::UT | VR::UR)) => {
                    (vr, "Canary^Text")
                }
                Some(vr @ VR::DA) => (vr, "19991231"),
                Some(vr @ VR::DT) => (vr, "19991231121314"),
                Some(vr @ VR::UI) => (vr, "9.87.654.321"),
                _ => continue,
            };
            elements.push((tag, vr, text));
        }
    }
    elements
}

fn slice(image: &Image, d: usize, series: &Series) -> InMemDicomObject {
    let geometry = image.geometry();
    let [_, n_h, n_w] = geometry.shape();
    let [spacing_d, spacing_h, spacing_w] = geometry.spacing_mm();
    // The first pixel is that at the right front.
    let mut first = geometry.point_mm([d as f64, (n_h - 1) as f64, (n_w - 1) as f64]);
    first[1] -= series.shift_mm * d as f64;
    if let Some((above, extra)) = series.gap
        && d > above
    {
        first[2] += extra;
    }
    let intercept = if series.is_signed { 0 } else { -1024 };
    let pixels: Vec<u16> = (0..n_h * n_w)
        .map(|at| {
            let (row, column) = (at / n_w, at % n_w);
            let hu = image.slice(d)[(n_h - 1 - row) * n_w + (n_w - 1 - column)];
            match series.padding {
                Some(padding) if hu < -1500.0 => padding as u16,
                _ => (hu as i32 - intercept) as u16,
            }
        })
        .collect();
    let bits: u16 = if series.is_signed { 16 } else { 12 };
    let mut object = if series.canaries { canaries() } else { InMemDicomObject::new_empty() };
    let mut text = |tag: Tag, vr: VR, value: String| {
        object.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
    };
    text(tags::SOP_CLASS_UID, VR::UI, series.class.to_owned());
    text(tags::SOP_INSTANCE_UID, VR::UI, format!("{}.{}", series.uid, d + 1));
    text(tags::PATIENT_ID, VR::LO, series.patient.to_owned());
    text(tags::STUDY_INSTANCE_UID, VR::UI, series.study.to_owned());
    text(tags::SERIES_INSTANCE_UID, VR::UI, series.uid.to_owned());
    text(tags::SERIES_NUMBER, VR::IS, series.number.to_string());
    text(tags::MODALITY, VR::CS, "CT".to_owned());
    text(tags::IMAGE_TYPE, VR::CS, series.image_type.to_owned());
    text(tags::PATIENT_NAME, VR::PN, "Canary^Name".to_owned());
    text(tags::STUDY_DATE, VR::DA, series.date.to_owned());
    text(tags::STUDY_TIME, VR::TM, "123456".to_owned());
    text(tags::CONVOLUTION_KERNEL, VR::SH, series.kernel.to_owned());
    text(tags::KVP, VR::DS, "120".to_owned());
    text(tags::MANUFACTURER, VR::LO, "GE MEDICAL SYSTEMS".to_owned());
    text(tags::SLICE_THICKNESS, VR::DS, spacing_d.to_string());
    if let Some(part) = series.body_part {
        text(tags::BODY_PART_EXAMINED, VR::CS, part.to_owned());
    }
    if let Some(number) = series.acquisition {
        text(tags::ACQUISITION_NUMBER, VR::IS, number.to_string());
    }
    text(tags::PIXEL_SPACING, VR::DS, format!("{spacing_h}\\{spacing_w}"));
    text(tags::IMAGE_ORIENTATION_PATIENT, VR::DS, "1\\0\\0\\0\\1\\0".to_owned());
    let position = format!("{}\\{}\\{}", -first[0], -first[1], first[2]);
    text(tags::IMAGE_POSITION_PATIENT, VR::DS, position);
    text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, series.photometric.to_owned());
    text(tags::RESCALE_INTERCEPT, VR::DS, intercept.to_string());
    text(tags::RESCALE_SLOPE, VR::DS, "1".to_owned());
    let mut number = |tag: Tag, value: u16| {
        object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
    };
    number(tags::ROWS, n_h as u16);
    number(tags::COLUMNS, n_w as u16);
    number(tags::SAMPLES_PER_PIXEL, 1);
    number(tags::BITS_ALLOCATED, 16);
    number(tags::BITS_STORED, bits);
    number(tags::HIGH_BIT, bits - 1);
    number(tags::PIXEL_REPRESENTATION, u16::from(series.is_signed));
    if let Some(padding) = series.padding {
        number(tags::PIXEL_PADDING_VALUE, padding as u16);
    }
    object.put(DataElement::new(
        tags::PIXEL_DATA,
        VR::OW,
        PrimitiveValue::U16(pixels.into_iter().collect()),
    ));
    object
}
