//! What is gained by referring the cases that a model is least sure of, instead of guessing them.

use serde::Serialize;

use super::discrimination::RankedModels;
use super::estimate::Estimate;
use super::resampling::Resampling;
use crate::{CaseResult, ReportError};

/// Shares of cases that are referred.
const SHARES: [f64; 5] = [0.0, 0.1, 0.2, 0.3, 0.5];

/// The AUROC of what is left when some cases are referred.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Referral {
    /// Share of each model's predicted test cases that are referred, the most uncertain first.
    pub share: f64,
    /// The AUROC of the others, averaged over folds and seeds as that of all.
    pub auroc: Estimate,
}

/// The figures at each share; empty where the arm states no uncertainty. A case without one (no lesion was found)
/// is never referred.
pub(super) fn referral(
    rows: &[&CaseResult],
    resampling: &Resampling<'_>,
) -> Result<Vec<Referral>, ReportError> {
    if rows.iter().all(|row| row.uncertainty.is_none()) {
        return Ok(Vec::new());
    }
    let at = |share: f64| {
        let kept: Vec<&CaseResult> = super::discrimination::by_model(rows)
            .into_values()
            .flat_map(|rows| surest(rows, share))
            .collect();
        let ranked = RankedModels::new(&kept, &CaseResult::score, resampling)?;
        Ok(Referral { share, auroc: ranked.auroc(resampling) })
    };
    SHARES.into_iter().map(at).collect()
}

/// The rows of a model without the share it is least sure of.
fn surest(mut rows: Vec<&CaseResult>, share: f64) -> Vec<&CaseResult> {
    // The case's name decides between equals, so that the order of rows does not.
    rows.sort_by(|a, b| {
        let key = |row: &CaseResult| row.uncertainty.unwrap_or(f64::NEG_INFINITY);
        key(a).total_cmp(&key(b)).then_with(|| a.case_id.cmp(&b.case_id))
    });
    let n_uncertain = rows.iter().filter(|row| row.uncertainty.is_some()).count();
    let n_referred = (share * n_uncertain as f64).round() as usize;
    rows.truncate(rows.len() - n_referred);
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::calibration::tests::row;

    #[test]
    fn the_least_sure_go_first_and_cases_without_a_lesion_stay() {
        let with = |case_id: &str, uncertainty: Option<f64>| CaseResult {
            uncertainty,
            ..row(case_id, 1, uncertainty.map(|_| 0.5), true)
        };
        let rows =
            [with("a", Some(0.3)), with("b", None), with("c", Some(0.9)), with("d", Some(0.1))];
        let names = |share: f64| -> Vec<&str> {
            surest(rows.iter().collect(), share).iter().map(|row| row.case_id.as_str()).collect()
        };
        assert_eq!(names(0.0), ["b", "d", "a", "c"]);
        assert_eq!(names(0.3), ["b", "d", "a"]);
        assert_eq!(names(1.0), ["b"]);
    }
}
