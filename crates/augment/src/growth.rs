//! The rule that calls a hematoma grown.

use serde::{Deserialize, Serialize};

/// A hematoma grew if it gained more than a share of its baseline volume or more than an absolute volume;
/// exactly as much is stable (Al-Shahi Salman et al., Lancet Neurology 17, 2018, use 33 % and 6 mL).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrowthRule {
    /// Share of the baseline volume, such as 0.33.
    pub relative: f64,
    /// Gained volume, mL, such as 6.
    pub absolute_ml: f64,
}

impl GrowthRule {
    /// Whether a hematoma of these volumes grew; `None` where there was none at baseline.
    pub fn grew(&self, [before_ml, after_ml]: [f64; 2]) -> Option<bool> {
        self.index([before_ml, after_ml]).map(|index| index > 1.0)
    }

    /// The gain as a multiple of the nearest limit: above 1 is growth. `None` where there was no hematoma at
    /// baseline.
    ///
    /// Volumes are whole voxels: rounding does not make a hematoma grow that gained exactly a limit.
    pub fn index(&self, [before_ml, after_ml]: [f64; 2]) -> Option<f64> {
        if before_ml.is_nan() || before_ml <= 0.0 {
            return None;
        }
        let gained_ml = after_ml - before_ml - 1e-9 * (before_ml + after_ml);
        Some((gained_ml / (self.relative * before_ml)).max(gained_ml / self.absolute_ml))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: GrowthRule = GrowthRule { relative: 0.33, absolute_ml: 6.0 };

    #[test]
    fn either_limit_is_growth_and_exactly_a_limit_is_not() {
        assert_eq!(RULE.grew([10.0, 13.3]), Some(false));
        assert_eq!(RULE.grew([10.0, 13.4]), Some(true), "relative");
        assert_eq!(RULE.grew([50.0, 56.0]), Some(false));
        assert_eq!(RULE.grew([50.0, 56.1]), Some(true), "absolute");
        assert_eq!(RULE.grew([50.0, 12.0]), Some(false));
        assert_eq!(RULE.grew([0.0, 12.0]), None);
        assert_eq!(RULE.index([10.0, 16.6]).map(|i| (i * 1e6).round() / 1e6), Some(2.0));
    }
}
