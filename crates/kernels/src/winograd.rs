//! The transforms of Winograd's F(4, 3) along one axis (Lavin and Gray, CVPR 2016, section 4.3).
//!
//! Four outputs of a filter of three taps cost six multiplications in place of twelve; applied along
//! both axes of a plane, 36 in place of 144. With `g` the filter, `d` six inputs, `y` four outputs:
//! `y = Aᵀ[(G g) ⊙ (Bᵀ d)]`, and so for the gradients `∂g = Gᵀ[(Bᵀ d) ⊙ (A ∂y)]`.

use crate::simd::Simd;

/// Outputs along an axis of a tile.
pub(crate) const OUT: usize = 4;
/// Inputs along an axis of a tile.
pub(crate) const IN: usize = 6;
/// Products of a tile.
pub(crate) const POINTS: usize = IN * IN;

/// `Bᵀ d`.
#[inline(always)]
pub(crate) fn input<S: Simd>(s: S, d: [S::V; IN]) -> [S::V; IN] {
    let (four, minus_four, minus_five) = (s.splat(4.0), s.splat(-4.0), s.splat(-5.0));
    let (two, minus_two) = (s.splat(2.0), s.splat(-2.0));
    let even = s.fma(minus_four, d[2], d[4]);
    let odd = s.fma(minus_four, d[1], d[3]);
    let outer = s.sub(d[4], d[2]);
    let inner = s.sub(d[3], d[1]);
    [
        s.fma(four, d[0], s.fma(minus_five, d[2], d[4])),
        s.add(even, odd),
        s.sub(even, odd),
        s.fma(two, inner, outer),
        s.fma(minus_two, inner, outer),
        s.fma(four, d[1], s.fma(minus_five, d[3], d[5])),
    ]
}

/// `Aᵀ m`.
#[inline(always)]
pub(crate) fn output<S: Simd>(s: S, m: [S::V; IN]) -> [S::V; OUT] {
    let (two, four, eight) = (s.splat(2.0), s.splat(4.0), s.splat(8.0));
    let (sum_1, difference_1) = (s.add(m[1], m[2]), s.sub(m[1], m[2]));
    let (sum_2, difference_2) = (s.add(m[3], m[4]), s.sub(m[3], m[4]));
    [
        s.add(s.add(m[0], sum_1), sum_2),
        s.fma(two, difference_2, difference_1),
        s.fma(four, sum_2, sum_1),
        s.add(s.fma(eight, difference_2, difference_1), m[5]),
    ]
}

/// `A y`, the transpose of [`output`].
#[inline(always)]
pub(crate) fn output_gradient<S: Simd>(s: S, y: [S::V; OUT]) -> [S::V; IN] {
    let (two, four) = (s.splat(2.0), s.splat(4.0));
    let (even_1, odd_1) = (s.add(y[0], y[2]), s.add(y[1], y[3]));
    let (even_2, odd_2) = (s.fma(four, y[2], y[0]), s.mul(two, s.fma(four, y[3], y[1])));
    [
        y[0],
        s.add(even_1, odd_1),
        s.sub(even_1, odd_1),
        s.add(even_2, odd_2),
        s.sub(even_2, odd_2),
        y[3],
    ]
}

/// `G g`.
#[inline(always)]
pub(crate) fn filter<S: Simd>(s: S, g: [S::V; 3]) -> [S::V; IN] {
    let (quarter, minus_sixth) = (s.splat(1.0 / 4.0), s.splat(-1.0 / 6.0));
    let (twelfth, twenty_fourth) = (s.splat(1.0 / 12.0), s.splat(1.0 / 24.0));
    let even_1 = s.mul(minus_sixth, s.add(g[0], g[2]));
    let odd_1 = s.mul(minus_sixth, g[1]);
    let even_2 = s.fma(twenty_fourth, g[0], s.mul(s.splat(1.0 / 6.0), g[2]));
    let odd_2 = s.mul(twelfth, g[1]);
    [
        s.mul(quarter, g[0]),
        s.add(even_1, odd_1),
        s.sub(even_1, odd_1),
        s.add(even_2, odd_2),
        s.sub(even_2, odd_2),
        g[2],
    ]
}

/// `Gᵀ u`, the transpose of [`filter`].
#[inline(always)]
pub(crate) fn filter_gradient<S: Simd>(s: S, u: [S::V; IN]) -> [S::V; 3] {
    let (quarter, sixth, minus_sixth) =
        (s.splat(1.0 / 4.0), s.splat(1.0 / 6.0), s.splat(-1.0 / 6.0));
    let (twelfth, twenty_fourth) = (s.splat(1.0 / 12.0), s.splat(1.0 / 24.0));
    let (sum_1, difference_1) = (s.add(u[1], u[2]), s.sub(u[1], u[2]));
    let (sum_2, difference_2) = (s.add(u[3], u[4]), s.sub(u[3], u[4]));
    [
        s.fma(quarter, u[0], s.fma(minus_sixth, sum_1, s.mul(twenty_fourth, sum_2))),
        s.fma(minus_sixth, difference_1, s.mul(twelfth, difference_2)),
        s.fma(minus_sixth, sum_1, s.fma(sixth, sum_2, u[5])),
    ]
}
