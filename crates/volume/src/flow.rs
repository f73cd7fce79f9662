//! A deformation around a point, as the flow of a velocity.

use serde::{Deserialize, Serialize};

use crate::VolumeError;

/// Steps of the integration (Runge–Kutta, fourth order) over the unit of time.
const N_STEPS: usize = 4;

/// How sharply a lobe is bounded: its strength falls to 1/e at about 46° from its direction.
const LOBE_SHARPNESS: i32 = 6;

/// Space that flows around a centre: content near it is magnified, stretched and lobed, what lies around is
/// pushed aside, and beyond a reach nothing moves.
///
/// At the offset `x` from the centre the velocity is `φ(|x|) · (A + lobes(x/|x|)) · x`, where `φ` is 1 up to
/// the radius and falls smoothly to 0 at the reach. Following a smooth velocity for a unit of time can
/// always be undone: the map neither folds nor tears (Younes, Shapes and Diffeomorphisms, 2010, chapter 8).
/// Within the radius, without lobes, content is mapped by the exponential of `A`.
///
/// Offsets are in mm along a grid's own axes `[D, H, W]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "UncheckedFlow")]
pub struct Flow {
    /// From the grid's centre, mm along `[D, H, W]`.
    centre_mm: [f64; 3],
    radius_mm: f64,
    reach_mm: f64,
    /// `A`, per unit of time; rows and columns in the order `[D, H, W]`.
    rate: [[f64; 3]; 3],
    lobes: Vec<Lobe>,
    /// Axes along which anything moves: a single slice has two.
    moves: [bool; 3],
}

/// A direction in which content is pushed outwards (or, with a negative rate, drawn inwards).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lobe {
    /// A unit vector along `[D, H, W]`.
    pub direction: [f64; 3],
    /// How much it adds to the rate of magnification.
    pub rate: f64,
}

/// A [`Flow`] as it is read, not yet checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UncheckedFlow {
    centre_mm: [f64; 3],
    radius_mm: f64,
    reach_mm: f64,
    rate: [[f64; 3]; 3],
    lobes: Vec<Lobe>,
    moves: [bool; 3],
}

impl TryFrom<UncheckedFlow> for Flow {
    type Error = VolumeError;

    fn try_from(read: UncheckedFlow) -> Result<Self, VolumeError> {
        // Any shape with these axes will do.
        let shape = read.moves.map(|moves| if moves { 2 } else { 1 });
        Self::new(shape, read.centre_mm, [read.radius_mm, read.reach_mm], read.rate, read.lobes)
    }
}

impl Flow {
    /// The flow around a point (mm along `[D, H, W]` from the grid's centre) on a grid of this shape: nothing
    /// moves along an axis with one voxel.
    ///
    /// # Errors
    /// [`VolumeError::BadFlow`] if a number is not finite, the radius not above 0, or the reach not above the
    /// radius.
    pub fn new(
        shape: [usize; 3],
        centre_mm: [f64; 3],
        [radius_mm, reach_mm]: [f64; 2],
        rate: [[f64; 3]; 3],
        lobes: Vec<Lobe>,
    ) -> Result<Self, VolumeError> {
        let numbers = centre_mm.iter().chain(rate.as_flattened());
        let of_lobes = lobes.iter().flat_map(|lobe| lobe.direction.into_iter().chain([lobe.rate]));
        let finite = numbers.copied().chain(of_lobes).all(f64::is_finite) && reach_mm.is_finite();
        if !finite || radius_mm <= 0.0 || radius_mm.is_nan() || reach_mm <= radius_mm {
            return Err(VolumeError::BadFlow { radius_mm, reach_mm });
        }
        let moves = shape.map(|n| n > 1);
        let entry = |a: usize, b: usize| if moves[a] && moves[b] { rate[a][b] } else { 0.0 };
        let rate = std::array::from_fn(|a| std::array::from_fn(|b| entry(a, b)));
        Ok(Self { centre_mm, radius_mm, reach_mm, rate, lobes, moves })
    }

    /// The same flow, `factor` times as fast.
    pub fn scaled(&self, factor: f64) -> Self {
        let lobes = self.lobes.iter().map(|l| Lobe { rate: l.rate * factor, ..*l }).collect();
        Self { rate: self.rate.map(|row| row.map(|v| v * factor)), lobes, ..self.clone() }
    }

    /// Where content now at a point (mm from the grid's centre) came from.
    pub fn source(&self, point_mm: [f64; 3]) -> [f64; 3] {
        self.moved(point_mm, -1.0).0
    }

    /// Where content goes, and the factor by which it changes the volume there.
    pub fn forward(&self, point_mm: [f64; 3]) -> ([f64; 3], f64) {
        let (point, log_factor) = self.moved(point_mm, 1.0);
        (point, log_factor.exp())
    }

    fn moved(&self, point_mm: [f64; 3], direction: f64) -> ([f64; 3], f64) {
        let mut x: [f64; 3] = std::array::from_fn(|a| point_mm[a] - self.centre_mm[a]);
        if length2(x) >= self.reach_mm * self.reach_mm {
            return (point_mm, 0.0);
        }
        let step = direction / N_STEPS as f64;
        let mut log_factor = 0.0;
        for _ in 0..N_STEPS {
            let ahead = |v: [f64; 3], share: f64| -> [f64; 3] {
                std::array::from_fn(|a| x[a] + share * step * v[a])
            };
            let (v1, d1) = self.velocity(x);
            let (v2, d2) = self.velocity(ahead(v1, 0.5));
            let (v3, d3) = self.velocity(ahead(v2, 0.5));
            let (v4, d4) = self.velocity(ahead(v3, 1.0));
            log_factor += step * (d1 + 2.0 * d2 + 2.0 * d3 + d4) / 6.0;
            x = std::array::from_fn(|a| {
                x[a] + step * (v1[a] + 2.0 * v2[a] + 2.0 * v3[a] + v4[a]) / 6.0
            });
        }
        (std::array::from_fn(|a| x[a] + self.centre_mm[a]), log_factor)
    }

    /// Velocity and its divergence at an offset from the centre.
    fn velocity(&self, x: [f64; 3]) -> ([f64; 3], f64) {
        let r = length2(x).sqrt();
        if r >= self.reach_mm {
            return ([0.0; 3], 0.0);
        }
        let (phi, slope) = self.fade(r);
        let unit = if r > 0.0 { x.map(|v| v / r) } else { [0.0; 3] };
        let lobe: f64 = self.lobes.iter().map(|lobe| lobe.at(unit)).sum();
        let turned: [f64; 3] = std::array::from_fn(|a| {
            let flown = (0..3).map(|b| self.rate[a][b] * x[b]).sum::<f64>() + lobe * x[a];
            if self.moves[a] { flown } else { 0.0 }
        });
        let trace = self.rate[0][0] + self.rate[1][1] + self.rate[2][2];
        // A lobe depends on direction alone, so its own gradient is at right angles to x.
        let radial: f64 = (0..3).map(|a| unit[a] * turned[a]).sum();
        let n_axes = self.moves.iter().filter(|moves| **moves).count() as f64;
        (turned.map(|v| phi * v), phi * (trace + n_axes * lobe) + slope * radial)
    }

    /// `φ` and its derivative: a cubic from 1 to 0 between radius and reach.
    fn fade(&self, r: f64) -> (f64, f64) {
        let width = self.reach_mm - self.radius_mm;
        let t = ((r - self.radius_mm) / width).clamp(0.0, 1.0);
        (1.0 - t * t * (3.0 - 2.0 * t), -6.0 * t * (1.0 - t) / width)
    }
}

impl Lobe {
    fn at(&self, unit: [f64; 3]) -> f64 {
        let cosine: f64 = (0..3).map(|a| unit[a] * self.direction[a]).sum();
        self.rate * (0.5 + 0.5 * cosine).powi(LOBE_SHARPNESS)
    }
}

fn length2(x: [f64; 3]) -> f64 {
    x.iter().map(|v| v * v).sum()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    const LOBES: [Lobe; 2] = [
        Lobe { direction: [0.0, 0.6, 0.8], rate: 0.25 },
        Lobe { direction: [0.8, -0.6, 0.0], rate: -0.15 },
    ];

    fn flow(rate: [[f64; 3]; 3], lobes: &[Lobe]) -> Flow {
        Flow::new([9; 3], [3.0, -4.0, 5.0], [12.0, 40.0], rate, lobes.to_vec()).unwrap()
    }

    fn diagonal(values: [f64; 3]) -> [[f64; 3]; 3] {
        std::array::from_fn(|a| std::array::from_fn(|b| if a == b { values[a] } else { 0.0 }))
    }

    #[test]
    fn within_the_radius_it_is_an_exponential_and_beyond_the_reach_nothing() {
        let flow = flow(diagonal([0.1, -0.05, 0.2]), &[]);
        let (moved, factor) = flow.forward([5.0, -1.0, 6.0]);
        let expected =
            [3.0 + 2.0 * 0.1_f64.exp(), -4.0 + 3.0 * (-0.05_f64).exp(), 5.0 + 0.2_f64.exp()];
        assert!((0..3).all(|a| (moved[a] - expected[a]).abs() < 1e-7), "{moved:?}");
        assert!((factor - 0.25_f64.exp()).abs() < 1e-9);
        assert_eq!(flow.forward([3.0, -4.0, 46.0]), ([3.0, -4.0, 46.0], 1.0));
    }

    #[test]
    fn there_and_back_again() {
        let rate = [[0.1, 0.05, 0.0], [0.05, -0.1, 0.02], [0.0, 0.02, 0.15]];
        let flow = flow(rate, &LOBES);
        for i in 0..200 {
            let point: [f64; 3] = std::array::from_fn(|a| ((i * 37 + a * 101) % 90) as f64 - 45.0);
            let (moved, _) = flow.forward(point);
            let back = flow.source(moved);
            assert!((0..3).all(|a| (back[a] - point[a]).abs() < 1e-3), "{point:?} {back:?}");
        }
    }

    #[test]
    fn the_factor_is_the_determinant_of_the_map() {
        let rate = [[0.1, 0.05, 0.0], [0.05, -0.1, 0.02], [0.0, 0.02, 0.15]];
        let flow = flow(rate, &LOBES);
        let step = 1e-4;
        for i in 0..60 {
            let point: [f64; 3] =
                std::array::from_fn(|a| ((i * 31 + a * 67) % 50) as f64 * 0.9 - 21.0);
            let along = |a: usize, by: f64| {
                let mut moved = point;
                moved[a] += by;
                flow.forward(moved).0
            };
            let columns: [[f64; 3]; 3] = std::array::from_fn(|a| {
                let (up, down) = (along(a, step), along(a, -step));
                std::array::from_fn(|b| (up[b] - down[b]) / (2.0 * step))
            });
            let determinant = crate::displacement::determinant(columns);
            let (_, factor) = flow.forward(point);
            assert!((factor / determinant - 1.0).abs() < 2e-3, "{factor} {determinant}");
            assert!(factor > 0.2, "no fold");
        }
    }

    #[test]
    fn in_a_slice_areas_change() {
        let rate = diagonal([0.3, 0.1, 0.1]);
        let flow = Flow::new([1, 9, 9], [0.0; 3], [10.0, 30.0], rate, Vec::new()).unwrap();
        let (moved, factor) = flow.forward([0.0, 2.0, 1.0]);
        assert_eq!(moved[0], 0.0);
        assert!((factor - 0.2_f64.exp()).abs() < 1e-9);
        let still = flow.scaled(0.0).forward([0.0, 2.0, 1.0]);
        assert_eq!(still, ([0.0, 2.0, 1.0], 1.0));
    }

    #[test]
    fn what_cannot_flow_is_refused() {
        let make = |radius, reach, rate: f64| {
            Flow::new([9; 3], [0.0; 3], [radius, reach], diagonal([rate; 3]), Vec::new()).is_ok()
        };
        assert!(make(1.0, 2.0, 0.1));
        assert!(!make(0.0, 2.0, 0.1) && !make(2.0, 2.0, 0.1) && !make(1.0, 2.0, f64::NAN));
    }
}
