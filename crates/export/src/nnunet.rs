//! A raw dataset of nnU-Net, version 2 (Isensee et al., Nature Methods 18, 2021, 203–211; the format by the
//! project's `documentation/dataset_format.md`).
//!
//! ```text
//! Dataset501_Hematoma/
//!   dataset.json
//!   imagesTr/CASE_0000.nii.gz    cases with a reference mask
//!   labelsTr/CASE.nii.gz
//!   imagesTs/CASE_0000.nii.gz    cases without
//!   participants.tsv             a row a case: patient, clinical columns, growth
//!   splits_final.json            where splits are wired
//! ```
//!
//! The folder above is what the variable `nnUNet_raw` names. nnU-Net reads `splits_final.json` from its
//! folder of preprocessed data; copied there, it trains on the patients that hemex trains on and
//! validates on those that hemex validates on. A fold's test cases are in neither list.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use hemex_artifacts::{CaseRow, Role, SplitRow, json, nifti};
use hemex_stage::Progress;
use rayon::prelude::*;
use serde::Serialize;

use crate::{Cohort, Config, ExportError, tsv};

/// The values of a mask, as ingest understands them.
const LABELS: [(&str, u8); 5] = [
    ("background", 0),
    ("intraparenchymal", 1),
    ("intraventricular", 2),
    ("edema", 3),
    ("extra-axial", 4),
];

/// A fold of `splits_final.json`.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
struct Fold<'a> {
    train: Vec<&'a str>,
    val: Vec<&'a str>,
}

/// Writes the dataset below `output`.
///
/// # Errors
/// If no labels are wired, no case has a mask, the regime has no folds, or a file cannot be read or
/// written.
pub fn write(cohort: &Cohort, config: &Config, output: &Path) -> Result<(), ExportError> {
    if cohort.labels.is_none() {
        return Err(ExportError::NotWired { layout: "nnunet", input: "labels" });
    }
    let rows = &cohort.cases.rows;
    let n_training = rows.iter().filter(|row| cohort.has_mask(row)).count();
    if n_training == 0 {
        return Err(ExportError::NoMasks { n_cases: rows.len() });
    }
    let folds = cohort.splits.as_ref().map(|splits| folds(cohort, splits, config)).transpose()?;
    let root = output.join(format!("Dataset{:03}_{}", config.dataset_id, config.name));
    for folder in ["imagesTr", "labelsTr", "imagesTs"] {
        let path = root.join(folder);
        std::fs::create_dir_all(&path).map_err(ExportError::write(&path))?;
    }
    let progress = Progress::new(rows.len(), "case");
    rows.par_iter().try_for_each(|row| {
        let written = write_case(cohort, row, &root);
        progress.add(1);
        written
    })?;
    if let Some(folds) = folds {
        json::write(&root.join("splits_final.json"), &folds)?;
    }
    write_participants(cohort, &root)?;
    let description = serde_json::json!({
        "channel_names": {"0": "CT"},
        "labels": LABELS.into_iter().collect::<BTreeMap<_, _>>(),
        "numTraining": n_training,
        "file_ending": ".nii.gz",
        "name": config.name,
        "description": "Head CT, HU within the window, on hemex's canonical grid",
    });
    Ok(json::write(&root.join("dataset.json"), &description)?)
}

fn write_case(cohort: &Cohort, row: &CaseRow, root: &Path) -> Result<(), ExportError> {
    let case_id = &row.case_id;
    let image = cohort.cases.image(case_id)?;
    let mask = cohort.mask(row)?;
    let images = root.join(if mask.is_some() { "imagesTr" } else { "imagesTs" });
    nifti::write_image(&images.join(format!("{case_id}_0000.nii.gz")), &image)?;
    if let Some(mask) = mask {
        nifti::write_label_map(&root.join("labelsTr").join(format!("{case_id}.nii.gz")), &mask)?;
    }
    Ok(())
}

fn write_participants(cohort: &Cohort, root: &Path) -> Result<(), ExportError> {
    let columns = [&["participant_id", "patient"], &tsv::PATIENT[..], &tsv::SCAN[..]].concat();
    let rows = cohort.cases.rows.iter().map(|row| {
        let names = [row.case_id.clone(), row.patient_id.clone()];
        let cells = tsv::of_patient(row).into_iter().chain(tsv::of_scan(cohort, row));
        names.into_iter().chain(cells).collect()
    });
    tsv::write(&root.join("participants.tsv"), &columns, rows)
}

/// The folds of the regime: cases with a mask alone, in the order of the splits.
fn folds<'a>(
    cohort: &Cohort,
    splits: &'a [SplitRow],
    config: &Config,
) -> Result<Vec<Fold<'a>>, ExportError> {
    let with_mask: BTreeSet<&str> = cohort
        .cases
        .rows
        .iter()
        .filter(|row| cohort.has_mask(row))
        .map(|row| row.case_id.as_str())
        .collect();
    let mut folds: BTreeMap<usize, Fold<'_>> = BTreeMap::new();
    for row in splits.iter().filter(|row| row.regime == config.regime && row.slice_idx.is_none()) {
        let fold = folds.entry(row.fold).or_default();
        if !with_mask.contains(row.case_id.as_str()) {
            continue;
        }
        match row.role {
            Role::Train => fold.train.push(&row.case_id),
            Role::Val => fold.val.push(&row.case_id),
            Role::Calibration | Role::Test | Role::Target => (),
        }
    }
    match folds.is_empty() {
        true => Err(ExportError::NoFolds { regime: config.regime.name() }),
        false => Ok(folds.into_values().collect()),
    }
}
