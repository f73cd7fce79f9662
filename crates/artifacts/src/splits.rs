//! `splits/1`: which unit has which role.

use serde::{Deserialize, Serialize};

/// A row of `splits.csv`: the role of a case, or of one of its slices, in one fold of one regime.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitRow {
    /// Pseudonym of the scan.
    pub case_id: String,
    /// Index of the slice along D; `None` for the whole case.
    pub slice_idx: Option<usize>,
    /// Pseudonym of the patient.
    pub patient_id: String,
    /// Where it was scanned.
    pub site: String,
    /// How the cohort is split.
    pub regime: Regime,
    /// Index of the fold.
    pub fold: usize,
    /// What the unit is used for.
    pub role: Role,
}

impl SplitRow {
    /// The columns, in order.
    pub const COLUMNS: [&str; 7] =
        ["case_id", "slice_idx", "patient_id", "site", "regime", "fold", "role"];
}

/// How a cohort is split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Regime {
    /// k folds, a patient in one of them, strata by label.
    Patient,
    /// Each fold holds out one site.
    Site,
    /// Slices of one patient on both sides: optimistic, every page marks it.
    SamePatient,
    /// One fold: the patients scanned last are tested.
    Time,
    /// As the dataset's own file says.
    Given,
}

impl Regime {
    /// The name in tables and configs.
    pub fn name(self) -> &'static str {
        match self {
            Regime::Patient => "patient",
            Regime::Site => "site",
            Regime::SamePatient => "same_patient",
            Regime::Time => "time",
            Regime::Given => "given",
        }
    }
}

/// What a unit is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Its label and mask train the network.
    Train,
    /// Chooses the checkpoint.
    Val,
    /// Evaluates the network, once.
    Test,
    /// Its image features alone, never its label, shape the weights.
    Target,
    /// Its label tells how often sets of labels miss the true one; it neither trains nor chooses.
    Calibration,
}

impl Role {
    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Role::Train => "train",
            Role::Val => "val",
            Role::Calibration => "calibration",
            Role::Test => "test",
            Role::Target => "target",
        }
    }
}
