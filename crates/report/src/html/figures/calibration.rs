use crate::html::Page;
use crate::html::chart::{Axis, Chart, Stroke};
use crate::html::text::{figure, swatch};

/// Observed share over predicted probability, in bins of equal number with Wilson intervals; `None`
/// where no arm has bins.
pub(in crate::html) fn calibration(page: &Page) -> Option<String> {
    let arms: Vec<_> =
        page.findings.arms.iter().filter(|arm| !arm.calibration.bins.is_empty()).collect();
    if arms.is_empty() {
        return None;
    }
    let mut chart = Chart::square(
        Axis::unit("Predicted probability of growth"),
        Axis::unit("Share of cases that grew"),
    );
    chart.line(&[[0.0, 0.0], [1.0, 1.0]], Stroke::new("#c3c9d1", 1.0));
    let mut keys = Vec::new();
    for arm in arms {
        let color = page.color(&arm.name);
        let bins = &arm.calibration.bins;
        let points: Vec<[f64; 2]> =
            bins.iter().map(|bin| [bin.mean_probability, bin.observed]).collect();
        for bin in bins {
            let x = bin.mean_probability;
            chart.line(&[[x, bin.ci95[0]], [x, bin.ci95[1]]], Stroke::new(color, 1.2).faint(0.55));
        }
        chart.line(&points, Stroke::new(color, 1.8));
        for (bin, point) in bins.iter().zip(&points) {
            let tip = format!("{}: {} of {} grew", arm.name, bin.n_positive, bin.n);
            chart.dot(*point, 4.2, Stroke::new(color, 1.0), &tip);
        }
        keys.push(swatch(color, &arm.name));
    }
    let caption = format!(
        "{} Test cases of all folds together, each with its mean probability over the seeds of its \
         fold, in bins of equal number, with Wilson 95 % intervals. On the diagonal a probability means what it says.",
        keys.join(" ")
    );
    Some(figure(
        "Predicted and observed",
        &chart.svg("Observed share over predicted probability"),
        &caption,
    ))
}
