//! What happens to values, after everything has moved.

use hemex_volume::{ConvolutionKernel, Image, correlated_noise};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::Drawn;

/// Blur, gain, offset and noise of the drawn transform; limited to the window (lowest, highest).
///
/// Noise has the texture of an everyday brain kernel ([`ConvolutionKernel::STANDARD`]): on a fine grid
/// neighbours go together, on one of 2 mm it is all but white.
pub(crate) fn apply(drawn: &Drawn, image: Image, window_hu: [f32; 2]) -> Image {
    let [low, high] = window_hu;
    let mut image = match drawn.blur_mm > 0.0 {
        true => image.blur_mm([0.0, drawn.blur_mm, drawn.blur_mm]),
        false => image,
    };
    let noise = match drawn.noise_hu > 0.0 {
        true => {
            let rng = &mut ChaCha8Rng::seed_from_u64(drawn.noise_seed);
            correlated_noise(image.geometry(), drawn.noise_hu, &ConvolutionKernel::STANDARD, rng)
        }
        false => vec![0.0; image.voxels().len()],
    };
    let (gain, offset) = (drawn.gain as f32, drawn.offset_hu as f32);
    for (value, noise) in image.voxels_mut().iter_mut().zip(noise) {
        // What was cut off at preparation is far beyond the window, and stays so.
        let saturated = *value <= low || *value >= high;
        let changed = if saturated { *value } else { *value * gain + offset + noise };
        *value = changed.clamp(low, high);
    }
    image
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use hemex_volume::{Affine, Geometry};

    use super::*;

    fn flat(value: f32) -> Image {
        let affine = Affine::from_spacing([5.0, 2.0, 2.0], [0.0; 3]).unwrap();
        Image::filled(Geometry::new([4, 50, 60], affine).unwrap(), value)
    }

    #[test]
    fn gain_and_offset_leave_what_is_saturated() {
        let mut image = flat(40.0);
        image.voxels_mut()[0] = -100.0;
        image.voxels_mut()[1] = 200.0;
        image.voxels_mut()[2] = 198.0;
        let drawn = Drawn { gain: 0.9, offset_hu: 5.0, ..Drawn::identity(image.geometry()) };
        let out = apply(&drawn, image, [-100.0, 200.0]);
        assert_eq!(out.voxels()[..2], [-100.0, 200.0]);
        for (value, expected) in out.voxels()[2..].iter().zip([183.2, 41.0]) {
            assert!((value - expected).abs() < 1e-4, "{value}");
        }
    }

    #[test]
    fn noise_has_the_drawn_standard_deviation_and_seed() {
        let image = flat(30.0);
        let drawn =
            |seed| Drawn { noise_hu: 6.0, noise_seed: seed, ..Drawn::identity(image.geometry()) };
        let out = apply(&drawn(1), image.clone(), [-100.0, 200.0]);
        let n = out.voxels().len() as f64;
        let variance = out.voxels().iter().map(|v| f64::from(v - 30.0).powi(2)).sum::<f64>() / n;
        assert!((variance.sqrt() / 6.0 - 1.0).abs() < 0.03, "{}", variance.sqrt());
        assert_eq!(out, apply(&drawn(1), image.clone(), [-100.0, 200.0]));
        assert_ne!(out, apply(&drawn(2), image.clone(), [-100.0, 200.0]));
    }

    #[test]
    fn blur_stays_within_the_slice() {
        let mut image = flat(0.0);
        let centre = image.geometry().offset([1, 25, 30]);
        image.voxels_mut()[centre] = 100.0;
        let drawn = Drawn { blur_mm: 2.0, ..Drawn::identity(image.geometry()) };
        let out = apply(&drawn, image, [-100.0, 200.0]);
        assert!(out.slice(0).iter().chain(out.slice(2)).all(|v| *v == 0.0));
        let [peak, beside] = [centre, centre + 1].map(|i| f64::from(out.voxels()[i]));
        // One voxel of 2 mm away at a sigma of 2 mm.
        assert!((beside / peak - (-0.5f64).exp()).abs() < 1e-5);
    }
}
