//! What happens to values, after everything has moved.

use hemex_volume::{Image, correlated_noise};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rayon::prelude::*;

use crate::{AugmentError, Drawn};

/// The fewest voxels worth a thread of their own.
const MIN_VOXELS: usize = 1 << 15;

/// Everything of the drawn transform that changes values, limited to the window (lowest, highest), in the
/// order in which an image comes about: what the detector averages, the reconstruction's kernel, the
/// calibration (gamma, gain, offset), then streaks and noise, as strong as drawn whatever the gain.
pub(crate) fn apply(
    drawn: &Drawn,
    image: Image,
    window_hu: [f32; 2],
) -> Result<Image, AugmentError> {
    let [low, high] = window_hu;
    let mut image = reconstructed(drawn, image)?;
    let marred = marred(drawn, &image);
    let (gain, offset) = (drawn.gain as f32, drawn.offset_hu as f32);
    let gamma = drawn.scanner.gamma;
    let voxels = image.voxels_mut().par_iter_mut().with_min_len(MIN_VOXELS);
    voxels.zip(marred).for_each(|(value, marred)| {
        // What was cut off at preparation is far beyond the window, and stays so.
        let saturated = *value <= low || *value >= high;
        let seen = if gamma == 1.0 { *value } else { bent(*value, window_hu, gamma) };
        let changed = if saturated { *value } else { seen * gain + offset + marred };
        *value = changed.clamp(low, high);
    });
    Ok(image)
}

/// The image in thicker slices and larger pixels, blurred, seen through a kernel, as far as drawn.
fn reconstructed(drawn: &Drawn, image: Image) -> Result<Image, AugmentError> {
    let scanner = &drawn.scanner;
    let mut image = image;
    if scanner.slice_thickness_mm.is_some() || scanner.pixel_mm.is_some() {
        let [d_mm, h_mm, w_mm] = image.geometry().spacing_mm();
        let d_mm = scanner.slice_thickness_mm.unwrap_or(d_mm);
        let [h_mm, w_mm] = [h_mm, w_mm].map(|own| scanner.pixel_mm.unwrap_or(own));
        image = image.coarsened([d_mm, h_mm, w_mm])?;
    }
    if drawn.blur_mm > 0.0 {
        image = image.blur_mm([0.0, drawn.blur_mm, drawn.blur_mm]);
    }
    Ok(match scanner.seen_through {
        Some(kernel) => kernel.filter(&image),
        None => image,
    })
}

/// Noise and streaks of every voxel, HU.
fn marred(drawn: &Drawn, image: &Image) -> Vec<f32> {
    let mut marred = match drawn.noise_hu > 0.0 {
        true => {
            let rng = &mut ChaCha8Rng::seed_from_u64(drawn.noise_seed);
            let kernel = &drawn.scanner.noise_kernel;
            correlated_noise(image.geometry(), drawn.noise_hu, kernel, rng)
        }
        false => vec![0.0; image.voxels().len()],
    };
    if let Some(streaks) = &drawn.scanner.streaks {
        streaks.add_to(&mut marred, image.geometry());
    }
    marred
}

/// A value whose place in the window (0 to 1) is raised to a power; those of its ends stay.
fn bent(value: f32, [low, high]: [f32; 2], gamma: f64) -> f32 {
    let width = f64::from(high - low);
    let place = (f64::from(value - low) / width).clamp(0.0, 1.0);
    low + (width * place.powf(gamma)) as f32
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
        let out = apply(&drawn, image, [-100.0, 200.0]).unwrap();
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
        let out = apply(&drawn(1), image.clone(), [-100.0, 200.0]).unwrap();
        let n = out.voxels().len() as f64;
        let variance = out.voxels().iter().map(|v| f64::from(v - 30.0).powi(2)).sum::<f64>() / n;
        assert!((variance.sqrt() / 6.0 - 1.0).abs() < 0.03, "{}", variance.sqrt());
        assert_eq!(out, apply(&drawn(1), image.clone(), [-100.0, 200.0]).unwrap());
        assert_ne!(out, apply(&drawn(2), image.clone(), [-100.0, 200.0]).unwrap());
    }

    #[test]
    fn blur_stays_within_the_slice() {
        let mut image = flat(0.0);
        let centre = image.geometry().offset([1, 25, 30]);
        image.voxels_mut()[centre] = 100.0;
        let drawn = Drawn { blur_mm: 2.0, ..Drawn::identity(image.geometry()) };
        let out = apply(&drawn, image, [-100.0, 200.0]).unwrap();
        assert!(out.slice(0).iter().chain(out.slice(2)).all(|v| *v == 0.0));
        let [peak, beside] = [centre, centre + 1].map(|i| f64::from(out.voxels()[i]));
        // One voxel of 2 mm away at a sigma of 2 mm.
        assert!((beside / peak - (-0.5f64).exp()).abs() < 1e-5);
    }
}
