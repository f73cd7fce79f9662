"""Every figure of a pair of drawn masks, by SciPy and DeepMind's surface-distance. See cases.py."""

import math

import numpy as np
from scipy import ndimage

# surface-distance 0.1 speaks to SciPy and numpy of 2018.
np.Inf = np.inf
ndimage.filters = ndimage.morphology = ndimage
import surface_distance  # noqa: E402


def ratio(part, whole):
    return part / whole if whole > 0 else None


def mask(draw, shape):
    voxels = np.zeros(shape, int)
    if draw.below(16) == 0:
        return voxels.astype(bool)
    for _ in range(2):
        sides = [(draw.below(n), 1 + draw.below(n)) for n in shape]
        voxels[tuple(slice(first, first + n) for first, n in sides)] = 1
    is_noisy = draw.below(2) == 0
    if is_noisy:
        flat = voxels.ravel()
        for i in range(flat.size):
            if draw.below(10) == 0:
                flat[i] = 1 - flat[i]
    return voxels.astype(bool)


def volumes(draw):
    shape = [1 + draw.below(n) for n in (6, 9, 12)]
    spacing = [[0.45, 1.0, 1.5, 5.0][draw.below(4)] for _ in range(3)]
    a, b = mask(draw, shape), mask(draw, shape)
    shared, n_a, n_b = (a & b).sum(), a.sum(), b.sum()
    r = {
        "dice": ratio(2 * shared, n_a + n_b), "iou": ratio(shared, n_a + n_b - shared),
        "mask_sensitivity": ratio(shared, n_b), "mask_precision": ratio(shared, n_a),
        "volume_error_ml": (int(n_a) - int(n_b)) * math.prod(spacing) / 1000,
        "relative_volume_error": n_a / n_b - 1 if n_b else None,
    }
    return {**r, **distances(a, b, spacing), **lesions(a, b)}


def distances(a, b, spacing):
    names = ["hd_mm", "hd95_mm", "surface_distance_mm", "surface_distance_from_prediction_mm",
             "surface_distance_from_reference_mm", "area_hd_mm", "area_hd95_mm", "area_distance_mm",
             "area_distance_from_prediction_mm", "area_distance_from_reference_mm",
             "surface_dice_0", "surface_dice_1", "surface_dice_2", "reference_within_1", "prediction_within_1"]
    if not a.any() or not b.any():
        return dict.fromkeys(names)
    surfaces = [m & ~ndimage.binary_erosion(m) for m in (a, b)]
    to = [ndimage.distance_transform_edt(~s, sampling=spacing) for s in surfaces]
    of_a, of_b = to[1][surfaces[0]], to[0][surfaces[1]]
    elements = surface_distance.compute_surface_distances(b, a, spacing)
    mean_b, mean_a = surface_distance.compute_average_surface_distance(elements)
    area_b, area_a = elements["surfel_areas_gt"].sum(), elements["surfel_areas_pred"].sum()
    dice = lambda t: surface_distance.compute_surface_dice_at_tolerance(elements, t)
    within_b, within_a = surface_distance.compute_surface_overlap_at_tolerance(elements, 1.0)
    return dict(zip(names, [
        max(of_a.max(), of_b.max()), max(np.percentile(d, 95) for d in (of_a, of_b)),
        np.concatenate([of_a, of_b]).mean(), of_a.mean(), of_b.mean(),
        surface_distance.compute_robust_hausdorff(elements, 100),
        # Whether 95 % exactly are reached is left to rounding there.
        surface_distance.compute_robust_hausdorff(elements, 95 - 1e-10),
        (mean_a * area_a + mean_b * area_b) / (area_a + area_b), mean_a, mean_b,
        dice(0.0), dice(1.0), dice(2.0), within_b, within_a]))


def n_hit(mask, other, structure, share):
    labelled, n = ndimage.label(mask, structure)
    covered = [other[labelled == k].mean() for k in range(1, n + 1)]
    return sum(c > 0 if share is None else c >= share for c in covered), n


def lesions(a, b):
    cube, cross = np.ones((3, 3, 3)), ndimage.generate_binary_structure(3, 1)
    (found, n_b), (right, n_a) = n_hit(b, a, cube, None), n_hit(a, b, cube, None)
    (half_found, m_b), (half_right, m_a) = n_hit(b, a, cross, 0.5), n_hit(a, b, cross, 0.5)
    f1 = lambda found, n_b, right, n_a: ratio(2 * found, 2 * found + n_b - found + n_a - right)
    return {
        "lesions_found": found, "lesions_missed": n_b - found, "lesions_invented": n_a - right,
        "lesion_f1": f1(found, n_b, right, n_a),
        "lesions_half_found": half_found, "lesions_half_right": half_right,
        "lesions_half_f1": f1(half_found, m_b, half_right, m_a),
        "lesions_half_sensitivity": ratio(half_found, m_b), "lesions_half_precision": ratio(half_right, m_a),
    }
