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
                    referral.by.to_owned(),
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
         least sure of, and ranks the rest. If what it is referred by means anything, the AUROC rises with the \
         share. <b>Spread of the logit</b>: its standard deviation over a case's windows, or over the models where \
         several speak as one. <b>Entropy</b>: highest at a probability of one half. <b>Mutual information</b>: the \
         part of the entropy that comes from models that contradict each other.</p>{}",
        table(&["Arm", "By", "Referred", "AUROC of the rest", "Ranked", "Grew"], 2, &rows)
    )
}
