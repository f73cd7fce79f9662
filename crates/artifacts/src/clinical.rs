//! `clinical.csv` of `cases/1`: what clinical scores of growth ask for beside `cases.csv`.

use serde::{Deserialize, Serialize};

use crate::flag;

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
