use super::flow::flow;
use crate::evaluate::FoldCounts;
use crate::html::Page;
use crate::html::text::{count, escape, list, optional, share, table};

/// Who was evaluated, and who was left out for which reason.
pub(in crate::html) fn cohort(page: &Page) -> String {
    let cohort = &page.findings.cohort;
    let n_growth: usize = cohort.sites.iter().map(|site| site.n_growth).sum();
    let n_stable: usize = cohort.sites.iter().map(|site| site.n_stable).sum();
    let intro = format!(
        "<p>{} of {} from {}. Of those with a label, {} grew.</p>",
        count(cohort.n_cases, "scan"),
        count(cohort.n_patients, "patient"),
        count(cohort.sites.len(), "site"),
        share(n_growth, n_growth + n_stable),
    );
    format!(
        "{intro}<h3>Flow of cases</h3>{}<h3>Sites</h3>{}<h3>Folds</h3>{}",
        flow(page),
        site_table(page),
        fold_table(page),
    )
}

fn site_table(page: &Page) -> String {
    let rows: Vec<Vec<String>> = page
        .findings
        .cohort
        .sites
        .iter()
        .map(|site| {
            vec![
                escape(&site.site),
                escape(&list(&site.source_formats)),
                site.n_patients.to_string(),
                site.n_cases.to_string(),
                share(site.n_growth, site.n_growth + site.n_stable),
                site.n_undefined.to_string(),
                optional(site.median_age_years, 0),
                optional(site.median_onset_to_ct_h, 1),
                optional(site.median_slice_distance_mm, 1),
            ]
        })
        .collect();
    let head = [
        "Site",
        "Format",
        "Patients",
        "Scans",
        "Grew",
        "No label",
        "Median age (y)",
        "Onset to CT (h)",
        "Slice distance (mm)",
    ];
    table(&head, 2, &rows)
}

fn fold_table(page: &Page) -> String {
    let folds = &page.findings.cohort.folds;
    // A column that most splits do not have.
    let calibrates = folds.iter().any(|fold| fold.n_calibration > 0);
    let n_calibration = |fold: &FoldCounts| calibrates.then(|| fold.n_calibration.to_string());
    let rows: Vec<Vec<String>> = folds
        .iter()
        .map(|fold| {
            let mut row = vec![
                fold.fold.to_string(),
                escape(&list(&fold.test_sites)),
                fold.n_train.to_string(),
                fold.n_val.to_string(),
            ];
            row.extend(n_calibration(fold));
            row.extend([
                fold.n_target.to_string(),
                fold.n_test.to_string(),
                fold.n_test_growth.to_string(),
                (fold.n_test_patients_elsewhere).map_or_else(|| "–".to_owned(), |n| n.to_string()),
            ]);
            row
        })
        .collect();
    let mut head = vec!["Fold", "Test sites", "Training", "Validation"];
    head.extend(calibrates.then_some("Calibration"));
    head.extend(["Target", "Test", "Test, grew", "Test patients in another role"]);
    format!("{}{}", table(&head, 2, &rows), leakage(page))
}

/// Whether anyone tested was also learnt from.
fn leakage(page: &Page) -> String {
    let folds = &page.findings.cohort.folds;
    let counted: Option<Vec<usize>> =
        folds.iter().map(|fold| fold.n_test_patients_elsewhere).collect();
    let said = match counted.map(|counts| counts.into_iter().sum::<usize>()) {
        None => {
            "Slices of the same patients train and test: figures are optimistic, and say nothing of \
             patients never seen."
        }
        Some(0) => {
            "No patient that tests a model has a case that trained it, chose its checkpoint or shaped its \
             weights: counted here over all folds."
        }
        Some(_) => {
            "Some patients test a model that has seen another case of theirs: the figures of that fold are \
             not to be trusted."
        }
    };
    format!("<p class=\"note\">{said}</p>")
}
