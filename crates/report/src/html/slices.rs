//! Example cases as slices with the outlines of truth and prediction.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hemex_volume::{Image, LabelMap};

use super::text::{escape, fixed, optional, swatch};
use super::{Page, outline};
use crate::compare::{PREDICTED_LESION, predicted_mask, reference_mask};
use crate::{CaseResult, ReportError, Status};

/// Outlines on grey: light cyan over, orange under; apart in hue and in lightness.
const REFERENCE_COLOR: &str = "#29c4ff";
const PREDICTED_COLOR: &str = "#ffa02e";

/// The section: what the arm with masks (or else the first arm) does on chosen test cases.
pub(super) fn section(page: &Page) -> Result<String, ReportError> {
    let arms = &page.findings.arms;
    let has_masks = |name: &str| {
        page.evaluation.predictions.iter().any(|p| p.card.arm == name && p.card.has_masks)
    };
    let Some(arm) = arms.iter().find(|arm| has_masks(&arm.name)).or(arms.first()) else {
        return Ok(String::new());
    };
    let examples = choose(page, &arm.name);
    if examples.is_empty() {
        return Ok("<p>There is no test case to show.</p>".to_owned());
    }
    let mut cards = String::new();
    for (why, row) in examples {
        cards += &card(page, why, row)?;
    }
    let [low, high] = page.config.display_window_hu;
    Ok(format!(
        "<p>Test cases of {}, chosen by rule, not by hand: overlap at its best, median and worst, then \
         the ends of the ranking. Each shows the slice in which the reference lesion is largest, \
         {} to {} HU, the patient's right on the left. {} {}</p><div class=\"cases\">{cards}</div>",
        swatch(page.color(&arm.name), &arm.name),
        fixed(low, 0),
        fixed(high, 0),
        swatch(REFERENCE_COLOR, "reference"),
        swatch(PREDICTED_COLOR, "prediction"),
    ))
}

/// The cases to show, with what each stands for. Of several seeds the first speaks.
fn choose<'a>(page: &'a Page, arm: &'a str) -> Vec<(&'static str, &'a CaseResult)> {
    let mut seen = BTreeSet::new();
    let rows: Vec<&CaseResult> =
        page.tested(arm).filter(|row| seen.insert((row.fold, row.case_id.as_str()))).collect();
    let mut by_dice: Vec<&CaseResult> =
        rows.iter().filter(|row| row.dice.is_some()).copied().collect();
    by_dice.sort_by(|a, b| b.dice.unwrap_or(0.0).total_cmp(&a.dice.unwrap_or(0.0)));
    let ranked = |growth: bool| {
        let mut rows: Vec<&CaseResult> = rows
            .iter()
            .filter(|r| r.growth == Some(growth) && r.score().is_some())
            .copied()
            .collect();
        let score = |row: &CaseResult| row.score().unwrap_or(f64::NEG_INFINITY);
        rows.sort_by(|a, b| score(b).total_cmp(&score(a)));
        rows
    };
    let reversed = |rows: &[&'a CaseResult]| rows.iter().rev().copied().collect::<Vec<_>>();
    let from_middle = by_dice.split_at(by_dice.len() / 2).1.to_vec();
    let (grew, stable) = (ranked(true), ranked(false));
    let mut candidates = vec![
        ("Best overlap", by_dice.clone()),
        ("Median overlap", from_middle),
        ("Worst overlap", reversed(&by_dice)),
        ("Grew, ranked highest", grew.clone()),
        ("Grew, ranked lowest", reversed(&grew)),
        ("Stable, ranked highest", stable),
    ];
    // Beyond the rule: further cases as they come.
    while candidates.len() < page.config.n_example_cases {
        candidates.push(("Further case", rows.clone()));
    }
    let mut taken = BTreeSet::new();
    candidates
        .into_iter()
        .take(page.config.n_example_cases)
        .filter_map(|(why, rows)| {
            let row = rows.into_iter().find(|row| !taken.contains(&row.case_id))?;
            taken.insert(row.case_id.clone());
            Some((why, row))
        })
        .collect()
}

fn card(page: &Page, why: &str, row: &CaseResult) -> Result<String, ReportError> {
    let image = page.evaluation.cases.image(&row.case_id)?;
    let label = page.evaluation.labels.get(&row.case_id);
    let reference = reference_mask(page.evaluation, label)?;
    let grid = reference.clone().unwrap_or_else(|| LabelMap::empty(*image.geometry()));
    let predictions = page.evaluation.predictions.iter().find(|p| {
        (p.card.arm.as_str(), p.card.fold, p.card.seed) == (row.arm.as_str(), row.fold, row.seed)
    });
    let predicted = match predictions {
        Some(predictions) if predictions.card.has_masks && row.status == Status::Ok => {
            Some(predicted_mask(predictions, &row.case_id, &grid)?)
        }
        _ => None,
    };
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
    Ok(format!(
        "<figure class=\"case\">{}<figcaption><b>{}</b>{}</figcaption></figure>",
        slice_svg(&image, d, page.config.display_window_hu, &outlines)?,
        escape(why),
        caption(page, row)
    ))
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
