//! The table as one self-contained page.

use std::collections::BTreeSet;

use hemex_stage::suggest::did_you_mean;

use crate::Config;
use crate::curves::charts;
use crate::figures::{ArmFigures, Figure};
use crate::regime::title;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;color:#1d232b;margin:2rem auto;max-width:84rem;padding:0 1rem}\
h1{font-size:1.5rem;margin:0 0 .25rem}h2{font-size:1.1rem;margin:2rem 0 .5rem}p{max-width:60rem;color:#48525e}\
.scroll{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}\
th,td{padding:.3rem .55rem;text-align:right;white-space:nowrap;border-bottom:1px solid #e1e5ea}\
th:first-child,td:first-child{text-align:left}th{font-weight:600;vertical-align:bottom;white-space:normal}.ci{display:block;color:#68727e;font-size:.82em}\
svg{display:block}.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(22rem,1fr));gap:1.2rem 1.6rem}\
figure{margin:0}figcaption{font-weight:600;margin-bottom:.25rem}figure svg{width:100%;font:11px system-ui,sans-serif;fill:#48525e}\
.axis{font:11px system-ui,sans-serif;fill:#68727e}";

/// Width of the figure beside each row, the AUROCs at its ends, and those marked over it.
const WIDTH: f64 = 150.0;
const RANGE: [f64; 2] = [0.25, 1.05];
const TICKS: [&str; 4] = ["0.3", "0.5", "0.7", "0.9"];

/// Every regime a table, its arms by row.
pub(crate) fn page(arms: &[ArmFigures], config: &Config) -> String {
    let field = |arm: &ArmFigures| (arm.setting.clone(), arm.regime);
    let sections: String = arms
        .chunk_by(|a, b| field(a) == field(b))
        .filter_map(|arms| Some(section(arms.first()?, arms, config)))
        .collect();
    let charts = charts(arms);
    let unknown: String =
        unknown_arms(arms, config).iter().map(|text| format!("<p>{}</p>", escape(text))).collect();
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>Arms over cohorts</title>\
         <style>{STYLE}</style></head><body><h1>Arms over cohorts</h1>\
         <p>AUROCs and Dice are means over cohorts. Intervals are 95 %, over draws of cohorts and of the patients within \
         them; differences are paired, over the cases that both arms speak of. The share of the way is that from 0.5 to \
         the AUROC of the true probabilities given the image signs. Calibration is over the patients of all cohorts. \
         Twins are the heads of validation patients scanned without their hematoma: 0.5 means that nothing but the \
         hematoma speaks.</p>{unknown}{charts}{sections}</body></html>"
    )
}

/// What is said of each arm that the others shall be held against and that no report has: a slip of the pen, or an arm
/// that was not run.
pub(crate) fn unknown_arms(arms: &[ArmFigures], config: &Config) -> Vec<String> {
    let names: BTreeSet<&str> = arms.iter().map(|arm| arm.arm.as_str()).collect();
    let unknown = config.against.iter().filter(|name| !names.contains(name.as_str()));
    let told = unknown.map(|name| {
        let hint = did_you_mean(name, names.iter().copied());
        format!("No report has an arm `{name}`, so that nothing is held against it{hint}")
    });
    told.collect()
}

/// The arms of a setting and a regime, `first` among them.
fn section(first: &ArmFigures, arms: &[ArmFigures], config: &Config) -> String {
    let regime = first.regime.name();
    let setting = match first.setting.as_str() {
        "" => String::new(),
        setting => format!("{}: ", escape(setting)),
    };
    let title = setting + title(first.regime);
    let head = ["Arm".to_owned(), "AUROC".to_owned(), axis()].into_iter();
    let head = head.chain(config.against.iter().map(|other| format!("Above {}", escape(other))));
    let rest =
        ["Share of the way", "Mean Dice", "Volume bias", "Intercept", "Slope", "AUROC on twins"];
    let head: String =
        head.chain(rest.map(str::to_owned)).map(|name| format!("<th>{name}</th>")).collect();
    let rows: String = arms.iter().map(|arm| row(arm, config)).collect();
    let cohorts = if first.n_cohorts == 1 { "cohort" } else { "cohorts" };
    let cases = match first.n_cases {
        n if n == first.n_patients => String::new(),
        n => format!(" with {n} cases"),
    };
    let n = format!(
        "{} {cohorts}, {} test patients{cases}, {} of whom grew.",
        first.n_cohorts, first.n_patients, first.n_growth
    );
    let warning = match regime {
        "same_patient" => " Test slices are of patients that trained: optimistic by design.",
        _ => "",
    };
    format!(
        "<h2>{title} (<code>{regime}</code>)</h2><p>{n}{warning}</p>\
         <div class=\"scroll\"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )
}

fn row(arm: &ArmFigures, config: &Config) -> String {
    let unspoken = match arm.n_unspoken {
        0 => String::new(),
        n => format!(" <span class=\"ci\">({n} without a word)</span>"),
    };
    let mut cells = vec![escape(&arm.arm) + &unspoken, figure(&arm.auroc, 3), forest(&arm.auroc)];
    cells.extend(config.against.iter().map(|other| match arm.above.get(other) {
        Some(above) => signed(above),
        None => "–".to_owned(),
    }));
    cells.extend([
        percent(arm.share_of_oracle),
        figure(&arm.dice, 3),
        percent(arm.volume_bias),
        number(arm.calibration_intercept, 2),
        number(arm.calibration_slope, 2),
        figure(&arm.twin_auroc, 2),
    ]);
    let cells: String = cells.iter().map(|cell| format!("<td>{cell}</td>")).collect();
    format!("<tr>{cells}</tr>")
}

/// Where an AUROC stands in the figure beside its row.
fn at(auroc: f64) -> f64 {
    (auroc.clamp(RANGE[0], RANGE[1]) - RANGE[0]) / (RANGE[1] - RANGE[0]) * WIDTH
}

/// What the figures beside the rows are read by.
fn axis() -> String {
    let ticks = TICKS.iter().filter_map(|tick| {
        let x = at(tick.parse().ok()?);
        Some(format!("<text x=\"{x:.1}\" y=\"12\" text-anchor=\"middle\">{tick}</text>"))
    });
    let ticks: String = ticks.collect();
    format!(
        "<svg class=\"axis\" width=\"{WIDTH}\" height=\"16\" aria-hidden=\"true\">{ticks}</svg>"
    )
}

/// The AUROC and its interval as a dot on a line, with a mark at 0.5.
fn forest(auroc: &Figure) -> String {
    let Some(value) = auroc.value else { return String::new() };
    let [low, high] = auroc.ci95.unwrap_or([value; 2]).map(at);
    let (middle, dot) = (at(0.5), at(value));
    format!(
        "<svg width=\"{WIDTH}\" height=\"16\" role=\"img\" aria-label=\"AUROC {value:.3}\">\
         <line x1=\"{middle:.1}\" x2=\"{middle:.1}\" y1=\"0\" y2=\"16\" stroke=\"#c3cad2\"/>\
         <line x1=\"{low:.1}\" x2=\"{high:.1}\" y1=\"8\" y2=\"8\" stroke=\"#23527c\" stroke-width=\"2\"/>\
         <circle cx=\"{dot:.1}\" cy=\"8\" r=\"3.5\" fill=\"#23527c\"/></svg>"
    )
}

pub(crate) fn number(value: Option<f64>, decimals: usize) -> String {
    let Some(value) = value else { return "–".to_owned() };
    let text = format!("{value:.decimals$}");
    // What rounds to nought has no sign.
    let is_nought = text.chars().all(|c| matches!(c, '-' | '0' | '.'));
    if is_nought { text.replace('-', "") } else { text.replace('-', "−") }
}

fn figure(figure: &Figure, decimals: usize) -> String {
    let ci = figure.ci95.map(|ends| {
        let [low, high] = ends.map(|end| number(Some(end), decimals));
        format!(" <span class=\"ci\">({low} to {high})</span>")
    });
    number(figure.value, decimals) + &ci.unwrap_or_default()
}

fn signed(above: &Figure) -> String {
    let sign = if above.value.is_some_and(|value| value > 0.0) { "+" } else { "" };
    sign.to_owned() + &figure(above, 3)
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "–".to_owned(), |s| format!("{:.1} %", 100.0 * s).replace('-', "−"))
}

pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use hemex_artifacts::Regime;

    use super::*;

    #[test]
    fn an_arm_that_nobody_ran_is_named() {
        let arms = [ArmFigures::only_auroc("", Regime::Site, "vgg", Figure::default())];
        let config =
            |against: &str| Config { against: vec![against.to_owned()], by: None, n_draws: 200 };
        assert!(unknown_arms(&arms, &config("vgg")).is_empty());
        let page = page(&arms, &config("vg"));
        assert!(page.contains("No report has an arm `vg`, so"), "{page}");
        assert!(page.contains("did you mean `vgg`?"), "{page}");
    }

    #[test]
    fn ticks_stand_where_their_aurocs_do() {
        let figure = Figure { value: Some(0.7), ..Figure::default() };
        let x = format!("{:.1}", at(0.7));
        assert!(axis().contains(&format!("<text x=\"{x}\" y=\"12\" text-anchor=\"middle\">0.7<")));
        assert!(forest(&figure).contains(&format!("<circle cx=\"{x}\"")), "{}", forest(&figure));
        assert_eq!(axis().matches("<text").count(), TICKS.len());
    }

    #[test]
    fn a_number_has_a_true_minus_and_nought_has_none() {
        assert_eq!(number(Some(-0.125), 2), "−0.12");
        assert_eq!(number(Some(-0.004), 2), "0.00");
        assert_eq!(number(Some(0.0), 1), "0.0");
        assert_eq!(number(None, 2), "–");
    }
}
