//! Masks as outlines along voxel edges.

use std::fmt::Write;

/// The outline of a mask (`height` rows of `width`) as an SVG path in units of pixels; empty for an
/// empty mask. Straight runs are one segment each.
pub(super) fn path(mask: &[bool], width: usize, height: usize) -> String {
    let inside = |x: isize, y: isize| {
        let within = (0..width as isize).contains(&x) && (0..height as isize).contains(&y);
        within && mask[y as usize * width + x as usize]
    };
    let mut path = String::new();
    for y in 0..=height as isize {
        runs(
            width,
            |x| inside(x, y - 1) != inside(x, y),
            |from, to| {
                let _ = write!(path, "M{from} {y}H{to}");
            },
        );
    }
    for x in 0..=width as isize {
        runs(
            height,
            |y| inside(x - 1, y) != inside(x, y),
            |from, to| {
                let _ = write!(path, "M{x} {from}V{to}");
            },
        );
    }
    path
}

/// Calls `visit(from, to)` for each maximal run of places `0..n` that are `on`.
fn runs(n: usize, on: impl Fn(isize) -> bool, mut visit: impl FnMut(isize, isize)) {
    let mut start = None;
    for i in 0..=n as isize {
        let is_on = i < n as isize && on(i);
        match (start, is_on) {
            (None, true) => start = Some(i),
            (Some(from), false) => {
                visit(from, i);
                start = None;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_has_four_sides() {
        let mask = [false, false, false, true, true, false];
        assert_eq!(path(&mask, 3, 2), "M0 1H2M0 2H2M0 1V2M2 1V2");
        assert_eq!(path(&[false; 6], 3, 2), "");
        assert_eq!(path(&[true; 6], 3, 2), "M0 0H3M0 2H3M0 0V2M3 0V2");
    }
}
