//! Which scans a dataset holds, and what is known of each.
//!
//! # Layouts
//! **BIDS**: `participants.tsv` (optional) and a folder `sub-X` a patient (whose name the table may tell as
//! `patient`), with the baseline scan in `ses-baseline/ct/` (or, without sessions, in `ct/`) and the follow-up
//! scan in `ses-followup/ct/`. The scan is `*_ct.nii`, `*_ct.nii.gz`, a folder `*_ct` of DICOM files, or DICOM
//! files lying in `ct/`; its mask is `*_dseg.nii[.gz]` or `*_mask.nii[.gz]`, a sidecar `*_ct.json` may tell how
//! it was taken. Rows of the table are found by `participant_id`, with or without `sub-`.
//!
//! **Table of paths**: `cases.csv`, `cases.tsv` or `cases.parquet` at the root, a row a case: `case` and
//! `image` (NIfTI file, DICOM file, folder of DICOM files or its DICOMDIR), and as far as known `patient`
//! (else the case is a patient of its own), `mask`, `followup_mask` and `followup_image`. Paths are relative to the
//! dataset's folder and stay within it, since only what is below it counts for the cache.
//!
//! **Flat folder**: each NIfTI file and each folder of DICOM files is a case and a patient; DICOM files
//! lying at the root are one case together. `NAME_mask.nii[.gz]` or `NAME_dseg.nii[.gz]` is the mask
//! of `NAME`.
//!
//! **nnU-Net raw and Medical Segmentation Decathlon**: `dataset.json`, `imagesTr` with `labelsTr`,
//! `imagesTs`; nnU-Net's images end in `_0000`. Labels mean what `dataset.json` calls them.
//!
//! **PhysioNet CT-ICH** (`ct_scans`, `masks`), **INSTANCE 2022** (`data`, `label`), **BHSD** (`images`,
//! `ground truths`): images and masks under the same names. The masks of the first two do not tell the
//! kind of bleeding: all of it is taken for intraparenchymal, with a word in the log.
//!
//! **DICOM tree**: any folders; a case a study, a patient a patient id, found in the files. Recognised by a
//! DICOMDIR at the root alone, since folders of DICOM files side by side are flat. Of several studies of a patient one,
//! the baseline, has what the table says of a scan.
//!
//! Where these have a `participants.tsv`, its `participant_id` is the case's name (in a DICOM tree the
//! patient's).
//!
//! # Columns
//! `participants.tsv` and the table of paths know the columns of [`Clinical`]; others are ignored.

mod bids;
mod clinical;
mod flat;
mod folder;
mod given;
mod paired;
mod sheet;
mod studies;
mod table;

use std::path::{Path, PathBuf};

pub use clinical::Clinical;
pub(crate) use given::{Given, given_splits};
use hemex_volume::Lesion;

use crate::{IngestError, LayoutChoice, Unusable};

/// A case of the dataset under its own name. Nothing in here but [`Clinical`]'s measurements may
/// leave for another artifact than `private`.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// The dataset's name of the case, unique in it.
    pub id: String,
    /// The dataset's name of the patient.
    pub patient: String,
    /// Path of the baseline scan (or of what stands in its place) below the dataset's folder.
    pub path: String,
    /// Its files and columns, or why they cannot be used.
    pub scan: Result<Scan, Unusable>,
}

/// The files and columns of a case.
#[derive(Debug, Clone, PartialEq)]
pub struct Scan {
    /// The baseline CT.
    pub image: ImageFiles,
    /// Lesion mask of the baseline CT.
    pub baseline_mask: Option<PathBuf>,
    /// Lesion mask of the follow-up CT, on that scan's grid.
    pub followup_mask: Option<PathBuf>,
    /// The follow-up CT, or why it cannot be used, which costs the case nothing else.
    pub followup_image: Result<Option<ImageFiles>, Unusable>,
    /// The same head scanned without its hematoma, as phantoms have it.
    pub twin: Option<ImageFiles>,
    /// What the labels of its masks mean.
    pub labels: LabelScheme,
    /// What the table says.
    pub clinical: Clinical,
}

/// What the labels of a dataset's masks mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LabelScheme {
    /// Those of [`Lesion`].
    Own,
    /// Everything that is not 0 is bleeding of a kind that is not told.
    Binary,
    /// Each label of the dataset and what it means.
    Map(Vec<(u8, Lesion)>),
}

/// Where a CT lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageFiles {
    /// One NIfTI file.
    Nifti(PathBuf),
    /// Files among which a DICOM series is, with others perhaps; sorted.
    Dicom(Vec<PathBuf>),
}

impl ImageFiles {
    /// The file, or the first of them.
    pub fn first_file(&self) -> Option<&Path> {
        self.files().first().map(PathBuf::as_path)
    }

    fn files(&self) -> &[PathBuf] {
        match self {
            Self::Nifti(path) => std::slice::from_ref(path),
            Self::Dicom(paths) => paths,
        }
    }
}

/// The cases of the dataset in this folder, sorted by their name in it, and the layout's name.
///
/// # Errors
/// [`IngestError::Dataset`] if the folder cannot be listed or holds no case, [`IngestError::Table`]
/// if its table is none or lacks a column that must be there.
pub fn discover(
    root: &Path,
    choice: LayoutChoice,
) -> Result<(&'static str, Vec<Source>), IngestError> {
    let choice = match choice {
        LayoutChoice::Auto => recognise(root)?,
        chosen => chosen,
    };
    let (name, sources) = match choice {
        LayoutChoice::Bids => ("bids", bids::discover(root)),
        LayoutChoice::Table => ("table", table::discover(root)),
        LayoutChoice::Dicom => ("dicom", studies::discover(root)),
        other => paired::discover(root, other).unwrap_or_else(|| ("flat", flat::discover(root))),
    };
    let mut sources = sources?;
    for source in &mut sources {
        let Ok(scan) = &mut source.scan else { continue };
        let of_followup = |image: &ImageFiles| leads_out(root, image.files());
        if scan.followup_image.as_ref().is_ok_and(|image| image.as_ref().is_some_and(of_followup)) {
            scan.followup_image = Err(Unusable::LinkOut);
        }
        let masks = scan.baseline_mask.iter().chain(&scan.followup_mask);
        if leads_out(root, scan.image.files().iter().chain(masks)) {
            source.scan = Err(Unusable::LinkOut);
        }
    }
    sources.sort_by(|a, b| a.id.cmp(&b.id));
    if sources.is_empty() {
        let problem = "it holds no scan".to_owned();
        return Err(IngestError::Dataset { layout: name, problem });
    }
    if let Some(twins) = sources.windows(2).find(|pair| pair[0].id == pair[1].id) {
        // The name may tell a patient: only its place is given.
        let at = sources.iter().position(|source| source.id == twins[0].id).unwrap_or(0);
        let problem = format!("two cases share one name (case {} by name)", at + 1);
        return Err(IngestError::Dataset { layout: name, problem });
    }
    Ok((name, sources))
}

fn recognise(root: &Path) -> Result<LayoutChoice, IngestError> {
    let is_table = table::NAMES.iter().any(|name| root.join(name).is_file());
    if let (false, Some(paired)) = (is_table, paired::recognise(root)) {
        return Ok(paired);
    }
    let folder::Listing { files, folders } = folder::list(root, "auto")?;
    let is_bids = root.join(clinical::PARTICIPANTS).is_file()
        || folders.iter().any(|(name, _)| name.starts_with("sub-"));
    match (is_table, is_bids) {
        (true, true) => Err(IngestError::Dataset {
            layout: "auto",
            problem: "it is both BIDS and a table of paths; set `layout`".to_owned(),
        }),
        (true, false) => Ok(LayoutChoice::Table),
        (false, true) => Ok(LayoutChoice::Bids),
        (false, false) if files.iter().any(|(_, path)| folder::is_dicomdir(path)) => {
            Ok(LayoutChoice::Dicom)
        }
        (false, false) => Ok(LayoutChoice::Flat),
    }
}

/// Whether a file is a link to what lies outside the dataset's folder, which alone counts for the cache. A file that is
/// not there leads nowhere.
fn leads_out<'a>(root: &Path, files: impl IntoIterator<Item = &'a PathBuf>) -> bool {
    let Ok(root) = root.canonicalize() else { return false };
    files
        .into_iter()
        .filter_map(|path| path.canonicalize().ok())
        .any(|path| !path.starts_with(&root))
}
