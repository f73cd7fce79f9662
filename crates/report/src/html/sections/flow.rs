use std::collections::BTreeMap;

use crate::html::Page;
use crate::html::text::{count, escape, list};

/// How scans became test cases: who left where, and why.
pub(super) fn flow(page: &Page) -> String {
    let cohort = &page.findings.cohort;
    let n_undefined: usize = cohort.label_undefined_reasons.values().sum();
    let n_labelled = cohort.n_cases - n_undefined;
    let steps = [
        step(
            &count(cohort.n_cases + cohort.n_excluded, "baseline scan"),
            "came in",
            &left(cohort.n_excluded, "excluded", &cohort.exclusion_reasons),
        ),
        step(
            &count(cohort.n_cases, "scan"),
            &format!("of {} prepared", count(cohort.n_patients, "patient")),
            &left(n_undefined, "without a growth label", &cohort.label_undefined_reasons),
        ),
        step(&count(n_labelled, "scan"), "with a growth label", ""),
        step(
            &count(cohort.n_cases_tested, "case"),
            &format!(
                "of {} tested in at least one fold, with a label or without",
                count(cohort.n_patients_tested, "patient")
            ),
            &not_tested(page),
        ),
        step("Predictions", "", &said(page)),
    ];
    format!("<ol class=\"flow\">{}</ol>", steps.concat())
}

fn step(n: &str, what: &str, aside: &str) -> String {
    let aside = if aside.is_empty() { String::new() } else { format!("<div>{aside}</div>") };
    format!("<li><p><b>{n}</b> {what}</p>{aside}</li>")
}

/// Who leaves here, by reason; nobody: nothing.
fn left(n: usize, what: &str, reasons: &BTreeMap<String, usize>) -> String {
    if n == 0 {
        return format!("None {what}.");
    }
    let items: String =
        reasons.iter().map(|(reason, n)| format!("<li>{n} × {}</li>", escape(reason))).collect();
    format!("{n} {what}:<ul>{items}</ul>")
}

fn not_tested(page: &Page) -> String {
    let cohort = &page.findings.cohort;
    let folds = match cohort.n_folds_without_model {
        0 => String::new(),
        n => format!(" {} of the split without a model.", count(n, "fold")),
    };
    match cohort.n_cases - cohort.n_cases_tested {
        0 => "Every case is tested.".to_owned() + &folds,
        n => format!("{n} not tested: in no fold a test case.{folds}"),
    }
}

/// What became of each arm's test cases.
fn said(page: &Page) -> String {
    let lines = page.findings.arms.iter().map(|arm| {
        let words = [
            ("ok", "with a probability"),
            ("no_lesion", "in which no lesion was found"),
            ("refused", "refused"),
            ("missing", "never predicted"),
        ];
        let said: Vec<String> = words
            .into_iter()
            .filter_map(|(status, words)| Some((arm.statuses.get(status).copied()?, words)))
            .filter(|(n, words)| *n > 0 || *words == "with a probability")
            .map(|(n, words)| format!("{n} {words}"))
            .collect();
        format!("<li>{}: {}</li>", escape(&arm.name), list(&said))
    });
    format!("<ul>{}</ul>", lines.collect::<String>())
}
