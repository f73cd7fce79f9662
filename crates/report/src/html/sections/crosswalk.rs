//! Where the page answers the items of the reporting guidelines.
//!
//! Items and numbers after TRIPOD+AI (Collins et al., BMJ 2024; 385: e078378), CLAIM 2024 (Tejani et al., Radiology:
//! Artificial Intelligence 2024) and STARD-AI (Sounderajah et al., Nature Medicine 2025); topics are in our own
//! words. An item that no pipeline can answer is left to the author.

use std::collections::BTreeMap;

use crate::evaluate::ModelFindings;
use crate::html::Page;
use crate::html::text::{count, escape, list, table};

/// `guideline,item,topic,answer`; an answer is a key of [`ANSWERS`], with a `+` where it is so in part, or
/// [`AUTHOR`].
const ITEMS: &str = include_str!("crosswalk.csv");

/// What an author has to write.
const AUTHOR: &str = "author";

/// How the page answers a kind of item: the key, the section, and the words.
type Answer = (&'static str, &'static str, fn(&Page) -> String);

const ANSWERS: [Answer; 24] = [
    ("intended_use", "use", |_| "Research on one baseline scan; no use on patients.".into()),
    ("data_source", "cohort", |page| {
        let cohort = &page.findings.cohort;
        let sites = count(cohort.sites.len(), "site");
        format!("{} from {sites}, by format and slice distance.", patients(page))
    }),
    ("participants", "cohort", |_| "Age, time to CT, slice distance and outcome by site.".into()),
    ("flow", "cohort", |page| {
        let n = page.findings.cohort.n_excluded;
        format!(
            "{} excluded, each with its reason. Rules of recruitment: author.",
            count(n, "scan")
        )
    }),
    ("preparation", "models", |page| {
        let [d, h, w] = page.evaluation.cases.preparation.spacing_mm;
        format!("Resampled to {d} × {h} × {w} mm, density limited.")
    }),
    ("outcome", "use", |page| match &page.evaluation.growth_rule {
        Some(_) => "Growth by a stated rule; undefined labels counted with their reason.".into(),
        None => "Growth as the cohort states it.".into(),
    }),
    ("reference_masks", "segmentation", |_| "Masks that came with the cohort.".into()),
    ("predictors", "use", |_| {
        "The image alone enters a network of hemex; clinical columns enter the scores beside it."
            .into()
    }),
    ("sample_size", "cohort", |page| {
        let grew: usize = page.findings.cohort.folds.iter().map(|fold| fold.n_test_growth).sum();
        let tested = page.findings.cohort.n_cases_tested;
        format!("{} tested, {grew} grew.", count(tested, "case"))
    }),
    ("missing", "discrimination", |_| {
        "Cases without label, mask or prediction are counted beside each figure.".into()
    }),
    ("split", "cohort", |page| {
        let leaks: Option<usize> =
            (page.findings.cohort.folds.iter()).map(|fold| fold.n_test_patients_elsewhere).sum();
        let leaks = leaks.map_or_else(
            || "slices of one patient are split".to_owned(),
            |n| format!("{} in two roles", count(n, "test patient")),
        );
        format!("Regime {}; roles by fold; {leaks}.", page.findings.regime.name())
    }),
    ("model", "models", |page| {
        let arms: Vec<String> = page.findings.arms.iter().map(|arm| escape(&arm.name)).collect();
        format!("{}: architecture, input, output. {}", list(&arms), combined(page))
    }),
    ("training", "training", |_| {
        "Curves, and every setting under reproducibility. Weights start from a seeded draw.".into()
    }),
    ("software", "reproducibility", |_| {
        "Version, settings, seeds, digests of code and outputs.".into()
    }),
    ("metrics", "methods", |page| {
        format!("Defined, with intervals by {} draws of patients.", page.findings.n_bootstrap)
    }),
    ("performance", "discrimination", |_| {
        "With intervals, for each arm and each model; masks under segmentation.".into()
    }),
    ("calibration", "calibration", |page| {
        format!("Slope, intercept, curve and Brier score; {}.", updated(page))
    }),
    ("utility", "calibration", |_| "Net benefit at stated thresholds.".into()),
    ("comparison", "comparators", |_| {
        "Arms and clinical scores on the same patients, paired.".into()
    }),
    ("subgroups", "subgroups", |page| {
        format!(
            "{} by site, sex, age, time to CT and volume.",
            count(page.findings.subgroups.len(), "group")
        )
    }),
    ("shift", "shift", |page| match page.evaluation.weights.is_empty() {
        true => "No weights toward another domain were given.".into(),
        false => "Weights, effective sample size and overlap of each fold.".into(),
    }),
    ("robustness", "cues", |_| {
        "Cues of the scanner, and referral of uncertain cases; maps of saliency where they are asked for."
            .into()
    }),
    ("failures", "cases", |_| "Worst overlap and worst ranks, chosen by rule.".into()),
    ("limitations", "methods", |_| "Limits of the method.".into()),
];

fn patients(page: &Page) -> String {
    count(page.findings.cohort.n_patients, "patient")
}

fn combined(page: &Page) -> String {
    match arms_with(page, |model| model.n_models > 1) {
        Some(arms) => format!("Predictions of several models are combined in {arms}."),
        None => "Predictions of several models are not combined.".to_owned(),
    }
}

fn updated(page: &Page) -> String {
    match arms_with(page, |model| model.label_shift.is_some()) {
        Some(arms) => format!("the logits of {arms} are updated for label shift"),
        None => "no model is updated".to_owned(),
    }
}

/// The arms that have such a model; `None` without any.
fn arms_with(page: &Page, is_such: fn(&ModelFindings) -> bool) -> Option<String> {
    let arms = page.findings.arms.iter().filter(|arm| arm.models.iter().any(is_such));
    let arms: Vec<String> = arms.map(|arm| escape(&arm.name)).collect();
    (!arms.is_empty()).then(|| list(&arms))
}

/// A table a guideline, folded away.
pub(in crate::html) fn crosswalk(page: &Page) -> String {
    let mut guidelines: BTreeMap<&str, Vec<[&str; 3]>> = BTreeMap::new();
    for [guideline, item, topic, answer] in items() {
        guidelines.entry(guideline).or_default().push([item, topic, answer]);
    }
    let tables: String = guidelines
        .iter()
        .map(|(guideline, items)| {
            let is_whole = |[.., answer]: &&[&str; 3]| *answer != AUTHOR && !answer.ends_with('+');
            let n_whole = items.iter().filter(is_whole).count();
            let n_in_part = items.iter().filter(|[.., answer]| answer.ends_with('+')).count();
            let rows: Vec<Vec<String>> = items.iter().map(|item| row(page, *item)).collect();
            format!(
                "<details><summary>{}: of {} items {n_whole} answered here, {n_in_part} in part</summary>{}</details>",
                escape(guideline),
                items.len(),
                table(&["Item", "Topic", "Where", "On this page"], 4, &rows)
            )
        })
        .collect();
    format!(
        "<p>Where this page answers the items of the guidelines that a paper about it would be held to. What a \
         pipeline cannot know is left to the author.</p>{tables}"
    )
}

fn row(page: &Page, [item, topic, key]: [&str; 3]) -> Vec<String> {
    let (place, words) = match ANSWERS.iter().find(|(name, ..)| *name == key) {
        Some((_, section, words)) => (format!("<a href=\"#{section}\">{section}</a>"), words(page)),
        None => ("–".to_owned(), "Author to supply.".to_owned()),
    };
    vec![escape(item), escape(topic), place, words]
}

/// The lines of [`ITEMS`] without the head; no field holds a comma.
fn items() -> impl Iterator<Item = [&'static str; 4]> {
    ITEMS.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split(',').collect();
        fields.try_into().ok()
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_item_is_answered_or_left_to_the_author() {
        assert_eq!(items().count(), ITEMS.lines().count() - 1, "a line has other than four fields");
        for [guideline, item, _, answer] in items() {
            let is_known = ANSWERS.iter().any(|(key, ..)| *key == answer.trim_end_matches('+'))
                || answer == AUTHOR;
            assert!(is_known, "{guideline} {item}: {answer}");
        }
        let n_items: BTreeSet<[&str; 2]> =
            items().map(|[guideline, item, ..]| [guideline, item]).collect();
        assert_eq!(n_items.len(), items().count(), "an item stands twice");
        let n_of = |guideline: &str| items().filter(|item| item[0] == guideline).count();
        // Sub-items counted.
        assert_eq!(["TRIPOD+AI", "CLAIM 2024", "STARD-AI"].map(n_of), [52, 44, 48]);
    }
}
