//! The signs of growth that a non-contrast CT shows of a hematoma, measured.

mod basin;
mod foci;
mod hematoma;
mod hole;
mod outline;
mod parts;
mod swirl;

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests;

use crate::{Image, LabelMap, VolumeError};
use foci::Foci;
use hematoma::Hematoma;
use hole::{HYPODENSITY_HU, Hole};
use parts::Parts;
use swirl::swirl_share;

/// Least difference of the two parts of a blend, HU (Li et al., Stroke 46, 2015).
const BLEND_HU: f64 = 18.0;
/// Small hematomas of an island sign: as many where all lie apart, as many where some bud from the main one
/// (Li et al., Stroke 48, 2017).
const ISLANDS_APART: usize = 3;
const ISLANDS: usize = 4;
/// Least share of a swirl in the hematoma's core. No paper states one: a streak 2 mm wide through a core of
/// 20 mm has a tenth, of which a thick slice leaves about half.
const SWIRL_SHARE: f64 = 0.04;
/// A hematoma less solid than this is irregular. No paper states a number: this one lies between the smoother
/// and the more irregular half of the phantom's hematomas. A disc on millimetre pixels has about 0.96.
const SOLIDITY: f64 = 0.83;

/// The signs of a hematoma on a non-contrast CT, and the numbers they rest on.
///
/// Definitions are the published ones, read on slices. Where they compare densities, a high percentile of the
/// dense part stands against a low one of the faint, as a reader would place two small regions of interest.
///
/// Before that, noise is taken away by a Gaussian of SD [1.5, 0.7, 0.7] mm along `[D, H, W]`, within the mask
/// alone: brain does not bleed in. The *core* is what lies more than 2 mm within the margin of its slice and
/// as far from the outermost slices, one slice at the least: elsewhere a voxel is partly brain. A hematoma
/// of a few voxels has no core and no sign of density. A hole that the mask leaves within a slice is part
/// of the hematoma.
///
/// A region is *enclosed* if every way out of it within its slice leads over denser blood; its *depth* is how
/// far its faintest voxel lies below the faintest of these ways.
///
/// The image has to be canonical (RAS+), the patient on the back, or a fluid level is not level. Label those
/// voxels that are blood within the tissue: others make foci of their own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NcctSigns {
    /// An enclosed faint region, round, oval or rod-like, at least 28 HU below the blood around it (Li et al.,
    /// Stroke 47, 2016, 1777–1781).
    pub black_hole: bool,
    /// How far the 10th percentile of an enclosed region that is no streak lies below the 90th of the core
    /// within 4 mm around it, HU, at the most; 0 without one.
    pub black_hole_difference_hu: f64,
    /// An enclosed region of any shape, 7 mm² or more in a slice and 10 HU deep (Boulouis et al., JAMA Neurol 73, 2016,
    /// 961–968).
    pub hypodensity: bool,
    /// Depth of the deepest enclosed region, HU; 0 without one.
    pub hypodensity_depth_hu: f64,
    /// Two parts at least 18 HU apart side by side, the fainter not enclosed (Li et al., Stroke 46, 2015,
    /// 2119–2123), that are no fluid level.
    pub blend: bool,
    /// Two such parts with a level border, the fainter in front, which is up (Pfleger et al., AJNR 15, 1994,
    /// 217–223).
    pub fluid_level: bool,
    /// How far the 90th percentile of the denser part lies above the 10th of the fainter, HU; 0 of a core that
    /// does not part in two.
    pub part_difference_hu: f64,
    /// Regions about as dense as brain within (Selariu et al., BMC Neurol 12, 2012, 109): 4 % of the core or
    /// more.
    pub swirl: bool,
    /// Share of the core that is nearer in density to the brain around than to the clot, 0 to 1. Black holes,
    /// other compact holes of 6 mm or more and the fainter of two parts are signs of their own and neither
    /// counted nor part of the whole; by the words of the definition they could be swirls too.
    pub swirl_share: f64,
    /// A focus of less than 10 mm, 1 to 20 mm apart from the main hematoma (Shimoda et al., Cerebrovasc Dis 44,
    /// 2017, 105–112; Yu et al., Clin Neurol Neurosurg 162, 2017, 67–71). Apart in every slice, where the
    /// definition asks for one: the tips of a lobed hematoma are apart in some.
    pub satellite: bool,
    /// How many such foci there are.
    pub n_satellites: usize,
    /// Three or more small hematomas apart from the main one, or four or more that lie apart or bud from it (Li
    /// et al., Stroke 48, 2017, 3019–3025). The lobes of an irregular outline are hardly told from buds.
    pub island: bool,
    /// Small hematomas apart from the main one, at any distance.
    pub n_islands_apart: usize,
    /// Small hematomas that bud from the main one: at least half as long as their base is wide.
    pub n_buds: usize,
    /// An outline with bays: solidity below 0.83. A reader counts the irregularities of the margin (Barras et
    /// al., Stroke 40, 2009, 1325–1331).
    pub irregular: bool,
    /// Area over that of the convex hull, both summed over slices; foci apart do not count.
    pub solidity: f64,
}

impl NcctSigns {
    /// The names of [`NcctSigns::numbers`]: those of the fields.
    pub const NAMES: [&str; 16] = [
        "black_hole",
        "black_hole_difference_hu",
        "hypodensity",
        "hypodensity_depth_hu",
        "blend",
        "fluid_level",
        "part_difference_hu",
        "swirl",
        "swirl_share",
        "satellite",
        "n_satellites",
        "island",
        "n_islands_apart",
        "n_buds",
        "irregular",
        "solidity",
    ];

    /// Every field as a number, flags as 0 or 1, in the order of [`NcctSigns::NAMES`].
    pub fn numbers(&self) -> [f64; 16] {
        let flag = |flag: bool| f64::from(u8::from(flag));
        [
            flag(self.black_hole),
            self.black_hole_difference_hu,
            flag(self.hypodensity),
            self.hypodensity_depth_hu,
            flag(self.blend),
            flag(self.fluid_level),
            self.part_difference_hu,
            flag(self.swirl),
            self.swirl_share,
            flag(self.satellite),
            self.n_satellites as f64,
            flag(self.island),
            self.n_islands_apart as f64,
            self.n_buds as f64,
            flag(self.irregular),
            self.solidity,
        ]
    }

    /// Measures the hematoma that is the voxels of `mask` with one of `labels`, on an image in HU; `None`
    /// if there are none.
    ///
    /// # Errors
    /// [`VolumeError::GridMismatch`] if mask and image lie on different grids.
    pub fn of(image: &Image, mask: &LabelMap, labels: &[u8]) -> Result<Option<Self>, VolumeError> {
        let (left, right) = (image.geometry(), mask.geometry());
        if !left.is_same_grid(right) {
            return Err(VolumeError::GridMismatch { left: left.shape(), right: right.shape() });
        }
        let Some(hematoma) = Hematoma::of(image, mask, labels)? else { return Ok(None) };
        let brim_hu = hematoma.brim_hu();
        let holes = Hole::all(&hematoma, &brim_hu)?;
        let most = |of: fn(&Hole) -> f64| holes.iter().map(of).fold(0.0, f64::max);
        let hypodensity_depth_hu = most(|hole| hole.depth_hu);
        let parts = Parts::of(&hematoma, &brim_hu).filter(Parts::are_two);
        let part_difference_hu = parts.as_ref().map_or(0.0, |parts| parts.difference_hu);
        let is_level = parts.as_ref().is_some_and(Parts::are_level);
        let are_apart = part_difference_hu >= BLEND_HU;
        let parts = parts.filter(|_| are_apart);
        let swirl_share = swirl_share(&hematoma, &holes, parts.as_ref())?;
        let foci = Foci::of(&hematoma)?;
        let solidity = outline::solidity(&foci.main, hematoma.geometry.shape());
        Ok(Some(Self {
            black_hole: holes.iter().any(Hole::is_black),
            black_hole_difference_hu: most(Hole::compact_difference_hu),
            hypodensity: hypodensity_depth_hu >= HYPODENSITY_HU,
            hypodensity_depth_hu,
            blend: are_apart && !is_level,
            fluid_level: are_apart && is_level,
            part_difference_hu,
            swirl: swirl_share >= SWIRL_SHARE,
            swirl_share,
            satellite: foci.n_satellites > 0,
            n_satellites: foci.n_satellites,
            island: foci.n_apart >= ISLANDS_APART || foci.n_apart + foci.n_buds >= ISLANDS,
            n_islands_apart: foci.n_apart,
            n_buds: foci.n_buds,
            irregular: solidity < SOLIDITY,
            solidity,
        }))
    }
}
