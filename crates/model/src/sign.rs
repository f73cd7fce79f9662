use serde::{Deserialize, Serialize};

/// A sign of growth that a reader looks for on a non-contrast CT.
///
/// Where each is defined, `hemex_volume::NcctSigns` has its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sign {
    /// Black hole sign.
    BlackHole,
    /// Any hypodensity.
    Hypodensity,
    /// Blend sign.
    Blend,
    /// Fluid level.
    FluidLevel,
    /// Swirl sign.
    Swirl,
    /// Satellite sign.
    Satellite,
    /// Island sign.
    Island,
    /// Irregular shape.
    Irregular,
}

impl Sign {
    /// Its name in configs and in the columns of `signs.csv`.
    pub fn name(self) -> &'static str {
        match self {
            Sign::BlackHole => "black_hole",
            Sign::Hypodensity => "hypodensity",
            Sign::Blend => "blend",
            Sign::FluidLevel => "fluid_level",
            Sign::Swirl => "swirl",
            Sign::Satellite => "satellite",
            Sign::Island => "island",
            Sign::Irregular => "irregular",
        }
    }

    /// Their names for a message.
    pub fn names(signs: &[Self]) -> String {
        signs.iter().map(|sign| sign.name()).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    #[test]
    fn a_sign_is_named_as_configs_write_it() {
        use Sign::{
            BlackHole, Blend, FluidLevel, Hypodensity, Irregular, Island, Satellite, Swirl,
        };
        let all = [BlackHole, Hypodensity, Blend, FluidLevel, Swirl, Satellite, Island, Irregular];
        for sign in all {
            assert_eq!(serde_json::to_value(sign).unwrap(), sign.name());
        }
        assert_eq!(Sign::names(&all[..2]), "black_hole, hypodensity");
    }
}
