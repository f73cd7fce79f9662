use hemex_artifacts::FeatureBalance;

use crate::html::Page;
use crate::html::text::{escape, fixed, optional, table};

/// How far the training cases were weighted toward the target domain, and what that costs.
pub(in crate::html) fn shift(page: &Page) -> String {
    let weights = &page.evaluation.weights;
    if weights.is_empty() {
        return "<p>No shift weights were given for this regime: every training case counts alike.</p>"
            .to_owned();
    }
    if weights.iter().all(|fold| fold.n_target == 0) {
        return "<p>This regime has no target domain: every training case counts alike.</p>"
            .to_owned();
    }
    let rows: Vec<Vec<String>> = weights
        .iter()
        .map(|fold| {
            let share = 100.0 * fold.effective_sample_size / fold.n_train.max(1) as f64;
            vec![
                escape(&page.fold_name(fold.fold)),
                fold.n_train.to_string(),
                fold.n_target.to_string(),
                format!("{} ({} %)", fixed(fold.effective_sample_size, 0), fixed(share, 0)),
                optional(fold.domain_auroc, 2),
                discrepancy(fold.mean_discrepancy),
                optional(fold.overlap, 2),
                fold.n_clipped.to_string(),
            ]
        })
        .collect();
    let head = [
        "Fold",
        "Training",
        "Target",
        "Effective sample size",
        "Domain AUROC",
        "MMD² (p)",
        "Overlap",
        "Clipped",
    ];
    let features: String = weights
        .iter()
        .map(|fold| {
            let used: Vec<String> = fold.features.iter().map(balance).collect();
            let left_out: Vec<String> = fold
                .features_reported_only
                .iter()
                .map(|f| format!("{} ({})", escape(&f.name), escape(&f.reason)))
                .collect();
            format!(
                "<li><b>{}</b>: weights rest on {}{}</li>",
                escape(&page.fold_name(fold.fold)),
                if used.is_empty() { "no feature".to_owned() } else { used.join(", ") },
                if left_out.is_empty() {
                    ".".to_owned()
                } else {
                    format!("; reported but not used: {}.", left_out.join("; "))
                }
            )
        })
        .collect();
    format!(
        "<p>Training cases are weighted toward unlabelled cases of the held-out site. A domain AUROC of \
         0.5 means that the features do not tell the two apart; MMD² is the squared maximum mean discrepancy \
         of the two, with the share of permutations that reach it; the effective sample size is what the \
         weights leave of the training cases. Beside each feature stands the standardised difference of the \
         domains' means, without and with the weights: 0.1 is what is commonly let pass.</p>{}<ul>{features}</ul>",
        table(&head, 1, &rows)
    )
}

fn discrepancy(found: Option<(f64, f64)>) -> String {
    found.map_or_else(
        || "–".to_owned(),
        |(squared, p)| format!("{} ({})", fixed(squared, 3), fixed(p, 3)),
    )
}

/// `age_years (0.84 → −0.12)`.
fn balance(feature: &FeatureBalance) -> String {
    let [before, after] =
        [feature.difference, feature.weighted_difference].map(|value| optional(value, 2));
    format!("{} ({before} → {after})", escape(&feature.name))
}
