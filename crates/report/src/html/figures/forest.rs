use crate::evaluate::ModelFindings;
use crate::html::Page;
use crate::html::chart::{Axis, COLORS, Chart, Stroke, TRUTH};
use crate::html::text::{figure, fixed};

struct Line {
    name: String,
    value: f64,
    interval: Option<[f64; 2]>,
    color: &'static str,
    bold: bool,
}

/// AUROC with interval of the oracle, of each arm and of each of its models, one below the other.
pub(in crate::html) fn forest(page: &Page) -> Option<String> {
    let mut lines = Vec::new();
    if let Some((oracle, value)) = page.findings.oracle.as_ref().and_then(|o| Some((o, o.auroc?))) {
        let name = "oracle".to_owned();
        lines.push(Line { name, value, interval: oracle.ci95, color: TRUTH, bold: true });
    }
    for arm in &page.findings.arms {
        let color = page.color(&arm.name);
        if let Some(value) = arm.auroc.value {
            let name = arm.name.clone();
            lines.push(Line { name, value, interval: arm.auroc.ci95, color, bold: true });
        }
        let several_seeds = arm.models.iter().any(|model| model.seed != arm.models[0].seed);
        for model in &arm.models {
            if let Some(value) = model.auroc {
                let name = model_name(page, model, several_seeds);
                lines.push(Line { name, value, interval: model.auroc_ci95, color, bold: false });
            }
        }
    }
    if lines.is_empty() {
        return None;
    }
    Some(figure("AUROC with 95 % intervals", &draw(&lines), &caption()))
}

fn caption() -> String {
    "Bold: mean over folds and seeds, interval from redrawn patients; thin: one model on its own test \
     cases, interval by DeLong. The line at 0.5 is chance."
        .to_owned()
}

fn model_name(page: &Page, model: &ModelFindings, with_seed: bool) -> String {
    let fold = match page.findings.regime {
        hemex_artifacts::Regime::Site => format!("site {}", model.sites.join(", ")),
        _ => format!("fold {}", model.fold),
    };
    if with_seed { format!("{fold}, seed {}", model.seed) } else { fold }
}

fn draw(lines: &[Line]) -> String {
    let ends = lines
        .iter()
        .flat_map(|line| line.interval.map_or([line.value, line.value], |interval| interval));
    let low = ends.fold(0.5_f64, f64::min);
    let n = lines.len() as f64;
    // Lines run downwards, so the last place is on top.
    let blank: Vec<String> = lines.iter().map(|_| String::new()).collect();
    let mut chart =
        Chart::new(Axis::new("AUROC", low, 1.0), Axis::places("", &blank), 60.0 + 34.0 * n);
    chart.line(&[[0.5, -0.5], [0.5, n - 0.5]], Stroke::new("#9aa3ae", 1.0).dashed());
    for (i, line) in lines.iter().enumerate() {
        let y = n - 1.0 - i as f64;
        let (width, radius) = if line.bold { (2.6, 5.0) } else { (1.2, 3.2) };
        if let Some([low, high]) = line.interval {
            chart.line(&[[low, y], [high, y]], Stroke::new(line.color, width));
        }
        let tip = format!("{}: {}", line.name, fixed(line.value, 3));
        chart.dot([line.value, y], radius, Stroke::new(line.color, 1.0), &tip);
        let color = if line.bold { line.color } else { COLORS[5] };
        let lift = if line.bold { 0.12 } else { 0.04 };
        chart.word([line.value, y + lift], "middle", color, &line.name);
    }
    chart.svg("AUROC with intervals")
}
