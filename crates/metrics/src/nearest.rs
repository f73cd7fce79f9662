use hemex_volume::{Geometry, VolumeError, distance_mm};
use rayon::prelude::*;

use crate::bit_rows::BitRows;

/// Steps to rows (each to either side) that every place takes: about 20 mm at 5 mm by 1 mm.
const N_STEPS_NEAR: usize = 64;

/// So many places may look farther one by one before a transform of the whole grid is cheaper.
const N_PLACES_FAR: usize = 1 << 11;

/// Distances in mm from every place of `from` (in its order) to the nearest of `to`, which must not
/// be empty. `length_mm` makes a distance of its squared parts along D, H and W.
///
/// A place looks through the rows about it from the nearest outward until none can hold a nearer
/// place. Where many places would look far, the exact distance transform of the grid (f32) answers.
///
/// # Errors
/// [`VolumeError`] if `geometry` does not fit.
pub(crate) fn distances_mm(
    from: &[[usize; 3]],
    to: &BitRows,
    geometry: &Geometry,
    length_mm: impl Fn([f64; 3]) -> f64 + Sync,
) -> Result<Vec<f64>, VolumeError> {
    let spacing_mm = geometry.spacing_mm();
    let search = |steps: &RowSteps, place: [usize; 3]| {
        steps.nearest(place, to, spacing_mm[2]).map(&length_mm)
    };
    let near = RowSteps::new(to.shape(), spacing_mm, N_STEPS_NEAR);
    let mut found: Vec<Option<f64>> =
        from.par_iter().with_min_len(1 << 9).map(|place| search(&near, *place)).collect();
    let far: Vec<usize> = (0..from.len()).filter(|i| found[*i].is_none()).collect();
    if far.len() > N_PLACES_FAR {
        let transform = transform_mm(to, geometry)?;
        let at = |[d, h, w]: [usize; 3]| (d * to.shape()[1] + h) * to.shape()[2] + w;
        for i in far {
            found[i] = Some(f64::from(transform[at(from[i])]));
        }
    } else if !far.is_empty() {
        let all = RowSteps::new(to.shape(), spacing_mm, usize::MAX);
        let values: Vec<Option<f64>> = far.par_iter().map(|i| search(&all, from[*i])).collect();
        far.iter().zip(values).for_each(|(i, value)| found[*i] = value);
    }
    // Every row was looked through, so that only an empty `to` leaves a place without a distance.
    Ok(found.into_iter().map(|value| value.unwrap_or(f64::INFINITY)).collect())
}

fn transform_mm(to: &BitRows, geometry: &Geometry) -> Result<Vec<f32>, VolumeError> {
    let [n_d, n_h, n_w] = to.shape();
    let mut mask = vec![false; n_d * n_h * n_w];
    for [d, h, w] in to.all_places() {
        mask[(d * n_h + h) * n_w + w] = true;
    }
    distance_mm(&mask, &geometry.window([0; 3], to.shape())?)
}

/// Steps from a row to the rows about it, the nearest first.
struct RowSteps {
    steps: Vec<RowStep>,
    /// Whether the steps reach every row of the grid.
    is_complete: bool,
}

/// A step along D and H, to either side.
struct RowStep {
    by: [usize; 2],
    squares_mm2: [f64; 2],
}

impl RowStep {
    fn total_mm2(&self) -> f64 {
        self.squares_mm2[0] + self.squares_mm2[1]
    }

    /// The rows it leads to within the grid, at most four.
    fn rows(
        &self,
        [d, h, _]: [usize; 3],
        [n_d, n_h, _]: [usize; 3],
    ) -> impl Iterator<Item = [usize; 2]> {
        let sides = |at: usize, by: usize, n: usize| {
            // Once where the step is 0, and never below 0.
            let before = at.checked_sub(by).filter(|_| by > 0);
            [before, Some(at + by).filter(|at| *at < n)].into_iter().flatten()
        };
        let along_h = sides(h, self.by[1], n_h);
        sides(d, self.by[0], n_d).flat_map(move |d| along_h.clone().map(move |h| [d, h]))
    }
}

impl RowSteps {
    fn new([n_d, n_h, _]: [usize; 3], spacing_mm: [f64; 3], n_most: usize) -> Self {
        let mut steps: Vec<RowStep> = (0..n_d)
            .flat_map(|d| (0..n_h).map(move |h| [d, h]))
            .map(|by| RowStep {
                by,
                squares_mm2: [0, 1].map(|axis| (by[axis] as f64 * spacing_mm[axis]).powi(2)),
            })
            .collect();
        let nearer = |a: &RowStep, b: &RowStep| {
            a.total_mm2().total_cmp(&b.total_mm2()).then(a.by.cmp(&b.by))
        };
        let is_complete = steps.len() <= n_most;
        if !is_complete {
            steps.select_nth_unstable_by(n_most, nearer);
            steps.truncate(n_most);
        }
        steps.sort_unstable_by(nearer);
        Self { steps, is_complete }
    }

    /// The squared parts along D, H and W of the way to the nearest place of `to`; `None` if it may lie
    /// beyond the steps.
    fn nearest(&self, place: [usize; 3], to: &BitRows, w_mm: f64) -> Option<[f64; 3]> {
        let mut best = [f64::INFINITY, 0.0, 0.0];
        let mut best_mm2 = f64::INFINITY;
        for step in &self.steps {
            if step.total_mm2() >= best_mm2 {
                return Some(best);
            }
            let [d_mm2, h_mm2] = step.squares_mm2;
            for [d, h] in step.rows(place, to.shape()) {
                let Some(gap) = to.gap_in_row(d, h, place[2]) else { continue };
                let w_mm2 = (gap as f64 * w_mm).powi(2);
                if d_mm2 + h_mm2 + w_mm2 < best_mm2 {
                    (best, best_mm2) = ([d_mm2, h_mm2, w_mm2], d_mm2 + h_mm2 + w_mm2);
                }
            }
        }
        (self.is_complete && best_mm2.is_finite()).then_some(best)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use hemex_volume::Affine;
    use proptest::prelude::*;

    use super::*;
    use crate::bit_rows::tests::map;

    fn euclid(squares: [f64; 3]) -> f64 {
        squares.iter().sum::<f64>().sqrt()
    }

    fn brute_force_mm(from: &[[usize; 3]], to: &[[usize; 3]], spacing_mm: [f64; 3]) -> Vec<f64> {
        let between = |a: [usize; 3], b: [usize; 3]| {
            euclid(std::array::from_fn(|k| (a[k].abs_diff(b[k]) as f64 * spacing_mm[k]).powi(2)))
        };
        let nearest =
            |a: &[usize; 3]| to.iter().map(|b| between(*a, *b)).fold(f64::INFINITY, f64::min);
        from.iter().map(nearest).collect()
    }

    proptest! {
        #[test]
        fn distances_agree_with_all_pairs(
            shape in (1_usize..5, 1_usize..20, 1_usize..150),
            spacing in prop::array::uniform3(0.3_f64..6.0),
            places in prop::collection::vec(any::<[u16; 3]>(), 2..24),
            is_block in any::<bool>(),
        ) {
            let shape = [shape.0, shape.1, shape.2];
            let at: Vec<[usize; 3]> = places
                .iter()
                .map(|p| std::array::from_fn(|a| usize::from(p[a]) % shape[a]))
                .collect();
            let (one, two) = at.split_at(at.len() / 2);
            // A block has an inside; single voxels are all surface.
            let first = map(shape, spacing, |p| {
                one.contains(&p) || is_block && p[2] > 40 && p[2] < 120 && p[1] < 9
            });
            let second = map(shape, spacing, |p| two.contains(&p));
            let (first, second) =
                (BitRows::of_mask(&first, &[1]), BitRows::of_mask(&second, &[1]));
            let geometry = Geometry::new(
                shape,
                Affine::from_spacing(spacing, [0.0; 3]).unwrap(),
            ).unwrap();
            let surfaces = [first.surface(), second.surface()].map(|s| s.all_places());
            let found = distances_mm(&surfaces[0], &second.surface(), &geometry, euclid).unwrap();
            let expected = brute_force_mm(&surfaces[0], &surfaces[1], spacing);
            for (value, expected) in found.iter().zip(expected) {
                prop_assert!((value - expected).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn far_masks_are_as_far_as_they_are() {
        // Two slabs 76 rows apart: beyond the near rows, few places and then many.
        for n_d in [1, 30] {
            let shape = [n_d, 80, 130];
            let spacing = [5.0, 0.45, 0.45];
            let near = BitRows::of_mask(&map(shape, spacing, |p| p[1] < 2), &[1]);
            let far_map = map(shape, spacing, |p| p[1] > 77);
            let far = BitRows::of_mask(&far_map, &[1]);
            let places = near.surface().all_places();
            let found = distances_mm(&places, &far.surface(), far_map.geometry(), euclid).unwrap();
            assert_eq!(places.len() > N_PLACES_FAR, n_d == 30);
            for (place, value) in places.iter().zip(found) {
                assert!((value - (78 - place[1]) as f64 * 0.45).abs() < 1e-5, "{place:?} {value}");
            }
        }
    }
}
