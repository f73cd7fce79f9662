//! A site: its scanner and its case mix.

use hemex_stage::{ConfigError, check_positive, check_range};
use hemex_volume::ConvolutionKernel;
use rand::Rng;
use serde::Deserialize;

use crate::signs::flag;

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

    pub(super) fn convolution_kernel(&self) -> ConvolutionKernel {
        ConvolutionKernel {
            fwhm_mm: self.kernel_fwhm_mm,
            edge_enhancement: self.kernel_edge_enhancement,
        }
    }
}
