//! Brain-like density within a hematoma.

use super::hematoma::{Hematoma, percentile};
use super::hole::{DENSE, Hole};
use super::parts::Parts;
use crate::{VolumeError, dilate_mm};

/// What lies so near a hole within its slices is its margin, mm.
const MARGIN_MM: f64 = 2.0;

/// The share of the core that is about as dense as brain, of the core without black holes and other wide
/// ones and, where it has two parts, without the fainter; 0 where nothing is left.
///
/// A voxel is as dense as brain where it is nearer to it than to the clot, whose density is the 90th percentile
/// of what is left: streaks are narrow, and partial volume takes up to half of their contrast.
pub(super) fn swirl_share(
    hematoma: &Hematoma,
    holes: &[Hole],
    parts: Option<&Parts>,
) -> Result<f64, VolumeError> {
    let others = holes.iter().filter(|hole| hole.is_black() || hole.is_wide());
    let mut is_taken = around(hematoma, others)?;
    for (place, is_faint) in parts.iter().flat_map(|parts| &parts.faint) {
        is_taken[*place] |= is_faint;
    }
    let left = (0..is_taken.len()).filter(|place| hematoma.core[*place] && !is_taken[*place]);
    let left: Vec<f32> = left.map(|place| hematoma.hu[place]).collect();
    let n_left = left.len() as f64;
    let Some(clot_hu) = percentile(left.clone(), DENSE) else { return Ok(0.0) };
    let between_hu = ((hematoma.brain_hu + clot_hu) / 2.0) as f32;
    Ok(left.iter().filter(|hu| **hu < between_hu).count() as f64 / n_left)
}

/// The holes with their margins: what lies beside them, and in the slices above and below.
fn around<'a>(
    hematoma: &Hematoma,
    holes: impl Iterator<Item = &'a Hole>,
) -> Result<Vec<bool>, VolumeError> {
    let n_pixels = hematoma.n_pixels();
    let mut is_near = vec![false; hematoma.core.len()];
    for place in holes.flat_map(|hole| &hole.places) {
        // No hole lies in an outermost slice.
        for near in [*place - n_pixels, *place, *place + n_pixels] {
            is_near[near] = true;
        }
    }
    dilate_mm(&is_near, &hematoma.flat, MARGIN_MM)
}
