use super::reasons;
use crate::evaluate::{GroupAccuracies, LEAST_CASES};
use crate::html::Page;
use crate::html::text::{escape, optional, swatch, table, with_interval};

/// The group that each arm is least right in, by each property of the scan.
pub(super) fn groups(page: &Page) -> String {
    let all = &page.findings.groups;
    let told: Vec<&GroupAccuracies> = all.iter().filter(|found| found.worst.is_some()).collect();
    // A site alone says nothing where no property parts the cases.
    let missing = all.iter().filter(|found| found.worst.is_none() && found.by == "site");
    let why = reasons(missing.map(|found| {
        (found.arm.clone(), "accuracy of the worst group", false, found.reason.as_ref())
    }));
    let head = "<h3>The worst group</h3>";
    if told.is_empty() {
        return format!("{head}{why}");
    }
    let rows: Vec<Vec<String>> = told.iter().filter_map(|found| row(page, found)).collect();
    let columns = ["Groups by", "Arm", "Worst group", "Cases", "Accuracy there", "Balanced, all"];
    format!(
        "{head}<p>A network that lives on a cue is right where cue and outcome go together as in training, and wrong \
         where they part. Each property of the scan makes groups with the outcome, and here is the one that an arm is \
         least right in, beside its balanced accuracy over all of them. A case is called growing from the model's \
         threshold on, where sensitivity and specificity over its own validation cases have the greatest sum, and a \
         label shift, which these do not have, taken off; one without a detected lesion is called stable.</p>{}{why}\
         <p class=\"note\">Of groups of {LEAST_CASES} cases or more; all are in metrics.json. Intervals are Wilson's and \
         not corrected for the choice of the worst, which is lower the more groups there are.</p>",
        table(&columns, 3, &rows)
    )
}

fn row(page: &Page, found: &GroupAccuracies) -> Option<Vec<String>> {
    let worst = found.worst_group()?;
    let outcome = if worst.growth { "grew" } else { "did not grow" };
    Some(vec![
        escape(found.by),
        swatch(page.color(&found.arm), &found.arm),
        format!("{}, {outcome}", escape(&worst.side)),
        worst.n.to_string(),
        with_interval(found.worst, found.worst_ci95, 2),
        optional(found.balanced_accuracy, 2),
    ])
}
