//! Where the head is: the largest object, table and headrest cut off.

use hemex_volume::{Connectivity, Geometry, Image, LabelMap, VolumeError, dilate_mm, erode_mm};

use crate::Unusable;

/// Skin is above it, air, foam and most of the table below.
const BODY_HU: f32 = -300.0;

/// Thinner parts (the table's shell, straps, tubes) are no head, mm.
const SHELL_MM: f64 = 4.0;

/// The smallest head that is believed, mL; a block of a few slices has less.
const SMALLEST_ML: f64 = 300.0;

/// Which voxels of an image in HU (padding below [`BODY_HU`]) belong to the head.
///
/// # Errors
/// [`Unusable::NoHead`] if the largest object is too small for one.
pub(crate) fn head_mask(image: &Image) -> Result<Vec<bool>, Unusable> {
    let geometry = image.geometry();
    let body: Vec<bool> = image.voxels().iter().map(|hu| *hu > BODY_HU).collect();
    let found = separate(&body, geometry)
        .map_err(|e| Unusable::Volume { what: "baseline CT", problem: e.to_string() })?;
    let n = found.iter().filter(|inside| **inside).count();
    let largest_ml = n as f64 * geometry.voxel_ml();
    if largest_ml < SMALLEST_ML {
        return Err(Unusable::NoHead { largest_ml });
    }
    Ok(found)
}

/// The largest object that is still one after thin parts are taken off, at its old size.
fn separate(body: &[bool], geometry: &Geometry) -> Result<Vec<bool>, VolumeError> {
    let thick = erode_mm(body, geometry, SHELL_MM)?;
    let core = largest_component(thick, geometry)?;
    // A little more than was taken, so that rounding leaves no rim.
    let back = dilate_mm(&core, geometry, 1.25 * SHELL_MM)?;
    Ok(back.into_iter().zip(body).map(|(near, inside)| near && *inside).collect())
}

/// The largest connected part of a mask.
pub(crate) fn largest_component(
    mask: Vec<bool>,
    geometry: &Geometry,
) -> Result<Vec<bool>, VolumeError> {
    let labels = LabelMap::new(*geometry, mask.into_iter().map(u8::from).collect())?;
    Ok(labels.components(&[1], Connectivity::Six).largest())
}

/// The smallest box around a mask: first index and one past the last, an axis; `None` if it is empty.
pub(crate) fn bounding_box(mask: &[bool], shape: [usize; 3]) -> Option<[[usize; 2]; 3]> {
    let mut bounds = [[usize::MAX, 0]; 3];
    for (place, _) in mask.iter().enumerate().filter(|(_, inside)| **inside) {
        let index = [place / (shape[1] * shape[2]), place / shape[2] % shape[1], place % shape[2]];
        for (bound, at) in bounds.iter_mut().zip(index) {
            *bound = [bound[0].min(at), bound[1].max(at + 1)];
        }
    }
    (bounds[0][1] > 0).then_some(bounds)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use hemex_volume::Affine;

    use super::*;

    #[test]
    fn a_table_that_touches_the_head_is_cut_off() {
        let affine = Affine::from_spacing([5.0, 2.0, 2.0], [0.0; 3]).unwrap();
        let geometry = Geometry::new([20, 100, 100], affine).unwrap();
        let mut image = Image::filled(geometry, -1000.0);
        for d in 0..20 {
            for h in 0..100 {
                for w in 0..100 {
                    let r2 = (h as f64 - 55.0).powi(2) + (w as f64 - 50.0).powi(2);
                    let place = geometry.offset([d, h, w]);
                    if r2 < 35.0 * 35.0 {
                        image.voxels_mut()[place] = 30.0;
                    } else if (18..=20).contains(&h) {
                        // 6 mm of table, touching the head's back.
                        image.voxels_mut()[place] = -100.0;
                    }
                }
            }
        }
        let head = head_mask(&image).unwrap();
        let [_, h, w] = bounding_box(&head, geometry.shape()).unwrap();
        assert!(w[0] >= 14 && w[1] <= 87, "{w:?}: the table is 100 wide, the head 69");
        assert_eq!(h[1], 90);
        let nothing = Image::filled(geometry, -1000.0);
        assert_eq!(head_mask(&nothing), Err(Unusable::NoHead { largest_ml: 0.0 }));
        assert_eq!(bounding_box(&[false; 8], [2; 3]), None);
    }
}
