//! Noise with the texture of a reconstruction.

use rand::{Rng, RngExt, SeedableRng};
use rand_distr::StandardNormal;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::axis::AxisTaps;
use crate::filter::gaussian;
use crate::{Geometry, Image};

/// Full width at half maximum of a Gaussian in standard deviations, `2 √(2 ln 2)`.
const FWHM_PER_SIGMA: f64 = 2.354_820_045_030_949_3;

/// How much wider than the core the subtracted Gaussian of an edge-enhancing kernel is.
const LOBE_WIDTH: f64 = 2.0;

/// The in-plane kernel of a reconstruction: how sharp the image is and how its noise is textured.
///
/// Along each of H and W it is `(1 + e) · G(fwhm) − e · G(2 · fwhm)` with Gaussians of sum 1 and the
/// edge enhancement `e`: 0 gives a smooth kernel with blotchy noise, larger values one with negative
/// lobes, whose noise is fine-grained and anticorrelated at a distance, as of bone kernels. A kernel
/// is applied within slices only: noise of different slices is independent, as of thick sequential
/// slices.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConvolutionKernel {
    /// Full width at half maximum of the core, mm. Far below the pixel spacing the kernel is a single
    /// pixel and noise is white.
    pub fwhm_mm: f64,
    /// The edge enhancement `e`, not negative.
    pub edge_enhancement: f64,
}

impl ConvolutionKernel {
    /// A soft-tissue kernel for low-contrast lesions.
    pub const SMOOTH: Self = Self { fwhm_mm: 1.8, edge_enhancement: 0.0 };
    /// A brain kernel of everyday use.
    pub const STANDARD: Self = Self { fwhm_mm: 1.2, edge_enhancement: 0.3 };
    /// A kernel for bone.
    pub const SHARP: Self = Self { fwhm_mm: 0.8, edge_enhancement: 0.9 };

    /// The image seen through the kernel (sum 1: flat regions stay), edges repeated.
    pub fn filter(&self, image: &Image) -> Image {
        let [_, h_mm, w_mm] = image.geometry().spacing_mm();
        image.convolve([vec![1.0], self.along(h_mm), self.along(w_mm)])
    }

    /// Correlation of the noise of two pixels `lag` pixels apart along an axis of this spacing.
    pub fn noise_correlation(&self, spacing_mm: f64, lag: usize) -> f64 {
        let kernel = self.along(spacing_mm);
        let product = |lag: usize| -> f64 {
            kernel.iter().zip(kernel.iter().skip(lag)).map(|(a, b)| a * b).sum()
        };
        product(lag) / product(0)
    }

    /// The kernel along one axis: odd length, sum 1.
    fn along(&self, spacing_mm: f64) -> Vec<f64> {
        let sigma = self.fwhm_mm / FWHM_PER_SIGMA / spacing_mm;
        let core = gaussian(sigma);
        if self.edge_enhancement == 0.0 {
            return core;
        }
        let mut kernel: Vec<f64> =
            gaussian(LOBE_WIDTH * sigma).iter().map(|w| -self.edge_enhancement * w).collect();
        let shift = (kernel.len() - core.len()) / 2;
        for (k, weight) in core.iter().enumerate() {
            kernel[shift + k] += (1.0 + self.edge_enhancement) * weight;
        }
        kernel
    }
}

/// Gaussian noise on a grid (`[D, H, W]`, HU) of standard deviation `sd_hu`, textured by a kernel.
///
/// White noise is filtered along H and W and divided by the kernel's own gain (the root of its summed
/// squares), so that each voxel has exactly this standard deviation; near the border by the gain of
/// what is left of the kernel there. Each slice has a generator of its own, seeded in order from
/// `rng`: the result depends on `rng` alone.
pub fn correlated_noise<R>(
    geometry: &Geometry,
    sd_hu: f64,
    kernel: &ConvolutionKernel,
    rng: &mut R,
) -> Vec<f32>
where
    R: Rng + SeedableRng + Send,
{
    let shape = geometry.shape();
    let mut slice_rngs: Vec<R> = (0..shape[0]).map(|_| R::from_rng(&mut *rng)).collect();
    let mut noise = vec![0.0f32; geometry.n_voxels()];
    let spacing = geometry.spacing_mm();
    let taps = [1, 2].map(|a| unit_gain_taps(shape[a], &kernel.along(spacing[a])));
    let slice_shape = [1, shape[1], shape[2]];
    let slices = noise.par_chunks_exact_mut(shape[1] * shape[2]).zip(&mut slice_rngs);
    slices.for_each(|(slice, rng)| {
        slice.iter_mut().for_each(|value| *value = rng.sample(StandardNormal));
        let textured = AxisTaps::apply_in_plane([&taps[0], &taps[1]], slice, slice_shape);
        for (value, textured) in slice.iter_mut().zip(textured) {
            *value = textured * sd_hu as f32;
        }
    });
    noise
}

/// The kernel at every voxel, cut off at the border, its squares summing to 1.
fn unit_gain_taps(n_voxels: usize, kernel: &[f64]) -> AxisTaps {
    let radius = kernel.len() / 2;
    let mut taps = AxisTaps::new(n_voxels);
    for target in 0..n_voxels {
        let first = target.saturating_sub(radius);
        let last = (target + radius).min(n_voxels - 1);
        taps.push(first as i64, &kernel[first + radius - target..=last + radius - target]);
    }
    taps.rescale(|weights| weights.iter().map(|w| w * w).sum::<f32>().sqrt().recip())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::Affine;

    const KERNELS: [ConvolutionKernel; 3] =
        [ConvolutionKernel::SMOOTH, ConvolutionKernel::STANDARD, ConvolutionKernel::SHARP];

    fn noise(kernel: &ConvolutionKernel, seed: u64) -> (Geometry, Vec<f32>) {
        let affine = Affine::from_spacing([5.0, 0.5, 0.5], [0.0; 3]).unwrap();
        let geometry = Geometry::new([6, 200, 180], affine).unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let voxels = correlated_noise(&geometry, 7.0, kernel, &mut rng);
        (geometry, voxels)
    }

    fn mean(values: impl Iterator<Item = f64>) -> f64 {
        let (n, sum) = values.fold((0usize, 0.0), |(n, sum), v| (n + 1, sum + v));
        sum / n as f64
    }

    #[test]
    fn standard_deviation_is_as_stated_everywhere() {
        for kernel in KERNELS {
            let (_, voxels) = noise(&kernel, 1);
            let sd = mean(voxels.iter().map(|v| f64::from(*v).powi(2))).sqrt();
            assert!((sd / 7.0 - 1.0).abs() < 0.02, "{kernel:?}: {sd}");
            // The first and last columns, where the kernel is cut off.
            let edge = voxels.chunks(180).flat_map(|row| [row[0], row[179]]);
            let sd = mean(edge.map(|v| f64::from(v).powi(2))).sqrt();
            assert!((sd / 7.0 - 1.0).abs() < 0.1, "{kernel:?} at the border: {sd}");
        }
    }

    #[test]
    fn neighbours_correlate_as_the_kernel_says() {
        for kernel in KERNELS {
            let (_, voxels) = noise(&kernel, 2);
            for lag in [1, 2] {
                let expected = kernel.noise_correlation(0.5, lag);
                let along_w = mean(voxels.chunks(180).flat_map(|row| {
                    row.iter().zip(&row[lag..]).map(|(a, b)| f64::from(a * b) / 49.0)
                }));
                let along_h = mean(voxels.chunks(180 * 200).flat_map(|slice| {
                    slice.iter().zip(&slice[lag * 180..]).map(|(a, b)| f64::from(a * b) / 49.0)
                }));
                for found in [along_w, along_h] {
                    assert!(
                        (found - expected).abs() < 0.03,
                        "{kernel:?} {lag}: {found} {expected}"
                    );
                }
            }
        }
        // The lobes of the sharp kernel show in its noise.
        assert!(ConvolutionKernel::SHARP.noise_correlation(0.5, 2) < -0.05);
        assert!(ConvolutionKernel::SMOOTH.noise_correlation(0.5, 2) > 0.5);
    }

    #[test]
    fn the_same_seed_gives_the_same_noise_on_any_number_of_threads() {
        let (_, voxels) = noise(&ConvolutionKernel::STANDARD, 3);
        let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let (_, again) = one_thread.install(|| noise(&ConvolutionKernel::STANDARD, 3));
        assert_eq!(voxels, again);
        assert_ne!(voxels, noise(&ConvolutionKernel::STANDARD, 4).1);
        assert_ne!(voxels[..36000], voxels[36000..72000], "slices are independent");
    }

    #[test]
    fn filtering_keeps_flat_regions_and_enhances_edges() {
        let affine = Affine::from_spacing([5.0, 0.5, 0.5], [0.0; 3]).unwrap();
        let geometry = Geometry::new([1, 1, 60], affine).unwrap();
        let step = (0..60).map(|i| if i < 30 { 0.0 } else { 100.0 }).collect();
        let step = Image::new(geometry, step).unwrap();
        let smooth = ConvolutionKernel::SMOOTH.filter(&step);
        let sharp = ConvolutionKernel::SHARP.filter(&step);
        assert!((smooth.voxels()[0]).abs() < 1e-3 && (sharp.voxels()[59] - 100.0).abs() < 1e-2);
        let peak = |image: &Image| image.voxels().iter().fold(0.0f32, |m, v| m.max(*v));
        assert!(peak(&smooth) < 100.01, "{}", peak(&smooth));
        assert!(peak(&sharp) > 105.0, "{}", peak(&sharp));
    }
}
