use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

use super::Problem;
use super::files::{Grid, json, nifti, plain_name, present, safetensors};
use super::table::{Row, Table};

const REGIMES: [&str; 5] = ["patient", "site", "same_patient", "time", "given"];
const ROLES: [&str; 5] = ["train", "val", "calibration", "test", "target"];
const NATIVE_SPACINGS: [&str; 3] =
    ["native_spacing_d_mm", "native_spacing_h_mm", "native_spacing_w_mm"];
/// Columns that may be missing.
const NUMBERS_OF_A_PREDICTION: [&str; 6] = [
    "logit",
    "uncertainty",
    "twin_logit",
    "inpainted_logit",
    "entropy_nats",
    "mutual_information_nats",
];
const STATUSES: [&str; 3] = ["ok", "no_lesion", "refused"];

pub(super) fn dataset(folder: &Path) -> Result<(), Problem> {
    let mut entries = std::fs::read_dir(folder).map_err(|e| Problem::new(folder, e.to_string()))?;
    if entries.next().is_none() {
        return Err(Problem::new(folder, "the folder is empty"));
    }
    Ok(())
}

pub(super) fn cases(folder: &Path) -> Result<(), Problem> {
    let required = [
        &["case_id", "patient_id", "site", "age_years", "sex", "onset_to_ct_h", "source_format"][..],
        &NATIVE_SPACINGS,
    ];
    let required = required.concat();
    let table = Table::read(folder.join("cases.csv"), &required)?;
    let geometry = json(&folder.join("geometry.json"))?;
    let mut seen = HashMap::new();
    for row in table.rows() {
        let case_id = row.required("case_id")?;
        row.required("patient_id")?;
        row.required("site")?;
        row.number("age_years")?;
        for column in NATIVE_SPACINGS {
            if row.number(column)?.is_none_or(|mm| mm <= 0.0) {
                return Err(row.problem(format!("`{column}` must be a number above 0")));
            }
        }
        if !plain_name(case_id) || seen.insert(case_id, ()).is_some() {
            return Err(row.problem(format!("`{case_id}` is no unique plain name")));
        }
        let image = nifti(&folder.join("images").join(format!("{case_id}.nii")))?.shape;
        let brain_path = folder.join("brain").join(format!("{case_id}.nii"));
        let brain = nifti(&brain_path)?.shape;
        if image != brain {
            let text = format!("its shape {brain:?} is not the image's {image:?}");
            return Err(Problem::new(&brain_path, text));
        }
        let native = &geometry[case_id];
        let rows = native["affine"].as_array().map_or(0, Vec::len);
        if native["shape"].as_array().map_or(0, Vec::len) != 3 || rows != 3 {
            let text = format!("`{case_id}` needs a `shape` of 3 and an `affine` of 3 × 4 numbers");
            return Err(Problem::new(&folder.join("geometry.json"), text));
        }
    }
    Table::read(folder.join("exclusions.csv"), &["case_id", "reason"])?;
    let preparation = folder.join("preparation.json");
    match json(&preparation)?["spacing_mm"].as_array().map(Vec::len) {
        Some(3) => Ok(()),
        _ => Err(Problem::new(&preparation, "`spacing_mm` must hold 3 numbers")),
    }
}

pub(super) fn labels(folder: &Path) -> Result<(), Problem> {
    let required = [
        "case_id",
        "growth",
        "growth_undefined_reason",
        "baseline_volume_ml",
        "followup_volume_ml",
        "mask",
        "true_probability",
    ];
    let table = Table::read(folder.join("labels.csv"), &required)?;
    let mut seen = HashSet::new();
    for row in table.rows() {
        let case_id = row.required("case_id")?;
        if !seen.insert(case_id) {
            return Err(row.problem(format!("`{case_id}` has a label already")));
        }
        if row.one_of("growth", &["0", "1", ""])?.is_empty() {
            row.required("growth_undefined_reason")?;
        }
        for volume in ["baseline_volume_ml", "followup_volume_ml"] {
            if row.number(volume)?.is_some_and(|ml| ml < 0.0) {
                return Err(row.problem(format!("`{volume}` is negative")));
            }
        }
        row.probability("true_probability")?;
        let mask = volume(folder, row, "mask", "masks/")?;
        // The column may be missing.
        let followup = volume(folder, row, "followup_mask", "followup_masks/")?;
        if let (Some(mask), Some(followup)) = (mask, followup)
            && !followup.is_same(&mask)
        {
            return Err(row.problem("`followup_mask` does not lie on the grid of `mask`"));
        }
    }
    json(&folder.join("labels.json")).map(drop)
}

/// The grid of the volume that a cell names below the artifact's `place`; `None` for an empty cell.
fn volume(folder: &Path, row: Row<'_>, column: &str, place: &str) -> Result<Option<Grid>, Problem> {
    match row.text(column) {
        "" => Ok(None),
        name if name.strip_prefix(place).is_some_and(plain_name) => {
            nifti(&folder.join(name)).map(Some)
        }
        name => Err(row.problem(format!("`{column}` is `{name}`, expected `{place}…`"))),
    }
}

pub(super) fn splits(folder: &Path) -> Result<(), Problem> {
    let required = ["case_id", "slice_idx", "patient_id", "site", "regime", "fold", "role"];
    let table = Table::read(folder.join("splits.csv"), &required)?;
    let mut role_of_patient = HashMap::new();
    let mut role_of_unit = HashMap::new();
    for row in table.rows() {
        let regime = row.one_of("regime", &REGIMES)?;
        let role = row.one_of("role", &ROLES)?;
        let fold = row.count("fold")?;
        if !row.text("slice_idx").is_empty() {
            row.count("slice_idx")?;
        }
        let case_id = row.required("case_id")?;
        let patient = row.required("patient_id")?;
        let unit = (regime, fold, case_id, row.text("slice_idx"));
        if role_of_unit.insert(unit, role).is_some() {
            return Err(row.problem(format!("`{case_id}` has two roles in {regime} fold {fold}")));
        }
        if regime == "same_patient" {
            continue;
        }
        let earlier = role_of_patient.insert((regime, fold, patient), role);
        if earlier.is_some_and(|earlier| earlier != role) {
            let text =
                format!("patient `{patient}` has two roles in regime `{regime}`, fold {fold}");
            return Err(row.problem(text));
        }
    }
    if table.rows().next().is_none() {
        return Err(table.problem("it has no rows"));
    }
    Ok(())
}

pub(super) fn folds(folder: &Path) -> Result<BTreeMap<String, BTreeSet<usize>>, Problem> {
    let table = Table::read(folder.join("splits.csv"), &["regime", "fold"])?;
    let mut folds: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
    for row in table.rows() {
        folds.entry(row.text("regime").to_owned()).or_default().insert(row.count("fold")?);
    }
    Ok(folds)
}

pub(super) fn private(folder: &Path) -> Result<(), Problem> {
    Table::read(folder.join("mapping.csv"), &["case_id", "patient_id", "source_id", "source_path"])
        .map(drop)
}

pub(super) fn weights(folder: &Path) -> Result<(), Problem> {
    let required = ["regime", "fold", "case_id", "weight"];
    let table = Table::read(folder.join("weights.csv"), &required)?;
    for row in table.rows() {
        row.one_of("regime", &REGIMES)?;
        row.count("fold")?;
        row.required("case_id")?;
        if row.number("weight")?.is_none_or(|weight| weight < 0.0) {
            return Err(row.problem("`weight` must be a number from 0"));
        }
    }
    json(&folder.join("weights.json")).map(drop)
}

pub(super) fn model(folder: &Path) -> Result<(), Problem> {
    // The format of the weights is the trainer's own; where they are safetensors they must be sound.
    let weights = folder.join("model.safetensors");
    if weights.exists() {
        safetensors(&weights)?;
    }
    json(&folder.join("model.json")).map(drop)
}

pub(super) fn predictions(folder: &Path) -> Result<(), Problem> {
    let required = ["case_id", "status", "reason", "probability", "volume_ml"];
    let table = Table::read(folder.join("predictions.csv"), &required)?;
    let mut seen = HashMap::new();
    for row in table.rows() {
        let case_id = row.required("case_id")?;
        if seen.insert(case_id, ()).is_some() {
            return Err(row.problem(format!("`{case_id}` is predicted twice")));
        }
        let probability = row.probability("probability")?;
        for column in NUMBERS_OF_A_PREDICTION {
            row.number(column)?;
        }
        for volume in ["volume_ml", "predicted_followup_ml"] {
            if row.number(volume)?.is_some_and(|ml| ml < 0.0) {
                return Err(row.problem(format!("`{volume}` is negative")));
            }
        }
        match (row.one_of("status", &STATUSES)?, probability) {
            ("ok", None) => return Err(row.problem("status `ok` needs a `probability`")),
            ("no_lesion" | "refused", Some(_)) => {
                return Err(row.problem("`probability` must be empty unless the status is `ok`"));
            }
            ("refused", None) => row.required("reason").map(drop)?,
            _ => (),
        }
    }
    json(&folder.join("predictions.json")).map(drop)
}

pub(super) fn report(folder: &Path) -> Result<(), Problem> {
    present(&folder.join("report.html"))?;
    json(&folder.join("metrics.json")).map(drop)
}
