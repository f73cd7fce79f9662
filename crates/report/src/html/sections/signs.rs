use crate::evaluate::GrowthCount;
use crate::html::Page;
use crate::html::text::{escape, optional, share, table};

/// Signs of growth on the scan: how often, with what outcome, and whether a person sees the same.
pub(in crate::html) fn signs(page: &Page) -> String {
    let signs = &page.findings.signs;
    if signs.is_empty() {
        return "<h3>Signs on the scan</h3><p class=\"note\">No test case has an image and a lesion in a reference \
                mask: no sign can be measured.</p>"
            .to_owned();
    }
    let grew = |count: GrowthCount| share(count.n_growth, count.n);
    let rows: Vec<Vec<String>> = signs
        .iter()
        .map(|sign| {
            vec![
                escape(sign.name),
                share(sign.n_present, sign.n),
                grew(sign.with),
                grew(sign.without),
                if sign.n_read > 0 {
                    share(sign.n_read_present, sign.n_read)
                } else {
                    "–".into()
                },
                share(sign.n_both, sign.n_read_present),
                share(sign.n_neither, sign.n_read - sign.n_read_present),
                optional(sign.kappa, 2),
            ]
        })
        .collect();
    let head = [
        "Sign",
        "Measured",
        "Grew with it",
        "Grew without",
        "Read",
        "Sensitivity",
        "Specificity",
        "Kappa",
    ];
    let synthetic = if page.findings.oracle.is_some() {
        " In this synthetic cohort a reading is what was drawn, whether the scan shows it or not."
    } else {
        ""
    };
    format!(
        "<h3>Signs on the scan</h3>{}<p class=\"note\">Measured by stated algorithms on the image and the reference \
         mask, canonical grid; what a person read stands beside it where the cohort has it, and sensitivity, \
         specificity and kappa are of the measurement against the reading. Thick slices hide small black holes, \
         and the lobes of an irregular outline are hardly told from islands.{synthetic} The numbers behind each sign \
         are in <code>signs.csv</code>.</p>",
        table(&head, 1, &rows)
    )
}
