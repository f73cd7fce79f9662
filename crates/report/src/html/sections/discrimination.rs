use super::{reasons, side_by_side, undefined_draws};
use crate::evaluate::{ArmFindings, ModelFindings};
use crate::html::Page;
use crate::html::chart::TRUTH;
use crate::html::figures;
use crate::html::text::{escape, fixed, list, optional, p_value, swatch, table, with_interval};

/// How well growth is told from stability: figures with intervals, fold by fold, and the curves.
pub(in crate::html) fn discrimination(page: &Page) -> String {
    let figures = side_by_side(
        vec![figures::roc(page), figures::forest(page)],
        "No arm has test cases of both classes in every fold: there is no curve to draw.",
    );
    let why = reasons(page.findings.arms.iter().flat_map(|arm| {
        [("AUROC", &arm.auroc), ("AUPRC", &arm.auprc)].map(|(figure, estimate)| {
            (arm.name.clone(), figure, estimate.value.is_some(), estimate.reason.as_ref())
        })
    }));
    format!(
        "{figures}<h3>Arms</h3>{}{why}{}{}<h3>Differences</h3>{}<h3>Each model</h3>{}{}",
        arm_table(page),
        draws(page),
        chance(page),
        difference_table(page),
        model_table(page),
        definition_table(page)
    )
}

/// The AUROC where growth is defined otherwise; empty without volumes.
fn definition_table(page: &Page) -> String {
    if page.findings.definitions.is_empty() {
        return String::new();
    }
    let mut head = vec!["Growth is".to_owned(), "Grew".to_owned()];
    head.extend(page.findings.arms.iter().map(|arm| format!("AUROC {}", escape(&arm.name))));
    let rows: Vec<Vec<String>> = page
        .findings
        .definitions
        .iter()
        .map(|definition| {
            let first = definition.auroc.first();
            let grew = first.map(|auroc| format!("{} of {}", auroc.n_positive, auroc.n));
            let mut row = vec![escape(definition.name), grew.unwrap_or_default()];
            row.extend(
                definition.auroc.iter().map(|auroc| with_interval(auroc.value, auroc.ci95, 2)),
            );
            row
        })
        .collect();
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    format!(
        "<h3>Other definitions of growth</h3>{}<p class=\"note\">By the volumes of both scans, where both are \
         known (after Dowlatshahi et al., Neurology 2011); the models were trained on the cohort's own \
         definition.</p>",
        table(&head, 1, &rows)
    )
}

fn draws(page: &Page) -> String {
    let arms = page.findings.arms.iter().flat_map(|arm| {
        [("AUROC", &arm.auroc), ("AUPRC", &arm.auprc)]
            .map(|(figure, estimate)| (arm.name.clone(), figure, estimate.n_draws_undefined))
    });
    let differences = page.findings.differences.iter().map(|difference| {
        let pair = format!("{} minus {}", difference.first, difference.second);
        (pair, "AUROC difference", difference.n_draws_undefined)
    });
    undefined_draws(page, arms.chain(differences))
}

fn arm_table(page: &Page) -> String {
    let status = |arm: &ArmFindings, name: &str| {
        arm.statuses.get(name).copied().unwrap_or_default().to_string()
    };
    let mut rows: Vec<Vec<String>> = page
        .findings
        .arms
        .iter()
        .map(|arm| {
            vec![
                swatch(page.color(&arm.name), &arm.name),
                with_interval(arm.auroc.value, arm.auroc.ci95, 2),
                with_interval(arm.auprc.value, arm.auprc.ci95, 2),
                arm.auroc.n.to_string(),
                arm.auroc.n_positive.to_string(),
                status(arm, "ok"),
                status(arm, "no_lesion"),
                status(arm, "refused"),
                status(arm, "missing"),
                arm.n_label_undefined.to_string(),
            ]
        })
        .collect();
    if let Some(oracle) = &page.findings.oracle {
        let mut row = vec![
            swatch(TRUTH, "oracle"),
            with_interval(oracle.auroc, oracle.ci95, 2),
            "–".to_owned(),
            oracle.n.to_string(),
            oracle.n_positive.to_string(),
        ];
        row.resize(10, "–".to_owned());
        rows.push(row);
        let mut signs = vec![
            swatch(TRUTH, "oracle, image signs alone"),
            with_interval(oracle.auroc_image_signs, oracle.auroc_image_signs_ci95, 2),
        ];
        signs.resize(10, "–".to_owned());
        rows.push(signs);
    }
    let head = [
        "Arm",
        "AUROC",
        "AUPRC",
        "Ranked",
        "Grew",
        "ok",
        "no lesion",
        "refused",
        "missing",
        "no label",
    ];
    table(&head, 1, &rows)
}

/// What a ranking that knows nothing has, and who is ranked apart.
fn chance(page: &Page) -> String {
    let arms = &page.findings.arms;
    let shares: Vec<(String, &str)> = arms
        .iter()
        .filter_map(|arm| Some((fixed(arm.auprc_of_chance?, 2), arm.name.as_str())))
        .collect();
    // Arms that refuse other cases differ.
    let is_one = shares.iter().all(|(share, _)| *share == shares[0].0);
    let named = |(share, arm): &(String, &str)| format!("{share} ({})", escape(arm));
    let shares: Vec<String> = match is_one {
        true => shares.into_iter().take(1).map(|(share, _)| share).collect(),
        false => shares.iter().map(named).collect(),
    };
    let knows_nothing = match shares.is_empty() {
        true => String::new(),
        false => format!(
            "A ranking that knows nothing has AUROC 0.50 and AUPRC {}: the share of a fold's ranked \
             cases that grew, averaged over folds as the AUPRC is.",
            list(&shares)
        ),
    };
    let apart: String = arms.iter().map(ranked_apart).collect();
    format!("<p class=\"note\">{knows_nothing}{apart}</p>")
}

/// Which cases an arm ranked without a probability, or not at all; empty without such.
fn ranked_apart(arm: &ArmFindings) -> String {
    let (lowest, without) = (arm.n_no_lesion_ranked_lowest, arm.n_not_ranked);
    if lowest + without == 0 {
        return String::new();
    }
    format!(
        " {}: {lowest} without a detected lesion ranked below all others, {without} refused or missing \
         and not ranked.",
        escape(&arm.name)
    )
}

fn difference_table(page: &Page) -> String {
    if page.findings.differences.is_empty() {
        return "<p>There is one arm: nothing to compare.</p>".to_owned();
    }
    let rows: Vec<Vec<String>> = page
        .findings
        .differences
        .iter()
        .map(|difference| {
            vec![
                escape(&format!("{} minus {}", difference.first, difference.second)),
                with_interval(difference.auroc, difference.ci95, 2),
                difference.p.map_or_else(|| "–".to_owned(), p_value),
                with_interval(difference.auprc, difference.auprc_ci95, 2),
                difference.n.to_string(),
                difference.n_positive.to_string(),
                difference.n_ranked_by_one_arm.to_string(),
            ]
        })
        .collect();
    let head = ["Arms", "AUROC", "p (AUROC)", "AUPRC", "Ranked by both", "Grew", "By one alone"];
    let why = reasons(page.findings.differences.iter().map(|difference| {
        let pair = format!("{} minus {}", difference.first, difference.second);
        (pair, "AUROC difference", difference.auroc.is_some(), difference.reason.as_ref())
    }));
    format!("{}{why}", table(&head, 1, &rows))
}

fn model_table(page: &Page) -> String {
    let row = |arm: &ArmFindings, model: &ModelFindings| {
        vec![
            swatch(page.color(&arm.name), &arm.name),
            escape(&page.fold_name(model.fold)),
            model.seed.to_string(),
            model.n.to_string(),
            model.n_positive.to_string(),
            with_interval(model.auroc, model.auroc_ci95, 2),
            optional(model.auprc, 2),
            optional(model.mean_probability, 2),
            optional(model.observed_share, 2),
            optional(model.mean_dice, 2),
        ]
    };
    let rows: Vec<Vec<String>> = page
        .findings
        .arms
        .iter()
        .flat_map(|arm| arm.models.iter().map(move |model| row(arm, model)))
        .collect();
    let head = [
        "Arm",
        "Fold",
        "Seed",
        "Ranked",
        "Grew",
        "AUROC",
        "AUPRC",
        "Mean probability",
        "Share that grew",
        "Mean Dice",
    ];
    table(&head, 2, &rows)
}
