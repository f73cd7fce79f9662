use crate::evaluate::ArmFindings;
use crate::html::Page;
use crate::html::chart::{Axis, Chart, Stroke, TRUTH};
use crate::html::text::{figure, swatch};

/// Net benefit over the threshold probability; `None` where no arm has a case.
pub(in crate::html) fn decision(page: &Page) -> Option<String> {
    let arms: Vec<_> =
        page.findings.arms.iter().filter(|arm| !arm.decision.curve.is_empty()).collect();
    let first = arms.first()?;
    let highest = arms
        .iter()
        .flat_map(|arm| arm.decision.curve.iter().flat_map(|[_, model, all]| [*model, *all]))
        .fold(0.05, f64::max);
    // Where treating all harms most nothing is to be read off.
    let lowest = -0.4 * highest;
    let last = first.decision.curve.last().map_or(0.6, |[threshold, ..]| *threshold);
    let mut chart = Chart::new(
        Axis::new("Threshold probability", 0.0, last),
        Axis::new("Net benefit", lowest, highest),
        300.0,
    );
    let clipped = |points: Vec<[f64; 2]>| -> Vec<[f64; 2]> {
        points.into_iter().take_while(|[_, benefit]| *benefit >= lowest).collect()
    };
    chart.line(&[[0.0, 0.0], [last, 0.0]], Stroke::new("#c3c9d1", 1.0));
    // Arms that leave out other cases have other lines.
    let is_shared = arms.iter().all(|arm| treat_all(arm) == treat_all(first));
    let mut keys = Vec::new();
    if is_shared {
        chart.line(&clipped(treat_all(first)), Stroke::new(TRUTH, 1.4).dashed());
        keys.push(swatch(TRUTH, "treat all (dashed)"));
    }
    for arm in &arms {
        let color = page.color(&arm.name);
        if !is_shared {
            chart.line(&clipped(treat_all(arm)), Stroke::new(color, 1.4).dashed());
        }
        let model = arm.decision.curve.iter().map(|[threshold, model, _]| [*threshold, *model]);
        chart.line(&clipped(model.collect()), Stroke::new(color, 1.8));
        keys.push(swatch(color, &arm.name));
    }
    if !is_shared {
        keys.push("Dashed: treat all cases of the arm.".to_owned());
    }
    let caption = format!(
        "{} Net benefit after Vickers and Elkin (2006): true minus false positives a case, a false positive \
         weighing the odds of the threshold. Treating none has 0. A model is of use at a threshold where it lies \
         above both.",
        keys.join(" ")
    );
    Some(figure("Decision curve", &chart.svg("Net benefit over threshold probability"), &caption))
}

/// The line of treating all of an arm's cases.
fn treat_all(arm: &ArmFindings) -> Vec<[f64; 2]> {
    arm.decision.curve.iter().map(|[threshold, _, all]| [*threshold, *all]).collect()
}
