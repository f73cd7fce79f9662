use crate::evaluate::SetShare;
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
        return "<p>No arm states how sure it is of a case.</p>".to_owned() + &sets_of_labels(page);
    }
    let by_uncertainty = format!(
        "<p>A model may say that it does not know. Here each model refers the share of its test cases that it is \
         least sure of, and ranks the rest. If what it is referred by means anything, the AUROC rises with the \
         share. <b>Spread of the logit</b>: its standard deviation over a case's windows, or over the models where \
         several speak as one. <b>Entropy</b>: highest at a probability of one half. <b>Mutual information</b>: the \
         part of the entropy that comes from models that contradict each other.</p>{}",
        table(&["Arm", "By", "Referred", "AUROC of the rest", "Ranked", "Grew"], 2, &rows)
    );
    by_uncertainty + &sets_of_labels(page)
}

/// Sets of labels that hold the true one as often as promised; nothing without calibration cases.
fn sets_of_labels(page: &Page) -> String {
    let arms = page.findings.arms.iter();
    let arms = arms.filter_map(|arm| Some((&arm.name, arm.conformal.as_ref()?)));
    let rows: Vec<Vec<String>> = arms
        .map(|(name, found)| {
            let mut row = vec![swatch(page.color(name), name)];
            row.extend(
                [
                    found.stable_held,
                    found.growth_held,
                    found.decided,
                    found.decided_right,
                    found.grew_though_stable,
                ]
                .map(percent),
            );
            row
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let promised = fixed(100.0 * (1.0 - page.config.conformal_miss), 0);
    let head = [
        "Arm",
        "Stable held (%)",
        "Growth held (%)",
        "Decided (%)",
        "Right of these (%)",
        "Grew of those said stable (%)",
    ];
    format!(
        "<h3>Sets of labels</h3><p>A set of labels (conformal prediction) is to hold the true one of at least \
         {promised} % of the stable cases and of those that grew, whatever the network, for patients like those of \
         the calibration cases. One label decides; a case with both or none is referred.</p>{}",
        table(&head, 1, &rows)
    )
}

/// `92 (88 to 96), n = 120`, or a dash.
fn percent(share: SetShare) -> String {
    let hundred = |value: f64| 100.0 * value;
    let figure =
        with_interval(share.value.map(hundred), share.ci95.map(|ends| ends.map(hundred)), 0);
    format!("{figure}, n = {}", share.n)
}
