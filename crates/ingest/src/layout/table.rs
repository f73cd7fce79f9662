use std::path::{Component, Path, PathBuf};

use super::folder::{dicom_tree, is_dicomdir, nifti_stem};
use super::sheet::Sheet;
use super::{Clinical, ImageFiles, LabelScheme, Scan, Source};
use crate::{IngestError, Unusable};

/// The tables that make a dataset one of this layout.
pub(super) const NAMES: [&str; 3] = ["cases.csv", "cases.tsv", "cases.parquet"];

const BELOW: &str = "a path below the dataset's folder, without `..`";

/// A case a row.
pub(super) fn discover(root: &Path) -> Result<Vec<Source>, IngestError> {
    let found: Vec<&str> = NAMES.into_iter().filter(|name| root.join(name).is_file()).collect();
    let [name] = found[..] else {
        let problem = match found.is_empty() {
            true => format!("there is none of {}", NAMES.join(", ")),
            false => format!("there are {}; keep one", found.join(" and ")),
        };
        return Err(IngestError::Dataset { layout: "table", problem });
    };
    let sheet = Sheet::read(root, name)?;
    sheet.require("case")?;
    sheet.require("image")?;
    (0..sheet.n_rows()).map(|row| source(root, &sheet, row)).collect()
}

fn source(root: &Path, sheet: &Sheet, row: usize) -> Result<Source, IngestError> {
    let Some(id) = sheet.cell(row, "case") else {
        let problem = format!("line {} has no `case`", sheet.line(row));
        return Err(IngestError::Table { table: sheet.name().to_owned(), problem });
    };
    Ok(Source {
        id: id.to_owned(),
        patient: sheet.cell(row, "patient").unwrap_or(id).to_owned(),
        path: sheet.cell(row, "image").unwrap_or_default().to_owned(),
        scan: scan(root, sheet, row),
    })
}

fn scan(root: &Path, sheet: &Sheet, row: usize) -> Result<Scan, Unusable> {
    let path = |column| sheet.parsed(row, column, BELOW, |text| below(root, text));
    let image = path("image")?.ok_or(Unusable::NoBaseline)?;
    Ok(Scan {
        image: image_files(image)?,
        baseline_mask: path("mask")?,
        followup_mask: path("followup_mask")?,
        followup_image: path("followup_image").and_then(|path| path.map(image_files).transpose()),
        twin: None,
        labels: LabelScheme::Own,
        clinical: Clinical::from_row(sheet, row)?,
    })
}

/// A NIfTI file, a DICOM file, or every file of a folder: that which is named or that of a DICOMDIR.
fn image_files(path: PathBuf) -> Result<ImageFiles, Unusable> {
    if path.to_str().is_some_and(|name| nifti_stem(name).is_some()) {
        return Ok(ImageFiles::Nifti(path));
    }
    match path.parent().filter(|_| is_dicomdir(&path)) {
        Some(folder) => dicom_tree(folder),
        None if path.is_file() => Ok(ImageFiles::Dicom(vec![path])),
        None => dicom_tree(&path),
    }
}

/// The path below the root, unless it would lead out of it.
fn below(root: &Path, text: &str) -> Option<PathBuf> {
    let plain = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    let path = Path::new(text);
    path.components().all(plain).then(|| root.join(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_below_the_dataset() {
        let root = Path::new("/data");
        assert_eq!(below(root, "a/./b.nii"), Some(PathBuf::from("/data/a/./b.nii")));
        assert_eq!(below(root, "../b.nii"), None);
        assert_eq!(below(root, "a/../../b.nii"), None);
        assert_eq!(below(root, "/etc/passwd"), None);
    }
}
