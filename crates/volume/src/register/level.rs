use rayon::prelude::*;

use super::equations::Equations;
use super::{Registration, WINDOW_HU};
use crate::index_map::IndexMap;
use crate::vector::{cross, norm};
use crate::{Image, LabelMap, RigidMotion, VolumeError};

/// Part of the fixed scan's voxels that the moving one must cover: a difference over a sliver tells nothing.
const LEAST_OVERLAP: f64 = 0.5;

/// SD of a blur, voxels: without it lines between the centres of thick slices leave more than motions do, and draw a
/// head off by a few mm.
const SMOOTHED: f64 = 0.7;

/// Steps tried at a level, at most.
const MAX_TRIALS: usize = 60;

/// A step is the last if it moves no point this far from the centre by more than a part of a voxel, mm.
const ARM_MM: f64 = 80.0;
const SMALLEST_STEP: f64 = 1e-3;

/// Damping of the first step; a step that makes things better lessens it, another raises it.
const DAMPING: f64 = 1e-3;
const DAMPING_FACTOR: f64 = 10.0;
const MOST_DAMPING: f64 = 1e6;

/// SD that rounding leaves where nothing is shown, HU.
const FLAT_HU: f64 = 0.01;

/// Both scans in voxels of one size.
pub(super) struct Level {
    fixed: Image,
    /// Which voxels of the fixed scan are looked at.
    region: Vec<bool>,
    n_region: usize,
    moving: Image,
    mm: f64,
}

/// A motion and what the scans say of it.
#[derive(Clone, Copy)]
pub(super) struct Fit {
    motion: RigidMotion,
    sums: Sums,
    overlap: f64,
}

/// Sums over the voxels where both scans lie; `f` and `m` are the fixed and the moving scan's values.
#[derive(Clone, Copy, Default)]
struct Sums {
    n: usize,
    /// Σ (m − f)².
    squares: f64,
    equations: Equations,
    /// Σ f, Σ m, Σ f², Σ m², Σ f m.
    moments: [f64; 5],
}

impl Level {
    /// Both scans, within the window, in voxels of `mm` along each axis that is not coarser by itself.
    pub(super) fn new(
        moving: &Image,
        fixed: &Image,
        region: Option<&LabelMap>,
        mm: f64,
    ) -> Result<Self, VolumeError> {
        let coarse = |image: &Image| {
            let spacing_mm = image.geometry().spacing_mm().map(|own| own.max(mm));
            let target = image.geometry().with_spacing(spacing_mm)?;
            Ok::<_, VolumeError>(image.resample(&target, WINDOW_HU[0]))
        };
        let (fixed, moving) = (coarse(fixed)?, coarse(moving)?);
        let region = match region {
            Some(region) => {
                let labels = region.resample(fixed.geometry()).into_voxels();
                labels.into_iter().map(|label| label != 0).collect()
            }
            None => vec![true; fixed.voxels().len()],
        };
        let n_region = region.iter().filter(|inside| **inside).count();
        Ok(Self { fixed, region, n_region, moving, mm })
    }

    /// Both scans blurred along every axis as the thickest slices of either ask for. Of slices that lean against each
    /// other, each blurred along its own thick axis alone, the edges of the skull differ where the head lies still, and
    /// the least difference is some mm away.
    pub(super) fn alike(&self) -> Self {
        let spacings_mm = [&self.fixed, &self.moving].map(|image| image.geometry().spacing_mm());
        let thickest_mm = spacings_mm.into_iter().flatten().fold(self.mm, f64::max);
        self.blurred(|_| [SMOOTHED * thickest_mm; 3])
    }

    /// Each scan blurred by its own voxels alone, so that what is finer than the slices are thick still counts.
    pub(super) fn apart(&self) -> Self {
        self.blurred(|image| image.geometry().spacing_mm().map(|mm| SMOOTHED * mm))
    }

    fn blurred(&self, sigma_mm: impl Fn(&Image) -> [f64; 3]) -> Self {
        let [fixed, moving] =
            [&self.fixed, &self.moving].map(|image| image.blur_mm(sigma_mm(image)));
        Self { fixed, region: self.region.clone(), n_region: self.n_region, moving, mm: self.mm }
    }

    /// The best motion near `start` by Levenberg and Marquardt's method; `None` if the scans do not overlap there.
    pub(super) fn fit(&self, start: RigidMotion) -> Option<Fit> {
        let mut best = self.at(start)?;
        let mut damping = DAMPING;
        for _ in 0..MAX_TRIALS {
            let Some([a, b, c, x, y, z]) = best.sums.equations.step(damping) else { break };
            let (turn, shift) = ([a, b, c], [x, y, z]);
            let trial = self.at(best.motion.then(turn, shift));
            match trial.filter(|trial| trial.cost() < best.cost()) {
                Some(better) => {
                    best = better;
                    damping /= DAMPING_FACTOR;
                }
                None => damping *= DAMPING_FACTOR,
            }
            let is_last = norm(shift) + ARM_MM * norm(turn) < SMALLEST_STEP * self.mm;
            if is_last || damping > MOST_DAMPING {
                break;
            }
        }
        Some(best)
    }

    /// What the scans say of a motion; `None` if they overlap too little.
    pub(super) fn at(&self, motion: RigidMotion) -> Option<Fit> {
        let moved = self.fixed.geometry().moved(&motion);
        let rows = Rows {
            map: IndexMap::between(self.moving.geometry(), &moved),
            per_mm: per_mm(&self.moving),
            points: moved.affine(),
            // Where the centre has gone: turns are about it.
            centre_mm: motion.point_mm(motion.centre_mm()),
        };
        // A sum a slice, added up in their order: threads change nothing.
        let slices: Vec<Sums> = (0..self.fixed.geometry().shape()[0])
            .into_par_iter()
            .map(|d| self.slice(&rows, d))
            .collect();
        let sums = slices.iter().fold(Sums::default(), Sums::with);
        let overlap = sums.n as f64 / self.n_region as f64;
        (overlap > LEAST_OVERLAP).then_some(Fit { motion, sums, overlap })
    }

    /// The sums over a slice of the fixed scan.
    fn slice(&self, rows: &Rows, d: usize) -> Sums {
        let [_, n_h, n_w] = self.fixed.geometry().shape();
        let (sampler, mut sums) = (Slopes::of(&self.moving), Sums::default());
        let start = d * n_h * n_w;
        for h in 0..n_h {
            let row = start + h * n_w..start + (h + 1) * n_w;
            let (fixed, region) = (&self.fixed.voxels()[row.clone()], &self.region[row]);
            for (w, (f, inside)) in fixed.iter().zip(region).enumerate() {
                let index = [d as f64, h as f64, w as f64];
                if !inside {
                    continue;
                }
                let Some((m, slope)) = sampler.at(rows.map.source(index)) else { continue };
                // Along x, y, z in place of the moving scan's axes.
                let slope: [f64; 3] =
                    std::array::from_fn(|k| (0..3).map(|a| slope[a] * rows.per_mm[a][k]).sum());
                let point = rows.points.point_mm(index);
                let arm = std::array::from_fn(|k| point[k] - rows.centre_mm[k]);
                sums.add(f64::from(*f), m, cross(arm, slope), slope);
            }
        }
        sums
    }
}

/// What the rows of a level have in common under one motion.
struct Rows {
    /// From voxels of the fixed scan to those of the moving one.
    map: IndexMap,
    /// How far a mm along x, y, z leads along each axis of the moving scan, in its voxels.
    per_mm: [[f64; 3]; 3],
    /// From voxels of the fixed scan to points of the moving one.
    points: crate::Affine,
    centre_mm: [f64; 3],
}

fn per_mm(image: &Image) -> [[f64; 3]; 3] {
    let inverse = image.geometry().affine().inverse();
    let origin = image.geometry().point_mm([0.0; 3]);
    let columns = [0, 1, 2].map(|k| {
        let mut point = origin;
        point[k] += 1.0;
        inverse.index(point)
    });
    std::array::from_fn(|a| columns.map(|column| column[a]))
}

impl Fit {
    /// Mean squared difference where both scans lie, HU².
    pub(super) fn cost(&self) -> f64 {
        self.sums.squares / self.sums.n as f64
    }

    pub(super) fn motion(&self) -> RigidMotion {
        self.motion
    }

    /// `None` if one of the scans is the same everywhere.
    pub(super) fn registration(&self) -> Option<Registration> {
        let n = self.sums.n as f64;
        let [f, m, ff, mm, fm] = self.sums.moments.map(|sum| sum / n);
        let [sd_f, sd_m] = [ff - f * f, mm - m * m].map(|variance| variance.max(0.0).sqrt());
        let agreement = ((fm - f * m) / (sd_f * sd_m)).clamp(-1.0, 1.0);
        let found = Registration { motion: self.motion, agreement, overlap: self.overlap };
        (sd_f > FLAT_HU && sd_m > FLAT_HU).then_some(found)
    }
}

impl Sums {
    #[inline(always)]
    fn add(&mut self, f: f64, m: f64, by_turn: [f64; 3], by_shift: [f64; 3]) {
        let residual = m - f;
        let ([a, b, c], [x, y, z]) = (by_turn, by_shift);
        self.n += 1;
        self.squares += residual * residual;
        self.equations.add(residual, [a, b, c, x, y, z]);
        for (sum, value) in self.moments.iter_mut().zip([f, m, f * f, m * m, f * m]) {
            *sum += value;
        }
    }

    fn with(mut self, other: &Self) -> Self {
        self.n += other.n;
        self.squares += other.squares;
        self.equations.merge(&other.equations);
        self.moments.iter_mut().zip(other.moments).for_each(|(sum, value)| *sum += value);
        self
    }
}

/// Values between voxels with their slopes.
struct Slopes<'a> {
    voxels: &'a [f32],
    shape: [usize; 3],
}

impl<'a> Slopes<'a> {
    fn of(image: &'a Image) -> Self {
        Self { voxels: image.voxels(), shape: image.geometry().shape() }
    }

    /// The trilinear value at `[d, h, w]` and its slope along each axis, per voxel; `None` outside the outermost
    /// centres.
    #[inline(always)]
    fn at(&self, place: [f64; 3]) -> Option<(f64, [f64; 3])> {
        let [_, n_h, n_w] = self.shape;
        let mut cell = [0; 3];
        let mut between = [0.0; 3];
        for a in 0..3 {
            let last = self.shape[a] as f64 - 1.0;
            if !(place[a] >= 0.0 && place[a] <= last) || self.shape[a] < 2 {
                return None;
            }
            cell[a] = (place[a] as usize).min(self.shape[a] - 2);
            between[a] = place[a] - cell[a] as f64;
        }
        let [t_d, t_h, t_w] = between;
        // Of each row, slice and cell in turn: the value and the slopes known so far.
        let row = |d: usize, h: usize| {
            let at = ((cell[0] + d) * n_h + cell[1] + h) * n_w + cell[2];
            let (first, second) = (f64::from(self.voxels[at]), f64::from(self.voxels[at + 1]));
            [first + t_w * (second - first), second - first]
        };
        let slice = |d: usize| {
            let ([v0, w0], [v1, w1]) = (row(d, 0), row(d, 1));
            [v0 + t_h * (v1 - v0), v1 - v0, w0 + t_h * (w1 - w0)]
        };
        let ([v0, h0, w0], [v1, h1, w1]) = (slice(0), slice(1));
        let between = |a: f64, b: f64| a + t_d * (b - a);
        Some((between(v0, v1), [v1 - v0, between(h0, h1), between(w0, w1)]))
    }
}
