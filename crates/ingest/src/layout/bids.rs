use std::path::{Path, PathBuf};

use super::clinical::by_participant;
use super::folder::{Listing, at_most_one, dicom_tree, list, list_case, nifti_stem, relative};
use super::{Clinical, ImageFiles, LabelScheme, Scan, Source};
use crate::dicom::is_dicom;
use crate::unusable::{FOLLOWUP, TWIN};
use crate::{IngestError, Unusable};

/// Every `sub-*` of the folder and every row of its table.
pub(super) fn discover(root: &Path) -> Result<Vec<Source>, IngestError> {
    let with_prefix =
        |id: &str| if id.starts_with("sub-") { id.to_owned() } else { format!("sub-{id}") };
    let mut rows = by_participant(root, with_prefix)?;
    for (name, _) in list(root, "bids")?.folders {
        if name.starts_with("sub-") {
            rows.entry(name).or_insert_with(|| Ok(Clinical::default()));
        }
    }
    Ok(rows.into_iter().map(|(id, clinical)| source(root, id, clinical)).collect())
}

fn source(root: &Path, id: String, clinical: Result<Clinical, Unusable>) -> Source {
    // A name from the table must not lead out of the dataset.
    let is_name = !id.contains(['/', '\\', '\0']);
    let subject = if is_name { root.join(&id) } else { root.join("sub-") };
    let baseline = Session::baseline(&subject);
    let image = baseline.image("baseline CT");
    let path = match &image {
        Ok(Some((_, place))) => place.clone(),
        _ => subject.clone(),
    };
    let followup = Session::followup(&subject);
    let patient = clinical.as_ref().ok().and_then(|clinical| clinical.patient.clone());
    let patient = patient.unwrap_or_else(|| id.clone());
    let scan = clinical.and_then(|clinical| {
        let (image, _) = image?.ok_or(Unusable::NoBaseline)?;
        Ok(Scan {
            image,
            baseline_mask: baseline.mask("baseline mask")?,
            followup_mask: followup.mask("follow-up mask")?,
            followup_image: followup.image(FOLLOWUP).map(|image| image.map(|(image, _)| image)),
            twin: Session::twin(&subject).image(TWIN)?.map(|(image, _)| image),
            labels: LabelScheme::Own,
            clinical,
        })
    });
    Source { patient, path: relative(root, &path), id, scan }
}

/// A folder `ct` and what lies in it.
struct Session {
    folder: PathBuf,
    listing: Listing,
}

impl Session {
    /// `ses-baseline/ct`, or `ct` of a subject without sessions.
    fn baseline(subject: &Path) -> Self {
        let session = subject.join("ses-baseline");
        Self::of(if session.is_dir() { session.join("ct") } else { subject.join("ct") })
    }

    fn followup(subject: &Path) -> Self {
        Self::of(subject.join("ses-followup").join("ct"))
    }

    fn twin(subject: &Path) -> Self {
        Self::of(subject.join("ses-twin").join("ct"))
    }

    fn of(folder: PathBuf) -> Self {
        let listing = list_case(&folder);
        Self { folder, listing }
    }

    /// The scan and its place.
    fn image(&self, what: &'static str) -> Result<Option<(ImageFiles, PathBuf)>, Unusable> {
        let mut candidates = Vec::new();
        for (name, path) in &self.listing.files {
            if nifti_stem(name).is_some_and(|stem| stem.ends_with("_ct")) {
                candidates.push((ImageFiles::Nifti(path.clone()), path.clone()));
            }
        }
        for (name, path) in &self.listing.folders {
            if name.ends_with("_ct") {
                candidates.push((dicom_tree(path)?, path.clone()));
            }
        }
        let loose: Vec<PathBuf> = self
            .listing
            .files
            .iter()
            .map(|(_, path)| path.clone())
            .filter(|p| is_dicom(p))
            .collect();
        if !loose.is_empty() {
            candidates.push((ImageFiles::Dicom(loose), self.folder.clone()));
        }
        at_most_one(what, candidates)
    }

    /// `*_dseg`, else `*_mask`.
    fn mask(&self, what: &'static str) -> Result<Option<PathBuf>, Unusable> {
        for ending in ["_dseg", "_mask"] {
            let files = self.listing.files.iter();
            let candidates: Vec<PathBuf> = files
                .filter(|(name, _)| nifti_stem(name).is_some_and(|stem| stem.ends_with(ending)))
                .map(|(_, path)| path.clone())
                .collect();
            if let Some(mask) = at_most_one(what, candidates)? {
                return Ok(Some(mask));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    #[test]
    fn two_subjects_may_be_one_patient() {
        let root = tempfile::tempdir().unwrap();
        let table = "participant_id\tpatient\nsub-1\tp\n2\tp\nsub-3\tn/a\n";
        std::fs::write(root.path().join("participants.tsv"), table).unwrap();
        let sources = discover(root.path()).unwrap();
        let found: Vec<[&str; 2]> =
            sources.iter().map(|source| [source.id.as_str(), source.patient.as_str()]).collect();
        assert_eq!(found, [["sub-1", "p"], ["sub-2", "p"], ["sub-3", "sub-3"]]);
    }
}
