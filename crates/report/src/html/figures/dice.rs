use std::collections::BTreeSet;

use crate::CaseResult;
use crate::evaluate::median_of_sorted;
use crate::html::Page;
use crate::html::chart::{Axis, Chart, Stroke};
use crate::html::text::{figure, fixed, swatch};

/// Dice of every test case by site; `None` where no arm has masks.
pub(in crate::html) fn dice(page: &Page) -> Option<String> {
    let arms: Vec<_> = page.findings.arms.iter().filter(|arm| arm.dice.mean.is_some()).collect();
    if arms.is_empty() {
        return None;
    }
    let sites: Vec<String> = arms
        .iter()
        .flat_map(|arm| page.tested(&arm.name))
        .filter(|row| row.dice.is_some())
        .map(|row| row.site.clone())
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    let mut chart = Chart::square(Axis::places("Site", &sites), Axis::unit("Dice"));
    for (i, arm) in arms.iter().enumerate() {
        for (place, site) in sites.iter().enumerate() {
            let rows: Vec<&CaseResult> = page
                .tested(&arm.name)
                .filter(|row| row.site == *site && row.dice.is_some())
                .collect();
            let width = 0.8 / arms.len() as f64;
            let middle = place as f64 + (i as f64 + 0.5) * width - 0.4;
            strip(&mut chart, &rows, middle, 0.36 * width, page.color(&arm.name));
        }
    }
    let keys: Vec<String> =
        arms.iter().map(|arm| swatch(page.color(&arm.name), &arm.name)).collect();
    let caption = format!(
        "{} A dot is a test case of a site; the bar is the site's median. A missed lesion has Dice 0.",
        keys.join(" ")
    );
    Some(figure("Overlap with the reference mask", &chart.svg("Dice of each test case"), &caption))
}

/// Dots side by side where they would hide each other, and their median.
fn strip(chart: &mut Chart, rows: &[&CaseResult], middle: f64, half: f64, color: &str) {
    const N_LEVELS: f64 = 50.0;
    let mut sorted: Vec<(f64, &str)> =
        rows.iter().filter_map(|row| Some((row.dice?, row.case_id.as_str()))).collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    for level in sorted.chunk_by(|a, b| (a.0 * N_LEVELS).floor() == (b.0 * N_LEVELS).floor()) {
        let step = (2.0 * half / level.len() as f64).min(0.06);
        for (i, (dice, case_id)) in level.iter().enumerate() {
            let x = middle + (i as f64 - 0.5 * (level.len() - 1) as f64) * step;
            let tip = format!("{case_id}: {}", fixed(*dice, 2));
            chart.dot([x, *dice], 3.2, Stroke::new(color, 1.0).faint(0.55), &tip);
        }
    }
    let values: Vec<f64> = sorted.iter().map(|(dice, _)| *dice).collect();
    if let Some(median) = median_of_sorted(&values) {
        chart.line(&[[middle - half, median], [middle + half, median]], Stroke::new(color, 2.6));
    }
}
