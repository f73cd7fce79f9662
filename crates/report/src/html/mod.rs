//! The report as one self-contained HTML page: inline style, inline SVG, slices as data URIs.
//!
//! No script, no font, no image from elsewhere: the page reads the same in ten years and offline.

mod chart;
mod figures;
mod outline;
mod sections;
mod slices;
pub(crate) mod text;

use crate::{CaseResult, Config, Evaluation, Findings, ReportError};
use text::escape;

pub(crate) const STYLE: &str = include_str!("style.css");

/// What every section is made from.
struct Page<'a> {
    evaluation: &'a Evaluation,
    results: &'a [CaseResult],
    findings: &'a Findings,
    config: &'a Config,
}

impl Page<'_> {
    /// The colour of an arm, the same in every figure.
    fn color(&self, arm: &str) -> &'static str {
        let idx = self.findings.arms.iter().position(|other| other.name == arm).unwrap_or(0);
        chart::COLORS[idx % chart::COLORS.len()]
    }

    /// The test cases of an arm.
    fn tested<'a>(&'a self, arm: &'a str) -> impl Iterator<Item = &'a CaseResult> {
        let is_test = |row: &&CaseResult| row.role == hemex_artifacts::Role::Test;
        self.results.iter().filter(is_test).filter(move |row| row.arm == arm)
    }

    /// `fold 0`, with the sites it tests where they tell folds apart.
    fn fold_name(&self, fold: usize) -> String {
        let folds = &self.findings.cohort.folds;
        let sites = folds.iter().find(|counts| counts.fold == fold).map(|f| &f.test_sites);
        match sites {
            Some(sites) if self.findings.regime == hemex_artifacts::Regime::Site => {
                format!("fold {fold}, site {}", sites.join(" and "))
            }
            _ => format!("fold {fold}"),
        }
    }
}

/// The page.
///
/// # Errors
/// If an image or mask of an example case cannot be read (the image of a refused one may be missing),
/// or they are not on one grid.
pub fn page(
    evaluation: &Evaluation,
    results: &[CaseResult],
    findings: &Findings,
    config: &Config,
) -> Result<String, ReportError> {
    let page = Page { evaluation, results, findings, config };
    let sections = [
        ("headline", "Result", sections::headline(&page)),
        ("cohort", "Cohort", sections::cohort(&page)),
        ("discrimination", "Discrimination", sections::discrimination(&page)),
        ("comparators", "Clinical scores", sections::comparators(&page)),
        ("calibration", "Calibration and decisions", sections::calibration(&page)),
        ("segmentation", "Segmentation", sections::segmentation(&page)),
        ("subgroups", "Subgroups and sites", sections::subgroups(&page)),
        ("referral", "Uncertainty and referral", sections::referral(&page)),
        ("training", "Learning curves", sections::training(&page)),
        ("shift", "Domain shift", sections::shift(&page)),
        ("cases", "Cases", slices::section(&page)?),
        ("methods", "Methods and limits", sections::methods(&page)),
    ];
    let links: String = sections
        .iter()
        .map(|(id, title, _)| format!("<a href=\"#{id}\">{title}</a>"))
        .collect::<Vec<_>>()
        .join(" ");
    let body: String = sections
        .iter()
        .map(|(id, title, body)| format!("<section id=\"{id}\"><h2>{title}</h2>{body}</section>\n"))
        .collect();
    let body = format!(
        "{}<nav aria-label=\"Sections\">{links}</nav>\n{body}<footer>{}</footer>",
        sections::header(&page),
        sections::NO_DEVICE,
    );
    Ok(document(&sections::title(&page), STYLE, &body))
}

/// A page that loads nothing: whatever it shows is in it, and a browser is told to refuse the rest.
pub(crate) fn document(title: &str, style: &str, body: &str) -> String {
    const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{}</title>\n<style>{style}</style></head>\n<body><main>\n{body}</main></body></html>\n",
        escape(title)
    )
}
