use super::{reasons, side_by_side, undefined_draws};
use crate::html::Page;
use crate::html::figures;
use crate::html::text::{fixed, optional, swatch, table, with_interval};

/// Whether probabilities can be taken at their word.
pub(in crate::html) fn calibration(page: &Page) -> String {
    let rows: Vec<Vec<String>> = page
        .findings
        .arms
        .iter()
        .map(|arm| {
            let calibration = &arm.calibration;
            vec![
                swatch(page.color(&arm.name), &arm.name),
                with_interval(calibration.slope, calibration.slope_ci95, 2),
                with_interval(calibration.intercept, calibration.intercept_ci95, 2),
                with_interval(arm.brier.value, arm.brier.ci95, 3),
                optional(calibration.expected_calibration_error, 3),
                calibration.n.to_string(),
                calibration.n_undefined.to_string(),
            ]
        })
        .collect();
    let head =
        ["Arm", "Slope", "Intercept", "Brier score", "Calibration error", "Cases", "Without"];
    let why = reasons(page.findings.arms.iter().flat_map(|arm| {
        let (calibration, brier) = (&arm.calibration, &arm.brier);
        let slope = "slope and intercept";
        [
            (arm.name.clone(), slope, calibration.slope.is_some(), calibration.reason.as_ref()),
            (arm.name.clone(), "Brier score", brier.value.is_some(), brier.reason.as_ref()),
        ]
    }));
    let draws = undefined_draws(
        page,
        page.findings
            .arms
            .iter()
            .map(|arm| (arm.name.clone(), "calibration slope", arm.calibration.n_draws_undefined)),
    );
    let figure = side_by_side(
        vec![figures::calibration(page), figures::decision(page)],
        "No test case has both a probability and a label.",
    );
    format!(
        "{}{why}{draws}{figure}<h3>Net benefit</h3>{}<div class=\"note\"><p>Slope 1 and intercept 0 are right. A slope \
         below 1 means that probabilities are too extreme, an intercept below 0 that risks are \
         overestimated.</p><p>Test cases of all folds count together here: a probability means the \
         same whichever model says it, a rank does not. Opposite errors of two folds can cancel: mean \
         probability and observed share of each model stand in the table above.</p><p>Calibration asks for a \
         probability. Net benefit counts a case without a detected lesion as one that is not treated; \
         without one are refused and missing cases there, and those without a label.</p></div>",
        table(&head, 1, &rows),
        benefit_table(page)
    )
}

/// Net benefit at a few thresholds, beside that of treating all.
fn benefit_table(page: &Page) -> String {
    let rows: Vec<Vec<String>> = page
        .findings
        .arms
        .iter()
        .flat_map(|arm| {
            arm.decision.thresholds.iter().map(move |at| {
                vec![
                    swatch(page.color(&arm.name), &arm.name),
                    format!("{} %", fixed(100.0 * at.threshold, 0)),
                    with_interval(Some(at.net_benefit), at.ci95, 3),
                    fixed(at.treat_all, 3),
                    arm.decision.n.to_string(),
                    arm.decision.n_undefined.to_string(),
                ]
            })
        })
        .collect();
    table(&["Arm", "Threshold", "Net benefit", "Treating all", "Cases", "Without"], 1, &rows)
}
