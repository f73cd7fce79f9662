//! The rows of `private/1`: the only artifact that leads back to patients, files and UIDs.

use serde::Serialize;

use crate::case::Series;

/// A row of `private/1`'s `mapping.csv`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct MappingRow {
    pub(crate) case_id: String,
    pub(crate) patient_id: String,
    pub(crate) source_id: String,
    pub(crate) source_path: String,
    pub(crate) baseline_datetime: Option<String>,
    pub(crate) followup_datetime: Option<String>,
    /// What the pseudonyms of the patient were made with.
    pub(crate) key: String,
}

impl MappingRow {
    /// The columns, in order.
    pub(crate) const COLUMNS: [&str; 7] = [
        "case_id",
        "patient_id",
        "source_id",
        "source_path",
        "baseline_datetime",
        "followup_datetime",
        "key",
    ];
}

/// A row of `private/1`'s `slices.csv`: which instance a slice of a DICOM case comes from, so that a mask
/// can go back into the PACS.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct SliceRow {
    case_id: String,
    /// In the order along the normal, from 0.
    slice_idx: usize,
    /// Distance from the first slice along the normal.
    depth_mm: f64,
    sop_instance_uid: String,
    /// Frame of the instance, from 0.
    frame_idx: usize,
}

impl SliceRow {
    /// The columns, in order.
    pub(crate) const COLUMNS: [&str; 5] =
        ["case_id", "slice_idx", "depth_mm", "sop_instance_uid", "frame_idx"];

    /// The slices of a case's series.
    pub(crate) fn of(case_id: &str, series: &Series) -> Vec<Self> {
        let slices = series.facts.sources.iter().zip(&series.depths_mm).enumerate();
        slices
            .map(|(slice_idx, (source, depth_mm))| Self {
                case_id: case_id.to_owned(),
                slice_idx,
                depth_mm: *depth_mm,
                sop_instance_uid: source.sop_instance_uid.clone(),
                frame_idx: source.frame_idx,
            })
            .collect()
    }
}

/// A row of `private/1`'s `series.csv`: a series of a DICOM case, and whether and why it was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct SeriesRow {
    case_id: String,
    series_number: Option<i64>,
    series_instance_uid: String,
    n_objects: usize,
    taken: u8,
    reason: String,
}

impl SeriesRow {
    /// The columns, in order.
    pub(crate) const COLUMNS: [&str; 6] =
        ["case_id", "series_number", "series_instance_uid", "n_objects", "taken", "reason"];

    /// Every series of a case's files.
    pub(crate) fn of(case_id: &str, series: &Series) -> Vec<Self> {
        let candidates = series.facts.candidates.iter();
        candidates
            .map(|candidate| Self {
                case_id: case_id.to_owned(),
                series_number: candidate.series_number,
                series_instance_uid: candidate.series_instance_uid.clone(),
                n_objects: candidate.n_objects,
                taken: u8::from(candidate.taken),
                reason: candidate.reason.clone(),
            })
            .collect()
    }
}
