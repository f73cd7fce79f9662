//! What tells growth, for each arm.

use std::collections::BTreeMap;

use hemex_artifacts::CLINICAL_FEATURES;
use hemex_model::{NetworkKind, RawNetworkSpec, SIGN_FEATURES};
use hemex_stage::suggest::did_you_mean;
use hemex_stage::{ConfigError, check_positive, check_range};
use serde::Deserialize;

/// What tells growth, as it is written for an arm.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawGrowthSource {
    /// What of the scan.
    pub scan: ScanSource,
    /// What of the patient: names of [`CLINICAL_FEATURES`]. Not beside the network's own logit.
    pub clinical: Vec<String>,
}

/// The regression on what tells growth.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawGrowthRegression {
    /// Features that are known to tell growth: names of [`SIGN_FEATURES`] and [`CLINICAL_FEATURES`].
    pub established: Vec<String>,
    /// Their penalty as a part of that of the other features: what is known need not be shown anew.
    pub established_penalty: f64,
}

/// The regression, checked.
#[derive(Debug, Clone)]
pub(crate) struct Established {
    names: Vec<String>,
    penalty: f64,
}

impl TryFrom<RawGrowthRegression> for Established {
    type Error = ConfigError;

    fn try_from(raw: RawGrowthRegression) -> Result<Self, ConfigError> {
        let known: Vec<&str> = SIGN_FEATURES.into_iter().chain(CLINICAL_FEATURES).collect();
        if let Some(name) = raw.established.iter().find(|name| !known.contains(&name.as_str())) {
            let hint = did_you_mean(name, known);
            let expected = format!("names of features{hint}");
            return Err(ConfigError::new("established", &expected, format_args!("`{name}`")));
        }
        let penalty = check_positive("established_penalty", raw.established_penalty)?;
        let penalty = check_range("established_penalty", penalty, 0.0..=1.0)?;
        Ok(Self { names: raw.established, penalty })
    }
}

impl Established {
    /// The penalty of a feature as a part of that of those that are not established.
    pub(crate) fn penalty_of(&self, name: &str) -> f64 {
        match self.names.iter().any(|known| known == name) {
            true => self.penalty,
            false => 1.0,
        }
    }
}

/// What of a scan tells growth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScanSource {
    /// The network's own logit.
    Network,
    /// A regression on the volume of the hematoma that the network finds, fitted after it is trained.
    Volume,
    /// A regression on volume, outline and signs of the hematoma that the network finds, fitted after it is trained.
    Signs,
}

/// What tells growth, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum GrowthSource {
    /// The network's own logit.
    Network,
    /// A regression on these features of the scan and of the patient.
    Regression { of_mask: Vec<&'static str>, clinical: Vec<&'static str> },
}

/// The sources of all arms, each of which needs one.
pub(crate) fn check_sources(
    sources: &BTreeMap<String, RawGrowthSource>,
    arms: &BTreeMap<String, RawNetworkSpec>,
) -> Result<BTreeMap<String, GrowthSource>, ConfigError> {
    if let Some(name) = sources.keys().find(|name| !arms.contains_key(*name)) {
        let hint = did_you_mean(name, arms.keys().map(String::as_str));
        let key = format!("growth_from.{name}");
        return Err(ConfigError::new(&key, &format!("the name of an arm{hint}"), name));
    }
    let checked = arms.iter().map(|(name, network)| {
        let key = format!("growth_from.{name}");
        let raw = sources
            .get(name)
            .ok_or_else(|| ConfigError::new(&key, "scan and clinical for each arm", "none"))?;
        let source = check(raw, network.kind).map_err(|error| error.within(&key))?;
        Ok((name.clone(), source))
    });
    checked.collect()
}

fn check(raw: &RawGrowthSource, network: NetworkKind) -> Result<GrowthSource, ConfigError> {
    let clinical = raw.clinical.iter().map(|name| clinical_feature(name));
    let clinical = clinical.collect::<Result<Vec<_>, _>>()?;
    let of_mask = match raw.scan {
        ScanSource::Network if !network.classifies() => {
            let expected = "\"volume\" or \"signs\": this network does not tell growth itself";
            return Err(ConfigError::new("scan", expected, "network"));
        }
        ScanSource::Network if clinical.is_empty() => return Ok(GrowthSource::Network),
        ScanSource::Network => {
            let expected = "none with scan = \"network\", whose logit is trained with the network";
            return Err(ConfigError::new("clinical", expected, raw.clinical.join(", ")));
        }
        ScanSource::Volume => vec!["ln_volume_ml"],
        ScanSource::Signs => SIGN_FEATURES.to_vec(),
    };
    if !network.segments() {
        let expected = "\"network\": this network writes no mask that could be read";
        return Err(ConfigError::new("scan", expected, format_args!("{:?}", raw.scan)));
    }
    Ok(GrowthSource::Regression { of_mask, clinical })
}

fn clinical_feature(name: &str) -> Result<&'static str, ConfigError> {
    CLINICAL_FEATURES.into_iter().find(|known| *known == name).ok_or_else(|| {
        let hint = did_you_mean(name, CLINICAL_FEATURES);
        ConfigError::new("clinical", &format!("a clinical feature{hint}"), format_args!("`{name}`"))
    })
}
