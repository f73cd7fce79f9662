//! A bare tree of DICOM files: a case a study, found by content.
//!
//! The table has a row a patient. Where a patient has several studies, what it says of a scan (growth, onset, signs)
//! goes to the baseline alone: that of the table's `baseline_datetime`, else the earliest.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use hemex_stage::warning;

use super::clinical::{PARTICIPANTS, by_participant};
use super::folder::relative;
use super::{Clinical, ImageFiles, LabelScheme, Scan, Source};
use crate::dicom::{StudyId, study_of};
use crate::{IngestError, Unusable, date};

/// The files of a study.
#[derive(Default)]
struct Study {
    files: Vec<PathBuf>,
    /// When it and the head CTs in it were begun, as digits; nothing of a study without any.
    begun: BTreeSet<String>,
}

/// Every study of the tree; files of no study are left to none.
pub(super) fn discover(root: &Path) -> Result<Vec<Source>, IngestError> {
    let patients = patients(root)?;
    let mut rows = by_participant(root, str::to_owned)?;
    let (mut sources, mut n_untold) = (Vec::new(), 0);
    for (patient, studies) in patients {
        let row = rows.remove(&patient).unwrap_or_else(|| Ok(Clinical::default()));
        let told = row.as_ref().ok().and_then(|row| row.baseline_datetime.as_deref());
        let begun: Vec<&BTreeSet<String>> = studies.values().map(|study| &study.begun).collect();
        let baseline = baseline(&begun, told);
        let of_patient = row.clone().map(Clinical::of_patient);
        n_untold += usize::from(baseline.is_none() && of_patient != row);
        for (idx, (id, study)) in studies.into_iter().enumerate() {
            let row = if baseline == Some(idx) { &row } else { &of_patient };
            sources.push(source(root, &patient, id, study.files, row.clone()));
        }
    }
    if n_untold > 0 {
        warning(format!(
            "{n_untold} patients have several studies of which none is known to be the baseline: growth, onset, signs \
             and whatever else {PARTICIPANTS} says of that scan are left out; write its date and time as \
             `baseline_datetime`"
        ));
    }
    Ok(sources)
}

fn source(
    root: &Path,
    patient: &str,
    id: String,
    files: Vec<PathBuf>,
    clinical: Result<Clinical, Unusable>,
) -> Source {
    let path = files.first().map(|path| relative(root, path)).unwrap_or_default();
    let scan = clinical.map(|clinical| Scan {
        image: ImageFiles::Dicom(files),
        baseline_mask: None,
        followup_mask: None,
        followup_image: Ok(None),
        twin: None,
        labels: LabelScheme::Own,
        clinical,
    });
    Source { id, patient: patient.to_owned(), path, scan }
}

/// The studies of each patient, by their UIDs.
fn patients(root: &Path) -> Result<BTreeMap<String, BTreeMap<String, Study>>, IngestError> {
    let files = hemex_stage::digest::list_files(root).map_err(|error| IngestError::Dataset {
        layout: "dicom",
        problem: format!("a folder cannot be listed ({})", error.kind()),
    })?;
    let mut patients: BTreeMap<String, BTreeMap<String, Study>> = BTreeMap::new();
    for path in files {
        let Some((StudyId { study_instance_uid, patient_id }, begun)) = study_of(&path) else {
            continue;
        };
        let study = patients.entry(patient_id).or_default().entry(study_instance_uid).or_default();
        study.begun.extend(begun.iter().filter_map(|text| date::digits(text)));
        study.files.push(path);
    }
    Ok(patients)
}

/// Which of a patient's studies, each with its dates, is the baseline: the only one; that of the minute that the table
/// tells, or the only one of that day; the first of the day that it tells without a time; the first of all where it
/// tells none. `None` where none is the one.
fn baseline(studies: &[&BTreeSet<String>], told: Option<&str>) -> Option<usize> {
    if studies.len() == 1 {
        return Some(0);
    }
    let only_one = |prefix: &str| {
        let is_at = |idx: &usize| studies[*idx].iter().any(|at| at.starts_with(prefix));
        let mut found = (0..studies.len()).filter(is_at);
        found.next().filter(|_| found.next().is_none())
    };
    let first_of = |prefix: &str| {
        let at = studies.iter().filter_map(|begun| begun.iter().find(|at| at.starts_with(prefix)));
        only_one(at.min()?)
    };
    let Some(told) = told else { return first_of("") };
    let told = date::digits(told)?;
    match (told.get(..12).unwrap_or(&told), &told[..8]) {
        (minute, day) if minute == day => first_of(day),
        (minute, day) => only_one(minute).or_else(|| only_one(day)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    /// Studies by their dates.
    fn baseline(studies: &[&[&str]], told: Option<&str>) -> Option<usize> {
        let begun = |dates: &&[&str]| -> BTreeSet<String> {
            dates.iter().map(|date| (*date).to_owned()).collect()
        };
        let studies: Vec<BTreeSet<String>> = studies.iter().map(begun).collect();
        super::baseline(&studies.iter().collect::<Vec<_>>(), told)
    }

    #[test]
    fn the_baseline_is_the_study_of_the_tables_date_else_the_earliest() {
        let studies: [&[&str]; 2] = [&["20210103120000"], &["20210102093015"]];
        let same_day: [&[&str]; 2] =
            [&["20210102091000", "20210102093015"], &["20210102180000", "20210102180412"]];
        assert_eq!(baseline(&studies, None), Some(1));
        assert_eq!(baseline(&studies, Some("2021-01-03")), Some(0));
        // The table's clock and the scanner's differ: the day tells.
        assert_eq!(baseline(&studies, Some("2021-01-03 11:58")), Some(0));
        assert_eq!(baseline(&same_day, Some("2021-01-02 09:10")), Some(0));
        assert_eq!(baseline(&same_day, Some("2021/1/2 18:04:59")), Some(1));
        assert_eq!(baseline(&same_day, Some("2021-01-02")), Some(0), "the first of that day");
        // A study without a head CT has no date here.
        assert_eq!(baseline(&[&[], &["20210102093015"]], None), Some(1));
    }

    #[test]
    fn a_baseline_that_cannot_be_told_is_none() {
        let same_day: [&[&str]; 2] = [&["20210102093015"], &["20210102180000"]];
        assert_eq!(baseline(&same_day, Some("2021-01-02 12:00")), None);
        assert_eq!(baseline(&same_day, Some("2021-01-03")), None);
        assert_eq!(baseline(&same_day, Some("yesterday")), None);
        assert_eq!(baseline(&[&["20210102093015"], &["20210102093015"]], None), None);
        assert_eq!(baseline(&[&["20210102"], &["20210102180000"]], None), None);
        assert_eq!(baseline(&[&[], &[]], None), None);
        assert_eq!(baseline(&same_day[..1], Some("2024-01-01")), Some(0), "the only one");
    }
}
