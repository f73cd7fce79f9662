//! The look of a named site: what its scanner is known to make of any head.

use std::collections::BTreeMap;

use hemex_stage::{ConfigError, check_fraction, check_range};
use hemex_volume::{ConvolutionKernel, Geometry};
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use crate::Drawn;

/// What a site's scanner makes of a head, as written in a config.
///
/// It holds what a protocol sheet, a DICOM header or a phantom scan tells of a scanner. Nothing that was drawn
/// by a reader on that site's cases (labels, masks, outcomes) may go into it: a site whose look is imitated is
/// then still one whose answers the training has not seen.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteLook {
    /// Thickness of its slices, mm. What is thicker already stays as it is.
    pub slice_thickness_mm: f64,
    /// Full width at half maximum of its reconstruction kernel, mm.
    pub kernel_fwhm_mm: f64,
    /// Edge enhancement of that kernel; see [`ConvolutionKernel`].
    pub kernel_edge_enhancement: f64,
    /// Standard deviation of the noise it has on top of what the images hold already, HU.
    pub noise_hu: f64,
    /// What its calibration adds to all values, HU.
    pub offset_hu: f64,
}

/// The looks that may be drawn, by the site's name; every one as often.
#[derive(Debug, Clone, PartialEq)]
pub struct SitePolicy {
    probability: f64,
    looks: BTreeMap<String, SiteLook>,
}

impl SitePolicy {
    /// Checks the looks and how often one is drawn.
    ///
    /// # Errors
    /// The key of a value out of range; `site_probability` if it is above 0 and there is no site.
    pub(crate) fn new(
        probability: f64,
        looks: BTreeMap<String, SiteLook>,
    ) -> Result<Self, ConfigError> {
        check_fraction("site_probability", probability)?;
        if probability > 0.0 && looks.is_empty() {
            let expected = "0 where no [site.NAME] is given";
            return Err(ConfigError::new("site_probability", expected, probability));
        }
        for (name, look) in &looks {
            look.check().map_err(|error| error.within(&format!("site.{name}")))?;
        }
        Ok(Self { probability, looks })
    }

    /// Draws a site, or none.
    pub(crate) fn draw(&self, rng: &mut impl Rng) -> Option<(&str, &SiteLook)> {
        let is_drawn = rng.random_bool(self.probability);
        if !is_drawn || self.looks.is_empty() {
            return None;
        }
        let place = rng.random_range(0..self.looks.len());
        self.looks.iter().nth(place).map(|(name, look)| (name.as_str(), look))
    }
}

impl SiteLook {
    fn check(&self) -> Result<(), ConfigError> {
        check_range("slice_thickness_mm", self.slice_thickness_mm, 0.1..=50.0)?;
        check_range("kernel_fwhm_mm", self.kernel_fwhm_mm, 0.0..=10.0)?;
        check_range("kernel_edge_enhancement", self.kernel_edge_enhancement, 0.0..=3.0)?;
        check_range("noise_hu", self.noise_hu, 0.0..=200.0)?;
        check_range("offset_hu", self.offset_hu, -500.0..=500.0)?;
        Ok(())
    }

    /// Puts the site's slices, kernel, noise and offset in the place of those drawn.
    pub(crate) fn put_on(&self, name: &str, drawn: &mut Drawn, geometry: &Geometry) {
        let kernel = ConvolutionKernel {
            fwhm_mm: self.kernel_fwhm_mm,
            edge_enhancement: self.kernel_edge_enhancement,
        };
        let is_thicker = self.slice_thickness_mm > geometry.spacing_mm()[0];
        let scanner = &mut drawn.scanner;
        scanner.slice_thickness_mm =
            (is_thicker && geometry.shape()[0] > 1).then_some(self.slice_thickness_mm);
        scanner.pixel_mm = None;
        scanner.seen_through = Some(kernel);
        scanner.noise_kernel = kernel;
        drawn.blur_mm = 0.0;
        drawn.noise_hu = self.noise_hu;
        drawn.offset_hu = self.offset_hu;
        drawn.site = Some(name.to_owned());
    }
}
