use super::reasons;
use crate::html::Page;
use crate::html::text::{count, escape, p_value, table, with_interval};

/// Clinical scores on the same patients, and the arms beside them.
pub(in crate::html) fn comparators(page: &Page) -> String {
    let comparators = &page.findings.comparators;
    let rows: Vec<Vec<String>> = comparators
        .iter()
        .map(|comparator| {
            vec![
                escape(comparator.name),
                escape(comparator.source),
                with_interval(comparator.auroc.value, comparator.auroc.ci95, 2),
                comparator.auroc.n.to_string(),
                comparator.auroc.n_positive.to_string(),
                comparator.n_without_score.to_string(),
            ]
        })
        .collect();
    let head = ["Score", "Source", "AUROC", "Ranked", "Grew", "Input unknown"];
    let why = reasons(comparators.iter().map(|comparator| {
        let estimate = &comparator.auroc;
        (comparator.name.to_owned(), "AUROC", estimate.value.is_some(), estimate.reason.as_ref())
    }));
    let n_unknown = comparators.iter().map(|comparator| comparator.n_without_score).max();
    let unknown = match n_unknown.unwrap_or(0) {
        0 => String::new(),
        n => format!(
            "<p class=\"note\">A score needs all its inputs: up to {} without one could not be scored, and \
             is not in that score's figures. Nothing was filled in.</p>",
            count(n, "labelled test case")
        ),
    };
    format!(
        "<p>Scores that clinicians compute by hand, on the same test patients and folds; volume is that of the \
         reference mask. An anticoagulant of any kind counts as the warfarin of BRAIN and of the 9-point \
         score. BAT takes the blend sign and hypodensity as a person read them, else as measured below. HEP is not computed: \
         its points stand in the paper alone.</p>{}{why}{unknown}\
         <h3>Arms minus scores</h3>{}",
        table(&head, 2, &rows),
        difference_table(page)
    )
}

fn difference_table(page: &Page) -> String {
    let differences = || page.findings.comparators.iter().flat_map(|c| &c.differences);
    let rows: Vec<Vec<String>> = differences()
        .map(|difference| {
            vec![
                escape(&format!("{} minus {}", difference.first, difference.second)),
                with_interval(difference.auroc, difference.ci95, 2),
                difference.p.map_or_else(|| "–".to_owned(), p_value),
                difference.n.to_string(),
                difference.n_positive.to_string(),
            ]
        })
        .collect();
    let why = reasons(differences().map(|difference| {
        let pair = format!("{} minus {}", difference.first, difference.second);
        (pair, "AUROC difference", difference.auroc.is_some(), difference.reason.as_ref())
    }));
    let head = ["Arm and score", "AUROC", "p", "Ranked by both", "Grew"];
    format!("{}{why}", table(&head, 1, &rows))
}
