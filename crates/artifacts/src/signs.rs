//! `signs.csv` of `cases/1`: signs of growth that a person saw on the baseline scan.

use serde::{Deserialize, Serialize};

use crate::flag;

/// A row of `signs.csv`; what nobody looked for is empty. The table may be missing or leave cases out. The signs
/// are those of `hemex_volume::NcctSigns`, where each has its source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignRow {
    /// Pseudonym of the scan.
    pub case_id: String,
    /// Black hole sign.
    #[serde(with = "flag")]
    pub black_hole: Option<bool>,
    /// Any hypodensity.
    #[serde(with = "flag")]
    pub hypodensity: Option<bool>,
    /// Blend sign.
    #[serde(with = "flag")]
    pub blend: Option<bool>,
    /// Fluid level.
    #[serde(with = "flag")]
    pub fluid_level: Option<bool>,
    /// Swirl sign.
    #[serde(with = "flag")]
    pub swirl: Option<bool>,
    /// Satellite sign.
    #[serde(with = "flag")]
    pub satellite: Option<bool>,
    /// Island sign.
    #[serde(with = "flag")]
    pub island: Option<bool>,
    /// Irregular shape.
    #[serde(with = "flag")]
    pub irregular: Option<bool>,
}

impl SignRow {
    /// The columns, in order.
    pub const COLUMNS: [&str; 9] = [
        "case_id",
        "black_hole",
        "hypodensity",
        "blend",
        "fluid_level",
        "swirl",
        "satellite",
        "island",
        "irregular",
    ];

    /// Whether nothing was looked for.
    pub fn is_empty(&self) -> bool {
        *self == Self { case_id: self.case_id.clone(), ..Self::default() }
    }
}
