//! A site's scanner: grid, slice profile, kernel, noise.

use hemex_stage::{ConfigError, DrawKey, check_positive, check_range};
use hemex_volume::{
    Affine, ConvolutionKernel, Geometry, Image, LabelMap, VolumeError, correlated_noise,
};
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;
use serde::Deserialize;

use crate::anatomy::Place;
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

/// Scans a body, with the cue where the patient has it: mean over the slice thickness, slice profile, halo of the bone, kernel, noise, whole
/// HU, padding outside the circle that is reconstructed. Without a key for the noise there is no image, only labels.
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
    let mut hu = vec![0.0f32; if noise.is_some() { geometry.n_voxels() } else { 0 }];
    let mut labels = vec![0u8; geometry.n_voxels()];
    let n_w = geometry.shape()[2];
    let mut rows = RowSampler::new(body, pose, &geometry, config.n_sub_slices);
    for (row, labels) in labels.chunks_exact_mut(n_w).enumerate() {
        match hu.get_mut(row * n_w..(row + 1) * n_w) {
            Some(hu) => rows.sample(row, hu, labels),
            None => rows.sample_labels(row, labels),
        }
    }
    let image = match noise {
        None => None,
        Some(key) => {
            let own = (site.convolution_kernel(), 1.0);
            let (kernel, noise_factor) = cue.and_then(Cue::kernel).unwrap_or(own);
            let mut image = Image::new(geometry, hu)?.blur_mm([site.slice_blur_mm, 0.0, 0.0]);
            if let Some(cue) = cue {
                cue.hold(&mut image);
            }
            let image = kernel.filter(&with_bone_halo(image, site.bone_halo_hu)?);
            let noise_hu = noise_factor * site.noise_hu;
            let noise = correlated_noise(&geometry, noise_hu, &kernel, &mut key.rng());
            Some(digitise(image, &noise, site))
        }
    };
    Ok(Scan { image, labels: LabelMap::new(geometry, labels)? })
}

/// Averages points over the thickness of a slice, row by row.
struct RowSampler<'a> {
    body: &'a Body<'a>,
    pose: &'a Pose,
    geometry: &'a Geometry,
    n_sub: usize,
    /// One step along W, head mm.
    step: Point,
    /// How many points of each voxel of the row carry the labels 1, 2 and 3.
    counts: Vec<[u8; 3]>,
}

/// Voxels between two points of a row that are mapped to the template; those between interpolate.
const STRIDE: usize = 4;

impl<'a> RowSampler<'a> {
    fn new(body: &'a Body<'a>, pose: &'a Pose, geometry: &'a Geometry, n_sub: usize) -> Self {
        let step = pose.direction(geometry.affine().axes_mm()[2].map(|v| v as f32));
        Self { body, pose, geometry, n_sub, step, counts: vec![[0; 3]; geometry.shape()[2]] }
    }

    /// Mean HU and label of each voxel of a row (counted over all slices).
    fn sample(&mut self, row: usize, hu: &mut [f32], labels: &mut [u8]) {
        let (body, share) = (self.body, 1.0 / self.n_sub as f32);
        self.visit(row, labels, |w, place| {
            let seen = place.map_or(Seen::AIR, |place| body.at(place));
            hu[w] += share * seen.hu;
            seen.label
        });
    }

    fn sample_labels(&mut self, row: usize, labels: &mut [u8]) {
        let body = self.body;
        self.visit(row, labels, |_, place| place.map_or(0, |place| body.label_at(place)));
    }

    /// Calls `look` for every point of the row (`None`: far from the head) and settles the labels.
    fn visit(
        &mut self,
        row: usize,
        labels: &mut [u8],
        mut look: impl FnMut(usize, Option<&Place>) -> u8,
    ) {
        self.counts.fill([0; 3]);
        for sub in 0..self.n_sub {
            let start = self.start(row, sub);
            let node = |w: usize| {
                self.body.place(std::array::from_fn(|i| start[i] + w as f32 * self.step[i]))
            };
            let mut from = node(0);
            for first in (0..labels.len()).step_by(STRIDE) {
                let to = node(first + STRIDE);
                for w in first..labels.len().min(first + STRIDE) {
                    let share = (w - first) as f32 / STRIDE as f32;
                    let place = match (&from, &to) {
                        (Some(from), Some(to)) => Some(from.toward(to, share)),
                        // The head ends well before its surroundings do.
                        _ => None,
                    };
                    let label = look(w, place.as_ref());
                    if label > 0 {
                        self.counts[w][usize::from(label) - 1] += 1;
                    }
                }
                from = to;
            }
        }
        let full = |count: &u8| 2 * usize::from(*count) >= self.n_sub;
        for (label, counts) in labels.iter_mut().zip(&self.counts) {
            *label = counts.iter().position(full).map_or(0, |at| at as u8 + 1);
        }
    }

    /// The first point of the row in the `sub`-th part of the slice, head mm.
    fn start(&self, row: usize, sub: usize) -> Point {
        let n_h = self.geometry.shape()[1];
        let along = (row / n_h) as f64 + (sub as f64 + 0.5) / self.n_sub as f64 - 0.5;
        let point = self.geometry.point_mm([along, (row % n_h) as f64, 0.0]);
        self.pose.point(point.map(|v| v as f32))
    }
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
    let affine = Affine::new([
        [in_plane, 0.0, 0.0, first_mm],
        [0.0, in_plane, 0.0, first_mm],
        [0.0, 0.0, site.slice_mm, z_mm],
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
            *voxel = if x * x + y * y > radius2 { low } else { hu.round().clamp(low, high) };
        }
    }
    image
}
