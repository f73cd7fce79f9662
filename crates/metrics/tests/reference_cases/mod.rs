//! Cases that this crate and `tests/reference/metrics.py` draw alike, and every figure of them.

mod scores;
mod tables;
mod volumes;

/// Sebastiano Vigna's SplitMix64: a few lines in any language.
struct Draw {
    state: u64,
}

impl Draw {
    fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }

    /// A number from 0 to `n − 1`.
    fn below(&mut self, n: u64) -> usize {
        (self.next() % n) as usize
    }

    /// `n` fractions of `denominator`, each of 0 to `most` parts.
    fn fractions(&mut self, n: usize, most: u64, denominator: f64) -> Vec<f64> {
        (0..n).map(|_| self.below(most + 1) as f64 / denominator).collect()
    }
}

/// A figure's name and value; `None` where it is not defined.
pub(crate) type Figure = (&'static str, Option<f64>);

/// Every figure of the case with this seed.
pub(crate) fn figures(seed: u64) -> Vec<Figure> {
    [scores::figures(3 * seed), tables::figures(3 * seed + 1), volumes::figures(3 * seed + 2)]
        .concat()
}
