//! Two parts of different density side by side.

use super::hematoma::{Hematoma, percentile};
use super::hole::{DENSE, FAINT};

/// Fewest voxels of a core that may be told to have two parts.
const LEAST_VOXELS: usize = 24;
/// Least share of either part.
const LEAST_SHARE: f64 = 0.1;
/// Least share of the variance that the parting explains. A normal distribution has 2 / π = 0.64, an even one,
/// as a slope makes it, 0.75 in its halves; two densities with little noise come near 1. Low, since the
/// border itself is blurred.
const LEAST_SEPARABILITY: f64 = 0.72;
/// Most voxels on the wrong side of the best plane, share: two parts with one border, not patches.
const MOST_ASTRAY: f64 = 0.2;
/// Most voxels on the wrong side of the best level, share. A border tilted by 10° leaves 0.06 of a ball on the
/// wrong side.
const MOST_UNLEVEL: f64 = 0.1;

/// The core parted in two by density, enclosed holes filled: neither part is one.
pub(super) struct Parts {
    /// Voxels of the core and whether they are of the fainter part.
    pub(super) faint: Vec<(usize, bool)>,
    /// The denser part above the fainter, HU.
    pub(super) difference_hu: f64,
    separability: f64,
    astray: f64,
    unlevel: f64,
}

impl Parts {
    /// `None` of a core of few voxels or of one density.
    pub(super) fn of(hematoma: &Hematoma, brim_hu: &[f32]) -> Option<Self> {
        let core: Vec<usize> = (0..brim_hu.len()).filter(|place| hematoma.core[*place]).collect();
        if core.len() < LEAST_VOXELS {
            return None;
        }
        let (threshold_hu, separability) =
            otsu(core.iter().map(|place| brim_hu[*place]).collect())?;
        let is_faint = |place: &usize| brim_hu[*place] < threshold_hu;
        let of = |faint: bool| {
            let part = core.iter().filter(|place| is_faint(place) == faint);
            part.map(|place| brim_hu[*place]).collect::<Vec<_>>()
        };
        let dense_hu = percentile(of(false), DENSE)?;
        let faint_hu = percentile(of(true), FAINT)?;
        let faint: Vec<(usize, bool)> =
            core.iter().map(|place| (*place, is_faint(place))).collect();
        let points: Vec<([f64; 3], bool)> =
            faint.iter().map(|(place, faint)| (point_mm(hematoma, *place), *faint)).collect();
        // Points run to the front in their second coordinate, as the H of the grid does.
        let height = points.iter().map(|(point, faint)| (point[1], *faint)).collect();
        Some(Self {
            difference_hu: dense_hu - faint_hu,
            separability,
            astray: astray(along_centres(&points)),
            unlevel: astray(height),
            faint,
        })
    }

    /// Whether they are two densities with a border, and not a slope or patches.
    pub(super) fn are_two(&self) -> bool {
        let n_faint = self.faint.iter().filter(|(_, faint)| *faint).count();
        let share = n_faint as f64 / self.faint.len() as f64;
        (LEAST_SHARE..=1.0 - LEAST_SHARE).contains(&share)
            && self.separability >= LEAST_SEPARABILITY
            && self.astray <= MOST_ASTRAY
    }

    /// Whether the fainter lies in front of a level border.
    pub(super) fn are_level(&self) -> bool {
        self.unlevel <= MOST_UNLEVEL
    }
}

/// The point of a voxel, mm.
fn point_mm(hematoma: &Hematoma, place: usize) -> [f64; 3] {
    let [_, n_h, n_w] = hematoma.geometry.shape();
    let index = [place / (n_h * n_w), place / n_w % n_h, place % n_w];
    hematoma.geometry.point_mm(index.map(|i| i as f64))
}

/// The threshold that leaves least variance within the two classes, and the share of the variance between
/// them (Otsu, IEEE Trans Syst Man Cybern 9, 1979, 62–66). `None` of equal values.
fn otsu(mut values: Vec<f32>) -> Option<(f32, f64)> {
    values.sort_unstable_by(f32::total_cmp);
    let n = values.len() as f64;
    let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
    let variance = values.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / n;
    let (mut below, mut best) = (0.0, None);
    for (i, pair) in values.windows(2).enumerate() {
        // What the lower class lacks to the overall mean, which the upper has over it.
        below += mean - f64::from(pair[0]);
        let n_below = (i + 1) as f64;
        let between = below * below / (n_below * (n - n_below));
        if pair[0] < pair[1] && best.is_none_or(|(_, most)| between > most) {
            best = Some((pair[1], between));
        }
    }
    best.map(|(threshold, between)| (threshold, between / variance))
}

/// Where points lie along the line from the centre of the denser to that of the fainter.
fn along_centres(points: &[([f64; 3], bool)]) -> Vec<(f64, bool)> {
    let centre = |of: bool| {
        let own = points.iter().filter(|(_, faint)| *faint == of);
        let (n, sum) = own.fold((0.0, [0.0; 3]), |(n, sum), (point, _)| {
            (n + 1.0, std::array::from_fn(|i| sum[i] + point[i]))
        });
        sum.map(|sum: f64| sum / n)
    };
    let (dense, faint) = (centre(false), centre(true));
    let along = |point: &[f64; 3]| (0..3).map(|i| (faint[i] - dense[i]) * point[i]).sum::<f64>();
    points.iter().map(|(point, faint)| (along(point), *faint)).collect()
}

/// The least share on the wrong side of a border, where faint points should lie further along.
fn astray(mut points: Vec<(f64, bool)>) -> f64 {
    points.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let n_dense = points.iter().filter(|(_, faint)| !faint).count();
    // A border before all of them first.
    let (mut n_wrong, mut least) = (n_dense, n_dense);
    for level in points.chunk_by(|a, b| a.0 == b.0) {
        let n_faint = level.iter().filter(|(_, faint)| *faint).count();
        n_wrong = n_wrong + n_faint + n_faint - level.len();
        least = least.min(n_wrong);
    }
    least as f64 / points.len() as f64
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    #[test]
    fn two_values_part_between_them() {
        let (threshold, separability) = otsu(vec![3.0, 7.0, 3.0, 7.0, 7.0]).unwrap();
        assert!(threshold > 3.0 && threshold <= 7.0 && (separability - 1.0).abs() < 1e-12);
        assert_eq!(otsu(vec![2.0; 4]), None);
        // Uniform values: halves explain three quarters.
        let (threshold, separability) = otsu((0..1000).map(|i| i as f32).collect()).unwrap();
        assert_eq!(threshold, 500.0);
        assert!((separability - 0.75).abs() < 1e-3, "{separability}");
    }

    #[test]
    fn the_best_border_leaves_the_fewest_astray() {
        let points = |faint: &[u8]| {
            faint.iter().enumerate().map(|(i, f)| (i as f64, *f == 1)).collect::<Vec<_>>()
        };
        assert_eq!(astray(points(&[0, 0, 1, 1])), 0.0);
        assert_eq!(astray(points(&[0, 1, 0, 1])), 0.25);
        assert_eq!(astray(points(&[1, 1, 0, 0])), 0.5);
        assert_eq!(astray(vec![(0.0, false), (0.0, true), (0.0, false), (1.0, true)]), 0.25);
    }
}
