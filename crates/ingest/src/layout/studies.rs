//! A bare tree of DICOM files: a case a study, found by content.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::clinical::by_participant;
use super::folder::relative;
use super::{Clinical, ImageFiles, LabelScheme, Scan, Source};
use crate::IngestError;
use crate::dicom::{StudyId, study_of};

/// Every study of the tree; files of no study are left to none.
pub(super) fn discover(root: &Path) -> Result<Vec<Source>, IngestError> {
    let files = hemex_stage::digest::list_files(root).map_err(|error| IngestError::Dataset {
        layout: "dicom",
        problem: format!("a folder cannot be listed ({})", error.kind()),
    })?;
    let mut studies: BTreeMap<StudyId, Vec<PathBuf>> = BTreeMap::new();
    for path in files {
        if let Some(study) = study_of(&path) {
            studies.entry(study).or_default().push(path);
        }
    }
    let clinical = by_participant(root, str::to_owned)?;
    Ok(studies
        .into_iter()
        .map(|(study, files)| {
            let path = files.first().map(|path| relative(root, path)).unwrap_or_default();
            let clinical =
                clinical.get(&study.patient_id).cloned().unwrap_or_else(|| Ok(Clinical::default()));
            let scan = clinical.map(|clinical| Scan {
                image: ImageFiles::Dicom(files),
                baseline_mask: None,
                followup_mask: None,
                followup_image: Ok(None),
                twin: None,
                labels: LabelScheme::Own,
                clinical,
            });
            Source { id: study.study_instance_uid, patient: study.patient_id, path, scan }
        })
        .collect())
}
