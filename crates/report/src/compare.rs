//! Predictions beside the truth: a row a case and model, masks compared on the canonical grid.

use hemex_artifacts::{CaseRow, LabelRow, PredictionRow, Role, nifti};
use hemex_metrics::{
    Hit, LesionDetection, MetricError, Overlap, SurfaceDistances, SurfaceElements, overlap,
};
use hemex_stage::Progress;
use hemex_volume::{Connectivity, Geometry, LabelMap, VolumeError};
use rayon::prelude::*;

use crate::read::{Evaluation, Predictions};
use crate::saliency::SaliencyShares;
use crate::{CaseResult, Config, ReportError, Status};

/// The label that predicted masks give the lesion.
pub(crate) const PREDICTED_LESION: u8 = 1;

/// The results of every model: its test cases, and whatever other cases it predicted.
///
/// # Errors
/// If a mask cannot be read, or a predicted case has no role in the split.
pub fn results(evaluation: &Evaluation, config: &Config) -> Result<Vec<CaseResult>, ReportError> {
    let mut units = Vec::new();
    for predictions in &evaluation.predictions {
        let fold = evaluation.folds.get(&predictions.card.fold);
        for case in &evaluation.cases.rows {
            let role = fold.and_then(|roles| roles.get(&case.case_id)).copied();
            let predicted = predictions.rows.get(&case.case_id);
            match (role, predicted) {
                (Some(role), Some(_)) => units.push((predictions, case, role, predicted)),
                (Some(Role::Test), None) => units.push((predictions, case, Role::Test, None)),
                (None, Some(_)) => {
                    return Err(ReportError::NoRole {
                        path: predictions.folder.clone(),
                        case_id: case.case_id.clone(),
                        regime: evaluation.regime.name(),
                        fold: predictions.card.fold,
                    });
                }
                (_, None) => {}
            }
        }
    }
    let progress = Progress::new(units.len(), "prediction");
    units
        .into_par_iter()
        .map(|(predictions, case, role, row)| {
            let result = result(evaluation, predictions, case, role, row, config);
            progress.add(1);
            result
        })
        .collect()
}

fn result(
    evaluation: &Evaluation,
    predictions: &Predictions,
    case: &CaseRow,
    role: Role,
    row: Option<&PredictionRow>,
    config: &Config,
) -> Result<CaseResult, ReportError> {
    let label = evaluation.labels.get(&case.case_id);
    let status = row.map_or(Status::Missing, |row| row.status.into());
    let reference = reference_mask(evaluation, label)?;
    let masks = match (&reference, status) {
        (Some(reference), Status::Ok | Status::NoLesion) if predictions.card.has_masks => {
            Some(compare_masks(predictions, case, status, reference, config)?)
        }
        _ => None,
    };
    let saliency = match &reference {
        Some(reference) => saliency(evaluation, predictions, case, reference, config)?,
        None => None,
    };
    let overlap = masks.as_ref().map(|masks| masks.overlap);
    // A mask network that finds no lesion says 0 mL; a network without masks says nothing.
    let nothing_found = status == Status::NoLesion && predictions.card.has_masks;
    let volume_ml = row.and_then(|row| row.volume_ml).or(nothing_found.then_some(0.0));
    Ok(CaseResult {
        case_id: case.case_id.clone(),
        patient_id: case.patient_id.clone(),
        site: case.site.clone(),
        regime: evaluation.regime,
        fold: predictions.card.fold,
        seed: predictions.card.seed,
        arm: predictions.card.arm.clone(),
        role,
        status,
        reason: row.and_then(|row| row.reason.clone()),
        growth: label.and_then(|label| label.growth),
        probability: row.and_then(|row| row.probability),
        logit: row.and_then(|row| row.logit),
        uncertainty: row.and_then(|row| row.uncertainty),
        twin_logit: row.and_then(|row| row.twin_logit),
        p_value_stable: row.and_then(|row| row.p_value_stable),
        p_value_growth: row.and_then(|row| row.p_value_growth),
        inpainted_logit: row.and_then(|row| row.inpainted_logit),
        entropy_nats: row.and_then(|row| row.entropy_nats),
        mutual_information_nats: row.and_then(|row| row.mutual_information_nats),
        true_probability: label.and_then(|label| label.true_probability),
        true_probability_image_signs: label.and_then(|label| label.true_probability_image_signs),
        dice: overlap.and_then(|overlap| overlap.dice()),
        mask_sensitivity: overlap.and_then(|overlap| overlap.sensitivity()),
        mask_precision: overlap.and_then(|overlap| overlap.precision()),
        hd95_mm: masks.as_ref().and_then(|masks| masks.hd95_mm),
        surface_dice: masks.as_ref().and_then(|masks| masks.surface_dice),
        lesion_f1: masks.as_ref().and_then(|masks| masks.lesion_f1),
        saliency_lesion: saliency.map(|shares| shares.lesion),
        saliency_rim: saliency.map(|shares| shares.rim),
        saliency_brain: saliency.map(|shares| shares.brain),
        lesion_share: saliency.map(|shares| shares.even),
        volume_ml,
        reference_volume_ml: reference.map(|mask| mask.volume_ml(&config.lesion_labels)),
        predicted_followup_ml: row.and_then(|row| row.predicted_followup_ml),
        followup_volume_ml: label.and_then(|label| label.followup_volume_ml),
    })
}

/// Where the map of what the case's logit rests on lies, if there is one.
fn saliency(
    evaluation: &Evaluation,
    predictions: &Predictions,
    case: &CaseRow,
    reference: &LabelMap,
    config: &Config,
) -> Result<Option<SaliencyShares>, ReportError> {
    let path = predictions.folder.join("saliency").join(format!("{}.nii.gz", case.case_id));
    if !path.exists() {
        return Ok(None);
    }
    let (map, brain) = (nifti::read_image(&path)?, evaluation.cases.brain(&case.case_id)?);
    SaliencyShares::of(&map, reference, &config.lesion_labels, &brain).map_err(|_| {
        ReportError::OtherGrid {
            case_id: case.case_id.clone(),
            what: "map of what the logit rests on",
        }
    })
}

/// The case's reference mask on the canonical grid, if there is one.
///
/// # Errors
/// If it is named but cannot be read.
pub(crate) fn reference_mask(
    evaluation: &Evaluation,
    label: Option<&LabelRow>,
) -> Result<Option<LabelMap>, ReportError> {
    let Some(relative) = label.and_then(|label| label.mask.as_ref()) else { return Ok(None) };
    Ok(Some(nifti::read_label_map(&evaluation.labels_folder.join(relative))?))
}

/// The predicted mask, moved from the native grid onto that of `like`.
///
/// # Errors
/// If it cannot be read.
pub(crate) fn predicted_mask(
    predictions: &Predictions,
    case_id: &str,
    like: &LabelMap,
) -> Result<LabelMap, ReportError> {
    let path = predictions.folder.join("masks").join(format!("{case_id}.nii.gz"));
    Ok(nifti::read_label_map(&path)?.resample(like.geometry()))
}

struct MaskComparison {
    overlap: Overlap,
    hd95_mm: Option<f64>,
    surface_dice: Option<f64>,
    lesion_f1: Option<f64>,
}

fn compare_masks(
    predictions: &Predictions,
    case: &CaseRow,
    status: Status,
    reference: &LabelMap,
    config: &Config,
) -> Result<MaskComparison, ReportError> {
    let predicted = if status == Status::NoLesion {
        LabelMap::empty(*reference.geometry())
    } else {
        predicted_mask(predictions, &case.case_id, reference)?
    };
    let (lesion, labels) = ([PREDICTED_LESION], config.lesion_labels.as_slice());
    let in_case = |source| ReportError::Case { case_id: case.case_id.clone(), source };
    // Figures are the same on the part that holds both lesions, of which a head is ten times as large. The voxel around
    // belongs to the surfaces.
    let bounds = [predicted.bounds(&lesion), reference.bounds(labels)];
    let part = part_around(reference.geometry(), bounds, [1; 3]).map_err(|e| in_case(e.into()))?;
    let (predicted, reference) = (predicted.resample(&part), &reference.resample(&part));
    let compared = || -> Result<MaskComparison, MetricError> {
        let distances = SurfaceDistances::new(&predicted, &lesion, reference, labels)?;
        let elements = SurfaceElements::new(&predicted, &lesion, reference, labels)?;
        let surface_dice = elements.map(|e| e.surface_dice(config.surface_tolerance_mm));
        let (found, present) = ((&predicted, &lesion[..]), (reference, labels));
        let connected = Connectivity::TwentySix;
        Ok(MaskComparison {
            overlap: overlap(&predicted, &lesion, reference, labels)?,
            hd95_mm: distances.map(|distances| distances.hd95_mm()),
            surface_dice: surface_dice.transpose()?,
            lesion_f1: LesionDetection::new(found, present, connected, Hit::AnyOverlap)?.f1(),
        })
    };
    compared().map_err(in_case)
}

/// The part of a grid that holds some masks' bounds and a margin of voxels, `[D, H, W]`, as far as the grid goes; all of
/// it where no mask holds anything.
pub(crate) fn part_around(
    grid: &Geometry,
    bounds: [Option<[[usize; 2]; 3]>; 2],
    margin: [usize; 3],
) -> Result<Geometry, VolumeError> {
    let all = bounds.into_iter().flatten().reduce(|a, b| {
        std::array::from_fn(|axis| [a[axis][0].min(b[axis][0]), a[axis][1].max(b[axis][1])])
    });
    let Some(bounds) = all else { return Ok(*grid) };
    let first: [usize; 3] = std::array::from_fn(|a| bounds[a][0].saturating_sub(margin[a]));
    let last: [usize; 3] =
        std::array::from_fn(|a| (bounds[a][1] + margin[a]).min(grid.shape()[a] - 1));
    grid.window(first.map(|i| i as i64), std::array::from_fn(|a| last[a] - first[a] + 1))
}
