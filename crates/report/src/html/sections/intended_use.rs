use crate::html::Page;
use crate::html::text::settings;

/// What the models of this page are for, and what not.
pub(in crate::html) fn intended_use(page: &Page) -> String {
    let rule = page.evaluation.growth_rule.as_ref().map_or_else(
        || "as the cohort states it".to_owned(),
        |rule| format!("by the rule: {}", settings(rule)),
    );
    format!(
        "<dl><dt>Question</dt><dd>Will the hematoma of a patient with spontaneous intracerebral hemorrhage have grown \
         on the follow-up scan ({rule})?</dd>\
         <dt>Input</dt><dd>One non-contrast head CT, the first after onset. No clinical value enters a network of hemex.</dd>\
         <dt>For</dt><dd>Research: comparing methods, learning how a model holds at another site, designing studies. \
         Users are researchers and engineers with labelled cases of their own.</dd>\
         <dt>Not for</dt><dd>Any decision about a patient. Trauma, tumors, aneurysms, hemorrhage after surgery or \
         thrombolysis, children, scans with contrast, follow-up scans: nothing here speaks of them.</dd>\
         <dt>Before any other use</dt><dd>Author to supply: setting and users, approval, how the output would be acted \
         upon, monitoring.</dd></dl>"
    )
}
