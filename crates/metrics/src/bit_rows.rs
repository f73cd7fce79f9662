use hemex_volume::LabelMap;
use rayon::prelude::*;

/// A set of places of a grid `[D, H, W]`, a bit each; every row along W starts a new word.
///
/// Sixty-four places are looked at together, which makes surfaces and the search for the nearest
/// place of another surface cheap where the two lie close, as they do in all but a failed mask.
pub(crate) struct BitRows {
    shape: [usize; 3],
    n_words: usize,
    words: Vec<u64>,
}

impl BitRows {
    /// The voxels of `map` that carry one of `labels`.
    pub(crate) fn of_mask(map: &LabelMap, labels: &[u8]) -> Self {
        let carried: [u64; 256] =
            std::array::from_fn(|v| u64::from(labels.iter().any(|l| usize::from(*l) == v)));
        let mut rows = Self::empty(map.geometry().shape());
        let n_w = rows.shape[2];
        rows.words.par_chunks_mut(rows.n_words).zip(map.voxels().par_chunks(n_w)).for_each(
            |(words, voxels)| {
                for (word, voxels) in words.iter_mut().zip(voxels.chunks(64)) {
                    *word = voxels.iter().rev().fold(0, |w, v| w << 1 | carried[usize::from(*v)]);
                }
            },
        );
        rows
    }

    /// Places along each axis of the grid.
    pub(crate) fn shape(&self) -> [usize; 3] {
        self.shape
    }

    fn empty(shape: [usize; 3]) -> Self {
        let n_words = shape[2].div_ceil(64);
        Self { shape, n_words, words: vec![0; shape[0] * shape[1] * n_words] }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    fn len(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    pub(crate) fn contains(&self, [d, h, w]: [usize; 3]) -> bool {
        self.row(d, h)[w / 64] >> (w % 64) & 1 == 1
    }

    fn row(&self, d: usize, h: usize) -> &[u64] {
        let start = (d * self.shape[1] + h) * self.n_words;
        &self.words[start..start + self.n_words]
    }

    /// The places with a face neighbour outside the set or outside the grid.
    pub(crate) fn surface(&self) -> Self {
        let mut surface = Self::empty(self.shape);
        let [n_d, n_h, _] = self.shape;
        let beyond = vec![0; self.n_words];
        surface.words.par_chunks_mut(self.n_words).enumerate().for_each(|(r, result)| {
            let (d, h) = (r / n_h, r % n_h);
            let at = |d: usize, h: usize| if d < n_d && h < n_h { self.row(d, h) } else { &beyond };
            // Wraps to a place beyond the grid.
            let [before, behind] = [at(d.wrapping_sub(1), h), at(d + 1, h)];
            let [below, above] = [at(d, h.wrapping_sub(1)), at(d, h + 1)];
            let own = at(d, h);
            for (k, result) in result.iter_mut().enumerate() {
                let left = own[k] << 1 | if k > 0 { own[k - 1] >> 63 } else { 0 };
                let right = own[k] >> 1 | own.get(k + 1).map_or(0, |next| next << 63);
                let inner = before[k] & behind[k] & below[k] & above[k] & left & right;
                *result = own[k] & !inner;
            }
        });
        surface
    }

    /// The corners of voxels (a grid one longer along every axis) about which some but not all of the
    /// eight voxels belong to the set; beyond the grid nothing does.
    pub(crate) fn boundary_corners(&self) -> Self {
        let [n_d, n_h, n_w] = self.shape;
        let mut corners = Self::empty([n_d + 1, n_h + 1, n_w + 1]);
        let beyond = vec![0; self.n_words];
        let n_words = corners.n_words;
        corners.words.par_chunks_mut(n_words).enumerate().for_each(|(r, result)| {
            let (d, h) = (r / (n_h + 1), r % (n_h + 1));
            let at = |d: usize, h: usize| if d < n_d && h < n_h { self.row(d, h) } else { &beyond };
            let (d0, h0) = (d.wrapping_sub(1), h.wrapping_sub(1));
            let rows = [at(d0, h0), at(d0, h), at(d, h0), at(d, h)];
            let word = |k: usize, join: fn(u64, u64) -> u64| {
                let of = |row: &[u64]| row.get(k).copied().unwrap_or(0);
                join(join(of(rows[0]), of(rows[1])), join(of(rows[2]), of(rows[3])))
            };
            // Corner w lies between voxels w − 1 and w.
            let shifted = |k: usize, join: fn(u64, u64) -> u64| {
                word(k, join) << 1 | if k > 0 { word(k - 1, join) >> 63 } else { 0 }
            };
            let any: fn(u64, u64) -> u64 = |a, b| a | b;
            let all: fn(u64, u64) -> u64 = |a, b| a & b;
            for (k, result) in result.iter_mut().enumerate() {
                let touched = word(k, any) | shifted(k, any);
                *result = touched & !(word(k, all) & shifted(k, all));
            }
        });
        corners
    }

    /// Which of the eight voxels about a corner belong to the set, a bit each: bit 7 is the first in
    /// the order `[D, H, W]`, bit 0 the last.
    pub(crate) fn cell_code(&self, corner: [usize; 3]) -> usize {
        (0..8).fold(0, |code, k| {
            let step = [k / 4, k / 2 % 2, k % 2];
            // Voxel `corner − 1 + step`; below 0 it wraps to a place beyond the grid.
            let at: [usize; 3] = std::array::from_fn(|a| (corner[a] + step[a]).wrapping_sub(1));
            let is_within = at.iter().zip(self.shape).all(|(at, n)| *at < n);
            code << 1 | usize::from(is_within && self.contains(at))
        })
    }

    /// The places of slice `d`, row by row.
    fn places(&self, d: usize) -> impl Iterator<Item = [usize; 3]> + '_ {
        (0..self.shape[1]).flat_map(move |h| {
            self.row(d, h).iter().enumerate().flat_map(move |(k, &word)| {
                std::iter::successors(Some(word), |left| Some(left & left.wrapping_sub(1)))
                    .take_while(|left| *left != 0)
                    .map(move |left| [d, h, k * 64 + left.trailing_zeros() as usize])
            })
        })
    }

    /// All places of the set, in the order `[D, H, W]`.
    pub(crate) fn all_places(&self) -> Vec<[usize; 3]> {
        let mut places = Vec::with_capacity(self.len());
        (0..self.shape[0]).for_each(|d| places.extend(self.places(d)));
        places
    }

    /// How many places lie between `w` and the nearest one of the row.
    pub(crate) fn gap_in_row(&self, d: usize, h: usize, w: usize) -> Option<usize> {
        let (row, k) = (self.row(d, h), w / 64);
        let after = (k..row.len()).find_map(|i| {
            let word = if i == k { row[i] >> (w % 64) << (w % 64) } else { row[i] };
            (word != 0).then(|| i * 64 + word.trailing_zeros() as usize - w)
        });
        let before = (0..=k).rev().find_map(|i| {
            let word = if i == k { row[i] << (63 - w % 64) >> (63 - w % 64) } else { row[i] };
            (word != 0).then(|| w - (i * 64 + 63 - word.leading_zeros() as usize))
        });
        match (after, before) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (one, other) => one.or(other),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
pub(crate) mod tests {
    use hemex_volume::{Affine, Geometry};
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn map(
        shape: [usize; 3],
        spacing_mm: [f64; 3],
        inside: impl Fn([usize; 3]) -> bool,
    ) -> LabelMap {
        let geometry =
            Geometry::new(shape, Affine::from_spacing(spacing_mm, [0.0; 3]).unwrap()).unwrap();
        let place = |i: usize| [i / (shape[1] * shape[2]), i / shape[2] % shape[1], i % shape[2]];
        let voxels = (0..geometry.n_voxels()).map(|i| u8::from(inside(place(i)))).collect();
        LabelMap::new(geometry, voxels).unwrap()
    }

    proptest! {
        #[test]
        fn surface_and_corners_agree_with_their_definitions(
            shape in (1_usize..4, 1_usize..5, 60_usize..70),
            seed in any::<u64>(),
        ) {
            let shape = [shape.0, shape.1, shape.2];
            let inside = |[d, h, w]: [usize; 3]| {
                let mixed = ((d * 7 + h) * 131 + w) as u64 ^ seed;
                mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 62 != 0
            };
            let rows = BitRows::of_mask(&map(shape, [1.0; 3], inside), &[1]);
            let is_in = |at: [usize; 3]| at.iter().zip(shape).all(|(i, n)| *i < n) && inside(at);
            let surface = rows.surface();
            let corners = rows.boundary_corners();
            for i in 0..(shape[0] + 1) * (shape[1] + 1) * (shape[2] + 1) {
                let [n_h, n_w] = [shape[1] + 1, shape[2] + 1];
                let at = [i / (n_h * n_w), i / n_w % n_h, i % n_w];
                let faces = (0..6).filter(|k| {
                    let mut other = at;
                    other[k / 2] = if k % 2 == 0 { at[k / 2].wrapping_sub(1) } else { at[k / 2] + 1 };
                    is_in(other)
                });
                let expected = is_in(at) && faces.count() < 6;
                if at.iter().zip(shape).all(|(i, n)| *i < n) {
                    prop_assert_eq!(surface.contains(at), expected);
                }
                let around: usize = (0..8)
                    .filter(|k| {
                        let step = [k / 4, k / 2 % 2, k % 2];
                        is_in(std::array::from_fn(|a| (at[a] + step[a]).wrapping_sub(1)))
                    })
                    .map(|k| 128 >> k)
                    .sum();
                prop_assert_eq!(rows.cell_code(at), around);
                prop_assert_eq!(corners.contains(at), around > 0 && around < 255);
            }
        }
    }
}
