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
    let all = first.decision.curve.iter().map(|[threshold, _, all]| [*threshold, *all]);
    chart.line(&clipped(all.collect()), Stroke::new(TRUTH, 1.4).dashed());
    let mut keys = vec![swatch(TRUTH, "treat all (dashed)")];
    for arm in &arms {
        let color = page.color(&arm.name);
        let model = arm.decision.curve.iter().map(|[threshold, model, _]| [*threshold, *model]);
        chart.line(&clipped(model.collect()), Stroke::new(color, 1.8));
        keys.push(swatch(color, &arm.name));
    }
    let caption = format!(
        "{} Net benefit after Vickers and Elkin (2006): true minus false positives a case, a false positive \
         weighing the odds of the threshold. Treating none has 0. A model is of use at a threshold where it lies \
         above both.",
        keys.join(" ")
    );
    Some(figure("Decision curve", &chart.svg("Net benefit over threshold probability"), &caption))
}
