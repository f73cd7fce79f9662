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
    /// What tells how sure the model is.
    pub by: &'static str,
    /// Share of each model's predicted test cases that are referred, the most uncertain first.
    pub share: f64,
    /// The AUROC of the others, averaged over folds and seeds as that of all.
    pub auroc: Estimate,
}

/// What a case is referred by, the larger the sooner.
type Measure = fn(&CaseResult) -> Option<f64>;

const MEASURES: [(&str, Measure); 3] = [
    ("spread of the logit", |row| row.uncertainty),
    ("entropy", |row| row.entropy_nats),
    ("mutual information", |row| row.mutual_information_nats),
];

/// The figures at each share, by each measure of doubt that the arm states; empty where it states none. A case without
/// one (no lesion was found) is never referred.
pub(super) fn referral(
    rows: &[&CaseResult],
    resampling: &Resampling<'_>,
) -> Result<Vec<Referral>, ReportError> {
    let stated = |(_, of): &(&str, Measure)| rows.iter().any(|row| of(row).is_some());
    let measures = MEASURES.into_iter().filter(stated);
    let points = measures.flat_map(|measure| SHARES.map(|share| (measure, share)));
    let at = |((by, of), share): ((&'static str, Measure), f64)| {
        let kept: Vec<&CaseResult> = super::discrimination::by_model(rows)
            .into_values()
            .flat_map(|rows| surest(rows, of, share))
            .collect();
        let ranked = RankedModels::new(&kept, &CaseResult::score, resampling)?;
        Ok(Referral { by, share, auroc: ranked.auroc(resampling) })
    };
    points.map(at).collect()
}

/// The rows of a model without the share it is least sure of.
fn surest(mut rows: Vec<&CaseResult>, of: Measure, share: f64) -> Vec<&CaseResult> {
    // The case's name decides between equals, so that the order of rows does not.
    rows.sort_by(|a, b| {
        let key = |row: &CaseResult| of(row).unwrap_or(f64::NEG_INFINITY);
        key(a).total_cmp(&key(b)).then_with(|| a.case_id.cmp(&b.case_id))
    });
    let n_uncertain = rows.iter().filter(|row| of(row).is_some()).count();
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
            let rows = surest(rows.iter().collect(), |row| row.uncertainty, share);
            rows.iter().map(|row| row.case_id.as_str()).collect()
        };
        assert_eq!(names(0.0), ["b", "d", "a", "c"]);
        assert_eq!(names(0.3), ["b", "d", "a"]);
        assert_eq!(names(1.0), ["b"]);
    }

    #[test]
    fn each_measure_that_is_stated_has_its_own_curve() {
        let with = |i: usize, growth: bool, entropy_nats| {
            let case = row(&format!("c{i}"), 1, Some(0.1 * i as f64), growth);
            CaseResult { entropy_nats, uncertainty: Some(0.1 * i as f64), ..case }
        };
        // The first case that grew is ranked last, and has the highest entropy by far.
        let rows: Vec<CaseResult> = (0..10)
            .map(|i| with(i, i == 0 || i > 5, Some(if i == 0 { 0.69 } else { 0.01 * i as f64 })))
            .collect();
        let rows: Vec<&CaseResult> = rows.iter().collect();
        let bootstrap = hemex_metrics::Bootstrap { n_draws: 100, seed: 1 };
        let found = referral(&rows, &Resampling::new(&rows, bootstrap)).ok().unwrap_or_default();
        let at = |by: &str, share: f64| {
            let point = found.iter().find(|point| (point.by, point.share) == (by, share));
            point.and_then(|point| point.auroc.value)
        };
        assert_eq!(at("entropy", 0.0), Some(20.0 / 25.0));
        assert_eq!(at("entropy", 0.1), Some(1.0));
        assert_eq!(at("spread of the logit", 0.1), Some(15.0 / 20.0));
        assert_eq!(at("mutual information", 0.0), None);
    }
}
