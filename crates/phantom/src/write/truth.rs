//! `truth.json`: what no reader of scans can know.

use std::collections::BTreeMap;
use std::path::Path;

use hemex_artifacts::json;
use serde::Serialize;

use crate::PhantomError;
use crate::cohort::Patient;
use crate::outcome::{ModelRecord, Oracle, OutcomeModel};

#[derive(Serialize)]
struct Truth<'a> {
    model: ModelRecord,
    oracle: &'a Oracle,
    cases: BTreeMap<&'a str, CaseTruth>,
}

#[derive(Serialize)]
struct CaseTruth {
    probability: f64,
    probability_image_signs: f64,
    growth: u8,
    recorded_growth: u8,
    cue: u8,
    baseline_volume_ml: f64,
    followup_volume_ml: Option<f64>,
    location: &'static str,
    signs: BTreeMap<&'static str, f64>,
}

/// Writes `truth.json`: the model, its oracle, and every patient's true probabilities, outcome, drawn
/// volumes and signs.
pub(crate) fn truth(
    folder: &Path,
    model: &OutcomeModel,
    oracle: &Oracle,
    patients: &[Patient],
) -> Result<(), PhantomError> {
    let cases = patients.iter().map(|patient| (patient.id.as_str(), case(patient))).collect();
    let truth = Truth { model: model.record(patients), oracle, cases };
    Ok(json::write(&folder.join("truth.json"), &truth)?)
}

fn case(patient: &Patient) -> CaseTruth {
    let (signs, clinical) = (&patient.signs, &patient.clinical);
    let flag = |flag: bool| f64::from(u8::from(flag));
    CaseTruth {
        probability: patient.probability,
        probability_image_signs: patient.probability_image_signs,
        growth: u8::from(patient.growth),
        recorded_growth: u8::from(patient.recorded_growth),
        cue: u8::from(patient.cue),
        baseline_volume_ml: signs.volume_ml,
        followup_volume_ml: patient.followup.map(|followup| followup.volume_ml),
        location: signs.location.name(),
        signs: BTreeMap::from([
            ("volume_ml", signs.volume_ml),
            ("irregularity", signs.irregularity),
            ("heterogeneity", signs.heterogeneity),
            ("black_hole", flag(signs.black_hole)),
            ("blend", flag(signs.blend)),
            ("island", flag(signs.island)),
            ("satellite", flag(signs.satellite)),
            ("swirl", flag(signs.swirl)),
            ("fluid_level", flag(signs.fluid_level)),
            ("ivh", flag(signs.ivh)),
            ("subarachnoid", flag(signs.subarachnoid)),
            ("age_years", clinical.age_years),
            ("male", flag(clinical.male)),
            ("onset_to_ct_h", clinical.onset_to_ct_h),
            ("anticoagulation", flag(clinical.anticoagulation)),
            ("antiplatelet", flag(clinical.antiplatelet)),
            ("prior_ich", flag(clinical.prior_ich)),
            ("dementia", flag(clinical.dementia)),
            ("smoker", flag(clinical.smoker)),
            ("spot_sign", flag(clinical.spot_sign)),
            ("gcs", clinical.gcs),
        ]),
    }
}
