//! The tables of a BIDS dataset.

use std::path::Path;

use hemex_artifacts::json;
use serde_json::json;

use crate::PhantomError;
use crate::cohort::Patient;

const COLUMNS: [&str; 23] = [
    "participant_id",
    "site",
    "age",
    "sex",
    "onset_to_ct_h",
    "anticoagulation",
    "antiplatelet",
    "prior_ich",
    "dementia",
    "smoker",
    "spot_sign",
    "gcs",
    "ivh",
    "subarachnoid",
    "black_hole",
    "hypodensity",
    "blend",
    "fluid_level",
    "swirl",
    "satellite",
    "island",
    "followup_interval_h",
    "surgery_before_followup",
];

const README: &str = "A synthetic cohort of head CTs with intracerebral hemorrhage, made by hemex-phantom.

No patient is in it: heads, hematomas, clinical values and outcomes are drawn from a stated model.
participants.tsv holds the clinical columns (n/a: unknown), *_dseg.nii.gz the true masks (1 intraparenchymal
hematoma, 2 intraventricular, 3 edema, 4 subarachnoid), truth.json the true probability of growth of every patient, the
model behind it, and the AUROC that the best possible predictor reaches.

Two things the truth knows and a table does not: values that are n/a in participants.tsv, and how irregular and
how mixed a hematoma is (the other signs stand in the table as drawn, whether a scan shows them or not). Age also widens sulci and ventricles, so that a scan tells a little of it; the probability
given the image signs alone does not use that.
";

/// Writes `participants.tsv` with its description, `dataset_description.json` and `README`.
pub(crate) fn tables(folder: &Path, patients: &[Patient]) -> Result<(), PhantomError> {
    let mut table = COLUMNS.join("\t");
    for patient in patients {
        table.push('\n');
        table.push_str(&row(patient).join("\t"));
    }
    table.push('\n');
    for (name, text) in [("participants.tsv", table.as_str()), ("README", README)] {
        let path = folder.join(name);
        std::fs::write(&path, text).map_err(PhantomError::io(&path))?;
    }
    json::write(&folder.join("participants.json"), &column_descriptions())?;
    json::write(
        &folder.join("dataset_description.json"),
        &json!({
            "Name": "hemex phantom cohort",
            "BIDSVersion": "1.10.0",
            "DatasetType": "raw",
            "License": "CC0",
            "GeneratedBy": [{ "Name": "hemex-phantom", "Version": env!("CARGO_PKG_VERSION") }],
        }),
    )?;
    Ok(())
}

fn row(patient: &Patient) -> [String; COLUMNS.len()] {
    let flag = |flag: bool| u8::from(flag).to_string();
    let known = |known: bool, text: String| if known { text } else { "n/a".to_owned() };
    let clinical = &patient.clinical;
    let followup = patient.followup;
    [
        patient.id.clone(),
        patient.site_name.to_owned(),
        clinical.age_years.to_string(),
        if clinical.male { "M" } else { "F" }.to_owned(),
        known(patient.known.onset_to_ct, clinical.onset_to_ct_h.to_string()),
        known(patient.known.anticoagulation, flag(clinical.anticoagulation)),
        known(patient.known.antiplatelet, flag(clinical.antiplatelet)),
        known(patient.known.prior_ich, flag(clinical.prior_ich)),
        known(patient.known.dementia, flag(clinical.dementia)),
        known(patient.known.smoker, flag(clinical.smoker)),
        known(patient.known.spot_sign, flag(clinical.spot_sign)),
        known(patient.known.gcs, clinical.gcs.to_string()),
        flag(patient.signs.ivh),
        flag(patient.signs.subarachnoid),
        flag(patient.signs.black_hole),
        // Both are darker within the blood.
        flag(patient.signs.black_hole || patient.signs.swirl),
        flag(patient.signs.blend),
        flag(patient.signs.fluid_level),
        flag(patient.signs.swirl),
        flag(patient.signs.satellite),
        flag(patient.signs.island),
        followup.map_or("n/a".to_owned(), |f| f.interval_h.to_string()),
        followup.map_or("n/a".to_owned(), |f| flag(f.surgery_before)),
    ]
}

fn column_descriptions() -> serde_json::Value {
    let no_yes = json!({ "0": "no", "1": "yes" });
    json!({
        "site": { "Description": "Where the patient was scanned" },
        "age": { "Description": "Age", "Units": "year" },
        "sex": { "Description": "Sex", "Levels": { "F": "female", "M": "male" } },
        "onset_to_ct_h": { "Description": "Time from onset to the baseline scan", "Units": "hour" },
        "anticoagulation": { "Description": "On anticoagulants", "Levels": no_yes },
        "antiplatelet": { "Description": "On antiplatelets", "Levels": no_yes },
        "prior_ich": { "Description": "Intracerebral hemorrhage before this one", "Levels": no_yes },
        "dementia": { "Description": "Dementia", "Levels": no_yes },
        "smoker": { "Description": "Current smoker", "Levels": no_yes },
        "spot_sign": {
            "Description": "Spot sign on CT angiography; n/a without one", "Levels": no_yes
        },
        "gcs": { "Description": "Glasgow Coma Scale at admission, 3 to 15" },
        "ivh": { "Description": "Blood in the ventricles", "Levels": no_yes },
        "subarachnoid": { "Description": "Blood in the subarachnoid space", "Levels": no_yes },
        "black_hole": { "Description": "Black hole sign, as drawn", "Levels": no_yes },
        "hypodensity": { "Description": "Any hypodensity, as drawn", "Levels": no_yes },
        "blend": { "Description": "Blend sign, as drawn", "Levels": no_yes },
        "fluid_level": { "Description": "Fluid level, as drawn", "Levels": no_yes },
        "swirl": { "Description": "Swirl sign, as drawn", "Levels": no_yes },
        "satellite": { "Description": "Satellite sign, as drawn", "Levels": no_yes },
        "island": { "Description": "Island sign, as drawn", "Levels": no_yes },
        "followup_interval_h": { "Description": "Time between the scans", "Units": "hour" },
        "surgery_before_followup": {
            "Description": "Operated on before the follow-up scan", "Levels": no_yes
        },
    })
}
