//! Streaks: straight lines out of a point, as behind metal or between the petrous bones, where few photons
//! arrive.

use hemex_stage::{ConfigError, check_fraction, check_range};
use hemex_volume::Geometry;
use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::policy::symmetric;

/// Lines through the point of a slice; every other one is dark.
const N_LINES: usize = 24;

/// How strong the weakest line is, of the strongest.
const WEAKEST: f64 = 0.3;

/// What makes the streaks is as thick as a tooth or the petrous ridge: standard deviation along `D`, mm.
const EXTENT_D_MM: f64 = 5.0;

/// Slices in which less than this share of the amplitude is left have none.
const FAINTEST: f64 = 0.02;

/// Full width at half maximum of a Gaussian in standard deviations.
const FWHM_PER_SIGMA: f64 = 2.354_820_045_030_949_3;

/// Streaks as written in a config.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawStreaks {
    /// How often there are any.
    pub probability: f64,
    /// Largest departure of the strongest streak, HU.
    pub amplitude_hu: f64,
    /// Full width at half maximum of a line, mm; on a coarser grid it is about a pixel wide.
    pub width_mm: f64,
    /// The way from the point after which a line has fallen to 1/e, mm.
    pub reach_mm: f64,
}

/// The checked limits of streaks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StreakPolicy {
    probability: f64,
    amplitude_hu: f64,
    width_mm: f64,
    reach_mm: f64,
}

/// Streaks with every parameter that was drawn.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrawnStreaks {
    /// The point all lines run through, mm along `[D, H, W]` from the grid's centre.
    pub centre_mm: [f64; 3],
    /// Departure of the strongest streak in the slice of that point, HU.
    pub amplitude_hu: f64,
    /// Full width at half maximum of a line, mm.
    pub width_mm: f64,
    /// The way from the point after which a line has fallen to 1/e, mm.
    pub reach_mm: f64,
    /// Seed of the lines' directions and strengths.
    pub seed: u64,
}

impl TryFrom<RawStreaks> for StreakPolicy {
    type Error = ConfigError;

    fn try_from(raw: RawStreaks) -> Result<Self, ConfigError> {
        Ok(Self {
            probability: check_fraction("probability", raw.probability)?,
            amplitude_hu: check_range("amplitude_hu", raw.amplitude_hu, 0.0..=500.0)?,
            width_mm: check_range("width_mm", raw.width_mm, 0.1..=20.0)?,
            reach_mm: check_range("reach_mm", raw.reach_mm, 1.0..=500.0)?,
        })
    }
}

impl StreakPolicy {
    /// Draws streaks out of a point in the middle half of the grid along every axis.
    pub(crate) fn draw(&self, rng: &mut impl Rng, geometry: &Geometry) -> Option<DrawnStreaks> {
        let is_drawn = rng.random_bool(self.probability);
        let amplitude_hu = rng.random_range(0.0..=self.amplitude_hu);
        let (shape, spacing) = (geometry.shape(), geometry.spacing_mm());
        let centre_mm =
            std::array::from_fn(|a| symmetric(rng, 0.25) * (shape[a] - 1) as f64 * spacing[a]);
        let seed = rng.random();
        let Self { width_mm, reach_mm, .. } = *self;
        (is_drawn && amplitude_hu > 0.0).then_some(DrawnStreaks {
            centre_mm,
            amplitude_hu,
            width_mm,
            reach_mm,
            seed,
        })
    }
}

impl DrawnStreaks {
    /// Adds the streaks to values (HU) on a grid; their sum over each slice is 0.
    pub(crate) fn add_to(&self, values: &mut [f32], geometry: &Geometry) {
        let ([n_d, n_h, n_w], spacing) = (geometry.shape(), geometry.spacing_mm());
        values.par_chunks_exact_mut(n_h * n_w).enumerate().for_each(|(d, slice)| {
            let along_d_mm = (d as f64 - (n_d - 1) as f64 / 2.0) * spacing[0] - self.centre_mm[0];
            let share = (-0.5 * (along_d_mm / EXTENT_D_MM).powi(2)).exp();
            if share > FAINTEST {
                let field = self.in_slice(d, [n_h, n_w], [spacing[1], spacing[2]]);
                let factor = share * self.amplitude_hu;
                slice.iter_mut().zip(field).for_each(|(v, f)| *v += (factor * f) as f32);
            }
        });
    }

    /// The streaks of a slice, the strongest 1 or −1, their sum 0.
    fn in_slice(&self, d: usize, [n_h, n_w]: [usize; 2], mm: [f64; 2]) -> Vec<f64> {
        // A stream a slice: what lies in the beam differs from slice to slice.
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(d as u64);
        let lines: [Line; N_LINES] = std::array::from_fn(|_| Line::draw(&mut rng));
        // Narrower than about a pixel a line would be missed between two of them.
        let sigma_mm = (self.width_mm / FWHM_PER_SIGMA).max(0.5 * mm[0].max(mm[1]));
        let mut parts = vec![[0.0; 2]; n_h * n_w];
        for (place, part) in parts.iter_mut().enumerate() {
            let h_mm = ((place / n_w) as f64 - (n_h - 1) as f64 / 2.0) * mm[0] - self.centre_mm[1];
            let w_mm = ((place % n_w) as f64 - (n_w - 1) as f64 / 2.0) * mm[1] - self.centre_mm[2];
            let fallen = (-h_mm.hypot(w_mm) / self.reach_mm).exp();
            for (k, line) in lines.iter().enumerate() {
                let across = (h_mm * line.across[0] + w_mm * line.across[1]) / sigma_mm;
                if across.abs() < 4.0 {
                    part[k % 2] += fallen * line.strength * (-0.5 * across * across).exp();
                }
            }
        }
        balanced(&parts)
    }
}

/// Bright less dark, the dark weighed so that both hold the same; its largest departure 1. All 0 where the
/// point is so far away that nothing is left to weigh.
fn balanced(parts: &[[f64; 2]]) -> Vec<f64> {
    let [bright, dark] = [0, 1].map(|k| parts.iter().map(|part| part[k]).sum::<f64>());
    let departures = parts.iter().map(|part| part[0] - part[1] * bright / dark);
    let strongest = departures.clone().fold(0.0, |most: f64, v| most.max(v.abs()));
    match strongest > 0.0 && strongest.is_finite() && dark > 0.0 {
        true => departures.map(|v| v / strongest).collect(),
        false => vec![0.0; parts.len()],
    }
}

struct Line {
    /// Unit vector at right angles to it, `[H, W]`.
    across: [f64; 2],
    strength: f64,
}

impl Line {
    fn draw(rng: &mut impl Rng) -> Self {
        let (sin, cos) = rng.random_range(0.0..std::f64::consts::PI).sin_cos();
        Self { across: [sin, cos], strength: rng.random_range(WEAKEST..=1.0) }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use hemex_volume::Affine;

    use super::*;

    const N: usize = 161;

    fn streaks() -> DrawnStreaks {
        DrawnStreaks {
            centre_mm: [0.0, 8.0, -5.0],
            amplitude_hu: 30.0,
            width_mm: 2.0,
            reach_mm: 40.0,
            seed: 4,
        }
    }

    fn field(streaks: &DrawnStreaks) -> Vec<f32> {
        let affine = Affine::from_spacing([5.0, 1.0, 1.0], [0.0; 3]).unwrap();
        let geometry = Geometry::new([9, N, N], affine).unwrap();
        let mut values = vec![0.0; geometry.n_voxels()];
        streaks.add_to(&mut values, &geometry);
        values
    }

    #[test]
    fn they_are_as_strong_as_stated_and_of_mean_zero_in_every_slice() {
        let values = field(&streaks());
        for (d, slice) in values.chunks_exact(N * N).enumerate() {
            let strongest = slice.iter().fold(0.0f32, |most, v| most.max(v.abs()));
            let along_d_mm = 5.0 * (d as f32 - 4.0);
            let share = (-0.5 * (along_d_mm / 5.0).powi(2)).exp();
            let expected = if share > 0.02 { 30.0 * share } else { 0.0 };
            assert!((strongest - expected).abs() < 1e-3, "{d}: {strongest} {expected}");
            let mean = slice.iter().map(|v| f64::from(*v)).sum::<f64>() / (N * N) as f64;
            assert!(mean.abs() < 1e-5, "{d}: {mean}");
        }
        let [middle, next] = [4, 5].map(|d| &values[d * N * N..(d + 1) * N * N]);
        assert_ne!(middle.map_max_place(), next.map_max_place(), "slices differ");
        assert_ne!(values, field(&DrawnStreaks { seed: 5, ..streaks() }));
        assert_eq!(values, field(&streaks()));
    }

    trait MaxPlace {
        fn map_max_place(&self) -> usize;
    }

    impl MaxPlace for [f32] {
        fn map_max_place(&self) -> usize {
            (0..self.len()).max_by(|a, b| self[*a].total_cmp(&self[*b])).unwrap()
        }
    }

    /// On circles around the point: the same directions at every radius, the lines thinner seen from the point
    /// the farther away, and weaker.
    #[test]
    fn they_run_straight_out_of_the_point_and_fall_with_distance() {
        let wide = DrawnStreaks { width_mm: 2.0, ..streaks() };
        let values = field(&wide);
        let middle = &values[4 * N * N..5 * N * N];
        let at = |radius: f64, angle: f64| {
            let h = 80.0 + 8.0 + radius * angle.sin();
            let w = 80.0 - 5.0 + radius * angle.cos();
            f64::from(middle[h.round() as usize * N + w.round() as usize])
        };
        let circle = |radius: f64| -> Vec<f64> {
            (0..720).map(|k| at(radius, f64::from(k).to_radians() / 2.0)).collect()
        };
        let size = |values: &[f64]| values.iter().map(|v| v * v).sum::<f64>().sqrt();
        let (near, far) = (circle(45.0), circle(65.0));
        let together = near.iter().zip(&far).map(|(a, b)| a * b).sum::<f64>();
        assert!(together / size(&near) / size(&far) > 0.6, "{together}");
        // Turned by a few degrees they no longer meet.
        let turned = near.iter().cycle().skip(13).zip(&far).map(|(a, b)| a * b).sum::<f64>();
        assert!(turned.abs() < 0.4 * together, "{turned} {together}");
        // exp(−20/40) along each line; a line fills less of the farther circle, as √(45/65).
        let fallen = size(&far) / size(&near) / (-0.5f64).exp();
        assert!((fallen / (45.0f64 / 65.0).sqrt() - 1.0).abs() < 0.2, "{fallen}");
    }
}
