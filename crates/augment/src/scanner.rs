//! What another scanner, or another setting of it, would have shown.

use hemex_stage::{ConfigError, check_fraction, check_range};
use hemex_volume::{ConvolutionKernel, Geometry};
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use crate::policy::symmetric;
use crate::{DrawnStreaks, RawStreaks, StreakPolicy};

/// What the scanner does to values, as written in a config.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawScanner {
    /// Largest relative change of the exponent of a value's place in the window, 0.1 for 1/1.1 to 1.1. Most at
    /// the middle of the window, whose ends stay.
    pub gamma: f64,
    /// Slices thicker than the grid's.
    pub thick_slices: RawCoarse,
    /// Pixels larger than the grid's, within the slice.
    pub coarse_pixels: RawCoarse,
    /// Streaks out of a point.
    pub streaks: RawStreaks,
    /// Least and largest full width at half maximum of the kernel that textures the added noise, mm.
    pub noise_fwhm_mm: [f64; 2],
    /// Least and largest edge enhancement of that kernel; see [`ConvolutionKernel`].
    pub noise_edge_enhancement: [f64; 2],
}

/// Coarser sampling as written in a config.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawCoarse {
    /// How often there is one.
    pub probability: f64,
    /// The coarsest, mm; the finest is the grid's own spacing.
    pub max_mm: f64,
}

/// The checked limits of what the scanner does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScannerPolicy {
    gamma: f64,
    thick_slices: CoarsePolicy,
    coarse_pixels: CoarsePolicy,
    streaks: StreakPolicy,
    noise_fwhm_mm: [f64; 2],
    noise_edge_enhancement: [f64; 2],
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct CoarsePolicy {
    probability: f64,
    max_mm: f64,
}

/// The scanner's part of a [`Drawn`](crate::Drawn).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrawnScanner {
    /// Thickness of the slices the volume is seen in, mm, if thicker than its own.
    pub slice_thickness_mm: Option<f64>,
    /// Side of the pixels it is seen in, mm, if larger than its own.
    pub pixel_mm: Option<f64>,
    /// The reconstruction kernel it is seen through, if any.
    pub seen_through: Option<ConvolutionKernel>,
    /// Exponent of a value's place in the window: below 1 brightens.
    pub gamma: f64,
    /// Streaks, if there are any.
    pub streaks: Option<DrawnStreaks>,
    /// The kernel that textures the added noise.
    pub noise_kernel: ConvolutionKernel,
}

impl RawScanner {
    /// Changes nothing; added noise has the texture of an everyday brain kernel.
    pub const NOTHING: Self = Self {
        gamma: 0.0,
        thick_slices: RawCoarse { probability: 0.0, max_mm: 5.0 },
        coarse_pixels: RawCoarse { probability: 0.0, max_mm: 2.0 },
        streaks: RawStreaks { probability: 0.0, amplitude_hu: 0.0, width_mm: 2.0, reach_mm: 40.0 },
        noise_fwhm_mm: [ConvolutionKernel::STANDARD.fwhm_mm; 2],
        noise_edge_enhancement: [ConvolutionKernel::STANDARD.edge_enhancement; 2],
    };
}

impl TryFrom<RawScanner> for ScannerPolicy {
    type Error = ConfigError;

    fn try_from(raw: RawScanner) -> Result<Self, ConfigError> {
        Ok(Self {
            gamma: check_range("gamma", raw.gamma, 0.0..=1.0)?,
            thick_slices: coarse(raw.thick_slices).map_err(|e| e.within("thick_slices"))?,
            coarse_pixels: coarse(raw.coarse_pixels).map_err(|e| e.within("coarse_pixels"))?,
            streaks: raw.streaks.try_into().map_err(|e: ConfigError| e.within("streaks"))?,
            noise_fwhm_mm: check_limits("noise_fwhm_mm", raw.noise_fwhm_mm, 10.0)?,
            noise_edge_enhancement: check_limits(
                "noise_edge_enhancement",
                raw.noise_edge_enhancement,
                3.0,
            )?,
        })
    }
}

fn coarse(raw: RawCoarse) -> Result<CoarsePolicy, ConfigError> {
    Ok(CoarsePolicy {
        probability: check_fraction("probability", raw.probability)?,
        max_mm: check_range("max_mm", raw.max_mm, 0.1..=50.0)?,
    })
}

/// A least and a largest value between 0 and `most`, in this order.
fn check_limits(key: &str, limits: [f64; 2], most: f64) -> Result<[f64; 2], ConfigError> {
    for limit in limits {
        check_range(key, limit, 0.0..=most)?;
    }
    if limits[0] > limits[1] {
        let found = format!("{limits:?}");
        return Err(ConfigError::new(key, "the least value before the largest", found));
    }
    Ok(limits)
}

impl ScannerPolicy {
    /// Draws what the scanner does on this grid. The same numbers are drawn whatever applies.
    pub(crate) fn draw(&self, rng: &mut impl Rng, geometry: &Geometry) -> DrawnScanner {
        let [d_mm, h_mm, w_mm] = geometry.spacing_mm();
        let gamma = symmetric(rng, self.gamma.ln_1p()).exp();
        let thick = self.thick_slices.draw(rng, d_mm);
        let pixel_mm = self.coarse_pixels.draw(rng, h_mm.max(w_mm));
        let streaks = self.streaks.draw(rng, geometry);
        let [fwhm_mm, edge_enhancement] = [self.noise_fwhm_mm, self.noise_edge_enhancement]
            .map(|[least, most]| rng.random_range(least..=most));
        DrawnScanner {
            // A single slice has no neighbours to be averaged with.
            slice_thickness_mm: thick.filter(|_| geometry.shape()[0] > 1),
            pixel_mm,
            seen_through: None,
            gamma,
            streaks,
            noise_kernel: ConvolutionKernel { fwhm_mm, edge_enhancement },
        }
    }
}

impl CoarsePolicy {
    fn draw(&self, rng: &mut impl Rng, own_mm: f64) -> Option<f64> {
        let is_drawn = rng.random_bool(self.probability);
        let share: f64 = rng.random_range(0.0..=1.0);
        let coarsest_mm = self.max_mm.max(own_mm);
        let mm = own_mm + share * (coarsest_mm - own_mm);
        (is_drawn && mm > own_mm).then_some(mm)
    }
}

impl DrawnScanner {
    /// The scanner that leaves everything as it is.
    pub fn unchanged() -> Self {
        Self {
            slice_thickness_mm: None,
            pixel_mm: None,
            seen_through: None,
            gamma: 1.0,
            streaks: None,
            noise_kernel: ConvolutionKernel::STANDARD,
        }
    }
}
