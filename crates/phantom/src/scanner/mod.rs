//! A scan: grid, slice profile, kernel, noise.

mod pose;
mod rays;
mod site;

use hemex_stage::DrawKey;
use hemex_volume::{
    Affine, ConvolutionKernel, Geometry, Image, LabelMap, VolumeError, correlated_noise,
};

use crate::anatomy::AIR_HU;
use crate::body::Body;
use crate::config::ScanConfig;
use crate::confound::Cue;
use rays::Rays;

pub(crate) use pose::Pose;
pub use site::{Format, Orientation, Site};

/// SD of the halo of beam hardening and scatter around bone, mm.
const HALO_MM: f64 = 9.0;
/// Grid on which the halo is worked out: it is smooth, mm.
const HALO_GRID_MM: f64 = 5.0;
/// Air stays air, HU.
const HALO_ABOVE_HU: f32 = -300.0;
/// Bone counts from the first value on and is whole at the second, HU.
const BONE_HU: [f32; 2] = [300.0, 1300.0];

/// The lowest and highest HU a scanner writes (12 bits).
pub(crate) const HU_RANGE: [f32; 2] = [-1024.0, 3071.0];

/// A scan and the true labels on its grid.
pub(crate) struct Scan {
    /// `None` where the labels alone were asked for.
    pub(crate) image: Option<Image>,
    pub(crate) labels: LabelMap,
}

/// Scans a body, with the cue where the patient has it: mean over the slice thickness, slice profile, halo of
/// the bone, kernel, noise, whole HU, padding outside the circle that is reconstructed. Without a key for the
/// noise there is no image, only labels.
///
/// A voxel carries the label that fills at least half of its thickness.
///
/// # Errors
/// If the site's grid is unsound.
pub(crate) fn scan(
    body: &Body,
    pose: &Pose,
    site: &Site,
    config: &ScanConfig,
    cue: Option<&Cue>,
    noise: Option<DrawKey>,
) -> Result<Scan, VolumeError> {
    let geometry = grid(pose, site, config)?;
    let rays = Rays { body, pose, n_sub: config.n_sub_slices };
    let labels = LabelMap::new(geometry, rays.labels(&geometry))?;
    let Some(key) = noise else { return Ok(Scan { image: None, labels }) };
    let own = (site.convolution_kernel(), 1.0);
    let (kernel, noise_factor) = cue.and_then(Cue::kernel).unwrap_or(own);
    let [slice_mm, in_plane_mm, _] = geometry.spacing_mm();
    // No finer than the kernel shows.
    let sampled_mm = in_plane_mm.max(kernel.fwhm_mm / 2.0);
    let sampled = geometry.with_spacing([slice_mm, sampled_mm, sampled_mm])?;
    let seen = Image::new(sampled, rays.hu(&sampled))?.blur_mm([site.slice_blur_mm, 0.0, 0.0]);
    let seen = with_bone_halo(seen, site.bone_halo_hu)?;
    let mut image = match sampled == geometry {
        true => seen,
        false => seen.resample(&geometry, AIR_HU),
    };
    if let Some(cue) = cue {
        cue.hold(&mut image);
    }
    let interpolated_mm = if sampled == geometry { 0.0 } else { sampled_mm };
    let image = without_interpolation(kernel, interpolated_mm).filter(&image);
    let noise_hu = noise_factor * site.noise_hu;
    let noise = correlated_noise(&geometry, noise_hu, &kernel, &mut key.rng());
    Ok(Scan { image: Some(digitise(image, &noise, site)), labels })
}

/// The kernel that does what linear interpolation between points `spacing_mm` apart has not done already: that
/// blurs as a triangle of half this width, whose variance is a sixth of its square.
fn without_interpolation(kernel: ConvolutionKernel, spacing_mm: f64) -> ConvolutionKernel {
    let fwhm2 = kernel.fwhm_mm.powi(2) - 8.0 * std::f64::consts::LN_2 * spacing_mm.powi(2) / 6.0;
    ConvolutionKernel { fwhm_mm: fwhm2.max(0.0).sqrt(), ..kernel }
}

/// The site's grid around the head: the field of view stays with the scanner, slices follow the head.
fn grid(pose: &Pose, site: &Site, config: &ScanConfig) -> Result<Geometry, VolumeError> {
    let [low_mm, high_mm] = config.coverage_mm;
    let n_slices = ((high_mm - low_mm) / site.slice_mm).ceil() as usize;
    let sign = match site.orientation {
        Orientation::Ras => 1.0,
        Orientation::Lps => -1.0,
    };
    let first_mm = -sign * (site.matrix as f64 - 1.0) / 2.0 * site.in_plane_mm;
    // Origins in tenths of a mm, as scanners write them.
    let first_mm = (first_mm * 10.0).round() / 10.0;
    let z_mm = ((f64::from(pose.centre[2]) + low_mm) * 10.0).round() / 10.0;
    let in_plane = sign * site.in_plane_mm;
    let (sin, cos) = site.tilt_deg.to_radians().sin_cos();
    // The middle of a slice keeps its height.
    let affine = Affine::new([
        [in_plane, 0.0, 0.0, first_mm],
        [0.0, in_plane * cos, 0.0, first_mm * cos],
        [0.0, in_plane * sin, site.slice_mm / cos, z_mm + first_mm * sin],
    ])?;
    Geometry::new([n_slices, site.matrix, site.matrix], affine)
}

/// Adds what beam hardening and scatter leave uncorrected: everything near bone is too bright, most
/// under the vertex, where bone is all around.
fn with_bone_halo(mut image: Image, halo_hu: f64) -> Result<Image, VolumeError> {
    let [bone, whole] = BONE_HU;
    let share = |hu: &f32| ((hu - bone) / (whole - bone)).clamp(0.0, 1.0);
    let geometry = *image.geometry();
    let bone = Image::new(geometry, image.voxels().iter().map(share).collect())?;
    let [slice_mm, ..] = geometry.spacing_mm();
    let coarse = geometry.with_spacing([slice_mm, HALO_GRID_MM, HALO_GRID_MM])?;
    let halo = bone.resample(&coarse, 0.0).blur_mm([HALO_MM; 3]).resample(&geometry, 0.0);
    for (hu, halo) in image.voxels_mut().iter_mut().zip(halo.voxels()) {
        if *hu > HALO_ABOVE_HU {
            *hu += halo_hu as f32 * halo;
        }
    }
    Ok(image)
}

/// Adds noise and the site's offset, rounds, and pads outside the inscribed circle.
fn digitise(mut image: Image, noise: &[f32], site: &Site) -> Image {
    let [_, n_h, n_w] = image.geometry().shape();
    let (centre, radius2) = ((site.matrix as f32 - 1.0) / 2.0, (site.matrix as f32 / 2.0).powi(2));
    let [low, high] = HU_RANGE;
    let rows = image.voxels_mut().chunks_exact_mut(n_w).zip(noise.chunks_exact(n_w));
    for (row, (voxels, noise)) in rows.enumerate() {
        let y = (row % n_h) as f32 - centre;
        for (w, (voxel, noise)) in voxels.iter_mut().zip(noise).enumerate() {
            let x = w as f32 - centre;
            let hu = *voxel + noise + site.offset_hu as f32;
            *voxel = if x * x + y * y > radius2 { low } else { whole(hu.clamp(low, high)) };
        }
    }
    image
}

/// The nearest whole number; without the call that `f32::round` is on older targets.
fn whole(hu: f32) -> f32 {
    (hu + 0.5f32.copysign(hu)) as i32 as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interpolation_and_what_is_left_of_the_kernel_blur_as_the_kernel() {
        let kernel = ConvolutionKernel { fwhm_mm: 1.6, edge_enhancement: 0.3 };
        let variance = |fwhm_mm: f64| fwhm_mm.powi(2) / (8.0 * std::f64::consts::LN_2);
        let left = without_interpolation(kernel, 0.8);
        let together = variance(left.fwhm_mm) + 0.8f64.powi(2) / 6.0;
        assert!((together - variance(1.6)).abs() < 1e-12);
        assert_eq!(without_interpolation(kernel, 0.0), kernel);
    }

    #[test]
    fn hounsfield_units_are_rounded_to_the_nearest() {
        for (hu, expected) in [(2.4, 2.0), (2.5, 3.0), (-2.4, -2.0), (-2.6, -3.0), (0.0, 0.0)] {
            assert_eq!(whole(hu), expected, "{hu}");
        }
    }
}
