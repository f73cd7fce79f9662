//! Example cases: slices with the outlines of truth and prediction, and a viewer of their volumes.

mod outline;
mod viewer;

use std::cmp::Ordering;
use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hemex_volume::{Image, LabelMap};

use super::Page;
use super::text::{escape, fixed, optional, swatch};
use crate::compare::{PREDICTED_LESION, predicted_mask, reference_mask};
use crate::{CaseResult, ReportError, Status};

/// Outlines on grey: light cyan over, orange under; apart in hue and in lightness.
const REFERENCE_COLOR: &str = "#29c4ff";
const PREDICTED_COLOR: &str = "#ffa02e";

use viewer::Viewer;

/// The section, and the scripts that its viewer needs.
pub(super) struct Cases {
    pub(super) html: String,
    pub(super) scripts: Vec<String>,
}

/// What is shown of a case, on one grid.
struct CaseVolumes {
    image: Image,
    reference: Option<LabelMap>,
    predicted: Option<LabelMap>,
}

/// The section: what the arm with masks (or else the first arm) does on chosen test cases.
pub(super) fn section(page: &Page) -> Result<Cases, ReportError> {
    let words = |html: &str| Cases { html: html.to_owned(), scripts: Vec::new() };
    let arms = &page.findings.arms;
    let has_masks = |name: &str| {
        page.evaluation.predictions.iter().any(|p| p.card.arm == name && p.card.has_masks)
    };
    let Some(arm) = arms.iter().find(|arm| has_masks(&arm.name)).or(arms.first()) else {
        return Ok(words(""));
    };
    let examples = choose(page, &arm.name);
    if examples.is_empty() {
        return Ok(words("<p>There is no test case to show.</p>"));
    }
    let mut viewer = Viewer::default();
    let mut cards = String::new();
    for (titles, row) in examples {
        cards += &card(page, &titles, row, &mut viewer)?;
    }
    let [low, high] = page.config.display_window_hu;
    let html = format!(
        "<p>Test cases of {}, chosen by rule, not by hand: overlap at its best, median and worst, then \
         the ends of the ranking, each case by its place among those of its fold; further cases as they \
         come.</p>{}<p>Each picture is the slice in which the reference lesion is largest, \
         {} to {} HU, the patient's right on the left. {} {}</p><div class=\"cases\">{cards}</div>",
        swatch(page.color(&arm.name), &arm.name),
        viewer.html(page),
        fixed(low, 0),
        fixed(high, 0),
        swatch(REFERENCE_COLOR, "reference"),
        swatch(PREDICTED_COLOR, "prediction"),
    );
    Ok(Cases { html, scripts: viewer.scripts() })
}

/// The cases to show, with what each stands for: a case may be two extremes at once. Of several seeds
/// the first speaks. Where the rule names fewer cases than are wanted, others follow as they come.
fn choose<'a>(page: &'a Page, arm: &'a str) -> Vec<(Vec<&'static str>, &'a CaseResult)> {
    let mut seen = BTreeSet::new();
    let rows: Vec<&CaseResult> =
        page.tested(arm).filter(|row| seen.insert((row.fold, row.case_id.as_str()))).collect();
    let mut by_dice: Vec<(f64, &CaseResult)> =
        rows.iter().filter_map(|row| Some((row.dice?, *row))).collect();
    by_dice.sort_by(|a, b| b.0.total_cmp(&a.0));
    let by_dice: Vec<&CaseResult> = by_dice.into_iter().map(|(_, row)| row).collect();
    let (grew, stable) = (by_rank(&rows, true), by_rank(&rows, false));
    let titled = [
        ("Best overlap", by_dice.first()),
        ("Median overlap", by_dice.get(by_dice.len() / 2)),
        ("Worst overlap", by_dice.last()),
        ("Grew, ranked highest", grew.first()),
        ("Grew, ranked lowest", grew.last()),
        ("Stable, ranked highest", stable.first()),
    ];
    let titled = titled.into_iter().filter_map(|(title, row)| Some((Some(title), *row?)));
    let further = rows.iter().map(|row| (None, *row));
    let mut chosen: Vec<(Vec<&str>, &CaseResult)> = Vec::new();
    for (title, row) in titled.chain(further) {
        let is_row = |other: &CaseResult| (other.fold, &other.case_id) == (row.fold, &row.case_id);
        match chosen.iter().position(|(_, other)| is_row(other)) {
            Some(at) => chosen[at].0.extend(title),
            None if chosen.len() < page.config.n_example_cases => {
                chosen.push((vec![title.unwrap_or("Further case")], row));
            }
            None => {}
        }
    }
    chosen
}

/// The ranked test cases of this outcome, those first that stand highest among the cases of their model:
/// scores of different models are not compared.
fn by_rank<'a>(rows: &[&'a CaseResult], growth: bool) -> Vec<&'a CaseResult> {
    let ranked: Vec<(&CaseResult, f64)> = rows
        .iter()
        .filter(|row| row.growth.is_some())
        .filter_map(|row| Some((*row, row.score()?)))
        .collect();
    let share_below = |row: &CaseResult, score: f64| {
        let model =
            |other: &&(&CaseResult, f64)| (other.0.fold, other.0.seed) == (row.fold, row.seed);
        let n = ranked.iter().filter(model).count();
        // A tie stands in the middle of its places.
        let places = |other: &(&CaseResult, f64)| match other.1.total_cmp(&score) {
            Ordering::Less => 2,
            Ordering::Equal => 1,
            Ordering::Greater => 0,
        };
        ranked.iter().filter(model).map(places).sum::<usize>() as f64 / (2 * n) as f64
    };
    let mut of_outcome: Vec<(f64, &CaseResult)> = ranked
        .iter()
        .filter(|(row, _)| row.growth == Some(growth))
        .map(|(row, score)| (share_below(row, *score), *row))
        .collect();
    of_outcome.sort_by(|a, b| b.0.total_cmp(&a.0));
    of_outcome.into_iter().map(|(_, row)| row).collect()
}

fn card(
    page: &Page,
    titles: &[&str],
    row: &CaseResult,
    viewer: &mut Viewer,
) -> Result<String, ReportError> {
    let (picture, button) = match page.evaluation.cases.image(&row.case_id) {
        Ok(image) => {
            let volumes = volumes(page, row, image)?;
            let place = viewer.add(page, titles, row, &volumes)?;
            let button = place.map_or_else(String::new, |place| {
                format!("<button type=\"button\" data-case=\"{place}\" hidden>Open in the viewer</button>")
            });
            (picture(page, &volumes)?, button)
        }
        // What kept the case from being predicted keeps it from being shown.
        Err(error) if matches!(row.status, Status::Refused | Status::Missing) => {
            let problem = escape(&error.without_path());
            (format!("<p class=\"note\">No picture: {problem}.</p>"), String::new())
        }
        Err(error) => return Err(error.into()),
    };
    let titles: String = titles.iter().map(|title| format!("<b>{}</b>", escape(title))).collect();
    Ok(format!(
        "<figure class=\"case\">{picture}<figcaption>{titles}{}{button}</figcaption></figure>",
        caption(page, row)
    ))
}

/// The image, the reference and what was predicted.
fn volumes(page: &Page, row: &CaseResult, image: Image) -> Result<CaseVolumes, ReportError> {
    let label = page.evaluation.labels.get(&row.case_id);
    let reference = reference_mask(page.evaluation, label)?;
    if reference.as_ref().is_some_and(|mask| !mask.geometry().is_same_grid(image.geometry())) {
        return Err(ReportError::OtherGrid {
            case_id: row.case_id.clone(),
            what: "reference mask",
        });
    }
    let predictions = page.evaluation.predictions.iter().find(|p| {
        (p.card.arm.as_str(), p.card.fold, p.card.seed) == (row.arm.as_str(), row.fold, row.seed)
    });
    let predicted = match predictions {
        Some(predictions) if predictions.card.has_masks && row.status == Status::Ok => {
            let grid = LabelMap::empty(*image.geometry());
            Some(predicted_mask(predictions, &row.case_id, &grid)?)
        }
        _ => None,
    };
    Ok(CaseVolumes { image, reference, predicted })
}

/// The slice with the outlines of the reference and of what was predicted.
fn picture(page: &Page, volumes: &CaseVolumes) -> Result<String, ReportError> {
    let CaseVolumes { image, reference, predicted } = volumes;
    let masks = [
        (reference.as_ref(), page.config.lesion_labels.as_slice(), REFERENCE_COLOR, 2.6),
        (predicted.as_ref(), &[PREDICTED_LESION], PREDICTED_COLOR, 1.3),
    ];
    let d = masks
        .iter()
        .find_map(|(mask, labels, ..)| mask.and_then(|mask| largest_slice(mask, labels)))
        .unwrap_or(image.geometry().shape()[0] / 2);
    let outlines: String = masks
        .iter()
        .filter_map(|(mask, labels, color, width)| {
            let path = slice_outline((*mask)?, labels, d)?;
            Some(format!(
                "<path d=\"{path}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"{width}\" \
                 vector-effect=\"non-scaling-stroke\"/>"
            ))
        })
        .collect();
    slice_svg(image, d, page.config.display_window_hu, &outlines)
}

fn caption(page: &Page, row: &CaseResult) -> String {
    let outcome = match row.growth {
        Some(true) => "grew",
        Some(false) => "stable",
        None => "label undefined",
    };
    let overlap = match row.status {
        Status::NoLesion => "no lesion found".to_owned(),
        _ => row.dice.map_or_else(String::new, |dice| format!("Dice {}", fixed(dice, 2))),
    };
    let volumes = match (row.volume_ml, row.reference_volume_ml) {
        (Some(volume), Some(reference)) if row.status == Status::Ok => {
            format!("{} mL, reference {} mL", fixed(volume, 1), fixed(reference, 1))
        }
        (_, Some(reference)) => format!("reference {} mL", fixed(reference, 1)),
        _ => String::new(),
    };
    let mut chances: Vec<String> = Vec::new();
    for arm in &page.findings.arms {
        let same = |other: &&CaseResult| other.fold == row.fold && other.case_id == row.case_id;
        if let Some(other) = page.tested(&arm.name).find(same) {
            chances.push(format!("{} {}", escape(&arm.name), optional(other.probability, 2)));
        }
    }
    if let Some(truth) = row.true_probability {
        chances.push(format!("truth {}", fixed(truth, 2)));
    }
    let measures: Vec<String> = [overlap, volumes].into_iter().filter(|t| !t.is_empty()).collect();
    format!(
        "<span>site {}, {outcome}</span><span>{}</span><span>P(growth): {}</span>\
         <span class=\"id\">{}</span>",
        escape(&row.site),
        measures.join(" · "),
        chances.join(", "),
        escape(&row.case_id)
    )
}

/// The slice with most voxels of the labels, `None` for an empty mask.
fn largest_slice(mask: &LabelMap, labels: &[u8]) -> Option<usize> {
    let area = |d: usize| mask.slice(d).iter().filter(|v| labels.contains(v)).count();
    // The first of equals, so that the choice is stable.
    let (d, n) = (0..mask.geometry().shape()[0]).map(|d| (d, area(d))).rev().max_by_key(|a| a.1)?;
    (n > 0).then_some(d)
}

/// The outline of the slice as shown: rows from front to back, the patient's right on the left.
fn slice_outline(mask: &LabelMap, labels: &[u8], d: usize) -> Option<String> {
    let [n_d, height, width] = mask.geometry().shape();
    if d >= n_d {
        return None;
    }
    let shown: Vec<bool> = mask.slice(d).iter().rev().map(|v| labels.contains(v)).collect();
    Some(outline::path(&shown, width, height)).filter(|path| !path.is_empty())
}

/// The slice as an SVG of its true proportions, `outlines` (in pixels) drawn over it.
fn slice_svg(
    image: &Image,
    d: usize,
    window_hu: [f64; 2],
    outlines: &str,
) -> Result<String, ReportError> {
    let [_, height, width] = image.geometry().shape();
    let [_, height_mm, width_mm] = image.geometry().spacing_mm();
    let [low, high] = window_hu;
    // Both in-plane axes run against reading direction (RAS+): reversing the array turns both.
    let grey: Vec<u8> = image
        .slice(d)
        .iter()
        .rev()
        .map(|hu| (((f64::from(*hu) - low) / (high - low)).clamp(0.0, 1.0) * 255.0).round() as u8)
        .collect();
    let png = STANDARD.encode(png_of(&grey, width as u32, height as u32)?);
    let (w, h) = (width as f64 * width_mm, height as f64 * height_mm);
    Ok(format!(
        "<svg viewBox=\"0 0 {w:.1} {h:.1}\" role=\"img\" aria-label=\"slice {d} with outlines\">\
         <image href=\"data:image/png;base64,{png}\" width=\"{w:.1}\" height=\"{h:.1}\" \
         preserveAspectRatio=\"none\"/><g transform=\"scale({width_mm:.4} {height_mm:.4})\">\
         {outlines}</g></svg>"
    ))
}

fn png_of(grey: &[u8], width: u32, height: u32) -> Result<Vec<u8>, ReportError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    encoder
        .write_header()
        .and_then(|mut writer| writer.write_image_data(grey))
        .map_err(|e| ReportError::Write { path: "slice.png".into(), problem: e.to_string() })?;
    Ok(bytes)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use hemex_volume::{Affine, Geometry};

    use super::*;

    #[test]
    fn right_is_on_the_left_and_front_on_top() {
        // One voxel at w = 2 (patient's right), h = 1 (front) of a 2 × 3 slice.
        let affine = Affine::from_spacing([5.0, 2.0, 1.0], [0.0; 3]).unwrap();
        let geometry = Geometry::new([1, 2, 3], affine).unwrap();
        let mask = LabelMap::new(geometry, vec![0, 0, 0, 0, 0, 1]).unwrap();
        assert_eq!(slice_outline(&mask, &[1], 0).unwrap(), "M0 0H1M0 1H1M0 0V1M1 0V1");
        assert_eq!(slice_outline(&mask, &[2], 0), None);
        assert_eq!(largest_slice(&mask, &[1]), Some(0));
        assert_eq!(largest_slice(&mask, &[2]), None);
        let svg = slice_svg(&Image::filled(geometry, 40.0), 0, [0.0, 80.0], "").unwrap();
        assert!(svg.contains("viewBox=\"0 0 3.0 4.0\""), "{svg}");
    }
}
