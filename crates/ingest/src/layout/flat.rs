use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::folder::{at_most_one, dicom_tree, list, nifti_stem, relative};
use super::{Clinical, ImageFiles, LabelScheme, Scan, Source};
use crate::{IngestError, Unusable};

/// The name of the case that loose DICOM files at the root make together.
const LOOSE: &str = "dicom";

/// Every NIfTI file that is no mask, every folder, and the loose DICOM files as one.
pub(super) fn discover(root: &Path) -> Result<Vec<Source>, IngestError> {
    let listing = list(root, "flat")?;
    let mut masks: BTreeMap<&str, Vec<PathBuf>> = BTreeMap::new();
    let mut images = Vec::new();
    let mut loose = Vec::new();
    for (name, path) in &listing.files {
        let Some(stem) = nifti_stem(name) else {
            if crate::dicom::is_dicom(path) {
                loose.push(path.clone());
            }
            continue;
        };
        match stem.strip_suffix("_mask").or_else(|| stem.strip_suffix("_dseg")) {
            Some(image) => masks.entry(image).or_default().push(path.clone()),
            None => images.push((stem, path.clone())),
        }
    }
    let mut case = |id: &str, place: &Path, image: Result<ImageFiles, Unusable>| {
        let mask = at_most_one("baseline mask", masks.remove(id).unwrap_or_default());
        let scan = image.and_then(|image| {
            let (baseline_mask, clinical) = (mask?, Clinical::default());
            let labels = LabelScheme::Own;
            Ok(Scan {
                image,
                baseline_mask,
                followup_mask: None,
                followup_image: Ok(None),
                twin: None,
                labels,
                clinical,
            })
        });
        Source { id: id.to_owned(), patient: id.to_owned(), path: relative(root, place), scan }
    };
    let mut sources = Vec::new();
    for (stem, path) in images {
        sources.push(case(stem, &path, Ok(ImageFiles::Nifti(path.clone()))));
    }
    for (name, path) in &listing.folders {
        sources.push(case(name, path, dicom_tree(path)));
    }
    if !loose.is_empty() {
        sources.push(case(LOOSE, root, Ok(ImageFiles::Dicom(loose))));
    }
    Ok(sources)
}
