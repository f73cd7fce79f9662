use hemex_artifacts::Regime;

use super::{NO_DEVICE, reasons};
use crate::evaluate::{ArmFindings, Difference, OracleFindings};
use crate::html::Page;
use crate::html::chart::TRUTH;
use crate::html::text::{count, escape, fixed, list, optional, p_value, range, swatch};

/// The page's title.
pub(in crate::html) fn title(page: &Page) -> String {
    let arms: Vec<String> = page.findings.arms.iter().map(|arm| arm.name.clone()).collect();
    format!("hemex report: hematoma growth, {}", list(&arms))
}

/// Title, what was evaluated, and the marks that no reader must miss.
pub(in crate::html) fn header(page: &Page) -> String {
    let cohort = &page.findings.cohort;
    let sites = list(&cohort.sites_tested);
    let arms: Vec<String> =
        page.findings.arms.iter().map(|arm| format!("<b>{}</b>", escape(&arm.name))).collect();
    let sites = match cohort.sites_tested.len() {
        0 => String::new(),
        1 => format!(" from site {}", escape(&sites)),
        _ => format!(" from sites {}", escape(&sites)),
    };
    let synthetic = if page.findings.oracle.is_some() {
        " The cohort is synthetic: each patient's true probability of growth is known, and with it the \
         best figure that any predictor can be expected to reach (the oracle)."
    } else {
        ""
    };
    let warning = if page.findings.regime == Regime::SamePatient {
        "<p class=\"warning\"><b>Optimistic.</b> Slices of the same patients stand on both sides of \
         this split. The figures do not speak of new patients.</p>"
    } else {
        ""
    };
    format!(
        "<header><p class=\"kicker\">hemex evaluation report</p>\
         <h1>Will this hematoma grow?</h1>\
         <p class=\"deck\">From one non-contrast head CT: {} on {}{sites}. {}{synthetic}</p>{warning}\
         <div class=\"device\">{NO_DEVICE}</div></header>",
        list(&arms),
        count(cohort.n_patients_tested, "test patient"),
        regime_sentence(page.findings.regime),
    )
}

fn regime_sentence(regime: Regime) -> &'static str {
    match regime {
        Regime::Site => {
            "Each fold holds out one site: a network is tested on patients of a site that it was not \
             trained on."
        }
        Regime::Patient => {
            "Folds are divided by patient: nobody who is tested was seen in training, though others of \
             the same site were."
        }
        Regime::Time => {
            "The patients scanned last are tested: a network meets those who came after its training."
        }
        Regime::Given => "Folds are those that came with the dataset.",
        Regime::SamePatient => {
            "Folds are divided by slice, not by patient: this regime exists to show how much that \
             flatters."
        }
    }
}

/// The figures to take away.
pub(in crate::html) fn headline(page: &Page) -> String {
    let findings = page.findings;
    let mut cards: String = findings.arms.iter().map(|arm| arm_card(page, arm)).collect();
    cards += &findings.differences.iter().map(difference_card).collect::<String>();
    if let Some(oracle) = &findings.oracle {
        cards += &oracle_card(oracle);
    }
    let why = reasons(findings.arms.iter().map(|arm| {
        (arm.name.clone(), "AUROC", arm.auroc.value.is_some(), arm.auroc.reason.as_ref())
    }));
    let why_not = reasons(findings.differences.iter().map(|difference| {
        let (auroc, reason) = (difference.auroc, difference.reason.as_ref());
        (pair(difference), "AUROC difference", auroc.is_some(), reason)
    }));
    let reading: String = findings.differences.iter().filter_map(reading).collect();
    format!("<div class=\"cards\">{cards}</div>{why}{why_not}{reading}")
}

fn card(key: &str, value: &str, interval: &str, details: &[String]) -> String {
    let details: String = details.iter().map(|line| format!("<p>{line}</p>")).collect();
    format!(
        "<div class=\"card\">{key}<p class=\"value\">{value}</p><p class=\"ci\">{interval}</p>\
         {details}</div>"
    )
}

fn interval(interval: Option<[f64; 2]>) -> String {
    interval.map_or_else(String::new, |interval| format!("95 % interval {}", range(interval, 2)))
}

fn arm_card(page: &Page, arm: &ArmFindings) -> String {
    let mut details =
        vec![format!("{}, {} grew", count(arm.auroc.n, "ranked case"), arm.auroc.n_positive)];
    if let Some(mean) = arm.dice.mean {
        let range = arm.dice.ci95.map_or_else(String::new, |ci| format!(" ({})", range(ci, 2)));
        details.push(format!("mean Dice {}{range}", fixed(mean, 2)));
    }
    let key = format!("<p>{} AUROC</p>", swatch(page.color(&arm.name), &arm.name));
    card(&key, &optional(arm.auroc.value, 2), &interval(arm.auroc.ci95), &details)
}

/// `joint minus vgg`.
fn pair(difference: &Difference) -> String {
    format!("{} minus {}", difference.first, difference.second)
}

fn difference_card(difference: &Difference) -> String {
    let mut details = vec![format!("{} ranked by both", count(difference.n, "case"))];
    details.extend(difference.p.map(|p| format!("p {}", p_value(p))));
    let key = format!("<p>{}</p>", escape(&pair(difference)));
    card(&key, &optional(difference.auroc, 2), &interval(difference.ci95), &details)
}

fn oracle_card(oracle: &OracleFindings) -> String {
    let mut details = vec![format!("true probabilities, {}", count(oracle.n, "case"))];
    if let Some(population) = oracle.auroc_population {
        details.push(format!("{} in the population", fixed(population, 2)));
    }
    let key = format!("<p>{} AUROC</p>", swatch(TRUTH, "oracle"));
    card(&key, &optional(oracle.auroc, 2), &interval(oracle.ci95), &details)
}

/// What the interval of a difference allows to say.
fn reading(difference: &Difference) -> Option<String> {
    let [low, high] = difference.ci95?;
    let (first, second) = (escape(&difference.first), escape(&difference.second));
    let sentence = if low > 0.0 {
        format!("On these patients {first} ranks growth better than {second}.")
    } else if high < 0.0 {
        format!("On these patients {second} ranks growth better than {first}.")
    } else {
        format!(
            "The interval of the difference between {first} and {second} includes 0: these patients do \
             not show which of the two ranks growth better."
        )
    };
    Some(format!("<p>{sentence}</p>"))
}
