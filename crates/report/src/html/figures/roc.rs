use crate::html::Page;
use crate::html::chart::{Axis, Chart, Stroke, TRUTH};
use crate::html::text::{figure, swatch};

/// The mean ROC curve of each arm over thin curves of its models, and the oracle's; `None` where no
/// arm has one.
pub(in crate::html) fn roc(page: &Page) -> Option<String> {
    let arms = &page.findings.arms;
    if arms.iter().all(|arm| arm.roc.is_none()) {
        return None;
    }
    let mut chart = Chart::square(
        Axis::unit("False-positive rate"),
        Axis::unit("Sensitivity (share of growth found)"),
    );
    chart.line(&[[0.0, 0.0], [1.0, 1.0]], Stroke::new("#c3c9d1", 1.0));
    let mut keys = Vec::new();
    for arm in arms {
        let (color, Some(roc)) = (page.color(&arm.name), &arm.roc) else { continue };
        for model in &roc.models {
            chart.line(model, Stroke::new(color, 1.0).faint(0.22));
        }
        keys.push(swatch(color, &arm.name));
    }
    if let Some(roc) = page.findings.oracle.as_ref().and_then(|oracle| oracle.roc.as_ref()) {
        chart.line(&roc.mean, Stroke::new(TRUTH, 1.6).dashed());
        keys.push(swatch(TRUTH, "oracle (dashed)"));
    }
    for arm in arms {
        if let Some(roc) = &arm.roc {
            chart.line(&roc.mean, Stroke::new(page.color(&arm.name), 2.4));
        }
    }
    let caption = format!(
        "{} Bold: sensitivity averaged over seeds and folds at each false-positive rate; thin: each \
         model on its own test cases.",
        keys.join(" ")
    );
    Some(figure("ROC curves", &chart.svg("ROC curve of each arm"), &caption))
}
