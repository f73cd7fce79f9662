use crate::html::Page;
use crate::html::text::{escape, settings};

/// How the figures were made, and what they do not show.
pub(in crate::html) fn methods(page: &Page) -> String {
    let rule = page.evaluation.growth_rule.as_ref().map_or_else(String::new, |rule| {
        format!("<li>The growth label follows the rule: {}.</li>", settings(rule))
    });
    let notes: String =
        page.evaluation.notes.iter().map(|note| format!("<li>{}</li>", escape(note))).collect();
    let labels: Vec<String> = page.config.lesion_labels.iter().map(u8::to_string).collect();
    let oracle = if page.findings.oracle.is_some() {
        "<li>The oracle ranks the same test cases by their true probability of growth. Its figure varies \
         with the patients as every other does; a network can lie above it by chance.</li>\
         <li>A synthetic cohort shows that the software does what it says. It is no evidence of how a \
         network does on patients.</li>"
    } else {
        ""
    };
    format!(
        "<ul><li>An AUROC or AUPRC is computed for each fold and seed on the model's own test cases and \
         averaged over the seeds of a fold, then over folds. Scores of different models are never put \
         into one ranking. If a fold lacks a class, the mean is not defined.</li>\
         <li>Test cases in which no lesion was found are ranked below all others. Refused and missing \
         cases are not ranked. Both are counted beside the figure.</li>\
         <li>Arms are compared on the cases that every model of both ranks, so that their difference need \
         not be that of their own figures.</li>\
         <li>Intervals: percentile bootstrap with {} draws of patients (with all their cases) within \
         their fold and class, the same draws for every arm, so that differences are paired; p is \
         twice the smaller share of draws on one side of 0. Where the draws do not differ there is \
         neither interval nor p. Draws say nothing of what another training \
         seed would have given.</li>\
         <li>The interval of one model's AUROC is DeLong's on the logit scale; that of a volume's bias is \
         Student's, those of the limits of agreement are Carkeet's (2015), both for normal differences of \
         independent cases, a case's differences averaged over seeds.</li>\
         <li>Predicted masks are moved from the scan's own grid to the canonical one by nearest \
         neighbour and compared with the voxels of label {} of the reference; reference volumes are \
         measured there too.</li>{oracle}{rule}{notes}</ul>",
        page.findings.n_bootstrap,
        labels.join(", "),
    )
}
