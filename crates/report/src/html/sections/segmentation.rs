use super::{reasons, side_by_side};
use crate::evaluate::ArmFindings;
use crate::html::Page;
use crate::html::figures;
use crate::html::text::{optional, range, swatch, table, with_interval};

/// How well masks and volumes agree with the reference.
pub(in crate::html) fn segmentation(page: &Page) -> String {
    let arms: Vec<&ArmFindings> =
        page.findings.arms.iter().filter(|arm| arm.dice.mean.is_some()).collect();
    let why = reasons(page.findings.arms.iter().flat_map(|arm| {
        let (dice, distance) = (&arm.dice, &arm.hd95_mm);
        let figures = if dice.mean.is_some() { "mean Dice" } else { "mask figures" };
        [
            (arm.name.clone(), figures, dice.mean.is_some(), dice.reason.as_ref()),
            // Without a Dice the reason is the same.
            (
                arm.name.clone(),
                "mean HD95",
                distance.mean.is_some(),
                distance.reason.as_ref().filter(|_| dice.mean.is_some()),
            ),
        ]
    }));
    if arms.is_empty() {
        return why;
    }
    let figures = side_by_side(vec![figures::dice(page), figures::volume(page)], "");
    format!(
        "{}{why}<p class=\"note\">Compared on the canonical grid, label {} of the reference. Dice is 0 where \
         a lesion was missed and undefined where both masks are empty; a distance is undefined where \
         one is.</p>{figures}",
        mask_table(page, &arms),
        page.config.lesion_labels.iter().map(u8::to_string).collect::<Vec<_>>().join(", "),
    )
}

fn mask_table(page: &Page, arms: &[&ArmFindings]) -> String {
    let rows: Vec<Vec<String>> = arms
        .iter()
        .map(|arm| {
            let (dice, distance, volume) = (&arm.dice, &arm.hd95_mm, &arm.volume);
            vec![
                swatch(page.color(&arm.name), &arm.name),
                with_interval(dice.mean, dice.ci95, 2),
                optional(dice.median, 2),
                format!("{} ({} without)", dice.n, dice.n_undefined),
                with_interval(distance.mean, distance.ci95, 1),
                format!("{} ({} without)", distance.n, distance.n_undefined),
                optional(volume.mean_difference_ml, 1),
                volume.limits_of_agreement_ml.map_or_else(|| "–".to_owned(), |l| range(l, 1)),
                optional(volume.concordance, 2),
            ]
        })
        .collect();
    let head = [
        "Arm",
        "Mean Dice",
        "Median",
        "Cases",
        "Mean HD95 (mm)",
        "Cases",
        "Volume bias (mL)",
        "Limits of agreement (mL)",
        "Concordance",
    ];
    table(&head, 1, &rows)
}
