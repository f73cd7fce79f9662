//! How noisy a scan is.

use hemex_volume::{Image, LabelMap};

/// The part of the absolute residuals that counts, the smallest.
const KEPT: f64 = 0.8;

/// Mean of the smallest 80 % of |z| for a standard normal z: 2 (φ(0) − φ(q)) / 0.8, where q with
/// P(|z| < q) = 0.8 is 1.2816.
const KEPT_MEAN: f64 = 0.558_610;

/// The fewest places a noise figure is made of.
const MIN_PLACES: usize = 1000;

/// Standard deviation of the noise inside `brain`, HU, measured on the native image; `None` for too
/// small a brain.
///
/// At the native voxel nearest to each voxel of `brain` the image is convolved, in the plane of the
/// two axes with the finest spacing, with `[1 −2 1]ᵀ [1 −2 1] / 6`, which removes planes and edges
/// along either axis and keeps the deviation of white noise (Immerkær, Computer Vision and Image
/// Understanding 64, 1996, 300–302). The mean of the smaller absolute values stands for the deviation, so
/// that gyri and blood hardly count (the median of whole HU would know a few values only). Noise that a smooth kernel correlates comes out smaller than its true
/// deviation: the figure compares scans, it is no dose measurement.
pub(crate) fn noise_hu(native: &Image, brain: &LabelMap) -> Option<f64> {
    let geometry = native.geometry();
    let shape = geometry.shape();
    let strides = [shape[1] * shape[2], shape[2], 1];
    let [a, b] = finest_axes(geometry.spacing_mm());
    let inverse = geometry.affine().inverse();
    let [_, n_h, n_w] = brain.geometry().shape();
    let mut residuals: Vec<f32> = Vec::new();
    for (place, _) in brain.voxels().iter().enumerate().filter(|(_, inside)| **inside > 0) {
        let index = [place / (n_h * n_w), place / n_w % n_h, place % n_w].map(|i| i as f64);
        let at = inverse.index(brain.geometry().point_mm(index)).map(|i| i.round() as i64);
        let margin = |axis: usize| i64::from(axis == a || axis == b);
        if (0..3).any(|i| at[i] < margin(i) || at[i] + margin(i) >= shape[i] as i64) {
            continue;
        }
        let centre: usize = (0..3).map(|i| at[i] as usize * strides[i]).sum();
        let value = |i: usize, j: usize| {
            // Offsets −1, 0, 1 as 0, 1, 2: the margin keeps them inside.
            native.voxels()[centre + i * strides[a] + j * strides[b] - strides[a] - strides[b]]
        };
        let row = |i: usize| value(i, 0) - 2.0 * value(i, 1) + value(i, 2);
        residuals.push((row(0) - 2.0 * row(1) + row(2)).abs());
    }
    if residuals.len() < MIN_PLACES {
        return None;
    }
    residuals.sort_unstable_by(f32::total_cmp);
    let kept = &residuals[..(KEPT * residuals.len() as f64) as usize];
    let mean = kept.iter().map(|r| f64::from(*r)).sum::<f64>() / kept.len() as f64;
    Some(mean / KEPT_MEAN / 6.0)
}

/// The two axes of the finest spacing; of equal ones the later.
fn finest_axes(spacing_mm: [f64; 3]) -> [usize; 2] {
    let mut axes = [2, 1, 0];
    axes.sort_by(|x, y| spacing_mm[*x].total_cmp(&spacing_mm[*y]));
    [axes[0], axes[1]]
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use hemex_volume::{Affine, Geometry};
    use rand::RngExt;

    use super::*;

    #[test]
    fn white_noise_is_measured_through_a_slope_and_an_edge() {
        let affine = Affine::from_spacing([5.0, 0.5, 0.5], [0.0; 3]).unwrap();
        let geometry = Geometry::new([8, 80, 80], affine).unwrap();
        let mut rng = hemex_stage::DrawKey::new(1, "test.noise").rng();
        let mut image = Image::filled(geometry, 0.0);
        for (place, value) in image.voxels_mut().iter_mut().enumerate() {
            // Twelve uniform numbers make a normal one of deviation 1.
            let normal: f32 = (0..12).map(|_| rng.random::<f32>()).sum::<f32>() - 6.0;
            let (h, w) = (place / 80 % 80, place % 80);
            *value = 4.0 * normal + 0.3 * w as f32 + if h > 40 { 60.0 } else { 0.0 };
        }
        let coarse = geometry.with_spacing([5.0, 1.0, 1.0]).unwrap();
        let brain = LabelMap::new(coarse, vec![1; coarse.n_voxels()]).unwrap();
        let noise = noise_hu(&image, &brain).unwrap();
        assert!((noise - 4.0).abs() < 0.15, "{noise}");
        assert_eq!(noise_hu(&image, &LabelMap::empty(coarse)), None);
    }

    #[test]
    fn the_plane_is_the_finest_one() {
        assert_eq!(finest_axes([5.0, 0.5, 0.5]), [2, 1]);
        assert_eq!(finest_axes([0.5, 0.5, 5.0]), [1, 0]);
    }
}
