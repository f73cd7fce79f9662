//! The sections of the page, in the order in which they are read.

mod calibration;
mod cohort;
mod comparators;
mod crosswalk;
mod cues;
mod discrimination;
mod flow;
mod groups;
mod headline;
mod intended_use;
mod methods;
mod model_card;
mod referral;
mod reproducibility;
mod saliency;
mod segmentation;
mod shift;
mod signs;
mod subgroups;
mod training;

pub(super) use calibration::calibration;
pub(super) use cohort::cohort;
pub(super) use comparators::comparators;
pub(super) use crosswalk::crosswalk;
pub(super) use cues::cues;
pub(super) use discrimination::discrimination;
pub(super) use headline::{header, headline, title};
pub(super) use intended_use::intended_use;
pub(super) use methods::methods;
pub(super) use model_card::model_card;
pub(super) use referral::referral;
pub(super) use reproducibility::reproducibility;
pub(super) use segmentation::segmentation;
pub(super) use shift::shift;
pub(super) use signs::signs;
pub(super) use subgroups::subgroups;
pub(super) use training::training;

use super::Page;
use super::text::escape;

/// The statement that ends every page.
pub(super) const NO_DEVICE: &str = "<p><b>Not a medical device.</b> hemex is research software. \
    Nothing on this page is fit for diagnosis, triage or treatment of a patient.</p>";

/// A figure, whose it is, whether it is defined, and why it or its interval is not.
type Reason<'a> = (String, &'a str, bool, Option<&'a String>);

/// Why figures or their intervals are not defined, a line each; empty without reasons.
fn reasons<'a>(reasons: impl Iterator<Item = Reason<'a>>) -> String {
    reasons
        .filter_map(|(whose, figure, is_defined, reason)| {
            let (whose, reason) = (escape(&whose), escape(reason?));
            let what = if is_defined { "no interval of" } else { "no" };
            Some(format!("<p class=\"note\">{whose}: {what} {figure} ({reason}).</p>"))
        })
        .collect()
}

/// In how many draws figures were not defined, a line each; empty where they always were.
fn undefined_draws<'a>(
    page: &Page,
    figures: impl Iterator<Item = (String, &'a str, usize)>,
) -> String {
    figures
        .filter(|(.., n)| *n > 0)
        .map(|(whose, figure, n)| {
            format!(
                "<p class=\"note\">{}: the {figure} was not defined in {n} of {} draws; its interval \
                 rests on the others.</p>",
                escape(&whose),
                page.findings.n_bootstrap
            )
        })
        .collect()
}

/// The figures side by side, or a sentence in their place.
fn side_by_side(figures: Vec<Option<String>>, instead: &str) -> String {
    let figures: String = figures.into_iter().flatten().collect();
    if figures.is_empty() {
        return format!("<p class=\"note\">{instead}</p>");
    }
    format!("<div class=\"figures\">{figures}</div>")
}
