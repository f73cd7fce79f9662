use crate::html::Page;
use crate::html::text::{escape, table, with_interval};

/// The figures of each arm within groups of test cases.
pub(in crate::html) fn subgroups(page: &Page) -> String {
    let arms = &page.findings.arms;
    let mut head = vec!["By".to_owned(), "Group".to_owned(), "Cases".to_owned(), "Grew".to_owned()];
    for arm in arms {
        head.push(format!("AUROC {}", escape(&arm.name)));
        if arm.dice.mean.is_some() {
            head.push(format!("Dice {}", escape(&arm.name)));
        }
    }
    let rows: Vec<Vec<String>> = page
        .findings
        .subgroups
        .iter()
        .map(|group| {
            let mut row = vec![
                escape(group.by),
                escape(&group.name),
                group.n.to_string(),
                group.n_growth.to_string(),
            ];
            for (arm, figures) in arms.iter().zip(&group.arms) {
                row.push(with_interval(figures.auroc.value, figures.auroc.ci95, 2));
                if arm.dice.mean.is_some() {
                    row.push(with_interval(figures.dice.mean, figures.dice.ci95, 2));
                }
            }
            row
        })
        .collect();
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    format!(
        "<p>Test cases by what is known of them; one whose value is not known is in neither group. A dash: a \
         fold of the group lacks one of the classes, so that nothing can be ranked. Groups were not chosen by \
         their result, and no interval here is corrected for how many there are: read them as a search for what \
         to look at, not as findings.</p>{}",
        table(&head, 2, &rows)
    )
}
