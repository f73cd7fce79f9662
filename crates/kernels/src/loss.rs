//! Dice and cross-entropy of a mask from its logits, in one pass.

use rayon::prelude::*;

use crate::memory::Buffer;
use crate::simd::{self, Kernel, Level, Simd};

/// Numbers of a part; sums of parts are added in order.
const PART: usize = 1 << 14;
/// Numbers that are worked on side by side.
const WIDTH: usize = 16;

/// Sums over all voxels, from which both losses follow.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct MaskSums {
    n: f64,
    overlap: f64,
    probabilities: f64,
    targets: f64,
    cross_entropy: f64,
}

impl MaskSums {
    /// Sums of a batch.
    pub(crate) fn new(level: Level, logits: &[f32], targets: &[f32]) -> Self {
        assert_eq!(logits.len(), targets.len(), "a target for every logit");
        let parts: Vec<[f64; 4]> = logits
            .par_chunks(PART)
            .zip(targets.par_chunks(PART))
            .map(|(logits, targets)| simd::run(level, Sums { logits, targets }))
            .collect();
        let mut sums = Self { n: logits.len() as f64, ..Self::default() };
        for [overlap, probabilities, targets, cross_entropy] in parts {
            sums.overlap += overlap;
            sums.probabilities += probabilities;
            sums.targets += targets;
            sums.cross_entropy += cross_entropy;
        }
        sums
    }

    /// `1 − (2 Σ p t + 1) / (Σ p + Σ t + 1)` and the mean of `log(1 + eᶻ) − z t`.
    pub(crate) fn losses(&self) -> [f32; 2] {
        let dice = 1.0 - (2.0 * self.overlap + 1.0) / self.size();
        [dice as f32, (self.cross_entropy / self.n) as f32]
    }

    fn size(&self) -> f64 {
        self.probabilities + self.targets + 1.0
    }

    /// The gradient to the logits, given those to the two losses.
    pub(crate) fn gradient(
        &self,
        level: Level,
        logits: &[f32],
        targets: &[f32],
        [dice, cross_entropy]: [f32; 2],
    ) -> Buffer {
        let dice = f64::from(dice);
        let of_overlap = (-2.0 * dice / self.size()) as f32;
        let of_size = (dice * (2.0 * self.overlap + 1.0) / (self.size() * self.size())) as f32;
        let of_entropy = (f64::from(cross_entropy) / self.n) as f32;
        let mut gradient = Buffer::new(logits.len());
        gradient
            .par_chunks_mut(PART)
            .zip(logits.par_chunks(PART).zip(targets.par_chunks(PART)))
            .for_each(|(gradient, (logits, targets))| {
                let factors = [of_overlap, of_size, of_entropy];
                simd::run(level, Gradient { logits, targets, factors, gradient });
            });
        gradient
    }
}

/// `e^x` for `x ≤ 0`, to 2 ulp; below −87 it is `e^−87`, 1.6e-38.
#[inline(always)]
fn exp_of_negative(x: f32) -> f32 {
    // x = n ln 2 + r with |r| ≤ ln 2 / 2; adding 1.5 · 2²³ rounds to a whole number.
    const ROUND: f32 = 12_582_912.0;
    let x = if x < -87.0 { -87.0 } else { x };
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let n = rounded - ROUND;
    // ln 2 in two parts, the first short enough for n times it to be exact.
    let r = (x - n * 0.693_359_4) + n * 2.121_944_4e-4;
    // The Taylor polynomial of degree 7: the next term is below 6e-9.
    let mut y = 1.0 / 5040.0;
    for c in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        y = y * r + c;
    }
    // The last bits of `rounded` are n; not a number stays none, whatever they say.
    let n = rounded.to_bits().wrapping_sub(ROUND.to_bits());
    y * f32::from_bits(n.wrapping_add(127) << 23)
}

/// `log(1 + u)` for `0 ≤ u ≤ 1`, to 2 ulp: `2 artanh(u / (2 + u))`.
#[inline(always)]
fn log_1_plus(u: f32) -> f32 {
    let s = u / (2.0 + u);
    let square = s * s;
    let mut y = 1.0 / 15.0;
    for c in [1.0 / 13.0, 1.0 / 11.0, 1.0 / 9.0, 1.0 / 7.0, 1.0 / 5.0, 1.0 / 3.0, 1.0] {
        y = y * square + c;
    }
    2.0 * s * y
}

/// `σ(z)` and `log(1 + eᶻ)`.
#[inline(always)]
fn sigmoid_and_softplus(z: f32) -> (f32, f32) {
    let u = exp_of_negative(-z.abs());
    let p = (if z >= 0.0 { 1.0 } else { u }) / (1.0 + u);
    (p, (if z >= 0.0 { z } else { 0.0 }) + log_1_plus(u))
}

/// `Σ p t`, `Σ p`, `Σ t`, `Σ log(1 + eᶻ) − z t`.
struct Sums<'a> {
    logits: &'a [f32],
    targets: &'a [f32],
}

impl Kernel for Sums<'_> {
    type Output = [f64; 4];

    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> [f64; 4] {
        let mut sums = [[0.0f32; WIDTH]; 4];
        let (logits, last_logits) = self.logits.as_chunks::<WIDTH>();
        let (targets, last_targets) = self.targets.as_chunks::<WIDTH>();
        for (logits, targets) in logits.iter().zip(targets) {
            for i in 0..WIDTH {
                let (z, t) = (logits[i], targets[i]);
                let (p, softplus) = sigmoid_and_softplus(z);
                sums[0][i] += p * t;
                sums[1][i] += p;
                sums[2][i] += t;
                sums[3][i] += softplus - z * t;
            }
        }
        for (i, (z, t)) in last_logits.iter().zip(last_targets).enumerate() {
            let (p, softplus) = sigmoid_and_softplus(*z);
            sums[0][i] += p * t;
            sums[1][i] += p;
            sums[2][i] += t;
            sums[3][i] += softplus - z * t;
        }
        let mut totals = [0.0; 4];
        for (total, sums) in totals.iter_mut().zip(&sums) {
            for x in sums {
                *total += f64::from(*x);
            }
        }
        totals
    }
}

/// `(f₀ t + f₁) p (1 − p) + f₂ (p − t)`.
struct Gradient<'a> {
    logits: &'a [f32],
    targets: &'a [f32],
    factors: [f32; 3],
    gradient: &'a mut [f32],
}

impl Kernel for Gradient<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let [of_overlap, of_size, of_entropy] = self.factors;
        for ((gradient, z), t) in self.gradient.iter_mut().zip(self.logits).zip(self.targets) {
            let (p, _) = sigmoid_and_softplus(*z);
            *gradient = (of_overlap * t + of_size) * p * (1.0 - p) + of_entropy * (p - t);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_and_logarithm_are_right_to_two_ulp() {
        for i in 0..100_000 {
            let x = -(i as f32) * 86.9 / 100_000.0;
            let (found, expected) = (f64::from(exp_of_negative(x)), f64::from(x).exp());
            assert!((found - expected).abs() <= 2.5e-7 * expected, "exp({x}) is not {found}");
            let u = i as f32 / 100_000.0;
            let (found, expected) = (f64::from(log_1_plus(u)), f64::from(u).ln_1p());
            assert!((found - expected).abs() <= 2.5e-7 * expected, "log(1 + {u}) is not {found}");
        }
        assert!(exp_of_negative(f32::NEG_INFINITY) < 1e-37);
        assert_eq!(exp_of_negative(0.0), 1.0);
    }

    #[test]
    fn logits_of_any_size_give_finite_losses() {
        for level in Level::available() {
            let sums = MaskSums::new(level, &[1e30, -1e30, 3e4, -3e4], &[1.0, 0.0, 1.0, 0.0]);
            let [dice, cross_entropy] = sums.losses();
            assert!(dice.abs() < 1e-6 && cross_entropy.abs() < 1e-6, "{dice} {cross_entropy}");
        }
    }

    #[test]
    fn a_logit_that_is_no_number_is_not_hidden() {
        let sums = MaskSums::new(Level::current(), &[f32::NAN, 0.0], &[1.0, 0.0]);
        assert!(sums.losses().iter().all(|loss| loss.is_nan()));
    }
}
