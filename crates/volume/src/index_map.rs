use crate::Geometry;

/// Positions this close to a voxel (in voxels) are taken as on it: affines come from headers in f32,
/// and their rounding must not turn a copy into an interpolation.
pub(crate) const SNAP: f64 = 1e-4;

/// How far, in voxels, a grid may drift off another's axes and still count as aligned.
const ALIGNED: f64 = 1e-3;

/// From indices of a target grid to (fractional) indices of a source grid:
/// `source[a] = Σ_b linear[a][b] · target[b] + offset[a]`, axes `[D, H, W]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IndexMap {
    pub(crate) linear: [[f64; 3]; 3],
    pub(crate) offset: [f64; 3],
}

impl IndexMap {
    /// The map by which a voxel of `target` finds its place in `source`.
    pub(crate) fn between(source: &Geometry, target: &Geometry) -> Self {
        let inverse = source.affine().inverse();
        let offset = inverse.index(target.point_mm([0.0; 3]));
        let columns = [0, 1, 2].map(|b| {
            let mut index = [0.0; 3];
            index[b] = 1.0;
            inverse.index(target.point_mm(index))
        });
        let linear = std::array::from_fn(|a| std::array::from_fn(|b| columns[b][a] - offset[a]));
        Self { linear, offset }
    }

    /// The source position of a target index.
    pub(crate) fn source(&self, target: [f64; 3]) -> [f64; 3] {
        std::array::from_fn(|a| {
            self.linear[a].iter().zip(target).map(|(m, t)| m * t).sum::<f64>() + self.offset[a]
        })
    }

    /// For each source axis the one target axis it depends on, if there is such a pairing.
    ///
    /// An axis of one voxel leaves a choice; then the pairing whose directions agree best is taken.
    pub(crate) fn aligned_axes(&self, target_shape: [usize; 3]) -> Option<[usize; 3]> {
        const PERMUTATIONS: [[usize; 3]; 6] =
            [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
        let is_aligned = |pairing: &[usize; 3]| {
            (0..3).all(|a| {
                let drift: f64 = (0..3)
                    .filter(|b| *b != pairing[a])
                    .map(|b| self.linear[a][b].abs() * (target_shape[b] - 1) as f64)
                    .sum();
                drift <= ALIGNED && self.linear[a][pairing[a]] != 0.0
            })
        };
        let agreement = |pairing: &[usize; 3]| -> f64 {
            (0..3)
                .map(|a| {
                    let norm = self.linear[a].iter().map(|v| v * v).sum::<f64>().sqrt();
                    self.linear[a][pairing[a]].abs() / norm
                })
                .sum()
        };
        PERMUTATIONS
            .into_iter()
            .filter(is_aligned)
            .max_by(|p, q| agreement(p).total_cmp(&agreement(q)))
    }

    /// How many source voxels a target voxel spans along each source axis, where this map leads from the
    /// source to the target: one source step moves so little in the target's steps.
    ///
    /// What a step along one target axis moves along another source axis does not count: planes that are
    /// shifted against each other, as by a gantry's tilt, are no coarser for it.
    pub(crate) fn spans(&self) -> [f64; 3] {
        [0, 1, 2].map(|a| {
            let step = (0..3).map(|b| self.linear[b][a].powi(2)).sum::<f64>().sqrt();
            1.0 / step
        })
    }

    /// The targets `begin..end` of a row that lie inside a source axis of `n_source` voxels,
    /// half a voxel beyond its outermost centres included: `-½ ≤ at + w · step ≤ n − ½`.
    pub(crate) fn inside(at: f64, step: f64, n_source: usize, n_targets: usize) -> [usize; 2] {
        let (low, high) = (-0.5 - SNAP, n_source as f64 - 0.5 + SNAP);
        if step.abs() * (n_targets as f64) < SNAP {
            return if at >= low && at <= high { [0, n_targets] } else { [0, 0] };
        }
        let (a, b) = ((low - at) / step, (high - at) / step);
        let limit = |v: f64| v.clamp(0.0, n_targets as f64) as usize;
        let begin = limit(a.min(b).ceil());
        [begin, limit(a.max(b).floor() + 1.0).max(begin)]
    }
}

/// The voxel nearest to a position along an axis; `None` beyond half a voxel outside it.
///
/// A position halfway goes to the lower index, always: rounding in the affine must not decide.
pub(crate) fn nearest(position: f64, n_source: usize) -> Option<usize> {
    let inside = position >= -0.5 - SNAP && position <= n_source as f64 - 0.5 + SNAP;
    // Adding 1 keeps the cast, which truncates toward 0, equal to a floor.
    // Adding 1 keeps the cast, which truncates toward 0, equal to a floor.
    inside.then(|| ((position + 1.5 - SNAP) as usize).saturating_sub(1).min(n_source - 1))
}

/// As [`nearest`], for a position in single precision and without a branch: the index, which may lie beyond
/// the ends, and whether the position is inside.
#[inline(always)]
pub(crate) fn nearest_unclamped(position: f32, n_source: usize) -> (i32, bool) {
    let position = f64::from(position);
    let inside = (position >= -0.5 - SNAP) & (position <= n_source as f64 - 0.5 + SNAP);
    // No tie is rounded to even: a position in single precision is no half once SNAP is taken off.
    (rounded(position - SNAP), inside)
}

/// The largest whole number that is not above a position from 0 on, in single precision and without a branch.
#[inline(always)]
pub(crate) fn floor(position: f32) -> i32 {
    // 2⁻²⁵ is less than half of what parts a number from the next one, from 1 on; below 1 both are rounded
    // to 0.
    rounded(f64::from(position) - 0.5 + 1.0 / 33_554_432.0)
}

/// The nearest whole number, by a sum that compiles to vectors: added to 1.5 · 2⁵², a number is rounded to a
/// whole one that the low bits hold.
#[inline(always)]
fn rounded(value: f64) -> i32 {
    (value + 6_755_399_441_055_744.0).to_bits() as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floor_is_that_of_single_precision() {
        let mut positions = vec![0.0, f32::MIN_POSITIVE, 0.5];
        for k in [1.0_f32, 2.0, 3.0, 31.0, 32.0, 511.0, 512.0, 32767.0] {
            positions.extend([k.next_down(), k, k.next_up(), k - 0.5, k + 0.25]);
        }
        for position in positions {
            assert_eq!(floor(position), position.floor() as i32, "{position}");
        }
    }

    #[test]
    fn nearest_ties_go_down_and_edges_hold() {
        assert_eq!(nearest(-0.6, 3), None);
        assert_eq!(nearest(-0.5, 3), Some(0));
        assert_eq!(nearest(0.5, 3), Some(0));
        for i in -40..160 {
            for shift in [0.0, 1e-4, -1e-4, 0.13] {
                let position = i as f32 * 0.25 + shift;
                let (idx, inside) = nearest_unclamped(position, 31);
                let found = inside.then(|| idx.clamp(0, 30) as usize);
                assert_eq!(found, nearest(f64::from(position), 31), "{position}");
            }
        }
        assert_eq!(nearest(0.5 + 1e-9, 3), Some(0));
        assert_eq!(nearest(0.51, 3), Some(1));
        assert_eq!(nearest(2.5, 3), Some(2));
        assert_eq!(nearest(2.51, 3), None);
        assert_eq!(nearest(f64::NAN, 3), None);
    }

    #[test]
    fn inside_agrees_with_a_test_at_each_target() {
        for (at, step) in
            [(-3.2, 0.7), (5.0, -0.3), (0.0, 1.0), (9.0, 0.1), (2.0, 0.0), (-9.0, 0.0)]
        {
            let [begin, end] = IndexMap::inside(at, step, 4, 12);
            for w in 0..12 {
                let position = at + w as f64 * step;
                let expected = (-0.5 - SNAP..=3.5 + SNAP).contains(&position);
                assert_eq!((begin..end).contains(&w), expected, "{at} {step} {w}");
            }
        }
    }
}
