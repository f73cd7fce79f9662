//! AUROC of each arm along the levels of a difficulty, a chart each.

use hemex_artifacts::Regime;

use crate::figures::ArmFigures;
use crate::page::{escape, number};

const WIDTH: f64 = 350.0;
const HEIGHT: f64 = 210.0;
/// Room for the scale, for names at the right, and below for the levels.
const LEFT: f64 = 36.0;
const RIGHT: f64 = 122.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 26.0;
/// AUROCs at the lower and the upper edge.
const RANGE: [f64; 2] = [0.3, 1.0];
/// Told apart by those who do not see every colour (Okabe and Ito, 2008), and by names at their ends.
const COLOURS: [&str; 5] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56606b"];

/// A difficulty and the settings along it, the easiest first.
struct Curve<'a> {
    difficulty: &'a str,
    /// Setting, and what stands below it.
    levels: Vec<(&'a str, &'a str)>,
}

/// Charts of every difficulty, those of each regime under a heading. A setting is `DIFFICULTY LEVEL`, with a number for
/// the level; settings without one are where each curve begins. Nothing where no difficulty has two points.
pub(crate) fn charts(arms: &[ArmFigures]) -> String {
    let mut regimes: Vec<Regime> = Vec::new();
    for arm in arms {
        if !regimes.contains(&arm.regime) {
            regimes.push(arm.regime);
        }
    }
    regimes.into_iter().map(|regime| charts_of(regime, arms)).collect()
}

fn charts_of(regime: Regime, arms: &[ArmFigures]) -> String {
    let arms: Vec<&ArmFigures> = arms.iter().filter(|arm| arm.regime == regime).collect();
    let curves = curves(&arms);
    let charts: String = curves
        .iter()
        .filter(|curve| curve.levels.len() > 1)
        .map(|curve| chart(curve, &arms))
        .collect();
    if charts.is_empty() {
        return String::new();
    }
    let regime = regime.name();
    format!(
        "<h2>Along each difficulty, regime <code>{regime}</code></h2><div class=\"charts\">{charts}</div>"
    )
}

fn curves<'a>(arms: &[&'a ArmFigures]) -> Vec<Curve<'a>> {
    let mut settings: Vec<&str> = arms.iter().map(|arm| arm.setting.as_str()).collect();
    settings.dedup();
    let level = |setting: &&str| {
        let (difficulty, level) = setting.rsplit_once(' ')?;
        level.parse::<f64>().is_ok().then_some(())?;
        let start = setting.len() - level.len();
        Some((difficulty.len(), start))
    };
    let (mut bases, mut curves): (Vec<&str>, Vec<Curve<'_>>) = (Vec::new(), Vec::new());
    for setting in settings {
        let Some((end, start)) = level(&setting) else {
            bases.push(setting);
            continue;
        };
        let (difficulty, point) = (&setting[..end], (setting, &setting[start..]));
        match curves.iter_mut().find(|curve| curve.difficulty == difficulty) {
            Some(curve) => curve.levels.push(point),
            None => curves.push(Curve { difficulty, levels: vec![point] }),
        }
    }
    for curve in &mut curves {
        let begin = bases.iter().map(|base| (*base, *base));
        curve.levels = begin.chain(curve.levels.iter().copied()).collect();
    }
    curves
}

fn chart(curve: &Curve<'_>, arms: &[&ArmFigures]) -> String {
    let n = curve.levels.len();
    let x = |i: usize| LEFT + (WIDTH - LEFT - RIGHT) * (i as f64 + 0.5) / n as f64;
    let y = |auroc: f64| {
        let share = (auroc.clamp(RANGE[0], RANGE[1]) - RANGE[0]) / (RANGE[1] - RANGE[0]);
        HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)
    };
    let mut names: Vec<&str> = Vec::new();
    for arm in arms {
        if !names.contains(&arm.arm.as_str()) {
            names.push(&arm.arm);
        }
    }
    let (mut marks, mut ends) = (scale(&y), Vec::new());
    for (i, (_, level)) in curve.levels.iter().enumerate() {
        let (x, y) = (x(i), HEIGHT - 8.0);
        marks += &format!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{}</text>",
            escape(level)
        );
    }
    for (a, name) in names.iter().enumerate() {
        let of = |setting: &str| arms.iter().find(|arm| arm.setting == setting && arm.arm == *name);
        let colour = COLOURS[a % COLOURS.len()];
        let mut points = Vec::new();
        for (i, (setting, _)) in curve.levels.iter().enumerate() {
            let Some((auroc, value)) =
                of(setting).and_then(|arm| Some((arm.auroc, arm.auroc.value?)))
            else {
                continue;
            };
            // Beside each other, so that intervals do not hide one another.
            let x = x(i) + 5.0 * (a as f64 - (names.len() as f64 - 1.0) / 2.0);
            if let Some([low, high]) = auroc.ci95 {
                marks += &format!(
                    "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{:.1}\" y2=\"{:.1}\" stroke=\"{colour}\" opacity=\"0.55\"/>",
                    y(low),
                    y(high)
                );
            }
            marks += &format!(
                "<circle cx=\"{x:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{colour}\"/>",
                y(value)
            );
            points.push((x, y(value)));
        }
        let line: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        marks += &format!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.6\"/>",
            line.join(" ")
        );
        ends.extend(points.last().map(|(_, y)| (*y, *name, colour)));
    }
    format!(
        "<figure><figcaption>{}</figcaption><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">{marks}{}</svg></figure>",
        escape(curve.difficulty),
        escape(&spoken(curve, arms)),
        labels(ends)
    )
}

/// Lines at some AUROCs, that of chance the strongest.
fn scale(y: &impl Fn(f64) -> f64) -> String {
    let line = |auroc: f64| {
        let (y, end) = (y(auroc), WIDTH - RIGHT);
        let stroke = if auroc == 0.5 { "#8b96a3" } else { "#e1e5ea" };
        format!(
            "<line x1=\"{LEFT}\" x2=\"{end}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"{stroke}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{auroc:.1}</text>",
            LEFT - 6.0,
            y + 4.0
        )
    };
    [0.3, 0.5, 0.7, 0.9].map(line).concat()
}

/// Names at the ends of their lines, pushed apart where they would touch.
fn labels(mut ends: Vec<(f64, &str, &str)>) -> String {
    ends.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut free = TOP;
    let labels = ends.into_iter().map(|(y, name, colour)| {
        let at = y.max(free);
        free = at + 12.0;
        format!(
            "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"{colour}\">{}</text>",
            WIDTH - RIGHT + 6.0,
            at + 4.0,
            escape(name)
        )
    });
    labels.collect()
}

/// The chart in words.
fn spoken(curve: &Curve<'_>, arms: &[&ArmFigures]) -> String {
    let level = |(setting, level): &(&str, &str)| {
        let own = arms.iter().filter(|arm| arm.setting == *setting);
        let told = own.map(|arm| format!("{} {}", arm.arm, number(arm.auroc.value, 2)));
        format!("at {level}: {}", told.collect::<Vec<_>>().join(", "))
    };
    let levels: Vec<String> = curve.levels.iter().map(level).collect();
    format!("AUROC along {}, {}", curve.difficulty, levels.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::Figure;

    fn arm(setting: &str, arm: &str, auroc: f64) -> ArmFigures {
        let auroc = Figure { value: Some(auroc), ci95: Some([auroc - 0.05, auroc + 0.05]) };
        ArmFigures::only_auroc(setting, Regime::Site, arm, auroc)
    }

    #[test]
    fn every_difficulty_begins_at_the_setting_without_a_level() {
        let arms = [
            arm("easy", "vgg", 0.7),
            arm("easy", "full", 0.8),
            arm("prevalence 0.3", "vgg", 0.6),
            arm("prevalence 0.3", "full", 0.78),
            arm("prevalence 0.1", "vgg", 0.5),
            arm("cue strength 0.7", "vgg", 0.4),
        ];
        let found = curves(&arms.iter().collect::<Vec<_>>());
        let of: Vec<(&str, Vec<&str>)> = found
            .iter()
            .map(|curve| (curve.difficulty, curve.levels.iter().map(|(_, l)| *l).collect()))
            .collect();
        let expected =
            [("prevalence", vec!["easy", "0.3", "0.1"]), ("cue strength", vec!["easy", "0.7"])];
        assert_eq!(of, expected);
        let page = charts(&arms);
        assert_eq!(page.matches("<svg").count(), 2);
        // Three points of VGG and two of the full method, then two and one.
        assert_eq!(page.matches("<circle").count(), 8);
        assert!(page.contains("at 0.3: vgg 0.60, full 0.78"), "{page}");
    }

    #[test]
    fn regimes_have_charts_of_their_own() {
        let of = |regime, auroc| {
            ["easy", "cue 0.7"].map(|setting| ArmFigures { regime, ..arm(setting, "vgg", auroc) })
        };
        let arms = [of(Regime::Patient, 0.8), of(Regime::Site, 0.6)].concat();
        let page = charts(&arms);
        assert_eq!((page.matches("<svg").count(), page.matches("<circle").count()), (2, 4));
        let patient = page.find("regime <code>patient</code>").unwrap_or(usize::MAX);
        let site = page.find("regime <code>site</code>").unwrap_or(usize::MAX);
        let [first, second] = ["at 0.7: vgg 0.80", "at 0.7: vgg 0.60"].map(|text| page.find(text));
        assert!(Some(patient) < first && first < Some(site) && Some(site) < second, "{page}");
    }

    #[test]
    fn without_levels_there_is_no_chart() {
        assert_eq!(charts(&[arm("", "vgg", 0.7)]), "");
        assert_eq!(charts(&[arm("prevalence 0.3", "vgg", 0.7)]), "");
    }
}
