//! The ranking under other definitions of growth.

use hemex_metrics::Bootstrap;
use serde::Serialize;

use super::discrimination::{Arm, RankedModels};
use super::estimate::Estimate;
use super::resampling::Resampling;
use crate::{CaseResult, Evaluation, ReportError};

/// A definition by volumes (those of Dowlatshahi et al., Neurology 2011; 76: 1238).
struct Definition {
    name: &'static str,
    /// Of the volumes at baseline and at follow-up, mL.
    grew: fn(f64, f64) -> bool,
}

const DEFINITIONS: [Definition; 6] = [
    Definition { name: "over 26 %", grew: |before, after| after - before > 0.26 * before },
    Definition { name: "over 33 %", grew: |before, after| after - before > 0.33 * before },
    Definition { name: "over 3 mL", grew: |before, after| after - before > 3.0 },
    Definition { name: "over 6 mL", grew: |before, after| after - before > 6.0 },
    Definition { name: "over 12.5 mL", grew: |before, after| after - before > 12.5 },
    Definition {
        name: "over 33 % or over 6 mL",
        grew: |before, after| after - before > 0.33 * before || after - before > 6.0,
    },
];

/// The figures of each arm where growth is defined so.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GrowthDefinition {
    /// The definition.
    pub name: &'static str,
    /// AUROC by arm, in the order of the arms, over the test cases whose label is defined and whose volumes are
    /// both known. The models were trained on the cohort's own definition.
    pub auroc: Vec<Estimate>,
}

/// Every definition; empty where no test case has both volumes.
pub(super) fn definitions(
    evaluation: &Evaluation,
    arms: &[Arm<'_>],
    bootstrap: Bootstrap,
) -> Result<Vec<GrowthDefinition>, ReportError> {
    // What a follow-up after surgery or beyond the window measures is not growth, whatever its definition.
    let volumes = |row: &CaseResult| {
        let label = evaluation.labels.get(&row.case_id)?;
        label.growth?;
        label.baseline_volume_ml.zip(label.followup_volume_ml)
    };
    let mut found = Vec::new();
    for definition in &DEFINITIONS {
        let relabelled: Vec<Vec<CaseResult>> = arms
            .iter()
            .map(|(_, rows)| {
                let grew = |row: &CaseResult| {
                    volumes(row).map(|(before, after)| (definition.grew)(before, after))
                };
                rows.iter().map(|row| CaseResult { growth: grew(row), ..(*row).clone() }).collect()
            })
            .collect();
        let all: Vec<&CaseResult> = relabelled.iter().flatten().collect();
        if all.iter().all(|row| row.growth.is_none()) {
            return Ok(Vec::new());
        }
        // Patients are redrawn within the classes of this definition.
        let resampling = Resampling::new(&all, bootstrap);
        let auroc = relabelled.iter().map(|rows| {
            let rows: Vec<&CaseResult> = rows.iter().collect();
            Ok(RankedModels::new(&rows, &CaseResult::score, &resampling)?.auroc(&resampling))
        });
        let auroc = auroc.collect::<Result<_, ReportError>>()?;
        found.push(GrowthDefinition { name: definition.name, auroc });
    }
    Ok(found)
}
