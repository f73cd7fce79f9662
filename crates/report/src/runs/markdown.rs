use std::fmt::Write;

use super::Comparison;
use crate::evaluate::PairedMean;

/// The comparison as Markdown, fit for a pull request.
pub fn markdown(comparison: &Comparison) -> String {
    let [first, second] = &comparison.folders;
    let mut text = format!(
        "**A** `{}`, **B** `{}`: B minus A on the test cases of both, 95 % intervals over patients.\n\n\
         | arm | figure | A | B | B − A | cases |\n|---|---|---|---|---|---|\n",
        plain(&first.display().to_string()),
        plain(&second.display().to_string())
    );
    for arm in &comparison.arms {
        let name = plain(&arm.arm);
        let difference = &arm.difference;
        let minus = with_interval(difference.auroc, difference.ci95, 3);
        let [a, b] = arm.auroc.map(|value| number(value, 3));
        let n = difference.n;
        let _ = writeln!(text, "| {name} | AUROC | {a} | {b} | {minus} | {n} |");
        for (figure, mean, decimals) in
            [("mean Dice", &arm.dice, 3), ("volume error, mL", &arm.volume_error_ml, 2)]
        {
            if mean.n > 0 {
                let _ = writeln!(text, "{}", row(&name, figure, mean, decimals));
            }
        }
    }
    text.push('\n');
    for line in remarks(comparison) {
        let _ = writeln!(text, "- {}", plain(&line));
    }
    text
}

fn row(arm: &str, figure: &str, mean: &PairedMean, decimals: usize) -> String {
    let [a, b] = mean.means.map(|value| number(value, decimals));
    let minus = with_interval(mean.difference, mean.ci95, decimals);
    format!("| {arm} | {figure} | {a} | {b} | {minus} | {} |", mean.n)
}

/// What was left out, and why figures are lacking; a line each.
pub(super) fn remarks(comparison: &Comparison) -> Vec<String> {
    let mut lines = Vec::new();
    for (run, arms) in ["A", "B"].iter().zip(&comparison.unpaired_arms) {
        if !arms.is_empty() {
            lines.push(format!("only {run} has the arms {}", arms.join(", ")));
        }
    }
    for arm in &comparison.arms {
        let [in_a, in_b] = arm.n_unpaired;
        if in_a + in_b > 0 {
            lines.push(format!("{}: {in_a} test cases only in A, {in_b} only in B", arm.arm));
        }
        if arm.n_label_changed > 0 {
            let n = arm.n_label_changed;
            lines.push(format!("{}: {n} test cases with another label, left out", arm.arm));
        }
        if arm.n_no_longer_ranked > 0 {
            let n = arm.n_no_longer_ranked;
            lines.push(format!("{}: {n} test cases ranked in A alone, left out", arm.arm));
        }
        if arm.n_without_dice > 0 {
            let n = arm.n_without_dice;
            lines.push(format!("{}: {n} test cases with a Dice in A alone, left out", arm.arm));
        }
        if let Some(reason) = &arm.difference.reason {
            lines.push(format!("{}: AUROC: {reason}", arm.arm));
        }
    }
    lines
}

fn number(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.decimals$}"))
}

fn with_interval(value: Option<f64>, interval: Option<[f64; 2]>, decimals: usize) -> String {
    let signed = |value: f64| format!("{value:+.decimals$}");
    match (value, interval) {
        (Some(value), Some([low, high])) => {
            format!("{} ({} to {})", signed(value), signed(low), signed(high))
        }
        (Some(value), None) => signed(value),
        (None, _) => "–".to_owned(),
    }
}

/// Text that no cell and no code span ends at, and that is no HTML.
fn plain(text: &str) -> String {
    text.replace('|', "\\|").replace('`', "'").replace('<', "&lt;").replace(['\n', '\r'], " ")
}
