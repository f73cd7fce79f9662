use crate::evaluate::ArmFindings;
use crate::html::Page;
use crate::html::chart::{Axis, Chart, Stroke};
use crate::html::text::{figure, fixed, swatch};

/// (reference, predicted, case) of every test case with both volumes, an entry an arm.
type Volumes<'a> = Vec<(&'a ArmFindings, Vec<(f64, f64, String)>)>;

fn volumes<'a>(page: &'a Page) -> Volumes<'a> {
    let of_arm = |arm: &'a ArmFindings| {
        let pairs: Vec<(f64, f64, String)> = page
            .tested(&arm.name)
            .filter_map(|row| Some((row.reference_volume_ml?, row.volume_ml?, row.case_id.clone())))
            .collect();
        (arm, pairs)
    };
    page.findings.arms.iter().map(of_arm).filter(|(_, pairs)| pairs.len() >= 2).collect()
}

/// Difference of the volumes over their mean with limits of agreement (Bland & Altman).
pub(in crate::html) fn volume(page: &Page) -> Option<String> {
    let arms = volumes(page);
    let points = |pairs: &[(f64, f64, String)]| -> Vec<[f64; 2]> {
        pairs.iter().map(|(r, v, _)| [0.5 * (r + v), v - r]).collect()
    };
    let all: Vec<[f64; 2]> = arms.iter().flat_map(|(_, pairs)| points(pairs)).collect();
    let top = all.iter().map(|p| p[0]).reduce(f64::max)?;
    let limits = arms.iter().filter_map(|(arm, _)| arm.volume.limits_of_agreement_ml).flatten();
    let differences: Vec<f64> = all.iter().map(|p| p[1]).chain(limits).collect();
    let low = differences.iter().copied().fold(0.0, f64::min);
    let high = differences.iter().copied().fold(0.0, f64::max);
    let mut chart = Chart::square(
        Axis::new("Mean of predicted and reference volume (mL)", 0.0, top),
        Axis::new("Predicted minus reference (mL)", low, high),
    );
    chart.line(&[[0.0, 0.0], [top, 0.0]], Stroke::new("#c3c9d1", 1.0));
    for (arm, pairs) in &arms {
        let color = page.color(&arm.name);
        for (point, (_, _, case_id)) in points(pairs).into_iter().zip(pairs) {
            let tip = format!("{case_id}: {} mL", fixed(point[1], 1));
            chart.dot(point, 3.4, Stroke::new(color, 1.0).faint(0.6), &tip);
        }
        if let Some(mean) = arm.volume.mean_difference_ml {
            chart.line(&[[0.0, mean], [top, mean]], Stroke::new(color, 1.8));
        }
        for limit in arm.volume.limits_of_agreement_ml.into_iter().flatten() {
            chart.line(&[[0.0, limit], [top, limit]], Stroke::new(color, 1.2).dashed());
        }
    }
    let keys: Vec<String> =
        arms.iter().map(|(arm, _)| swatch(page.color(&arm.name), &arm.name)).collect();
    let caption = format!(
        "{} A dot is a test case. Solid: mean difference; dashed: limits of agreement (± 1.96 SD), within \
         which about 95 % of the differences lie.",
        keys.join(" ")
    );
    let svg = chart.svg("Difference of volumes over their mean");
    Some(figure("Agreement of volumes", &svg, &caption))
}
