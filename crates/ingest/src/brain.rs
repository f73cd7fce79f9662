//! The inside of the skull, by shapes alone.

use hemex_volume::{Geometry, Image, VolumeError, dilate_mm};
use rayon::prelude::*;

use crate::head::largest_component;

/// Bone is above it also where it is thin; fresh blood (up to about 90 HU) and contrast-free tissue
/// below.
const BONE_HU: f32 = 130.0;

/// Gaps of the skull up to twice this width are closed: foramina, sutures, thin bone, mm.
const CLOSED_MM: f64 = 6.0;

/// How far from fat and air the brain keeps, before its corners are given back, mm.
const FAT_MM: f64 = 4.0;

/// What opening by [`CLOSED_MM`] takes off the brain's corners is given back by this much, mm.
const CORNER_MM: f64 = 2.0;

/// Brain, cerebrospinal fluid and blood; below are fat and air.
const TISSUE_HU: [f32; 2] = [-30.0, BONE_HU];

/// Which voxels of a head image in HU lie inside the skull.
///
/// Bone is thickened until its gaps close; what slice borders cannot reach then is inside. Of that
/// the surroundings of fat and air are taken off: they part the orbits and sinuses, whose walls are
/// too thin to show, from the brain, which has neither. The largest part left, thinned by the
/// thickening, is given that thickness back: an opening by a ball of [`CLOSED_MM`], which neither
/// crosses bone nor leaves through a foramen. Holes brighter than tissue (calcifications, clips) are
/// filled in each slice. Nothing is inside if there is no closed skull.
pub(crate) fn brain_mask(image: &Image) -> Result<Vec<bool>, VolumeError> {
    let geometry = image.geometry();
    let bone: Vec<bool> = image.voxels().iter().map(|hu| *hu > BONE_HU).collect();
    let wall = dilate_mm(&bone, geometry, CLOSED_MM)?;
    let fat: Vec<bool> = image.voxels().iter().map(|hu| *hu <= TISSUE_HU[0]).collect();
    let near_fat = dilate_mm(&fat, geometry, FAT_MM)?;
    let inside = enclosed(&wall, geometry);
    let core = inside.iter().zip(near_fat).map(|(inside, fat)| *inside && !fat).collect();
    let core = largest_component(core, geometry)?;
    let opened = dilate_mm(&core, geometry, CLOSED_MM + CORNER_MM)?;
    let tissue = opened
        .iter()
        .zip(image.voxels())
        .map(|(near, hu)| *near && *hu > TISSUE_HU[0] && *hu < TISSUE_HU[1])
        .collect();
    let mut brain = largest_component(tissue, geometry)?;
    let holes = enclosed(&brain, geometry);
    for ((inside, hole), hu) in brain.iter_mut().zip(holes).zip(image.voxels()) {
        *inside |= hole && *hu > TISSUE_HU[0];
    }
    Ok(brain)
}

/// The voxels outside the mask that no path within their slice connects to the slice's border.
fn enclosed(mask: &[bool], geometry: &Geometry) -> Vec<bool> {
    let [_, n_h, n_w] = geometry.shape();
    let mut free = vec![true; mask.len()];
    free.par_chunks_exact_mut(n_h * n_w).zip(mask.par_chunks_exact(n_h * n_w)).for_each(
        |(free, mask)| {
            let border = (0..n_h * n_w).filter(|at| {
                let (h, w) = (at / n_w, at % n_w);
                h == 0 || w == 0 || h + 1 == n_h || w + 1 == n_w
            });
            let mut open: Vec<usize> = border.collect();
            while let Some(at) = open.pop() {
                if mask[at] || !free[at] {
                    continue;
                }
                free[at] = false;
                let (h, w) = (at / n_w, at % n_w);
                open.extend([
                    if w > 0 { at - 1 } else { at },
                    if w + 1 < n_w { at + 1 } else { at },
                    if h > 0 { at - n_w } else { at },
                    if h + 1 < n_h { at + n_w } else { at },
                ]);
            }
            free.iter_mut().zip(mask).for_each(|(free, inside)| *free &= !inside);
        },
    );
    free
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use hemex_volume::Affine;

    use super::*;

    fn image(f: impl Fn([f64; 3]) -> f32) -> Image {
        let affine = Affine::from_spacing([5.0, 2.0, 2.0], [-90.0, -90.0, -90.0]).unwrap();
        let geometry = Geometry::new([37, 91, 91], affine).unwrap();
        let mut voxels = Vec::new();
        for d in 0..37 {
            for h in 0..91 {
                for w in 0..91 {
                    voxels.push(f(geometry.point_mm([d as f64, h as f64, w as f64])));
                }
            }
        }
        Image::new(geometry, voxels).unwrap()
    }

    /// A skull of 6 mm with a brain of radius 64 mm, `gap` mm of bone missing at the right.
    fn head(gap: f64) -> Image {
        image(|[x, y, z]| {
            let r = (x * x + y * y + z * z).sqrt();
            let open = x > 0.0 && y.abs() < gap / 2.0;
            match r {
                r if r > 78.0 => -1000.0,
                r if r > 70.0 => 40.0,
                r if r > 64.0 => {
                    if open {
                        40.0
                    } else {
                        900.0
                    }
                }
                r if r < 4.0 => 400.0,
                r if r < 12.0 => 8.0,
                _ => 35.0,
            }
        })
    }

    fn volume_ml(image: &Image) -> f64 {
        let brain = brain_mask(image).unwrap();
        brain.iter().filter(|b| **b).count() as f64 * image.geometry().voxel_ml()
    }

    #[test]
    fn the_inside_of_a_skull_is_found_with_its_calcification() {
        let sphere_ml = 4.0 / 3.0 * std::f64::consts::PI * 64f64.powi(3) / 1000.0;
        let whole = volume_ml(&head(0.0));
        assert!((whole / sphere_ml - 1.0).abs() < 0.05, "{whole} of {sphere_ml}");
        let brain = brain_mask(&head(0.0)).unwrap();
        let centre = head(0.0).geometry().offset([18, 45, 45]);
        assert!(brain[centre], "the calcification is filled");
    }

    #[test]
    fn a_foramen_is_closed_and_an_open_skull_has_no_inside() {
        let whole = volume_ml(&head(0.0));
        let foramen = volume_ml(&head(8.0));
        assert!((foramen / whole - 1.0).abs() < 0.02, "{foramen} of {whole}");
        assert!(volume_ml(&head(60.0)) < 0.5 * whole);
        assert_eq!(volume_ml(&image(|_| -1000.0)), 0.0);
    }
}
