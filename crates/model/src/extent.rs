use hemex_volume::LabelMap;

/// The box of a grid over which windows are laid, `[D, H, W]` voxels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Its first voxel.
    pub first: [usize; 3],
    /// How many voxels it has.
    pub shape: [usize; 3],
}

impl Extent {
    /// All of a grid.
    pub fn whole(shape: [usize; 3]) -> Self {
        Self { first: [0; 3], shape }
    }

    /// The least box around the voxels that are not 0; all of the grid where there is none.
    ///
    /// A network that is shown the brain alone has nothing to see beyond it.
    pub fn around(mask: &LabelMap) -> Self {
        let shape @ [_, h, w] = mask.geometry().shape();
        let (mut first, mut last) = (shape, [0; 3]);
        for (y, row) in mask.voxels().chunks_exact(w).enumerate() {
            let mut inside =
                row.iter().enumerate().filter(|(_, label)| **label > 0).map(|(x, _)| x);
            let Some(begin) = inside.next() else { continue };
            let (lowest, highest) =
                ([y / h, y % h, begin], [y / h, y % h, inside.next_back().unwrap_or(begin)]);
            first = std::array::from_fn(|axis| first[axis].min(lowest[axis]));
            last = std::array::from_fn(|axis| last[axis].max(highest[axis]));
        }
        if first == shape {
            return Self::whole(shape);
        }
        Self { first, shape: std::array::from_fn(|axis| last[axis] + 1 - first[axis]) }
    }

    /// Where windows of this size start along an axis: one, centred, that holds all of it; else windows that overlap by
    /// half or more, evenly spread.
    pub(crate) fn starts(&self, axis: usize, size: usize) -> Vec<i64> {
        let (first, n, size) = (self.first[axis] as i64, self.shape[axis] as i64, size as i64);
        if n <= size {
            return vec![first - (size - n) / 2];
        }
        // Neighbouring windows of one voxel need no overlap: slices.
        let step = (size / 2).max(1);
        let n_windows = (n - size + step - 1) / step + 1;
        (0..n_windows).map(|i| first + i * (n - size) / (n_windows - 1)).collect()
    }

    /// The first and the last start along an axis of a window of this size that lies within, or holds all of it, and
    /// holds the voxel at `at`; one that lies outside counts as the nearest inside.
    pub fn starts_around(&self, axis: usize, size: usize, at: usize) -> [i64; 2] {
        let (first, n, size) = (self.first[axis] as i64, self.shape[axis] as i64, size as i64);
        if n <= size {
            return [first - (size - n) / 2; 2];
        }
        let at = (at as i64).clamp(first, first + n - 1);
        [(at - size + 1).max(first), at.min(first + n - size)]
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use hemex_volume::{Affine, Geometry};

    use super::*;

    fn mask(places: &[[usize; 3]]) -> LabelMap {
        let affine = Affine::from_spacing([5.0, 2.0, 2.0], [0.0; 3]).unwrap();
        let geometry = Geometry::new([4, 6, 8], affine).unwrap();
        let mut mask = LabelMap::empty(geometry);
        places.iter().for_each(|place| mask.voxels_mut()[geometry.offset(*place)] = 1);
        mask
    }

    #[test]
    fn the_box_holds_every_voxel_and_no_row_more() {
        let found = Extent::around(&mask(&[[1, 4, 5], [2, 3, 2], [1, 3, 6]]));
        assert_eq!(found, Extent { first: [1, 3, 2], shape: [2, 2, 5] });
        let one = Extent::around(&mask(&[[3, 5, 7]]));
        assert_eq!(one, Extent { first: [3, 5, 7], shape: [1; 3] });
        assert_eq!(Extent::around(&mask(&[])), Extent::whole([4, 6, 8]));
    }

    #[test]
    fn a_window_that_is_large_enough_lies_around_the_middle() {
        let extent = Extent { first: [0, 10, 3], shape: [1, 20, 4] };
        assert_eq!(extent.starts(1, 24), [8]);
        assert_eq!(extent.starts(2, 8), [1]);
        assert_eq!(extent.starts_around(1, 24, 29), [8, 8]);
        assert_eq!(extent.starts(1, 8), [10, 14, 18, 22]);
    }

    #[test]
    fn a_smaller_one_holds_the_voxel_and_stays_within() {
        let extent = Extent { first: [0, 10, 0], shape: [1, 20, 1] };
        assert_eq!(extent.starts_around(1, 8, 10), [10, 10]);
        assert_eq!(extent.starts_around(1, 8, 19), [12, 19]);
        assert_eq!(extent.starts_around(1, 8, 29), [22, 22]);
        // Beyond: as at the nearest.
        assert_eq!(extent.starts_around(1, 8, 2), [10, 10]);
        assert_eq!(extent.starts_around(1, 8, 90), [22, 22]);
    }
}
