//! Where a head lies in a second scan of it.

mod equations;
mod level;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests;

use crate::{Image, LabelMap, RigidMotion, VolumeError};
use level::Level;

/// Values are limited to it first, HU. Below lie air, foam, fat and the table, all of them one value; above it bone,
/// whose thousand HU would else outweigh the brain and tell kernels apart. Between, brain, fluid and blood differ as
/// they did.
const WINDOW_HU: [f32; 2] = [-50.0, 150.0];

/// Voxels that the scans are looked at in, the coarsest first, mm; an axis that is coarser by itself stays as it is.
const LEVELS_MM: [f64; 3] = [8.0, 4.0, 2.0];

/// Beside the centres of mass, starts so much above and below, mm: scans end at different heights of the neck, which
/// shifts them.
const STARTS_MM: [f64; 3] = [0.0, -25.0, 25.0];

/// How two scans of one head lie to each other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Registration {
    /// From a point of the fixed scan to where the moving one shows it.
    pub motion: RigidMotion,
    /// Correlation of both scans' values where they overlap, −1 to 1, each limited to −50 to 150 HU and smoothed over
    /// voxels of at least 2 mm. Below 1 by partial volume between thick slices and by what has changed.
    pub agreement: f64,
    /// Part of the fixed scan's voxels that were looked at which the moving one covers, above ½.
    pub overlap: f64,
}

/// Finds the rigid motion from `fixed` to `moving`, both CTs of one head in HU on grids of any spacing and direction:
/// that which makes the mean squared difference of their values least, where both lie.
///
/// With `region` only those voxels of the fixed scan count that it labels (any label but 0): a jaw, a neck and a
/// headrest keep no place to the skull. A hematoma that has changed is not left out: beside the skull's edges it
/// weighs little.
///
/// From the centres of mass, and from 25 mm above and below, Levenberg and Marquardt's method on voxels of 8 mm, the
/// best of them goes on with 4 mm and 2 mm. Turns of 15° and shifts of some centimetres beyond the centres of mass are
/// found; a head that lies prone is not. The same bits come out on any number of threads.
///
/// # Errors
/// [`VolumeError::GridMismatch`] if `region` lies on another grid than `fixed`; [`VolumeError::NotRegistered`] if the
/// scans overlap nowhere by half of what is looked at, or if one of them is the same everywhere, so that nothing can be
/// told from it.
pub fn register(
    moving: &Image,
    fixed: &Image,
    region: Option<&LabelMap>,
) -> Result<Registration, VolumeError> {
    if let Some(region) = region
        && !region.geometry().is_same_grid(fixed.geometry())
    {
        let (left, right) = (region.geometry().shape(), fixed.geometry().shape());
        return Err(VolumeError::GridMismatch { left, right });
    }
    let [low, high] = WINDOW_HU;
    let [moving, fixed] = [moving, fixed].map(|image| image.clone().clip(low, high));
    let [from_mm, to_mm] = [&fixed, &moving].map(centre_of_mass_mm);
    let (from_mm, to_mm) = from_mm.zip(to_mm).ok_or(NOTHING)?;
    let centred: [f64; 3] = std::array::from_fn(|i| to_mm[i] - from_mm[i]);

    let mut level = Level::new(&moving, &fixed, region, LEVELS_MM[0])?;
    let coarsest = level.alike();
    let found = STARTS_MM.into_iter().filter_map(|up_mm| {
        let shift_mm = [centred[0], centred[1], centred[2] + up_mm];
        coarsest.fit(RigidMotion::about(from_mm, [0.0; 3], shift_mm))
    });
    let mut best = found.min_by(|a, b| a.cost().total_cmp(&b.cost())).ok_or(NO_OVERLAP)?;
    for mm in &LEVELS_MM[1..] {
        level = Level::new(&moving, &fixed, region, *mm)?;
        best = level.alike().fit(best.motion()).ok_or(NO_OVERLAP)?;
    }
    level.apart().at(best.motion()).ok_or(NO_OVERLAP)?.registration().ok_or(NOTHING)
}

const NO_OVERLAP: VolumeError =
    VolumeError::NotRegistered { problem: "they overlap by less than half" };
const NOTHING: VolumeError =
    VolumeError::NotRegistered { problem: "one of them is the same everywhere" };

/// Centre of mass `[x, y, z]` of an image within the window, mm, air weighing nothing; `None` of air alone.
fn centre_of_mass_mm(image: &Image) -> Option<[f64; 3]> {
    let [n_d, n_h, n_w] = image.geometry().shape();
    let (mut mass, mut sums) = (0.0, [0.0; 3]);
    for d in 0..n_d {
        for (h, row) in image.slice(d).chunks_exact(n_w).enumerate().take(n_h) {
            let (mut in_row, mut along_w) = (0.0, 0.0);
            for (w, hu) in row.iter().enumerate() {
                let weight = f64::from(hu - WINDOW_HU[0]);
                in_row += weight;
                along_w += weight * w as f64;
            }
            mass += in_row;
            sums[0] += in_row * d as f64;
            sums[1] += in_row * h as f64;
            sums[2] += along_w;
        }
    }
    (mass > 0.0).then(|| image.geometry().point_mm(sums.map(|sum| sum / mass)))
}
