//! A derivative dataset of BIDS (the specification's chapter "Derivatives"; CT by its extension
//! proposal 24).
//!
//! ```text
//! dataset_description.json  participants.tsv  desc-hematoma_dseg.tsv
//! sub-PATIENT/sub-PATIENT_sessions.tsv
//! sub-PATIENT/ses-CASE/ct/sub-PATIENT_ses-CASE_desc-prepared_ct.nii.gz (and .json)
//!                         …_desc-brain_mask.nii.gz (and .json)
//!                         …_desc-hematoma_dseg.nii.gz          where there is a reference mask
//! ```
//!
//! Names in BIDS are letters and digits alone, so the pseudonyms lose their other signs and their first
//! word: `case-0a1b` is `ses-0a1b`.

use std::collections::BTreeMap;
use std::path::Path;

use hemex_artifacts::{CaseRow, json, nifti};
use hemex_stage::Progress;
use rayon::prelude::*;

use crate::{Cohort, Config, ExportError, tsv};

const BIDS_VERSION: &str = "1.10.0";

/// A case under its names in BIDS.
struct Session<'a> {
    row: &'a CaseRow,
    patient: String,
    case: String,
}

/// Writes the dataset into `output`.
///
/// # Errors
/// If two pseudonyms become one name, or a file cannot be read or written.
pub fn write(cohort: &Cohort, config: &Config, output: &Path) -> Result<(), ExportError> {
    let sessions = sessions(&cohort.cases.rows)?;
    let progress = Progress::new(sessions.len(), "case");
    sessions.par_iter().try_for_each(|session| {
        let written = write_volumes(cohort, session, output);
        progress.add(1);
        written
    })?;
    write_participants(&sessions, output)?;
    write_sessions(cohort, &sessions, output)?;
    let lesions = ["intraparenchymal", "intraventricular", "edema", "extra-axial"];
    let lesions =
        lesions.iter().zip(1..).map(|(name, index)| vec![index.to_string(), (*name).into()]);
    tsv::write(&output.join("desc-hematoma_dseg.tsv"), &["index", "name"], lesions)?;
    let description = serde_json::json!({
        "Name": config.name,
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "hemex", "Version": env!("CARGO_PKG_VERSION")}],
    });
    Ok(json::write(&output.join("dataset_description.json"), &description)?)
}

fn sessions(rows: &[CaseRow]) -> Result<Vec<Session<'_>>, ExportError> {
    let (mut patients, mut cases) = (BTreeMap::new(), BTreeMap::new());
    rows.iter()
        .map(|row| {
            let patient = label("patient-", &row.patient_id, &mut patients)?;
            let case = label("case-", &row.case_id, &mut cases)?;
            Ok(Session { row, patient, case })
        })
        .collect()
}

/// The letters and digits of an id behind its usual beginning.
fn label<'a>(
    beginning: &str,
    id: &'a str,
    known: &mut BTreeMap<String, &'a str>,
) -> Result<String, ExportError> {
    let rest = id.strip_prefix(beginning).unwrap_or(id);
    let label: String = rest.chars().filter(char::is_ascii_alphanumeric).collect();
    let first = known.entry(label.clone()).or_insert(id);
    if *first != id || label.is_empty() {
        let (first, second) = ((*first).to_owned(), id.to_owned());
        return Err(ExportError::SameLabel { first, second, label });
    }
    Ok(label)
}

fn write_volumes(cohort: &Cohort, session: &Session<'_>, root: &Path) -> Result<(), ExportError> {
    let (patient, case) = (&session.patient, &session.case);
    let folder = root.join(format!("sub-{patient}/ses-{case}/ct"));
    std::fs::create_dir_all(&folder).map_err(ExportError::write(&folder))?;
    let path = |ending: &str| folder.join(format!("sub-{patient}_ses-{case}_desc-{ending}"));
    let case_id = &session.row.case_id;
    nifti::write_image(&path("prepared_ct.nii.gz"), &cohort.cases.image(case_id)?)?;
    let preparation = &cohort.cases.preparation;
    let sidecar = serde_json::json!({
        "Modality": "CT",
        "SkullStripped": false,
        "SpatialReference": "orig",
        "Units": "HU",
        "WindowHU": preparation.window_hu,
        "VoxelSizeSlicesRowsColumnsMM": preparation.spacing_mm,
    });
    json::write(&path("prepared_ct.json"), &sidecar)?;
    nifti::write_label_map(&path("brain_mask.nii.gz"), &cohort.cases.brain(case_id)?)?;
    json::write(&path("brain_mask.json"), &serde_json::json!({"Type": "Brain"}))?;
    if let Some(mask) = cohort.mask(session.row)? {
        nifti::write_label_map(&path("hematoma_dseg.nii.gz"), &mask)?;
    }
    Ok(())
}

/// A row a patient; age and site of the first of several scans.
fn write_participants(sessions: &[Session<'_>], root: &Path) -> Result<(), ExportError> {
    let mut patients: BTreeMap<&str, &CaseRow> = BTreeMap::new();
    for session in sessions {
        patients.entry(&session.patient).or_insert(session.row);
    }
    let rows = patients.into_iter().map(|(patient, row)| {
        let name = [format!("sub-{patient}")];
        name.into_iter().chain(tsv::of_patient(row)).collect()
    });
    let columns = [&["participant_id"], &tsv::PATIENT[..]].concat();
    tsv::write(&root.join("participants.tsv"), &columns, rows)
}

fn write_sessions(
    cohort: &Cohort,
    sessions: &[Session<'_>],
    root: &Path,
) -> Result<(), ExportError> {
    let mut by_patient: BTreeMap<&str, Vec<&Session<'_>>> = BTreeMap::new();
    for session in sessions {
        by_patient.entry(&session.patient).or_default().push(session);
    }
    for (patient, sessions) in by_patient {
        let path = root.join(format!("sub-{patient}/sub-{patient}_sessions.tsv"));
        let rows = sessions.iter().map(|session| {
            let name = [format!("ses-{}", session.case)];
            name.into_iter().chain(tsv::of_scan(cohort, session.row)).collect()
        });
        let columns = [&["session_id"], &tsv::SCAN[..]].concat();
        tsv::write(&path, &columns, rows)?;
    }
    Ok(())
}
