//! The sections of the page, in the order in which they are read.

mod calibration;
mod cohort;
mod discrimination;
mod headline;
mod methods;
mod segmentation;
mod shift;
mod training;

pub(super) use calibration::calibration;
pub(super) use cohort::cohort;
pub(super) use discrimination::discrimination;
pub(super) use headline::{header, headline, title};
pub(super) use methods::methods;
pub(super) use segmentation::segmentation;
pub(super) use shift::shift;
pub(super) use training::training;

use super::text::escape;

/// The statement that ends every page.
pub(super) const NO_DEVICE: &str = "<p><b>Not a medical device.</b> hemex is research software. \
    Nothing on this page is fit for diagnosis, triage or treatment of a patient.</p>";

/// Why figures are not defined, one line an arm (or whatever names them); empty without reasons.
fn reasons<'a>(reasons: impl Iterator<Item = (&'a str, &'a str, Option<&'a String>)>) -> String {
    reasons
        .filter_map(|(name, figure, reason)| {
            let reason = escape(reason?);
            Some(format!(
                "<p class=\"note\">{}: {figure} not defined ({reason}).</p>",
                escape(name)
            ))
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
