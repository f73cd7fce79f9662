//! Basins: what is enclosed by higher ground.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// For each pixel of a slice (`[H, W]`) within `inside`, how high one must climb to leave `inside` or the
/// slice: its own value where the way out leads down, the lowest pass where it lies in a basin. What lies
/// outside keeps its value. Pixels that share a corner are neighbours.
///
/// Priority flood (Barnes, Lehman & Mulla, Computers & Geosciences 62, 2014, 117–127).
pub(super) fn brim(values: &[f32], inside: &[bool], n_w: usize) -> Vec<f32> {
    let n_h = values.len() / n_w;
    let mut brim = values.to_vec();
    let mut open = BinaryHeap::new();
    let mut is_reached: Vec<bool> = inside.iter().map(|inside| !inside).collect();
    for place in (0..values.len()).filter(|place| inside[*place]) {
        let mut n = 0;
        let mut is_way_out = false;
        for neighbour in neighbours(place, n_h, n_w) {
            n += 1;
            is_way_out |= !inside[neighbour];
        }
        if is_way_out || n < 8 {
            is_reached[place] = true;
            open.push(Open { level: values[place], place });
        }
    }
    while let Some(Open { level, place }) = open.pop() {
        for neighbour in neighbours(place, n_h, n_w) {
            if !std::mem::replace(&mut is_reached[neighbour], true) {
                brim[neighbour] = values[neighbour].max(level);
                open.push(Open { level: brim[neighbour], place: neighbour });
            }
        }
    }
    brim
}

/// The up to eight neighbours of a pixel.
fn neighbours(place: usize, n_h: usize, n_w: usize) -> impl Iterator<Item = usize> {
    let (h, w) = (place / n_w, place % n_w);
    let rows = h.saturating_sub(1)..(h + 2).min(n_h);
    rows.flat_map(move |row| {
        (w.saturating_sub(1)..(w + 2).min(n_w)).map(move |col| row * n_w + col)
    })
    .filter(move |neighbour| *neighbour != place)
}

/// A pixel to go on from; the lowest comes first, the first of equals.
#[derive(PartialEq)]
struct Open {
    level: f32,
    place: usize,
}

impl Eq for Open {}

impl Ord for Open {
    fn cmp(&self, other: &Self) -> Ordering {
        other.level.total_cmp(&self.level).then(other.place.cmp(&self.place))
    }
}

impl PartialOrd for Open {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_basin_fills_to_its_lowest_pass() {
        #[rustfmt::skip]
        let values = [
            9.0, 9.0, 9.0, 9.0, 9.0,
            9.0, 8.0, 8.0, 8.0, 9.0,
            9.0, 8.0, 2.0, 3.0, 9.0,
            9.0, 8.0, 8.0, 8.0, 5.0,
            1.0, 9.0, 9.0, 9.0, 9.0,
        ];
        let mut filled = values;
        filled[12] = 5.0;
        filled[13] = 5.0;
        assert_eq!(brim(&values, &[true; 25], 5), filled);
        // Where the pass is no ground, the way out is the pixel beside it.
        let mut inside = [true; 25];
        inside[19] = false;
        filled[12] = 3.0;
        filled[13] = 3.0;
        assert_eq!(brim(&values, &inside, 5), filled);
    }
}
