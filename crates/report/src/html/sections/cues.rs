use crate::evaluate::{Cue, PairShare};
use crate::html::Page;
use crate::html::text::{escape, fixed, list, swatch, table, with_interval};

/// Whether predictions follow how scans were made.
pub(in crate::html) fn cues(page: &Page) -> String {
    let cues = &page.findings.cues;
    if cues.is_empty() {
        return "<p>The test cases were all scanned alike, as far as their headers say: there is no cue to test.</p>"
            .to_owned();
    }
    let is_met = |cue: &&Cue| cue.arms.iter().any(|figures| figures.told.n_pairs > 0);
    let (met, unmet): (Vec<&Cue>, Vec<&Cue>) = cues.iter().partition(is_met);
    let rows: Vec<Vec<String>> = met.iter().flat_map(|cue| rows(page, cue)).collect();
    let head = ["Cue", "Side", "Cases", "Grew", "Arm", "Told apart", "AUROC within a side"];
    format!(
        "<p>A network can rank growth by how a scan was made, if those who grew were scanned otherwise. Each property \
         of the scan parts the test cases in two. <b>Told apart</b>: among cases with the same outcome, how often the \
         score is higher on the second side; 0.50 is what a network reaches that does not see the cue. <b>Within a \
         side</b>: how often the case that grew has the higher score when the cue is the same. Marked is what leaves \
         0.50 outside its interval.</p>{}<p class=\"note\">Pairs of cases of one model alone. A cue that goes with a true \
         sign, such as noise with the size of a head, is told apart without harm: it matters where growth differs \
         between the sides and the ranking within a side is worse than over all.</p>{}",
        table(&head, 2, &rows),
        not_met(&unmet)
    )
}

/// Cues of which no model sees both sides.
fn not_met(cues: &[&Cue]) -> String {
    if cues.is_empty() {
        return String::new();
    }
    let names: Vec<String> = cues.iter().map(|cue| escape(cue.name)).collect();
    format!(
        "<p class=\"note\">Not testable here, since each model meets test cases of one side alone: {}. Train with \
         <code>train.regime=patient</code> to see them.</p>",
        list(&names)
    )
}

/// The rows of a cue: its sides beside the first arms.
fn rows(page: &Page, cue: &Cue) -> Vec<Vec<String>> {
    let n_rows = cue.arms.len().max(2);
    let side = |i: usize| match cue.sides.get(i) {
        Some(side) => {
            let growth = cue.growth[i]
                .map_or_else(String::new, |share| format!("{} %", fixed(100.0 * share, 0)));
            [escape(side), cue.n[i].to_string(), growth]
        }
        None => Default::default(),
    };
    (0..n_rows)
        .map(|i| {
            let name = if i == 0 { escape(cue.name) } else { String::new() };
            let mut row = vec![name];
            row.extend(side(i));
            match cue.arms.get(i) {
                Some(figures) => row.extend([
                    swatch(page.color(&figures.arm), &figures.arm),
                    told(&figures.told),
                    with_interval(figures.within.value, figures.within.ci95, 2),
                ]),
                None => row.extend([const { String::new() }; 3]),
            }
            row
        })
        .collect()
}

/// Bold where the cue shows in the score.
fn told(share: &PairShare) -> String {
    let text = with_interval(share.value, share.ci95, 2);
    let is_told = share.ci95.is_some_and(|[low, high]| low > 0.5 || high < 0.5);
    if is_told { format!("<strong>{text}</strong>") } else { text }
}
