//! A scan as a DICOM series, one file a slice.

use std::path::Path;

use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use hemex_stage::digest;
use hemex_volume::{Geometry, Image};

use crate::PhantomError;
use crate::cohort::Patient;
use crate::scanner::HU_RANGE;

/// What the files of one series share.
pub(super) struct Series<'a> {
    pub(super) seed: u64,
    pub(super) patient: &'a Patient<'a>,
    /// `baseline` or `followup`.
    pub(super) session: &'static str,
}

impl Series<'_> {
    /// Writes `0001.dcm`, … from the lowest slice up. The image's axes W and H must run to the patient's left and back.
    pub(super) fn write(&self, folder: &Path, image: &Image) -> Result<(), PhantomError> {
        std::fs::create_dir_all(folder).map_err(PhantomError::io(folder))?;
        for d in 0..image.geometry().shape()[0] {
            let path = folder.join(format!("{:04}.dcm", d + 1));
            let refuse = |problem: String| PhantomError::Dicom { path: path.clone(), problem };
            let mut object = InMemDicomObject::from_element_iter(self.study_elements());
            for element in self.slice_elements(image.geometry(), d) {
                object.put(element);
            }
            object.put(pixels(image.slice(d)));
            let meta = FileMetaTableBuilder::new()
                .transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN)
                .media_storage_sop_class_uid(uids::CT_IMAGE_STORAGE)
                .media_storage_sop_instance_uid(self.uid(&format!("slice {d}")));
            let file = object.with_meta(meta).map_err(|e| refuse(e.to_string()))?;
            file.write_to_file(&path).map_err(|e| refuse(e.to_string()))?;
        }
        Ok(())
    }

    /// Patient, study, series and scanner.
    fn study_elements(&self) -> Vec<DataElement<InMemDicomObject>> {
        let site = self.patient.site;
        let clinical = &self.patient.clinical;
        let (date, time) = self.start();
        let sex = if clinical.male { "M" } else { "F" };
        vec![
            text(tags::SOP_CLASS_UID, VR::UI, uids::CT_IMAGE_STORAGE),
            text(tags::IMAGE_TYPE, VR::CS, "ORIGINAL\\PRIMARY\\AXIAL"),
            text(tags::STUDY_DATE, VR::DA, &date),
            text(tags::SERIES_DATE, VR::DA, &date),
            text(tags::ACQUISITION_DATE, VR::DA, &date),
            text(tags::STUDY_TIME, VR::TM, &time),
            text(tags::SERIES_TIME, VR::TM, &time),
            text(tags::ACQUISITION_TIME, VR::TM, &time),
            text(tags::MODALITY, VR::CS, "CT"),
            text(tags::MANUFACTURER, VR::LO, "hemex phantom"),
            text(tags::INSTITUTION_NAME, VR::LO, self.patient.site_name),
            text(tags::SERIES_DESCRIPTION, VR::LO, "head, non-contrast"),
            text(tags::PATIENT_NAME, VR::PN, &self.patient.id),
            text(tags::PATIENT_ID, VR::LO, &self.patient.id),
            text(tags::PATIENT_SEX, VR::CS, sex),
            text(tags::PATIENT_AGE, VR::AS, &format!("{:03}Y", clinical.age_years)),
            text(tags::PATIENT_POSITION, VR::CS, "HFS"),
            text(tags::BODY_PART_EXAMINED, VR::CS, "HEAD"),
            text(tags::KVP, VR::DS, "120"),
            decimal(tags::GANTRY_DETECTOR_TILT, &[site.tilt_deg]),
            text(tags::CONVOLUTION_KERNEL, VR::SH, &site.kernel),
            decimal(tags::SLICE_THICKNESS, &[site.slice_mm]),
            decimal(tags::SPACING_BETWEEN_SLICES, &[site.slice_mm]),
            text(tags::STUDY_INSTANCE_UID, VR::UI, &self.uid("study")),
            text(tags::SERIES_INSTANCE_UID, VR::UI, &self.uid("series")),
            text(tags::FRAME_OF_REFERENCE_UID, VR::UI, &self.uid("frame")),
            text(tags::STUDY_ID, VR::SH, self.session),
            text(tags::SERIES_NUMBER, VR::IS, "2"),
        ]
    }

    /// Where slice `d` lies, and how its pixels are stored.
    fn slice_elements(&self, geometry: &Geometry, d: usize) -> Vec<DataElement<InMemDicomObject>> {
        let [_, n_h, n_w] = geometry.shape();
        let [_, h_mm, w_mm] = geometry.spacing_mm();
        let [x, y, z] = geometry.point_mm([d as f64, 0.0, 0.0]);
        let position = lps([x, y, z]).map(|v| (1e4 * v).round() / 1e4);
        vec![
            text(tags::SOP_INSTANCE_UID, VR::UI, &self.uid(&format!("slice {d}"))),
            text(tags::INSTANCE_NUMBER, VR::IS, &(d + 1).to_string()),
            decimal(tags::IMAGE_POSITION_PATIENT, &position),
            decimal(tags::IMAGE_ORIENTATION_PATIENT, &orientation(geometry)),
            decimal(tags::SLICE_LOCATION, &position[2..]),
            decimal(tags::PIXEL_SPACING, &[h_mm, w_mm]),
            number(tags::ROWS, n_h as u16),
            number(tags::COLUMNS, n_w as u16),
            number(tags::SAMPLES_PER_PIXEL, 1),
            text(tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2"),
            number(tags::BITS_ALLOCATED, 16),
            number(tags::BITS_STORED, 12),
            number(tags::HIGH_BIT, 11),
            // Unsigned: 0 stands for −1024 HU.
            number(tags::PIXEL_REPRESENTATION, 0),
            decimal(tags::RESCALE_INTERCEPT, &[f64::from(HU_RANGE[0])]),
            decimal(tags::RESCALE_SLOPE, &[1.0]),
            text(tags::RESCALE_TYPE, VR::LO, "HU"),
            decimal(tags::WINDOW_CENTER, &[40.0]),
            decimal(tags::WINDOW_WIDTH, &[80.0]),
        ]
    }

    /// A UID under the root for UUIDs, 2.25, from a digest: the same cohort has the same UIDs.
    fn uid(&self, what: &str) -> String {
        let name = format!("{} {} {} {what}", self.seed, self.patient.id, self.session);
        let bits = digest::bytes(name.as_bytes()).bytes().take(32).fold(0u128, |bits, hex| {
            bits << 4 | u128::from((hex as char).to_digit(16).unwrap_or(0))
        });
        format!("2.25.{bits}")
    }

    /// Date and time of the scan; the baseline is at 8 on 1 January 2020 for everyone.
    fn start(&self) -> (String, String) {
        let interval_h = match (self.session, self.patient.followup) {
            ("followup", Some(followup)) => followup.interval_h,
            _ => 0.0,
        };
        let minutes = 8 * 60 + (60.0 * interval_h).round() as u64;
        let (day, minute) = (1 + minutes / 1440, minutes % 1440);
        (format!("202001{day:02}"), format!("{:02}{:02}00", minute / 60, minute % 60))
    }
}

/// DICOM counts x to the left and y to the back.
fn lps([x, y, z]: [f64; 3]) -> [f64; 3] {
    [-x, -y, z]
}

/// Directions of a row and of a column.
fn orientation(geometry: &Geometry) -> [f64; 6] {
    let [_, along_h, along_w] = geometry.affine().axes_mm();
    let [_, h_mm, w_mm] = geometry.spacing_mm();
    let row = lps(along_w.map(|v| v / w_mm));
    let column = lps(along_h.map(|v| v / h_mm));
    // A zero has no sign.
    let number = |i: usize| (1e6 * if i < 3 { row[i] } else { column[i - 3] }).round() / 1e6 + 0.0;
    std::array::from_fn(number)
}

fn pixels(hu: &[f32]) -> DataElement<InMemDicomObject> {
    let stored: Vec<u16> = hu.iter().map(|v| (v - HU_RANGE[0]).round() as u16).collect();
    DataElement::new(tags::PIXEL_DATA, VR::OW, PrimitiveValue::U16(stored.into()))
}

fn text(tag: Tag, vr: VR, value: &str) -> DataElement<InMemDicomObject> {
    DataElement::new(tag, vr, PrimitiveValue::from(value))
}

fn number(tag: Tag, value: u16) -> DataElement<InMemDicomObject> {
    DataElement::new(tag, VR::US, PrimitiveValue::from(value))
}

/// Decimal strings, at most 16 characters each.
fn decimal(tag: Tag, values: &[f64]) -> DataElement<InMemDicomObject> {
    let texts: Vec<String> = values.iter().map(|v| v.to_string()).collect();
    text(tag, VR::DS, &texts.join("\\"))
}
