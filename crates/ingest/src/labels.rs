//! When a hematoma has grown.

use crate::layout::Clinical;
use crate::{GrowthRule, LabelRule, LabelSource};

/// Hematoma volumes of a case, as far as there are masks, mL.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Volumes {
    /// Of the baseline scan.
    pub baseline_ml: Option<f64>,
    /// Of the follow-up scan.
    pub followup_ml: Option<f64>,
    /// Intraventricular blood of the baseline scan.
    pub baseline_ivh_ml: Option<f64>,
    /// Intraventricular blood of the follow-up scan.
    pub followup_ivh_ml: Option<f64>,
}

/// Why a label is undefined: neither grown nor stable may be written.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum Undefined {
    /// The rule asks for the column and it is empty.
    #[error("no value in the column `growth`")]
    NoColumn,
    /// The hematoma was removed in between.
    #[error("surgery before the follow-up scan")]
    Surgery,
    /// No mask of the baseline scan.
    #[error("no baseline mask")]
    NoBaselineMask,
    /// No mask of a follow-up scan.
    #[error("no follow-up mask")]
    NoFollowupMask,
    /// Growth of nothing.
    #[error("baseline volume of 0 mL")]
    NoBaselineVolume,
    /// The time between the scans is not known.
    #[error("follow-up interval unknown")]
    NoInterval,
    /// The follow-up scan is too early or too late.
    #[error("follow-up after {interval_h} h, outside {} to {} h", .window_h[0], .window_h[1])]
    OutsideWindow {
        /// Hours between the scans.
        interval_h: f64,
        /// The configured window.
        window_h: [f64; 2],
    },
}

/// Whether the hematoma grew, by the rule.
///
/// With [`LabelSource::Column`] the column `growth` decides alone, with [`LabelSource::Volumes`] the
/// volumes alone; with [`LabelSource::Auto`] the column does where it holds a value. A column's value is
/// taken as it is, whatever interval and surgery. By volumes a hematoma grew if it gained more than
/// `relative_growth` of its baseline volume or more than `absolute_growth_ml`, whichever the rule asks
/// for; exactly as much is stable. By the revised rule it also grew if there is intraventricular blood
/// where there was none, or at least `ivh_growth_ml` more of it. Where `surgery_before_followup` is unknown, none is assumed.
///
/// # Errors
/// [`Undefined`] with the first reason in the order of its variants.
pub fn growth(rule: &LabelRule, volumes: Volumes, clinical: &Clinical) -> Result<bool, Undefined> {
    match (rule.source, clinical.growth) {
        (LabelSource::Column, None) => Err(Undefined::NoColumn),
        (LabelSource::Column | LabelSource::Auto, Some(growth)) => Ok(growth),
        (LabelSource::Volumes, _) | (LabelSource::Auto, None) => {
            by_volumes(rule, volumes, clinical)
        }
    }
}

fn by_volumes(rule: &LabelRule, volumes: Volumes, clinical: &Clinical) -> Result<bool, Undefined> {
    if clinical.surgery_before_followup == Some(true) {
        return Err(Undefined::Surgery);
    }
    let baseline_ml = volumes.baseline_ml.ok_or(Undefined::NoBaselineMask)?;
    let followup_ml = volumes.followup_ml.ok_or(Undefined::NoFollowupMask)?;
    if baseline_ml <= 0.0 {
        return Err(Undefined::NoBaselineVolume);
    }
    let interval_h = clinical.followup_interval_h.ok_or(Undefined::NoInterval)?;
    let window_h = rule.followup_window_h;
    if !(window_h[0]..=window_h[1]).contains(&interval_h) {
        return Err(Undefined::OutsideWindow { interval_h, window_h });
    }
    // Volumes are whole voxels: rounding must not make a hematoma grow that gained exactly the limit.
    let rounding_ml = 1e-9 * (baseline_ml + followup_ml);
    let gained_ml = followup_ml - baseline_ml - rounding_ml;
    let relative = gained_ml > rule.relative_growth * baseline_ml;
    let absolute = gained_ml > rule.absolute_growth_ml;
    Ok(match rule.rule {
        GrowthRule::Relative => relative,
        GrowthRule::Absolute => absolute,
        GrowthRule::Either => relative || absolute,
        GrowthRule::Revised => relative || absolute || ventricles_filled(rule, volumes),
    })
}

/// Intraventricular blood that is new, or that gained as much as counts.
fn ventricles_filled(rule: &LabelRule, volumes: Volumes) -> bool {
    let (before, after) =
        (volumes.baseline_ivh_ml.unwrap_or(0.0), volumes.followup_ivh_ml.unwrap_or(0.0));
    let rounding_ml = 1e-9 * (before + after);
    (before == 0.0 && after > 0.0) || after - before + rounding_ml >= rule.ivh_growth_ml
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW_H: [f64; 2] = [6.0, 72.0];

    fn rule(source: LabelSource) -> LabelRule {
        LabelRule {
            source,
            rule: GrowthRule::Either,
            relative_growth: 0.33,
            absolute_growth_ml: 6.0,
            ivh_growth_ml: 1.0,
            count_intraventricular: false,
            followup_window_h: WINDOW_H,
        }
    }

    fn at(interval_h: f64) -> Clinical {
        Clinical { followup_interval_h: Some(interval_h), ..Clinical::default() }
    }

    #[test]
    fn the_rule_of_volumes() {
        use Undefined::*;
        let surgery = Clinical { surgery_before_followup: Some(true), ..at(24.0) };
        let no_surgery = Clinical { surgery_before_followup: Some(false), ..at(24.0) };
        let late = OutsideWindow { interval_h: 72.5, window_h: WINDOW_H };
        let early = OutsideWindow { interval_h: 5.0, window_h: WINDOW_H };
        let table = [
            // More than a third of a small one, more than 6 mL of a large one.
            (Some(3.0), Some(4.0), at(24.0), Ok(true)),
            (Some(30.0), Some(36.5), at(24.0), Ok(true)),
            (Some(30.0), Some(35.5), at(24.0), Ok(false)),
            // Exactly as much is stable; shrinking too.
            (Some(100.0), Some(106.0), at(24.0), Ok(false)),
            (Some(10.0), Some(13.3), at(24.0), Ok(false)),
            (Some(20.0), Some(2.0), at(24.0), Ok(false)),
            // Both ends of the window belong to it.
            (Some(3.0), Some(9.0), at(6.0), Ok(true)),
            (Some(3.0), Some(9.0), at(72.0), Ok(true)),
            (Some(3.0), Some(9.0), at(72.5), Err(late)),
            (Some(3.0), Some(9.0), at(5.0), Err(early)),
            (Some(3.0), Some(9.0), Clinical::default(), Err(NoInterval)),
            (Some(0.0), Some(9.0), at(24.0), Err(NoBaselineVolume)),
            (None, Some(9.0), at(24.0), Err(NoBaselineMask)),
            (Some(3.0), None, at(24.0), Err(NoFollowupMask)),
            (Some(3.0), Some(9.0), surgery, Err(Surgery)),
            (Some(3.0), Some(9.0), no_surgery, Ok(true)),
        ];
        for (baseline_ml, followup_ml, clinical, expected) in table {
            let volumes = Volumes { baseline_ml, followup_ml, ..Volumes::default() };
            let found = growth(&rule(LabelSource::Volumes), volumes, &clinical);
            assert_eq!(found, expected, "{volumes:?} {clinical:?}");
        }
    }

    #[test]
    fn each_rule_counts_its_own_growth() {
        use GrowthRule::*;
        let by = |growth_rule, ml: [f64; 4]| {
            let rule = LabelRule { rule: growth_rule, ..rule(LabelSource::Volumes) };
            let [baseline_ml, followup_ml, baseline_ivh_ml, followup_ivh_ml] = ml.map(Some);
            let volumes = Volumes { baseline_ml, followup_ml, baseline_ivh_ml, followup_ivh_ml };
            growth(&rule, volumes, &at(24.0)).unwrap_or_else(|reason| panic!("{reason}"))
        };
        // Baseline, follow-up, the same of intraventricular blood; grown by each of the four rules.
        let table = [
            ([3.0, 5.0, 0.0, 0.0], [true, false, true, true]),
            ([60.0, 67.0, 0.0, 0.0], [false, true, true, true]),
            ([10.0, 11.0, 0.0, 0.0], [false, false, false, false]),
            ([10.0, 10.0, 0.0, 0.1], [false, false, false, true]),
            ([10.0, 10.0, 2.0, 2.9], [false, false, false, false]),
            ([10.0, 10.0, 2.0, 3.0], [false, false, false, true]),
            ([10.0, 10.0, 2.0, 0.0], [false, false, false, false]),
        ];
        for (ml, expected) in table {
            let found = [Relative, Absolute, Either, Revised].map(|rule| by(rule, ml));
            assert_eq!(found, expected, "{ml:?}");
        }
    }

    #[test]
    fn the_column_and_who_decides() {
        let grown =
            Volumes { baseline_ml: Some(3.0), followup_ml: Some(9.0), ..Volumes::default() };
        let stable = Clinical { growth: Some(false), ..at(24.0) };
        assert_eq!(growth(&rule(LabelSource::Auto), grown, &stable), Ok(false));
        assert_eq!(growth(&rule(LabelSource::Column), grown, &stable), Ok(false));
        assert_eq!(growth(&rule(LabelSource::Volumes), grown, &stable), Ok(true));
        assert_eq!(growth(&rule(LabelSource::Auto), grown, &at(24.0)), Ok(true));
        let missing = growth(&rule(LabelSource::Column), grown, &at(24.0));
        assert_eq!(missing, Err(Undefined::NoColumn));
    }
}
