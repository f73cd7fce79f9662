//! Exact Euclidean distances on anisotropic grids.

use rayon::prelude::*;

use crate::{Geometry, VolumeError};

/// Slack (mm) of a radius: a voxel exactly on it belongs to it, whatever the rounding.
const ROUNDING_MM: f32 = 1e-4;

/// The distance in mm of every voxel centre (`[D, H, W]`) to the nearest one in `mask`; 0 within it,
/// infinite everywhere if it is empty.
///
/// The squared distance is the lower envelope of parabolas, one axis after the other (Felzenszwalb &
/// Huttenlocher, Theory of Computing 8, 2012, 415–428), each axis with its own spacing. Axes are
/// taken as perpendicular: on a sheared grid (gantry tilt) the result is an approximation.
///
/// # Errors
/// [`VolumeError::LengthMismatch`] if `mask` does not fill the grid.
pub fn distance_mm(mask: &[bool], geometry: &Geometry) -> Result<Vec<f32>, VolumeError> {
    let shape = geometry.shape();
    if mask.len() != geometry.n_voxels() {
        return Err(VolumeError::LengthMismatch { shape, n_values: mask.len() });
    }
    let [n_d, n_h, n_w] = shape;
    let spacing = geometry.spacing_mm();
    let mut squared: Vec<f32> =
        mask.iter().map(|inside| if *inside { 0.0 } else { f32::INFINITY }).collect();
    // Lines along W, then H within each slice; then D, transposed so that its lines are contiguous.
    squared.par_chunks_exact_mut(n_h * n_w).for_each_init(Envelope::default, |envelope, slice| {
        slice.chunks_exact_mut(n_w).for_each(|row| envelope.along(row, spacing[2]));
        along_columns(slice, n_w, spacing[1], envelope);
    });
    if n_d > 1 {
        let mut by_row = vec![0.0; squared.len()];
        by_row.par_chunks_exact_mut(n_d * n_w).enumerate().for_each_init(
            Envelope::default,
            |envelope, (h, sheet)| {
                for d in 0..n_d {
                    let row = &squared[(d * n_h + h) * n_w..][..n_w];
                    sheet[d * n_w..(d + 1) * n_w].copy_from_slice(row);
                }
                along_columns(sheet, n_w, spacing[0], envelope);
            },
        );
        squared.par_chunks_exact_mut(n_w).enumerate().for_each(|(r, row)| {
            let (d, h) = (r / n_h, r % n_h);
            row.copy_from_slice(&by_row[(h * n_d + d) * n_w..][..n_w]);
        });
    }
    squared.par_iter_mut().with_min_len(1 << 14).for_each(|v| *v = v.sqrt());
    Ok(squared)
}

/// The voxels within `radius_mm` of the mask, itself included. A negative radius gives none.
///
/// # Errors
/// [`VolumeError::LengthMismatch`] if `mask` does not fill the grid.
pub fn dilate_mm(
    mask: &[bool],
    geometry: &Geometry,
    radius_mm: f64,
) -> Result<Vec<bool>, VolumeError> {
    let distance = distance_mm(mask, geometry)?;
    let limit = radius_mm as f32 + ROUNDING_MM;
    Ok(distance.into_iter().map(|d| radius_mm >= 0.0 && d <= limit).collect())
}

/// The voxels of the mask farther than `radius_mm` from every voxel outside it. What lies beyond the
/// grid counts as mask: a lesion cut by the border is not eroded from there.
///
/// # Errors
/// [`VolumeError::LengthMismatch`] if `mask` does not fill the grid.
pub fn erode_mm(
    mask: &[bool],
    geometry: &Geometry,
    radius_mm: f64,
) -> Result<Vec<bool>, VolumeError> {
    let outside: Vec<bool> = mask.iter().map(|inside| !inside).collect();
    let swallowed = dilate_mm(&outside, geometry, radius_mm.max(0.0))?;
    Ok(swallowed.into_iter().map(|inside| !inside).collect())
}

/// Columns of a sheet of rows, several at a time through a buffer.
fn along_columns(sheet: &mut [f32], n_w: usize, spacing_mm: f64, envelope: &mut Envelope) {
    let n_rows = sheet.len() / n_w;
    if n_rows == 1 {
        return;
    }
    // A cache line of columns at once.
    const TOGETHER: usize = 16;
    let mut columns = vec![0.0; n_rows * TOGETHER];
    for first in (0..n_w).step_by(TOGETHER) {
        let n = TOGETHER.min(n_w - first);
        for (r, row) in sheet.chunks_exact(n_w).enumerate() {
            for (c, value) in row[first..first + n].iter().enumerate() {
                columns[c * n_rows + r] = *value;
            }
        }
        columns.chunks_exact_mut(n_rows).take(n).for_each(|c| envelope.along(c, spacing_mm));
        for (r, row) in sheet.chunks_exact_mut(n_w).enumerate() {
            for (c, value) in row[first..first + n].iter_mut().enumerate() {
                *value = columns[c * n_rows + r];
            }
        }
    }
}

/// The lower envelope of the parabolas of one line; kept between lines for its memory.
#[derive(Default)]
struct Envelope {
    parabolas: Vec<Parabola>,
}

/// A parabola at `at_mm` of height `height`, the lowest from `from_mm` on.
#[derive(Clone, Copy)]
struct Parabola {
    at_mm: f64,
    height: f64,
    from_mm: f64,
}

impl Envelope {
    /// Replaces squared distances by the least of `squared[i] + (spacing · (i − j))²` over `i`.
    fn along(&mut self, squared: &mut [f32], spacing_mm: f64) {
        self.parabolas.clear();
        for (i, value) in squared.iter().enumerate() {
            // A voxel without a distance yet casts no parabola.
            if value.is_finite() {
                self.push(i as f64 * spacing_mm, f64::from(*value));
            }
        }
        let mut lowest = self.parabolas.iter().peekable();
        let Some(mut current) = lowest.next() else { return };
        for (j, value) in squared.iter_mut().enumerate() {
            let at_mm = j as f64 * spacing_mm;
            while let Some(next) = lowest.next_if(|next| next.from_mm <= at_mm) {
                current = next;
            }
            *value = (current.height + (at_mm - current.at_mm).powi(2)) as f32;
        }
    }

    fn push(&mut self, at_mm: f64, height: f64) {
        while let Some(last) = self.parabolas.last() {
            let crossing = ((height + at_mm * at_mm) - (last.height + last.at_mm * last.at_mm))
                / (2.0 * (at_mm - last.at_mm));
            if crossing > last.from_mm {
                self.parabolas.push(Parabola { at_mm, height, from_mm: crossing });
                return;
            }
            self.parabolas.pop();
        }
        self.parabolas.push(Parabola { at_mm, height, from_mm: f64::NEG_INFINITY });
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Affine;

    fn grid(shape: [usize; 3], spacing: [f64; 3]) -> Geometry {
        Geometry::new(shape, Affine::from_spacing(spacing, [0.0; 3]).unwrap()).unwrap()
    }

    fn brute_force(mask: &[bool], geometry: &Geometry) -> Vec<f64> {
        let [_, n_h, n_w] = geometry.shape();
        let point = |i: usize| {
            geometry.point_mm([i / (n_h * n_w), i / n_w % n_h, i % n_w].map(|v| v as f64))
        };
        let inside: Vec<_> = (0..mask.len()).filter(|i| mask[*i]).map(point).collect();
        let distance = |i: usize| {
            let p = point(i);
            inside
                .iter()
                .map(|q| (0..3).map(|a| (p[a] - q[a]).powi(2)).sum::<f64>().sqrt())
                .fold(f64::INFINITY, f64::min)
        };
        (0..mask.len()).map(distance).collect()
    }

    proptest! {
        #[test]
        fn agrees_with_all_pairs(
            shape in prop::array::uniform3(1usize..8),
            spacing in prop::array::uniform3(0.3f64..6.0),
            draws in prop::collection::vec(0u8..20, 343),
            density in 1u8..12,
        ) {
            let geometry = grid(shape, spacing);
            let mask: Vec<bool> =
                draws[..geometry.n_voxels()].iter().map(|v| *v < density).collect();
            let distance = distance_mm(&mask, &geometry).unwrap();
            for (value, expected) in distance.iter().zip(brute_force(&mask, &geometry)) {
                if expected.is_finite() {
                    prop_assert!((f64::from(*value) - expected).abs() < 1e-4);
                } else {
                    prop_assert!(value.is_infinite());
                }
            }
        }
    }

    #[test]
    fn dilation_and_erosion_reach_exactly_the_radius() {
        let geometry = grid([1, 1, 9], [5.0, 0.45, 0.45]);
        let mut mask = [false; 9];
        mask[4] = true;
        let dilated = dilate_mm(&mask, &geometry, 0.9).unwrap();
        assert_eq!(dilated.iter().filter(|v| **v).count(), 5);
        let back = erode_mm(&dilated, &geometry, 0.9).unwrap();
        assert_eq!(back, mask);
        assert_eq!(dilate_mm(&mask, &geometry, -1.0).unwrap(), [false; 9]);
    }

    #[test]
    fn the_border_does_not_erode() {
        let geometry = grid([2, 2, 2], [1.0; 3]);
        assert_eq!(erode_mm(&[true; 8], &geometry, 3.0).unwrap(), [true; 8]);
        assert_eq!(erode_mm(&[false; 8], &geometry, 3.0).unwrap(), [false; 8]);
    }

    #[test]
    fn wrong_length_is_an_error() {
        assert!(distance_mm(&[true; 3], &grid([1, 2, 2], [1.0; 3])).is_err());
    }
}
