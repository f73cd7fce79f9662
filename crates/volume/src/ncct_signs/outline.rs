//! How far an outline is from convex.

/// A corner of a pixel, `[h, w]`.
type Corner = [i64; 2];

/// Area of `mask` over that of the convex hull of its pixels' corners, both summed over slices.
pub(super) fn solidity(mask: &[bool], [_, n_h, n_w]: [usize; 3]) -> f64 {
    let hull: f64 = mask.chunks_exact(n_h * n_w).map(|slice| hull_area(&corners(slice, n_w))).sum();
    let area = mask.iter().filter(|inside| **inside).count() as f64;
    area / hull
}

/// The outer corners of the first and last pixel of each row, in order.
fn corners(slice: &[bool], n_w: usize) -> Vec<Corner> {
    let mut corners = Vec::new();
    for (h, row) in slice.chunks_exact(n_w).enumerate() {
        let ends = row.iter().position(|v| *v).zip(row.iter().rposition(|v| *v));
        if let Some((first, last)) = ends {
            for side in [h as i64, h as i64 + 1] {
                corners.extend([[side, first as i64], [side, last as i64 + 1]]);
            }
        }
    }
    corners.sort_unstable();
    corners
}

/// Area of the convex hull of sorted points, pixels (monotone chain: Andrew, Inf Process Lett 9, 1979,
/// 216–219).
fn hull_area(sorted: &[Corner]) -> f64 {
    let lower = chain(sorted.iter());
    let upper = chain(sorted.iter().rev());
    let hull: Vec<Corner> = lower.into_iter().chain(upper).collect();
    let next = hull.iter().cycle().skip(1);
    let twice: i64 = hull.iter().zip(next).map(|(a, b)| a[0] * b[1] - a[1] * b[0]).sum();
    twice as f64 / 2.0
}

/// One side of the hull without its last point.
fn chain<'a>(points: impl Iterator<Item = &'a Corner>) -> Vec<Corner> {
    let mut side: Vec<Corner> = Vec::new();
    for point in points {
        while let [.., a, b] = side[..]
            && (b[0] - a[0]) * (point[1] - a[1]) <= (b[1] - a[1]) * (point[0] - a[0])
        {
            side.pop();
        }
        side.push(*point);
    }
    side.pop();
    side
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_square_is_its_own_hull_and_an_l_is_not() {
        let square = [false, true, true, false, true, true];
        assert_eq!(hull_area(&corners(&square, 3)), 4.0);
        let l = [true, false, false, true, false, false, true, true, true];
        // The square of nine without the triangle over the two legs of two.
        assert_eq!(hull_area(&corners(&l, 3)), 7.0);
        assert_eq!(hull_area(&[]), 0.0);
    }
}
