//! `clinical.csv` of `cases/1`: what clinical scores of growth ask for beside `cases.csv`.

use serde::{Deserialize, Serialize};

use crate::{CaseRow, Sex, flag};

/// The names of the clinical features of a case: what `cases.csv` and `clinical.csv` say of the patient.
pub const CLINICAL_FEATURES: [&str; 12] = [
    "age_years",
    "male",
    "ln_onset_to_ct_h",
    "anticoagulation",
    "gcs",
    "ivh",
    "antiplatelet",
    "prior_ich",
    "dementia",
    "smoker",
    "subarachnoid",
    "spot_sign",
];

/// A feature of [`CLINICAL_FEATURES`] by name, flags as 0 or 1, hours by their natural logarithm; `None` where it is
/// not known, and of any other name.
pub fn clinical_feature(name: &str, case: &CaseRow, clinical: Option<&ClinicalRow>) -> Option<f64> {
    let flag = |value: Option<bool>| value.map(|value| f64::from(u8::from(value)));
    let of_clinical = |value: fn(&ClinicalRow) -> Option<bool>| flag(clinical.and_then(value));
    match name {
        "age_years" => case.age_years,
        "male" => flag(case.sex.map(|sex| sex == Sex::M)),
        "ln_onset_to_ct_h" => case.onset_to_ct_h.filter(|hours| *hours > 0.0).map(f64::ln),
        "anticoagulation" => flag(case.anticoagulation),
        "gcs" => case.gcs,
        "ivh" => flag(case.ivh),
        "antiplatelet" => of_clinical(|row| row.antiplatelet),
        "prior_ich" => of_clinical(|row| row.prior_ich),
        "dementia" => of_clinical(|row| row.dementia),
        "smoker" => of_clinical(|row| row.smoker),
        "subarachnoid" => of_clinical(|row| row.subarachnoid),
        "spot_sign" => of_clinical(|row| row.spot_sign),
        _ => None,
    }
}

/// A row of `clinical.csv`; what is not known is empty. The table may be missing or leave cases out. With
/// `cases.csv` and the signs of the image it holds what BAT (Morotti et al., Stroke 2018), BRAIN (Wang et al.,
/// Stroke 2015), HEP (Yao et al., Neurocrit Care 2015) and the 9-point score (Brouwers et al., JAMA Neurol 2014)
/// are computed from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClinicalRow {
    /// Pseudonym of the scan.
    pub case_id: String,
    /// Whether the patient took antiplatelets.
    #[serde(with = "flag")]
    pub antiplatelet: Option<bool>,
    /// Whether there was an intracerebral hemorrhage before this one.
    #[serde(with = "flag")]
    pub prior_ich: Option<bool>,
    /// Whether the patient had dementia.
    #[serde(with = "flag")]
    pub dementia: Option<bool>,
    /// Whether the patient smoked at the time.
    #[serde(with = "flag")]
    pub smoker: Option<bool>,
    /// Whether blood reached the subarachnoid space.
    #[serde(with = "flag")]
    pub subarachnoid: Option<bool>,
    /// Whether CT angiography showed a spot sign; unknown without one.
    #[serde(with = "flag")]
    pub spot_sign: Option<bool>,
}

impl ClinicalRow {
    /// The columns, in order.
    pub const COLUMNS: [&str; 7] =
        ["case_id", "antiplatelet", "prior_ich", "dementia", "smoker", "subarachnoid", "spot_sign"];

    /// Whether nothing is known of the case.
    pub fn is_empty(&self) -> bool {
        *self == Self { case_id: self.case_id.clone(), ..Self::default() }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    #[test]
    fn features_are_what_the_tables_say_and_nothing_where_they_are_silent() {
        let text = "case_id,patient_id,site,age_years,sex,onset_to_ct_h,anticoagulation,gcs,ivh,source_format,\
                    native_spacing_d_mm,native_spacing_h_mm,native_spacing_w_mm,slice_thickness_mm,\
                    convolution_kernel,tube_voltage_kvp,manufacturer,noise_hu\n\
                    c,p,A,70,M,2,1,,0,nifti,5,1,1,,,,,\n";
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cases.csv");
        std::fs::write(&path, text).unwrap();
        let case = &crate::table::read_rows::<CaseRow>(&path).unwrap()[0];
        let clinical = ClinicalRow { smoker: Some(true), ..ClinicalRow::default() };
        let known = CLINICAL_FEATURES.map(|name| clinical_feature(name, case, Some(&clinical)));
        let ln_2 = Some(std::f64::consts::LN_2);
        let (no, yes) = (Some(0.0), Some(1.0));
        let expected = [Some(70.0), yes, ln_2, yes, None, no, None, None, None, yes, None, None];
        assert_eq!(known, expected);
        assert_eq!(clinical_feature("smoker", case, None), None);
        assert_eq!(clinical_feature("height", case, Some(&clinical)), None);
    }
}
