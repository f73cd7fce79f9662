//! The report as one self-contained HTML page: inline style, inline SVG, slices as data URIs, and a viewer of cases
//! whose script and volumes lie in the page.
//!
//! No script, no font, no image from elsewhere: the page reads the same in ten years and offline.

mod cases;
mod chart;
mod figures;
mod sections;
pub(crate) mod text;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

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
    let cases = cases::section(&page)?;
    let scores_and_signs = sections::comparators(&page) + &sections::signs(&page);
    let sections = [
        ("headline", "Result", sections::headline(&page)),
        ("use", "Intended use", sections::intended_use(&page)),
        ("cohort", "Cohort", sections::cohort(&page)),
        ("discrimination", "Discrimination", sections::discrimination(&page)),
        ("comparators", "Clinical scores and signs", scores_and_signs),
        ("calibration", "Calibration and decisions", sections::calibration(&page)),
        ("segmentation", "Segmentation", sections::segmentation(&page)),
        ("subgroups", "Subgroups and sites", sections::subgroups(&page)),
        ("shift", "Domain shift", sections::shift(&page)),
        ("cues", "Spurious cues", sections::cues(&page)),
        ("referral", "Uncertainty and referral", sections::referral(&page)),
        ("cases", "Cases", cases.html),
        ("training", "Learning curves", sections::training(&page)),
        ("models", "Model card", sections::model_card(&page)),
        ("methods", "Methods and limits", sections::methods(&page)),
        ("reproducibility", "Reproducibility", sections::reproducibility(&page)),
        ("checklists", "Reporting checklists", sections::crosswalk(&page)),
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
    Ok(document(&sections::title(&page), STYLE, &body, &cases.scripts))
}

/// A page that loads nothing: whatever it shows is in it, and a browser is told to refuse the rest, and every script
/// but `scripts`, of which it is given the digests.
pub(crate) fn document(title: &str, style: &str, body: &str, scripts: &[String]) -> String {
    let digests: String =
        scripts.iter().map(|script| format!(" {}", script_digest(script))).collect();
    let scripts_allowed = if scripts.is_empty() { " 'none'" } else { &digests };
    let elements: String =
        scripts.iter().map(|script| format!("<script>{script}</script>\n")).collect();
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; \
         style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; script-src{scripts_allowed}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{}</title>\n<style>{style}</style></head>\n<body><main>\n{body}</main>\n{elements}</body></html>\n",
        escape(title)
    )
}

/// As a content security policy names a script (W3C CSP level 2, hash-source).
fn script_digest(script: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(script.as_bytes())))
}
