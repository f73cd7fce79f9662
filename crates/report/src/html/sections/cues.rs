use super::groups::groups;
use super::saliency::saliency;
use crate::evaluate::{Cue, PairShare, TwinFigures};
use crate::html::Page;
use crate::html::text::{escape, fixed, list, swatch, table, with_interval};

/// Whether predictions follow how scans were made.
pub(in crate::html) fn cues(page: &Page) -> String {
    let is_met = |cue: &&Cue| cue.arms.iter().any(|figures| figures.told.n_pairs > 0);
    let (met, unmet): (Vec<&Cue>, Vec<&Cue>) = page.findings.cues.iter().partition(is_met);
    let unmet = not_met(&unmet) + &groups(page) + &twins(page) + &inpainted(page) + &saliency(page);
    if met.is_empty() {
        return format!(
            "<p>As far as headers and noise say, no property of the scan differs among the test cases of one model: \
             there is no cue to test here.</p>{unmet}"
        );
    }
    let rows: Vec<Vec<String>> = met.iter().flat_map(|cue| rows(page, cue)).collect();
    let head = [
        "Cue",
        "Side",
        "Cases",
        "Grew",
        "Arm",
        "Told apart",
        "Pairs",
        "AUROC within a side",
        "Over all",
    ];
    format!(
        "<p>A network can rank growth by how a scan was made, if those who grew were scanned otherwise. Each property \
         of the scan parts the test cases in two. <b>Told apart</b>: among cases with the same outcome, how often the \
         score is higher on the second side; 0.50 where the score does not see the cue and both sides have like \
         patients. <b>Within a side</b>: how often the case that grew has the higher score when the cue is the same, \
         beside the same <b>over all</b> of these cases. Bold is what leaves 0.50 outside its interval.</p>{}\
         <p class=\"note\">Pairs of cases of one model, each pair alike, so that the figures over all are not those of \
         the headline. A cue that goes with a true sign, such as noise with the size of a head, is told apart without \
         harm: it matters where growth differs between the sides and the ranking is worse within a side than over \
         all. No interval is corrected for how many cues there are: read them as a search for what to look at. Numbers \
         are cut at the median of each fold, where they vary by more than 5 %.</p>{unmet}",
        table(&head, 2, &rows),
    )
}

/// What the arms say of heads without their hematoma.
fn twins(page: &Page) -> String {
    if page.findings.twins.is_empty() {
        return String::new();
    }
    format!(
        "<h3>The same heads without their hematoma</h3><p>Each phantom was scanned without its hematoma too. How often \
         an arm still says more of growth of the patient who grew: 0.50 where nothing but the hematoma speaks. A \
         network's logit counts whether or not it finds a hematoma; an arm that tells growth from the hematoma it \
         finds says nothing where it finds none, and such a head is ranked below all others. Refused and missing \
         cases, and those without such a scan, are left out.</p>{}",
        heads_table(page, &page.findings.twins)
    )
}

/// What the arms say of heads with the hematoma that they found filled in.
fn inpainted(page: &Page) -> String {
    if page.findings.inpainted.is_empty() {
        return String::new();
    }
    format!(
        "<h3>The same heads with the found hematoma filled in</h3><p>What an arm with masks took for a hematoma, and a \
         margin of it, was filled like the brain around it. How often the arm still says more of growth of the patient \
         who grew: 0.50 where nothing but the hematoma and its margin speak. A fill is no scan: a missed part of the \
         hematoma, a shifted midline and blood in the ventricles stay, and speak rightly; where there are twins they \
         are to be believed. Cases in which the arm found nothing are left out, and those in which nothing was \
         filled.</p>{}",
        heads_table(page, &page.findings.inpainted)
    )
}

fn heads_table(page: &Page, figures: &[TwinFigures]) -> String {
    let row = |of: &TwinFigures| {
        vec![
            swatch(page.color(&of.arm), &of.arm),
            told(&of.told),
            of.told.n_pairs.to_string(),
            format!("{} of {}", of.n_told, of.n),
            of.n_not_read.to_string(),
        ]
    };
    let rows: Vec<Vec<String>> = figures.iter().map(row).collect();
    table(&["Arm", "Growth told", "Pairs", "Heads it speaks of", "Left out"], 1, &rows)
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
    let side = |i: usize| match cue.sides.get(i) {
        Some(side) => {
            let growth = cue.growth[i];
            let growth = growth.map_or_else(String::new, |g| format!("{} %", fixed(100.0 * g, 0)));
            [escape(side), cue.n[i].to_string(), growth]
        }
        None => Default::default(),
    };
    (0..cue.arms.len().max(2))
        .map(|i| {
            let mut row = vec![if i == 0 { escape(cue.name) } else { String::new() }];
            row.extend(side(i));
            match cue.arms.get(i) {
                Some(figures) => row.extend([
                    swatch(page.color(&figures.arm), &figures.arm),
                    told(&figures.told),
                    figures.told.n_pairs.to_string(),
                    with_interval(figures.within.value, figures.within.ci95, 2),
                    with_interval(figures.over_all.value, figures.over_all.ci95, 2),
                ]),
                None => row.extend([const { String::new() }; 5]),
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
