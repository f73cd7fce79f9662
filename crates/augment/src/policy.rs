use std::collections::BTreeMap;

use hemex_stage::{ConfigError, DrawKey, check_fraction, check_range};
use hemex_volume::{DisplacementField, Geometry};
use rand::{Rng, RngExt};
use serde::Deserialize;

use crate::lesion::LesionSketch;
use crate::site::SitePolicy;
use crate::{Drawn, DrawnElastic, LesionPolicy, RawLesion, RawScanner, ScannerPolicy, SiteLook};

/// The least local change of volume (determinant of the Jacobian) an elastic deformation may make;
/// stronger draws are weakened until they keep to it, so that nothing is folded or nearly so.
pub const MIN_JACOBIAN: f64 = 0.25;

/// By how much a deformation that squeezes too much is weakened at a time.
const WEAKEN: f64 = 0.8;

/// The limits of a [`Policy`] as written in a config; every key is required. Triples are `[D, H, W]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawPolicy {
    /// Probability of a left-right mirror image.
    pub flip_probability: f64,
    /// Largest rotation about each axis, degrees; that about `D` turns within the slice. On grids
    /// with thick slices the other two are best kept to a few degrees.
    pub rotation_deg: [f64; 3],
    /// Largest relative magnification, 0.1 for 90 % to 110 %; changes lesion volumes by its third power.
    pub scale: f64,
    /// Largest shift along each axis, mm.
    pub translation_mm: [f64; 3],
    /// The elastic deformation.
    pub elastic: RawElastic,
    /// The deformation of the lesion.
    pub lesion: RawLesion,
    /// Largest standard deviation of the added noise, HU.
    pub noise_hu: f64,
    /// Largest standard deviation of the Gaussian blur within the slice, mm.
    pub blur_mm: f64,
    /// Largest relative change of contrast about 0 HU.
    pub gain: f64,
    /// Largest shift of all values, HU.
    pub offset_hu: f64,
    /// What another scanner would have shown.
    pub scanner: RawScanner,
    /// How often an image is given the look of a site, all of them as often.
    pub site_probability: f64,
    /// The sites' looks by name; empty (`site = {}`) for none.
    pub site: BTreeMap<String, SiteLook>,
}

impl RawPolicy {
    /// Changes nothing: a ground to write a policy of few parts on.
    pub const NOTHING: Self = Self {
        flip_probability: 0.0,
        rotation_deg: [0.0; 3],
        scale: 0.0,
        translation_mm: [0.0; 3],
        elastic: RawElastic {
            probability: 0.0,
            control_points: [2; 3],
            max_displacement_mm: [0.0; 3],
        },
        lesion: RawLesion {
            probability: 0.0,
            volume_change: 0.0,
            stretch: 0.0,
            lobe: 0.0,
            reach_mm: 25.0,
        },
        noise_hu: 0.0,
        blur_mm: 0.0,
        gain: 0.0,
        offset_hu: 0.0,
        scanner: RawScanner::NOTHING,
        site_probability: 0.0,
        site: BTreeMap::new(),
    };
}

/// The elastic deformation as written in a config.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawElastic {
    /// How often there is one.
    pub probability: f64,
    /// Control points along `[D, H, W]` over the extent of the grid; more make it more local.
    pub control_points: [usize; 3],
    /// Largest displacement along each axis, mm.
    pub max_displacement_mm: [f64; 3],
}

/// What may be drawn: the checked limits.
///
/// Every quantity is drawn uniformly between its limits, independently of the others.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    flip_probability: f64,
    rotation_deg: [f64; 3],
    scale: f64,
    translation_mm: [f64; 3],
    elastic: ElasticPolicy,
    lesion: LesionPolicy,
    noise_hu: f64,
    blur_mm: f64,
    gain: f64,
    offset_hu: f64,
    scanner: ScannerPolicy,
    site: SitePolicy,
}

/// The checked limits of the elastic deformation.
#[derive(Debug, Clone, PartialEq)]
pub struct ElasticPolicy {
    probability: f64,
    control_points: [usize; 3],
    max_displacement_mm: [f64; 3],
}

impl TryFrom<RawPolicy> for Policy {
    type Error = ConfigError;

    fn try_from(raw: RawPolicy) -> Result<Self, ConfigError> {
        for limit in raw.rotation_deg {
            check_range("rotation_deg", limit, 0.0..=180.0)?;
        }
        for limit in raw.translation_mm {
            check_range("translation_mm", limit, 0.0..=200.0)?;
        }
        Ok(Self {
            flip_probability: check_fraction("flip_probability", raw.flip_probability)?,
            rotation_deg: raw.rotation_deg,
            scale: check_range("scale", raw.scale, 0.0..=0.5)?,
            translation_mm: raw.translation_mm,
            elastic: raw.elastic.try_into().map_err(|e: ConfigError| e.within("elastic"))?,
            lesion: raw.lesion.try_into().map_err(|e: ConfigError| e.within("lesion"))?,
            noise_hu: check_range("noise_hu", raw.noise_hu, 0.0..=200.0)?,
            blur_mm: check_range("blur_mm", raw.blur_mm, 0.0..=20.0)?,
            gain: check_range("gain", raw.gain, 0.0..=0.9)?,
            offset_hu: check_range("offset_hu", raw.offset_hu, 0.0..=500.0)?,
            scanner: raw.scanner.try_into().map_err(|e: ConfigError| e.within("scanner"))?,
            site: SitePolicy::new(raw.site_probability, raw.site)?,
        })
    }
}

impl TryFrom<RawElastic> for ElasticPolicy {
    type Error = ConfigError;

    fn try_from(raw: RawElastic) -> Result<Self, ConfigError> {
        for n in raw.control_points {
            check_range("control_points", n as f64, 2.0..=64.0)?;
        }
        for limit in raw.max_displacement_mm {
            check_range("max_displacement_mm", limit, 0.0..=100.0)?;
        }
        Ok(Self {
            probability: check_fraction("probability", raw.probability)?,
            control_points: raw.control_points,
            max_displacement_mm: raw.max_displacement_mm,
        })
    }
}

impl Policy {
    /// Draws a transform for images on this grid in which no lesion is known; the key alone decides.
    ///
    /// On a grid with one voxel along an axis (a single slice) nothing is displaced along that axis
    /// and nothing turns out of the plane: those parameters are drawn as 0.
    pub fn draw(&self, key: &DrawKey, geometry: &Geometry) -> Drawn {
        self.draw_around(key, geometry, &[])
    }

    /// Draws a transform for images on this grid whose lesion fills the voxels `lesion` (their places in
    /// `[D, H, W]` order): as [`Policy::draw`], with a deformation of the lesion.
    pub fn draw_around(&self, key: &DrawKey, geometry: &Geometry, lesion: &[usize]) -> Drawn {
        let (drawn, sketch) = self.draw_but_lesion(key, geometry);
        Drawn { lesion: self.lesion.deformation(&sketch, geometry, lesion), ..drawn }
    }

    /// Everything but the lesion's deformation, of which the numbers alone are drawn.
    pub(crate) fn draw_but_lesion(
        &self,
        key: &DrawKey,
        geometry: &Geometry,
    ) -> (Drawn, LesionSketch) {
        let rng = &mut key.rng();
        let shape = geometry.shape();
        let moves = shape.map(|n| n > 1);
        let turns = [moves[1] && moves[2], moves[2] && moves[0], moves[0] && moves[1]];
        // Drawn before it is decided whether they apply, so that a slice and its volume draw alike.
        let flip = rng.random_bool(self.flip_probability);
        let rotation_deg = self.rotation_deg.map(|limit| symmetric(rng, limit));
        let magnification = 1.0 + symmetric(rng, self.scale);
        let translation_mm = self.translation_mm.map(|limit| symmetric(rng, limit));
        let blur_mm = rng.random_range(0.0..=self.blur_mm);
        let gain = 1.0 + symmetric(rng, self.gain);
        let offset_hu = symmetric(rng, self.offset_hu);
        let noise_hu = rng.random_range(0.0..=self.noise_hu);
        let noise_seed = rng.random();
        let elastic = self.elastic.draw(rng, geometry);
        // What was added to the policy later is drawn later, so that it leaves the other draws as they are.
        let sketch = self.lesion.sketch(rng);
        let scanner = self.scanner.draw(rng, geometry);
        let kept = |values: [f64; 3], applies: [bool; 3]| {
            std::array::from_fn(|a| if applies[a] { values[a] } else { 0.0 })
        };
        let mut drawn = Drawn {
            flip: flip && moves[2],
            rotation_deg: kept(rotation_deg, turns),
            magnification,
            translation_mm: kept(translation_mm, moves),
            elastic,
            blur_mm,
            gain,
            offset_hu,
            noise_hu,
            noise_seed,
            scanner,
            ..Drawn::identity(geometry)
        };
        if let Some((name, look)) = self.site.draw(rng) {
            look.put_on(name, &mut drawn, geometry);
        }
        (drawn, sketch)
    }

    /// The limits of the lesion's deformation.
    pub(crate) fn lesion(&self) -> &LesionPolicy {
        &self.lesion
    }

    /// The smallest and largest change of lesion volume by scaling, as factors; in single slices the
    /// change of area lies within the same range.
    pub fn volume_factor_range(&self) -> [f64; 2] {
        [(1.0 - self.scale).powi(3), (1.0 + self.scale).powi(3)]
    }
}

impl ElasticPolicy {
    fn draw(&self, rng: &mut impl Rng, geometry: &Geometry) -> Option<DrawnElastic> {
        let shape = geometry.shape();
        let limits: [f64; 3] =
            std::array::from_fn(|a| if shape[a] > 1 { self.max_displacement_mm[a] } else { 0.0 });
        if !rng.random_bool(self.probability) || limits == [0.0; 3] {
            return None;
        }
        // An axis with one voxel needs one control point.
        let n_control: [usize; 3] =
            std::array::from_fn(|a| if shape[a] > 1 { self.control_points[a] } else { 1 });
        let displacements = (0..n_control.iter().product::<usize>())
            .map(|_| limits.map(|limit| symmetric(rng, limit)))
            .collect();
        let drawn = DisplacementField::new(n_control, displacements).ok()?;
        let (mut field, mut strength) = (drawn.clone(), 1.0);
        let mut extremes = field.extremes(geometry);
        // Ends: a field of no strength has the Jacobian 1.
        while extremes.min_jacobian < MIN_JACOBIAN {
            strength *= WEAKEN;
            field = drawn.scaled(strength);
            extremes = field.extremes(geometry);
        }
        Some(DrawnElastic { field, strength, extremes })
    }
}

/// Uniform between `-limit` and `limit`.
pub(crate) fn symmetric(rng: &mut impl Rng, limit: f64) -> f64 {
    rng.random_range(-limit..=limit)
}
