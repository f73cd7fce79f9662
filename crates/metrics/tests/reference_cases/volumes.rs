use hemex_metrics::{Hit, LesionDetection, SurfaceDistances, SurfaceElements, overlap};
use hemex_volume::{Affine, Connectivity, Geometry, LabelMap};

use super::{Draw, Figure};

const SPACINGS_MM: [f64; 4] = [0.45, 1.0, 1.5, 5.0];

/// Two boxes (none in one mask of sixteen) with a voxel in ten turned.
fn mask(draw: &mut Draw, shape: [usize; 3]) -> Vec<u8> {
    let mut voxels = vec![0; shape.iter().product()];
    if draw.below(16) == 0 {
        return voxels;
    }
    for _ in 0..2 {
        let sides = shape.map(|n| [draw.below(n as u64), 1 + draw.below(n as u64)]);
        for (i, voxel) in voxels.iter_mut().enumerate() {
            let at = [i / (shape[1] * shape[2]), i / shape[2] % shape[1], i % shape[2]];
            if (0..3).all(|a| (sides[a][0]..sides[a][0] + sides[a][1]).contains(&at[a])) {
                *voxel = 1;
            }
        }
    }
    let is_noisy = draw.below(2) == 0;
    for voxel in &mut voxels {
        if is_noisy && draw.below(10) == 0 {
            *voxel = 1 - *voxel;
        }
    }
    voxels
}

pub(super) fn figures(seed: u64) -> Vec<Figure> {
    let draw = &mut Draw::new(seed);
    let shape = [1 + draw.below(6), 1 + draw.below(9), 1 + draw.below(12)];
    let spacing_mm = [0; 3].map(|_| SPACINGS_MM[draw.below(4)]);
    let affine = Affine::from_spacing(spacing_mm, [0.0; 3]).unwrap();
    let geometry = Geometry::new(shape, affine).unwrap();
    let [prediction, reference] =
        [0; 2].map(|_| LabelMap::new(geometry, mask(draw, shape)).unwrap());
    [
        overlaps(&prediction, &reference),
        distances(&prediction, &reference),
        lesions(&prediction, &reference),
    ]
    .concat()
}

fn overlaps(prediction: &LabelMap, reference: &LabelMap) -> Vec<Figure> {
    let overlap = overlap(prediction, &[1], reference, &[1]).unwrap();
    vec![
        ("dice", overlap.dice()),
        ("iou", overlap.iou()),
        ("mask_sensitivity", overlap.sensitivity()),
        ("mask_precision", overlap.precision()),
        ("volume_error_ml", Some(overlap.volume_error_ml())),
        ("relative_volume_error", overlap.relative_volume_error()),
    ]
}

fn distances(prediction: &LabelMap, reference: &LabelMap) -> Vec<Figure> {
    let voxels = SurfaceDistances::new(prediction, &[1], reference, &[1]).unwrap();
    let elements = SurfaceElements::new(prediction, &[1], reference, &[1]).unwrap();
    let voxel = |figure: fn(&SurfaceDistances) -> f64| voxels.as_ref().map(figure);
    let element = |figure: fn(&SurfaceElements) -> f64| elements.as_ref().map(figure);
    vec![
        ("hd_mm", voxel(|d| d.hausdorff_mm(1.0))),
        ("hd95_mm", voxel(SurfaceDistances::hd95_mm)),
        ("surface_distance_mm", voxel(SurfaceDistances::mean_mm)),
        ("surface_distance_from_prediction_mm", voxel(SurfaceDistances::mean_from_prediction_mm)),
        ("surface_distance_from_reference_mm", voxel(SurfaceDistances::mean_from_reference_mm)),
        ("area_hd_mm", element(|e| e.hausdorff_mm(1.0))),
        ("area_hd95_mm", element(SurfaceElements::hd95_mm)),
        ("area_distance_mm", element(SurfaceElements::mean_mm)),
        ("area_distance_from_prediction_mm", element(SurfaceElements::mean_from_prediction_mm)),
        ("area_distance_from_reference_mm", element(SurfaceElements::mean_from_reference_mm)),
        ("surface_dice_0", element(|e| e.surface_dice(0.0).unwrap())),
        ("surface_dice_1", element(|e| e.surface_dice(1.0).unwrap())),
        ("surface_dice_2", element(|e| e.surface_dice(2.0).unwrap())),
        ("reference_within_1", element(|e| e.reference_within(1.0).unwrap())),
        ("prediction_within_1", element(|e| e.prediction_within(1.0).unwrap())),
    ]
}

fn lesions(prediction: &LabelMap, reference: &LabelMap) -> Vec<Figure> {
    let detect = |connectivity, hit| {
        LesionDetection::new((prediction, &[1]), (reference, &[1]), connectivity, hit).unwrap()
    };
    let any = detect(Connectivity::TwentySix, Hit::AnyOverlap);
    let half = detect(Connectivity::Six, Hit::Share(0.5));
    let n = |count: usize| Some(count as f64);
    vec![
        ("lesions_found", n(any.n_true_positive)),
        ("lesions_missed", n(any.n_false_negative)),
        ("lesions_invented", n(any.n_false_positive)),
        ("lesion_f1", any.f1()),
        ("lesions_half_found", n(half.n_true_positive)),
        ("lesions_half_right", n(half.n_predicted_right)),
        ("lesions_half_f1", half.f1()),
        ("lesions_half_sensitivity", half.sensitivity()),
        ("lesions_half_precision", half.precision()),
    ]
}
