use crate::html::Page;
use crate::html::text::{fixed, swatch, table, with_interval};

/// What is gained where the least certain cases are referred.
pub(in crate::html) fn referral(page: &Page) -> String {
    let arms = page.findings.arms.iter();
    let rows: Vec<Vec<String>> = arms
        .flat_map(|arm| {
            arm.referral.iter().map(move |referral| {
                vec![
                    swatch(page.color(&arm.name), &arm.name),
                    format!("{} %", fixed(100.0 * referral.share, 0)),
                    with_interval(referral.auroc.value, referral.auroc.ci95, 2),
                    referral.auroc.n.to_string(),
                    referral.auroc.n_positive.to_string(),
                ]
            })
        })
        .collect();
    if rows.is_empty() {
        return "<p>No arm states how sure it is of a case.</p>".to_owned();
    }
    format!(
        "<p>A model may say that it does not know. Here each model refers the share of its test cases that it is \
         least sure of (by the standard deviation of the logit over a case's windows), and ranks the rest. If the \
         stated uncertainty means anything, the AUROC rises with the share.</p>{}",
        table(&["Arm", "Referred", "AUROC of the rest", "Ranked", "Grew"], 1, &rows)
    )
}
