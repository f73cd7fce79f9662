use super::{reasons, side_by_side};
use crate::evaluate::ArmFindings;
use crate::html::Page;
use crate::html::figures;
use crate::html::text::{count, escape, optional, swatch, table, with_interval};

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
            (
                arm.name.clone(),
                "agreement of volumes",
                arm.volume.mean_difference_ml.is_some(),
                arm.volume.reason.as_ref().filter(|_| dice.mean.is_some()),
            ),
        ]
    }));
    if arms.is_empty() {
        return why;
    }
    let figures = side_by_side(vec![figures::dice(page), figures::volume(page)], "");
    format!(
        "{}{why}<h3>Volume, predicted minus reference</h3>{}{}<p class=\"note\">Compared on the canonical grid, label {} of the reference. Dice is 0 where \
         a lesion was missed and undefined where both masks are empty; a distance and a surface Dice are \
         undefined where one is. A lesion is a connected part; one voxel in common finds it. Of the differences of \
         volume about 95 % lie between the limits of agreement; their intervals \
         are exact for normal differences of independent cases (Carkeet 2015), that of the bias is Student's.</p>{figures}",
        mask_table(page, &arms),
        volume_table(page, &arms),
        foretold(&arms),
        page.config.lesion_labels.iter().map(u8::to_string).collect::<Vec<_>>().join(", "),
    )
}

/// How far the volume foretold for the follow-up scan is off, a line an arm that foretells one.
fn foretold(arms: &[&ArmFindings]) -> String {
    let line = |arm: &&ArmFindings| {
        let volume = arm.followup_volume.as_ref()?;
        let error =
            with_interval(volume.median_absolute_error_ml, volume.median_absolute_error_ml_ci95, 1);
        Some(format!(
            "<p>{}: the volume foretold for the follow-up scan has a median absolute error of {error} mL, that found on \
             the baseline scan, as if nothing grew, {} mL ({}; {} without).</p>",
            escape(&arm.name),
            optional(volume.median_absolute_error_ml_unchanged, 1),
            count(volume.n, "case"),
            volume.n_undefined
        ))
    };
    arms.iter().filter_map(line).collect()
}

fn mask_table(page: &Page, arms: &[&ArmFindings]) -> String {
    let rows: Vec<Vec<String>> = arms
        .iter()
        .map(|arm| {
            let (dice, distance) = (&arm.dice, &arm.hd95_mm);
            let (surface, lesions) = (&arm.surface_dice, &arm.lesion_f1);
            vec![
                swatch(page.color(&arm.name), &arm.name),
                with_interval(dice.mean, dice.ci95, 2),
                optional(dice.median, 2),
                format!("{} ({} without)", dice.n, dice.n_undefined),
                with_interval(lesions.mean, lesions.ci95, 2),
                with_interval(surface.mean, surface.ci95, 2),
                with_interval(distance.mean, distance.ci95, 1),
                format!("{} ({} without)", distance.n, distance.n_undefined),
            ]
        })
        .collect();
    let surface = format!("Mean surface Dice at {} mm", page.config.surface_tolerance_mm);
    let head = [
        "Arm",
        "Mean Dice",
        "Median",
        "Cases",
        "Mean lesion F1",
        &surface,
        "Mean HD95 (mm)",
        "Cases with a surface",
    ];
    table(&head, 1, &rows)
}

/// Predicted against reference volume (Bland and Altman).
fn volume_table(page: &Page, arms: &[&ArmFindings]) -> String {
    let rows: Vec<Vec<String>> = arms
        .iter()
        .map(|arm| {
            let volume = &arm.volume;
            let limit = |which: usize| {
                let value = volume.limits_of_agreement_ml.map(|limits| limits[which]);
                with_interval(value, volume.limits_of_agreement_ml_ci95.map(|ends| ends[which]), 1)
            };
            vec![
                swatch(page.color(&arm.name), &arm.name),
                with_interval(volume.mean_difference_ml, volume.mean_difference_ml_ci95, 1),
                limit(0),
                limit(1),
                optional(volume.concordance, 2),
                optional(volume.pearson, 2),
                format!("{} ({} without)", volume.n, volume.n_undefined),
            ]
        })
        .collect();
    let head = [
        "Arm",
        "Bias (mL)",
        "Lower limit (mL)",
        "Upper limit (mL)",
        "Concordance",
        "Pearson",
        "Cases",
    ];
    table(&head, 1, &rows)
}
