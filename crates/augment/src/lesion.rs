//! A lesion that grows, shrinks, stretches and sprouts lobes, and pushes the tissue aside.

use hemex_stage::{ConfigError, check_fraction, check_range};
use hemex_volume::{Flow, Geometry, Lobe};
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

/// By how much a flow that changes the volume too much is slowed at a time.
pub(crate) const WEAKEN: f64 = 0.8;

/// Lobes a draw has.
const N_LOBES: usize = 3;

/// Voxels of the lesion that its change of volume is measured on, about.
const N_MEASURED: usize = 400;

/// A flow keeps its strength up to this many radii (of a ball of the lesion's volume) from its centre.
const CORE_RADII: f64 = 1.2;

/// The deformation of the lesion as written in a config.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawLesion {
    /// How often there is one, where a lesion is seen.
    pub probability: f64,
    /// Largest relative change of the lesion's volume (of its area in a single slice). A growth label is
    /// kept, so this must be small against the growth that counts.
    pub volume_change: f64,
    /// Largest rate of stretching along an axis, 0.1 for about 10 %; volumes stay.
    pub stretch: f64,
    /// Largest rate by which a lobe sprouts or is drawn in.
    pub lobe: f64,
    /// How far from the lesion tissue is moved, mm.
    pub reach_mm: f64,
}

/// The checked limits of the lesion's deformation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LesionPolicy {
    probability: f64,
    volume_change: f64,
    stretch: f64,
    lobe: f64,
    reach_mm: f64,
}

/// The lesion's part of a [`Drawn`](crate::Drawn).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrawnLesion {
    /// The flow, as strong as it is applied.
    pub flow: Flow,
    /// 1 as drawn; less if it had to be weakened to keep to the largest change of volume.
    pub strength: f64,
    /// By what factor it changes the lesion's volume (its area in a single slice).
    pub volume_factor: f64,
}

impl TryFrom<RawLesion> for LesionPolicy {
    type Error = ConfigError;

    fn try_from(raw: RawLesion) -> Result<Self, ConfigError> {
        Ok(Self {
            probability: check_fraction("probability", raw.probability)?,
            volume_change: check_range("volume_change", raw.volume_change, 0.0..=0.5)?,
            stretch: check_range("stretch", raw.stretch, 0.0..=0.5)?,
            lobe: check_range("lobe", raw.lobe, 0.0..=0.5)?,
            reach_mm: check_range("reach_mm", raw.reach_mm, 1.0..=100.0)?,
        })
    }
}

/// The numbers a lesion's deformation is made from, drawn whether or not there is a lesion.
pub(crate) struct LesionSketch {
    is_drawn: bool,
    growth: f64,
    stretch: [f64; 2],
    axes: [[f64; 3]; 2],
    lobes: [Lobe; N_LOBES],
}

impl LesionPolicy {
    /// Draws the numbers of a deformation; as many whatever they are for.
    pub(crate) fn sketch(&self, rng: &mut impl Rng) -> LesionSketch {
        let is_drawn = rng.random_bool(self.probability);
        let growth = 1.0 + rng.random_range(-self.volume_change..=self.volume_change);
        let stretch = std::array::from_fn(|_| rng.random_range(-self.stretch..=self.stretch));
        let axes = std::array::from_fn(|_| direction(rng));
        let lobes = std::array::from_fn(|_| Lobe {
            direction: direction(rng),
            rate: rng.random_range(-self.lobe..=self.lobe),
        });
        LesionSketch { is_drawn, growth, stretch, axes, lobes }
    }

    /// The deformation of the voxels `lesion` of a grid: the drawn flow, slowed until it keeps to the largest
    /// change of volume.
    pub(crate) fn deformation(
        &self,
        sketch: &LesionSketch,
        geometry: &Geometry,
        lesion: &[usize],
    ) -> Option<DrawnLesion> {
        let drawn = self.flow(sketch, geometry, lesion)?;
        let places = Places::of(geometry, lesion);
        let (mut flow, mut strength) = (drawn.clone(), 1.0);
        let mut volume_factor = places.volume_factor(&flow);
        // Ends: a flow of no speed has the factor 1.
        while !self.keeps(volume_factor) && strength > 1e-6 {
            strength *= WEAKEN;
            flow = drawn.scaled(strength);
            volume_factor = places.volume_factor(&flow);
        }
        Some(DrawnLesion { flow, strength, volume_factor })
    }

    /// The flow around the voxels `lesion` as it was drawn; none without a lesion.
    pub(crate) fn flow(
        &self,
        sketch: &LesionSketch,
        geometry: &Geometry,
        lesion: &[usize],
    ) -> Option<Flow> {
        if !sketch.is_drawn || lesion.is_empty() {
            return None;
        }
        let moves = geometry.shape().map(|n| n > 1);
        let places = Places::of(geometry, lesion);
        let rate = rate(sketch.growth, sketch.stretch, sketch.axes, moves);
        let lobes = sketch.lobes.into_iter().filter_map(|lobe| within(lobe, moves)).collect();
        let core_mm = CORE_RADII * places.radius_mm;
        let radii_mm = [core_mm, core_mm + self.reach_mm];
        // The numbers are finite: the config and the grid are checked.
        Flow::new(geometry.shape(), places.centre_mm, radii_mm, rate, lobes).ok()
    }

    /// Whether a change of the lesion's volume is allowed. What rounding adds is let through.
    pub(crate) fn keeps(&self, volume_factor: f64) -> bool {
        (volume_factor - 1.0).abs() <= self.volume_change + 1e-9
    }
}

/// Where the lesion's voxels lie, mm along `[D, H, W]` from the grid's centre.
pub(crate) struct Places {
    /// Of voxels spread over the lesion; none for an empty one.
    pub(crate) points_mm: Vec<[f64; 3]>,
    centre_mm: [f64; 3],
    /// Of a ball (a disc in a single slice) as large.
    radius_mm: f64,
}

impl Places {
    pub(crate) fn of(geometry: &Geometry, lesion: &[usize]) -> Self {
        let (shape, spacing) = (geometry.shape(), geometry.spacing_mm());
        let point = |place: &usize| -> [f64; 3] {
            let index =
                [place / (shape[1] * shape[2]), place / shape[2] % shape[1], place % shape[2]];
            std::array::from_fn(|a| (index[a] as f64 - (shape[a] - 1) as f64 / 2.0) * spacing[a])
        };
        let n = lesion.len() as f64;
        // At least one apart, also in an empty lesion.
        let step = lesion.len().div_ceil(N_MEASURED).max(1);
        let centre_mm = lesion
            .iter()
            .map(point)
            .fold([0.0; 3], |sum: [f64; 3], at| std::array::from_fn(|a| sum[a] + at[a] / n));
        let cell: f64 = (0..3).filter(|a| shape[*a] > 1).map(|a| spacing[a]).product();
        let radius_mm = match shape[0] > 1 {
            true => (0.75 * n * cell / std::f64::consts::PI).cbrt(),
            false => (n * cell / std::f64::consts::PI).sqrt(),
        };
        let points_mm = lesion.iter().step_by(step).map(point).collect();
        Self { points_mm, centre_mm, radius_mm }
    }

    /// By what factor a flow changes the volume; 1 for an empty lesion.
    pub(crate) fn volume_factor(&self, flow: &Flow) -> f64 {
        if self.points_mm.is_empty() {
            return 1.0;
        }
        let factors = self.points_mm.iter().map(|point| flow.forward(*point).1);
        factors.sum::<f64>() / self.points_mm.len() as f64
    }
}

/// Growth alike along all axes that move, and a stretching that keeps the volume along and across two drawn
/// directions.
fn rate(
    growth: f64,
    stretch: [f64; 2],
    [first, other]: [[f64; 3]; 2],
    moves: [bool; 3],
) -> [[f64; 3]; 3] {
    let n_axes = moves.iter().filter(|moves| **moves).count() as f64;
    let even = growth.ln() / n_axes;
    let outer = |v: [f64; 3], by: f64| -> [[f64; 3]; 3] {
        std::array::from_fn(|a| std::array::from_fn(|b| by * v[a] * v[b]))
    };
    let (one, two) = (outer(first, stretch[0]), outer(other, stretch[1]));
    let mut rate: [[f64; 3]; 3] = std::array::from_fn(|a| {
        std::array::from_fn(|b| if moves[a] && moves[b] { one[a][b] + two[a][b] } else { 0.0 })
    });
    let trace = rate[0][0] + rate[1][1] + rate[2][2];
    for (a, row) in rate.iter_mut().enumerate().filter(|(a, _)| moves[*a]) {
        row[a] += even - trace / n_axes;
    }
    rate
}

/// The lobe within the axes that move; `None` if it has no direction there.
fn within(lobe: Lobe, moves: [bool; 3]) -> Option<Lobe> {
    let flat: [f64; 3] = std::array::from_fn(|a| if moves[a] { lobe.direction[a] } else { 0.0 });
    let length = flat.iter().map(|v| v * v).sum::<f64>().sqrt();
    (length > 1e-6).then(|| Lobe { direction: flat.map(|v| v / length), ..lobe })
}

/// A random unit vector.
fn direction(rng: &mut impl Rng) -> [f64; 3] {
    let v: [f64; 3] = std::array::from_fn(|_| rng.sample(StandardNormal));
    let length = v.iter().map(|x| x * x).sum::<f64>().sqrt();
    if length < 1e-9 { [0.0, 0.0, 1.0] } else { v.map(|x| x / length) }
}
