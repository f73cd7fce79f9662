use serde::Serialize;

use super::discrimination::Arm;
use crate::CaseResult;

/// Where what an arm's logits rest on lies.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SaliencyFigures {
    /// The arm.
    pub arm: String,
    /// Test cases with a map and a reference lesion, once a seed.
    pub n: usize,
    /// Lower quartile, median and upper quartile of the share within the lesion.
    pub lesion_quartiles: [f64; 3],
    /// Of that within the rim around it.
    pub rim_quartiles: [f64; 3],
    /// Of that elsewhere in the brain; what is left of 1 lies outside.
    pub brain_quartiles: [f64; 3],
    /// Of the lesion's share of the brain's voxels, which is its share of a map that favours none.
    pub even_quartiles: [f64; 3],
}

/// The figures of each arm that has maps.
pub(super) fn saliency(arms: &[Arm<'_>]) -> Vec<SaliencyFigures> {
    let figures = |(arm, rows): &Arm<'_>| {
        let of = |share: fn(&CaseResult) -> Option<f64>| {
            quartiles(rows.iter().filter_map(|row| share(row)).collect())
        };
        Some(SaliencyFigures {
            arm: (*arm).to_owned(),
            n: rows.iter().filter(|row| row.saliency_lesion.is_some()).count(),
            lesion_quartiles: of(|row| row.saliency_lesion)?,
            rim_quartiles: of(|row| row.saliency_rim)?,
            brain_quartiles: of(|row| row.saliency_brain)?,
            even_quartiles: of(|row| row.lesion_share)?,
        })
    };
    arms.iter().filter_map(figures).collect()
}

/// Linear between the values in order, the first at 0 and the last at 1 (Hyndman & Fan, The American Statistician 1996,
/// definition 7); `None` without values.
fn quartiles(mut values: Vec<f64>) -> Option<[f64; 3]> {
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    Some([0.25, 0.5, 0.75].map(|share| {
        let place = share * last as f64;
        let below = values[place.floor() as usize];
        below + place.fract() * (values[place.ceil() as usize] - below)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::calibration::tests::row;

    #[test]
    fn quartiles_are_those_of_the_cases_with_a_map() {
        let with = |i: usize, share: Option<f64>| CaseResult {
            saliency_lesion: share,
            saliency_rim: share.map(|share| share / 2.0),
            saliency_brain: share.map(|share| 1.0 - 1.5 * share),
            lesion_share: share.map(|_| 0.02),
            ..row(&format!("c{i}"), 1, Some(0.5), true)
        };
        let shares = [Some(0.4), None, Some(0.1), Some(0.3), Some(0.2)];
        let rows: Vec<CaseResult> =
            shares.into_iter().enumerate().map(|(i, s)| with(i, s)).collect();
        let silent = [with(9, None)];
        let arms = [("joint", rows.iter().collect()), ("volume", silent.iter().collect())];
        let found = saliency(&arms);
        assert_eq!((found.len(), found[0].n), (1, 4));
        // numpy.quantile([0.1, 0.2, 0.3, 0.4], [0.25, 0.5, 0.75])
        for (found, expected) in found[0].lesion_quartiles.iter().zip([0.175, 0.25, 0.325]) {
            assert!((found - expected).abs() < 1e-12);
        }
        assert_eq!(found[0].even_quartiles, [0.02; 3]);
        assert!((found[0].rim_quartiles[1] - 0.125).abs() < 1e-12);
    }
}
