//! A site's scanner: grid, slice profile, kernel, noise.

use hemex_stage::{ConfigError, DrawKey, check_positive, check_range};
use hemex_volume::{
    Affine, ConvolutionKernel, Geometry, Image, LabelMap, VolumeError, correlated_noise,
};
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;
use serde::Deserialize;

use crate::anatomy::{AIR_HU, Place};
use crate::body::{Body, Seen};
use crate::config::ScanConfig;
use crate::confound::Cue;
use crate::shape::{Point, dot};
use crate::signs::flag;

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

/// A site: its scanner and its case mix.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// Patients of this site relative to the others.
    pub share: f64,
    /// How scans are written.
    pub format: Format,
    /// Direction of the voxel axes.
    pub orientation: Orientation,
    /// Rows and columns of a slice.
    pub matrix: usize,
    /// Distance of pixels, mm.
    pub in_plane_mm: f64,
    /// Distance and thickness of slices, mm.
    pub slice_mm: f64,
    /// Tilt of the gantry: slices are turned about the axis from left to right, the table moves on straight,
    /// degrees.
    pub tilt_deg: f64,
    /// SD of the blur along the slices that the profile adds to the thickness, mm: bone of the slice
    /// above shines through at the vertex.
    pub slice_blur_mm: f64,
    /// HU that beam hardening and scatter add amid bone; brain under the skull gets a part of it.
    pub bone_halo_hu: f64,
    /// SD of the noise, HU.
    pub noise_hu: f64,
    /// Name of the reconstruction kernel.
    pub kernel: String,
    /// Full width at half maximum of the kernel, mm.
    pub kernel_fwhm_mm: f64,
    /// Edge enhancement of the kernel (see [`ConvolutionKernel`]).
    pub kernel_edge_enhancement: f64,
    /// Added to every HU: a calibration that is a little off.
    pub offset_hu: f64,
    /// Added to the mean age, years.
    pub age_shift_years: f64,
    /// Multiplies the median volume.
    pub volume_factor: f64,
    /// Multiplies the share of patients on anticoagulants.
    pub anticoagulation_factor: f64,
    /// Multiplies the odds of growth while hematomas of either outcome look as elsewhere (label shift).
    pub label_odds: f64,
    /// Correlation of the cue with the outcome, −1 to 1; where half of the patients grow, that of the two
    /// as 0 and 1.
    pub cue_correlation: f64,
}

/// File format of a site's scans.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// `.nii.gz`, 16-bit.
    Nifti,
    /// One DICOM file a slice.
    Dicom,
}

/// Direction of the axes W, H and D.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Orientation {
    /// Right, anterior, superior.
    Ras,
    /// Left, posterior, superior: as DICOM has it.
    Lps,
}

impl Site {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        check_positive("share", self.share)?;
        check_range("matrix", self.matrix as f64, 16.0..=1024.0)?;
        check_range("in_plane_mm", self.in_plane_mm, 0.2..=10.0)?;
        check_range("slice_mm", self.slice_mm, 0.5..=12.0)?;
        check_range("tilt_deg", self.tilt_deg, -30.0..=30.0)?;
        check_range("slice_blur_mm", self.slice_blur_mm, 0.0..=10.0)?;
        check_range("bone_halo_hu", self.bone_halo_hu, 0.0..=500.0)?;
        check_range("noise_hu", self.noise_hu, 0.0..=50.0)?;
        check_range("kernel_fwhm_mm", self.kernel_fwhm_mm, 0.1..=5.0)?;
        check_range("kernel_edge_enhancement", self.kernel_edge_enhancement, 0.0..=3.0)?;
        check_range("offset_hu", self.offset_hu, -20.0..=20.0)?;
        check_range("age_shift_years", self.age_shift_years, -40.0..=40.0)?;
        check_range("volume_factor", self.volume_factor, 0.2..=5.0)?;
        check_range("anticoagulation_factor", self.anticoagulation_factor, 0.0..=10.0)?;
        check_range("label_odds", self.label_odds, 0.01..=100.0)?;
        check_range("cue_correlation", self.cue_correlation, -1.0..=1.0)?;
        if self.format == Format::Dicom && self.orientation != Orientation::Lps {
            return Err(ConfigError::new("orientation", "`lps` for DICOM", "`ras`"));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if self.kernel.is_empty() || self.kernel.len() > 16 || !self.kernel.chars().all(plain) {
            let expected = "up to 16 letters, digits or `-` (a DICOM code string)";
            return Err(ConfigError::new("kernel", expected, &self.kernel));
        }
        Ok(())
    }

    /// Whether a patient of this outcome is one of the site's: those of the rarer kind all are, of the other a
    /// part, so that the odds of growth change by [`Site::label_odds`] and nothing else does.
    pub(crate) fn admits(&self, growth: bool, rng: &mut impl Rng) -> bool {
        let [of_growing, of_stable] = self.admitted_shares();
        flag(rng, if growth { of_growing } else { of_stable })
    }

    /// Shares of growing and of stable patients that are admitted.
    pub(crate) fn admitted_shares(&self) -> [f64; 2] {
        [self.label_odds.min(1.0), (1.0 / self.label_odds).min(1.0)]
    }

    /// A probability of growth where the odds are those of this site.
    pub(crate) fn shifted(&self, probability: f64) -> f64 {
        let growing = self.label_odds * probability;
        growing / (growing + 1.0 - probability)
    }

    fn convolution_kernel(&self) -> ConvolutionKernel {
        ConvolutionKernel {
            fwhm_mm: self.kernel_fwhm_mm,
            edge_enhancement: self.kernel_edge_enhancement,
        }
    }
}

/// Where the head lies in the scanner: `head = rotation · (scanner − centre)`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pose {
    rotation: [Point; 3],
    centre: Point,
}

impl Pose {
    pub(crate) fn draw(rng: &mut impl Rng, config: &ScanConfig) -> Self {
        let mut normal = |sd: f64| {
            let z: f64 = rng.sample(StandardNormal);
            sd * z.clamp(-2.0, 2.0)
        };
        let [roll, pitch, yaw]: [f64; 3] =
            std::array::from_fn(|_| normal(config.tilt_sd_deg).to_radians());
        let [x, y]: [f64; 2] = std::array::from_fn(|_| normal(config.offset_sd_mm));
        let about = |axis: usize, angle: f64| {
            let mut m = [[0.0; 3]; 3];
            let (a, b) = ((axis + 1) % 3, (axis + 2) % 3);
            m[axis][axis] = 1.0;
            (m[a][a], m[a][b]) = (angle.cos(), -angle.sin());
            (m[b][a], m[b][b]) = (angle.sin(), angle.cos());
            m
        };
        let rotation = product(product(about(1, roll), about(0, pitch)), about(2, yaw));
        // The table's height above the floor of the gantry: origins differ from scan to scan.
        let z = rng.random_range(-60.0..60.0f64);
        Self {
            rotation: rotation.map(|row| row.map(|v| v as f32)),
            centre: [x as f32, y as f32, z as f32],
        }
    }

    fn direction(&self, scanner: Point) -> Point {
        self.rotation.map(|row| dot(row, scanner))
    }

    fn point(&self, scanner: Point) -> Point {
        self.direction(std::array::from_fn(|i| scanner[i] - self.centre[i]))
    }
}

fn product(a: [[f64; 3]; 3], b: [[f64; 3]; 3]) -> [[f64; 3]; 3] {
    std::array::from_fn(|i| std::array::from_fn(|j| (0..3).map(|k| a[i][k] * b[k][j]).sum()))
}

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

/// Looks at a body along the rows of a grid, at several points along the thickness of a slice.
struct Rays<'a> {
    body: &'a Body<'a>,
    pose: &'a Pose,
    n_sub: usize,
}

/// Distance of the points of a row that are mapped to the template; those between interpolate, mm.
const STRIDE_MM: f64 = 4.8;

impl Rays<'_> {
    /// Mean HU of each voxel.
    fn hu(&self, geometry: &Geometry) -> Vec<f32> {
        let mut voxels = vec![0.0f32; geometry.n_voxels()];
        let share = 1.0 / self.n_sub as f32;
        for (row, hu) in voxels.chunks_exact_mut(geometry.shape()[2]).enumerate() {
            self.visit(
                geometry,
                row,
                hu.len(),
                |_| true,
                |w, place| {
                    hu[w] += share * place.map_or(Seen::AIR, |place| self.body.at(place)).hu;
                },
            );
        }
        voxels
    }

    /// The label that fills at least half of the thickness of each voxel.
    fn labels(&self, geometry: &Geometry) -> Vec<u8> {
        let mut labels = vec![0u8; geometry.n_voxels()];
        let n_w = geometry.shape()[2];
        // How many points of each voxel of the row carry the labels 1 to 4.
        let mut counts = vec![[0u8; 4]; n_w];
        let full = |count: &u8| 2 * usize::from(*count) >= self.n_sub;
        for (row, labels) in labels.chunks_exact_mut(n_w).enumerate() {
            counts.fill([0; 4]);
            let may_be = |point: Point| self.body.may_be_labelled(point);
            self.visit(geometry, row, n_w, may_be, |w, place| {
                let label = place.map_or(0, |place| self.body.label_at(place));
                if label > 0 {
                    counts[w][usize::from(label) - 1] += 1;
                }
            });
            for (label, counts) in labels.iter_mut().zip(&counts) {
                *label = counts.iter().position(full).map_or(0, |at| at as u8 + 1);
            }
        }
        labels
    }

    /// Calls `look` for the points of a row (counted over all slices) wherever `counts` says so of a point
    /// nearby; a place is `None` far from the head.
    fn visit(
        &self,
        geometry: &Geometry,
        row: usize,
        n_w: usize,
        counts: impl Fn(Point) -> bool,
        mut look: impl FnMut(usize, Option<&Place>),
    ) {
        let step = self.pose.direction(geometry.affine().axes_mm()[2].map(|v| v as f32));
        let stride = ((STRIDE_MM / geometry.spacing_mm()[2]).round() as usize).max(1);
        let per_stride = 1.0 / stride as f32;
        for sub in 0..self.n_sub {
            let start = self.start(geometry, row, sub);
            let point =
                |w: usize| -> Point { std::array::from_fn(|i| start[i] + w as f32 * step[i]) };
            let mut from = None;
            for first in (0..n_w).step_by(stride) {
                if !counts(point(first + stride / 2)) {
                    from = None;
                    continue;
                }
                let begin = from.unwrap_or_else(|| self.body.place(point(first)));
                let end = self.body.place(point(first + stride));
                for w in first..n_w.min(first + stride) {
                    let share = (w - first) as f32 * per_stride;
                    let place = match (&begin, &end) {
                        (Some(begin), Some(end)) => Some(begin.toward(end, share)),
                        // The head ends well before its surroundings do.
                        _ => None,
                    };
                    look(w, place.as_ref());
                }
                from = Some(end);
            }
        }
    }

    /// The first point of the row in the `sub`-th part of the slice, head mm.
    fn start(&self, geometry: &Geometry, row: usize, sub: usize) -> Point {
        let n_h = geometry.shape()[1];
        let point = geometry.point_mm([(row / n_h) as f64, (row % n_h) as f64, 0.0]);
        // A slice is thick at right angles to its plane, whatever the table does.
        let (normal, thickness_mm) = across_slices(geometry);
        let along_mm = ((sub as f64 + 0.5) / self.n_sub as f64 - 0.5) * thickness_mm;
        self.pose.point(std::array::from_fn(|i| (point[i] + along_mm * normal[i]) as f32))
    }
}

/// The direction at right angles to the slices, upward, and their distance along it, mm.
fn across_slices(geometry: &Geometry) -> ([f64; 3], f64) {
    let [along_d, along_h, along_w] = geometry.affine().axes_mm();
    let normal: [f64; 3] = std::array::from_fn(|i| {
        let (a, b) = ((i + 1) % 3, (i + 2) % 3);
        along_w[a] * along_h[b] - along_w[b] * along_h[a]
    });
    let length = normal.iter().map(|v| v * v).sum::<f64>().sqrt();
    let normal = normal.map(|v| v / length);
    (normal, (0..3).map(|i| normal[i] * along_d[i]).sum())
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
