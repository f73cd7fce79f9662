use std::collections::BTreeSet;

use hemex_artifacts::HistoryRow;

use crate::html::Page;
use crate::html::chart::{Axis, COLORS, Chart, Stroke};
use crate::html::text::{figure, swatch};
use crate::read::Training;

/// The learning curves of an arm: losses, and validation figures.
pub(in crate::html) fn history(page: &Page, arm: &str) -> Vec<String> {
    let trainings: Vec<&Training> = page
        .evaluation
        .trainings
        .iter()
        .filter(|t| t.arm == arm && !t.history.is_empty())
        .collect();
    if trainings.is_empty() {
        return Vec::new();
    }
    vec![losses(page, arm, &trainings), validation(page, arm, &trainings)]
}

fn points(training: &Training, value: fn(&HistoryRow) -> Option<f64>) -> Vec<[f64; 2]> {
    training
        .history
        .iter()
        .filter_map(|row| Some([row.epoch as f64, value(row)?]))
        .filter(|point| point[1].is_finite())
        .collect()
}

fn last_epoch(trainings: &[&Training]) -> f64 {
    let last = trainings.iter().flat_map(|t| &t.history).map(|row| row.epoch).max();
    last.unwrap_or(0).max(1) as f64
}

fn color(trainings: &[&Training], fold: usize) -> &'static str {
    let folds: BTreeSet<usize> = trainings.iter().map(|t| t.fold).collect();
    COLORS[folds.range(..fold).count() % COLORS.len()]
}

fn keys(page: &Page, trainings: &[&Training]) -> String {
    let folds: BTreeSet<usize> = trainings.iter().map(|t| t.fold).collect();
    let key = |fold: &usize| swatch(color(trainings, *fold), &page.fold_name(*fold));
    folds.iter().map(key).collect::<Vec<_>>().join(" ")
}

fn losses(page: &Page, arm: &str, trainings: &[&Training]) -> String {
    let values = trainings.iter().flat_map(|t| &t.history).flat_map(|r| [r.train_loss, r.val_loss]);
    let top = values.filter(|value| value.is_finite()).fold(0.0, f64::max);
    let mut chart = Chart::new(
        Axis::new("Epoch", 0.0, last_epoch(trainings)),
        Axis::new("Loss", 0.0, top),
        280.0,
    );
    for training in trainings {
        let color = color(trainings, training.fold);
        let train = points(training, |row| Some(row.train_loss));
        let val = points(training, |row| Some(row.val_loss));
        chart.line(&train, Stroke::new(color, 1.2).faint(0.45));
        chart.line(&val, Stroke::new(color, 2.0));
        mark_best(&mut chart, training, &val, color);
    }
    let caption = format!(
        "{} Strong: validation; faint: training. The dot is the epoch whose weights were kept.",
        keys(page, trainings)
    );
    figure(&format!("{arm}: loss"), &chart.svg(&format!("Loss of {arm} over epochs")), &caption)
}

fn validation(page: &Page, arm: &str, trainings: &[&Training]) -> String {
    let mut chart = Chart::new(
        Axis::new("Epoch", 0.0, last_epoch(trainings)),
        Axis::unit("Validation figure"),
        280.0,
    );
    let mut has_dice = false;
    for training in trainings {
        let color = color(trainings, training.fold);
        let auroc = points(training, |row| row.val_auroc);
        let dice = points(training, |row| row.val_dice);
        has_dice |= !dice.is_empty();
        chart.line(&dice, Stroke::new(color, 1.4).dashed());
        chart.line(&auroc, Stroke::new(color, 2.0));
        mark_best(&mut chart, training, &auroc, color);
    }
    let caption = format!(
        "{} Solid: AUROC{}, over the validation cases of the fold (few: the curves are noisy).",
        keys(page, trainings),
        if has_dice { "; dashed: mean Dice" } else { "" }
    );
    let svg = chart.svg(&format!("Validation figures of {arm} over epochs"));
    figure(&format!("{arm}: validation"), &svg, &caption)
}

fn mark_best(chart: &mut Chart, training: &Training, points: &[[f64; 2]], color: &str) {
    let best = training.best_epoch.map(|epoch| epoch as f64);
    if let Some(point) = points.iter().find(|point| Some(point[0]) == best) {
        chart.dot(*point, 4.5, Stroke::new(color, 1.0), "weights kept");
    }
}
