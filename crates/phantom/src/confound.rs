//! What misleads a network though it is nothing of the patient: cues beside the point, outlines of annotators,
//! outcomes recorded wrongly.

use hemex_stage::{ConfigError, check_range};
use hemex_volume::{ConvolutionKernel, Image, LabelMap, Lesion, VolumeError, distance_mm};
use rand::Rng;
use serde::Deserialize;

use crate::signs::flag;
use crate::texture::{Texture, TextureUse};

/// Thickness of the head holder's shell, mm.
const HOLDER_MM: f64 = 4.0;
/// Where only air is, the holder can be, HU.
const EMPTY_HU: f32 = -700.0;
/// How far apart an annotator's outline crosses the true one, mm.
const OUTLINE_MM: f32 = 12.0;

/// A cue that says nothing of the hematoma; [`Site::cue_correlation`](crate::Site::cue_correlation) ties it to
/// the outcome.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cue {
    /// What it is.
    pub kind: CueKind,
    /// Density of the head holder, HU.
    pub holder_hu: f64,
    /// Full width at half maximum of the kernel, mm.
    pub kernel_fwhm_mm: f64,
    /// Edge enhancement of the kernel.
    pub kernel_edge_enhancement: f64,
    /// Noise with the kernel over that with the site's own.
    pub noise_factor: f64,
}

/// Kinds of cues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CueKind {
    /// No cue.
    None,
    /// A shell behind the head: gone where a network sees the brain alone.
    HeadHolder,
    /// Another reconstruction kernel with its noise: everywhere in the image.
    Kernel,
}

impl Cue {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        check_range("holder_hu", self.holder_hu, -300.0..=2000.0)?;
        check_range("kernel_fwhm_mm", self.kernel_fwhm_mm, 0.1..=5.0)?;
        check_range("kernel_edge_enhancement", self.kernel_edge_enhancement, 0.0..=3.0)?;
        check_range("noise_factor", self.noise_factor, 0.1..=10.0).map(drop)
    }

    /// Whether a patient of this outcome has the cue: with a correlation of 1 those that grow, with −1 those
    /// that do not, with 0 half of both.
    pub(crate) fn draw(&self, rng: &mut impl Rng, growth: bool, correlation: f64) -> bool {
        let toward = if growth { correlation } else { -correlation };
        self.kind != CueKind::None && flag(rng, 0.5 + 0.5 * toward)
    }

    /// The kernel and the factor of the noise, if this is the cue.
    pub(crate) fn kernel(&self) -> Option<(ConvolutionKernel, f64)> {
        let kernel = ConvolutionKernel {
            fwhm_mm: self.kernel_fwhm_mm,
            edge_enhancement: self.kernel_edge_enhancement,
        };
        (self.kind == CueKind::Kernel).then_some((kernel, self.noise_factor))
    }

    /// Lays the head holder around the back of the field of view, where there is air.
    pub(crate) fn hold(&self, image: &mut Image) {
        if self.kind != CueKind::HeadHolder {
            return;
        }
        let geometry = *image.geometry();
        let [_, n_h, n_w] = geometry.shape();
        let [_, h_mm, w_mm] = geometry.spacing_mm();
        let outer_mm = 0.5 * (n_h as f64 * h_mm).min(n_w as f64 * w_mm) - 2.0;
        for (place, hu) in image.voxels_mut().iter_mut().enumerate() {
            let [x, y, _] =
                geometry.point_mm([0.0, (place / n_w % n_h) as f64, (place % n_w) as f64]);
            let r = x.hypot(y);
            let is_shell = (outer_mm - HOLDER_MM..outer_mm).contains(&r) && y < -0.35 * outer_mm;
            if is_shell && *hu < EMPTY_HU {
                *hu = self.holder_hu as f32;
            }
        }
    }
}

/// The mask as an annotator draws it: the outline of the hematoma moved out and in by smooth noise of this
/// SD, mm. What it gives up is taken for edema; ventricles and the rest stay.
pub(crate) fn annotated(
    labels: LabelMap,
    sd_mm: f64,
    texture: &Texture,
    rng: &mut impl Rng,
) -> Result<LabelMap, VolumeError> {
    if sd_mm == 0.0 {
        return Ok(labels);
    }
    const CLOT: u8 = Lesion::Intraparenchymal as u8;
    const EDEMA: u8 = Lesion::Edema as u8;
    let geometry = *labels.geometry();
    let [_, n_h, n_w] = geometry.shape();
    let inside = labels.mask(&[CLOT]);
    let outside: Vec<bool> = inside.iter().map(|inside| !inside).collect();
    let (out_mm, in_mm) = (distance_mm(&inside, &geometry)?, distance_mm(&outside, &geometry)?);
    // The outline runs midway between the voxels on both sides.
    let half_mm = 0.5 * geometry.spacing_mm().into_iter().fold(f64::INFINITY, f64::min) as f32;
    let outline = TextureUse::draw(rng, OUTLINE_MM);
    let moved = labels.voxels().iter().enumerate().map(|(place, label)| {
        let signed_mm = match inside[place] {
            true => half_mm - in_mm[place],
            false => out_mm[place] - half_mm,
        };
        // Far from the outline noise of a few SD decides nothing.
        if signed_mm.abs() > 5.0 * sd_mm as f32 || ![0, CLOT, EDEMA].contains(label) {
            return *label;
        }
        let index = [place / (n_h * n_w), place / n_w % n_h, place % n_w].map(|i| i as f64);
        let point = geometry.point_mm(index).map(|mm| mm as f32);
        match (signed_mm < sd_mm as f32 * outline.at(texture, point), *label) {
            (true, _) => CLOT,
            (false, CLOT) => EDEMA,
            (false, label) => label,
        }
    });
    LabelMap::new(geometry, moved.collect())
}
