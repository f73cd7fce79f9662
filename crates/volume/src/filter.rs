//! Smoothing.

use std::borrow::Cow;

use crate::Image;
use crate::axis::AxisTaps;

/// Where a Gaussian is cut off, in standard deviations: beyond lie 6e-5 of its weight.
const CUT_OFF: f64 = 4.0;

impl Image {
    /// The image blurred by a Gaussian of standard deviation `sigma_mm` along `[D, H, W]`; edges are
    /// repeated. An axis with a sigma of 0 (or below a tenth of a voxel, where the kernel is a single
    /// voxel) or with one voxel is left alone.
    pub fn blur_mm(&self, sigma_mm: [f64; 3]) -> Image {
        let spacing = self.geometry().spacing_mm();
        self.convolve([0, 1, 2].map(|a| gaussian(sigma_mm[a] / spacing[a])))
    }

    /// Convolves along each axis with a kernel of odd length, edges repeated.
    pub(crate) fn convolve(&self, kernels: [Vec<f64>; 3]) -> Image {
        let shape = self.geometry().shape();
        let mut voxels = Cow::Borrowed(self.voxels());
        let [along_d, along_h, along_w] =
            [0, 1, 2].map(|axis| AxisTaps::convolution(shape[axis], &kernels[axis]));
        if !along_d.is_identity() {
            voxels = Cow::Owned(along_d.apply(&voxels, shape, 0));
        }
        if !(along_h.is_identity() && along_w.is_identity()) {
            voxels = Cow::Owned(AxisTaps::apply_in_plane([&along_h, &along_w], &voxels, shape));
        }
        Image::on(*self.geometry(), voxels.into_owned())
    }
}

/// A sampled Gaussian (`sigma` in voxels) of sum 1 and odd length; `[1]` for a sigma below 0.1.
pub(crate) fn gaussian(sigma: f64) -> Vec<f64> {
    if sigma.is_nan() || sigma < 0.1 {
        return vec![1.0];
    }
    let radius = (CUT_OFF * sigma).ceil() as i64;
    let mut kernel: Vec<f64> =
        (-radius..=radius).map(|k| (-0.5 * (k as f64 / sigma).powi(2)).exp()).collect();
    let sum: f64 = kernel.iter().sum();
    kernel.iter_mut().for_each(|w| *w /= sum);
    kernel
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;
    use crate::{Affine, Geometry};

    fn grid(shape: [usize; 3], spacing: [f64; 3]) -> Geometry {
        Geometry::new(shape, Affine::from_spacing(spacing, [0.0; 3]).unwrap()).unwrap()
    }

    #[test]
    fn a_point_becomes_a_gaussian_of_that_width() {
        let geometry = grid([9, 41, 61], [2.0, 1.0, 0.5]);
        let mut image = Image::filled(geometry, 0.0);
        image.voxels_mut()[geometry.offset([4, 20, 30])] = 1000.0;
        let sigma = [1.5, 3.0, 2.5];
        let blurred = image.blur_mm(sigma);
        let mut mass = 0.0;
        let mut variance = [0.0; 3];
        for (i, value) in blurred.voxels().iter().enumerate() {
            let from_centre = [
                ((i / (41 * 61)) as f64 - 4.0) * 2.0,
                (i / 61 % 41) as f64 - 20.0,
                ((i % 61) as f64 - 30.0) * 0.5,
            ];
            mass += f64::from(*value);
            for a in 0..3 {
                variance[a] += f64::from(*value) * from_centre[a].powi(2);
            }
        }
        assert!((mass - 1000.0).abs() < 0.1);
        for a in 0..3 {
            let found = (variance[a] / mass).sqrt();
            assert!((found / sigma[a] - 1.0).abs() < 0.01, "{a}: {found}");
        }
    }

    #[test]
    fn nothing_to_blur_is_a_copy() {
        let geometry = grid([1, 3, 3], [5.0, 1.0, 1.0]);
        let image = Image::new(geometry, (0..9).map(|v| v as f32).collect()).unwrap();
        assert_eq!(image.blur_mm([30.0, 0.0, 0.0]), image);
        assert_ne!(image.blur_mm([0.0, 1.0, 0.0]), image);
    }
}
