use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::suggest::nearest;

/// The kinds of artifact that stages exchange, each with the version of its layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Kind {
    /// Raw data as it comes: BIDS, a flat folder, a table of paths.
    Dataset,
    /// Prepared images, brain masks and native geometries of baseline scans.
    Cases,
    /// Growth labels, volumes and reference masks.
    Labels,
    /// Which unit has which role in which fold.
    Splits,
    /// The way back from pseudonyms to the source; read by no stage.
    Private,
    /// Weights of training cases toward a target domain.
    Weights,
    /// A trained network with all that is needed to apply it.
    Model,
    /// Growth probabilities and masks of a model.
    Predictions,
    /// Figures, tables and the page.
    Report,
}

impl Kind {
    /// Every kind, in the order of a pipeline.
    pub const ALL: [Kind; 9] = [
        Kind::Dataset,
        Kind::Cases,
        Kind::Labels,
        Kind::Splits,
        Kind::Private,
        Kind::Weights,
        Kind::Model,
        Kind::Predictions,
        Kind::Report,
    ];

    /// The name in pipeline files and requests, such as `cases/1`.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Dataset => "dataset/1",
            Kind::Cases => "cases/1",
            Kind::Labels => "labels/1",
            Kind::Splits => "splits/1",
            Kind::Private => "private/1",
            Kind::Weights => "weights/1",
            Kind::Model => "model/1",
            Kind::Predictions => "predictions/1",
            Kind::Report => "report/1",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no artifact kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is no artifact kind{}", suggestion(.nearest.as_deref()))]
pub struct UnknownKind {
    /// What was found.
    pub name: String,
    /// The closest known name, if one is close.
    pub nearest: Option<String>,
}

fn suggestion(nearest: Option<&str>) -> String {
    let known = Kind::ALL.map(Kind::name).join(", ");
    nearest.map_or_else(|| format!("; known are {known}"), |n| format!("; did you mean `{n}`?"))
}

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(name: &str) -> Result<Self, UnknownKind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| UnknownKind {
            name: name.to_owned(),
            nearest: nearest(name, Kind::ALL.map(Kind::name)).map(str::to_owned),
        })
    }
}

impl TryFrom<String> for Kind {
    type Error = UnknownKind;

    fn try_from(name: String) -> Result<Self, UnknownKind> {
        name.parse()
    }
}

impl From<Kind> for String {
    fn from(kind: Kind) -> String {
        kind.name().to_owned()
    }
}
