//! How dense the blood of a hematoma is: even or not, and with the signs that its density makes.

use hemex_stage::DrawKey;

use crate::config::LesionConfig;
use crate::shape::{Point, dot, ramp, sub, wave};
use crate::signs::{ImageSigns, uniform};
use crate::texture::{Texture, TextureUse};

/// How far the plane between the two parts of a blend lies from the centre, share of the radius.
const BLEND_AT: f32 = 0.05;
/// Where a fluid level stands above the centre, share of the radius, and how far the serum above lies below
/// the cells beneath, HU.
const FLUID_AT: f32 = 0.1;
const SERUM_DROP_HU: f32 = 26.0;
/// Streaks of a swirl: as dense as brain, some millimetres wide, not at the margin (share of the radius).
const SWIRL_HU: f32 = 35.0;
const SWIRL_WITHIN: f32 = 0.8;

/// A black hole: its centre in the round frame and its radius, in radii of the hematoma.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hole {
    pub(super) centre: Point,
    pub(super) radius: f32,
}

impl Hole {
    /// Points around it: where they are blood, it is enclosed.
    pub(super) fn surroundings(self) -> impl Iterator<Item = Point> {
        let room = 1.15 * self.radius;
        let ways = (0..27).map(|i| [i % 3 - 1, i / 3 % 3 - 1, i / 9 - 1].map(|step| step as f32));
        ways.filter(|way| dot(*way, *way) > 0.0).map(move |way| {
            let length = dot(way, way).sqrt();
            std::array::from_fn(|i| self.centre[i] + room * way[i] / length)
        })
    }
}

/// Density of the blood, HU.
#[derive(Debug)]
pub(super) struct Density {
    pub(super) mean_hu: f32,
    heterogeneity_hu: f32,
    heterogeneity: TextureUse,
    /// Where, and how far it lies below, HU.
    black_hole: Option<(Hole, f32)>,
    /// Direction in the round frame, and how far it lies below, HU.
    blend: Option<(Point, f32)>,
    swirl: Option<TextureUse>,
    fluid_level: bool,
}

/// A point within a hematoma.
pub(super) struct Within {
    pub(super) head: Point,
    /// From the centre in the round frame, in radii.
    pub(super) round: Point,
    /// How far above the centre it lies in the lying patient, in radii.
    pub(super) above: f32,
}

impl Density {
    /// Draws the density; a blend is parted across a direction (round frame).
    pub(super) fn draw(
        key: impl Fn(&'static str) -> DrawKey,
        signs: &ImageSigns,
        config: &LesionConfig,
        across: Point,
    ) -> Self {
        let rng = &mut key("phantom.density").rng();
        let mean_hu = uniform(rng, config.density_hu) as f32;
        let heterogeneity = TextureUse::draw(rng, 7.0);
        let drop = |purpose, range| uniform(&mut key(purpose).rng(), range) as f32;
        Self {
            mean_hu,
            heterogeneity_hu: (signs.heterogeneity * config.heterogeneity_hu) as f32,
            heterogeneity,
            black_hole: (signs.black_hole).then(|| {
                (
                    Hole { centre: [0.0; 3], radius: 0.0 },
                    drop("phantom.black_hole", config.black_hole_drop_hu),
                )
            }),
            blend: signs.blend.then(|| (across, drop("phantom.blend", config.blend_drop_hu))),
            swirl: (signs.swirl).then(|| TextureUse::draw(&mut key("phantom.swirl").rng(), 9.0)),
            fluid_level: signs.fluid_level,
        }
    }

    /// Moves the black hole, if there is one.
    pub(super) fn move_black_hole(&mut self, hole: Hole) {
        if let Some((place, _)) = &mut self.black_hole {
            *place = hole;
        }
    }

    /// The density at a point.
    pub(super) fn hu(&self, texture: &Texture, at: &Within) -> f32 {
        if let Some((hole, drop_hu)) = self.black_hole {
            let from = sub(at.round, hole.centre);
            if dot(from, from) < hole.radius * hole.radius {
                return self.mean_hu - drop_hu;
            }
        }
        // Cells settle: the back of a hematoma is a little denser than its front.
        let mut hu = self.mean_hu - 2.0 * at.above
            + self.heterogeneity_hu * self.heterogeneity.at(texture, at.head);
        if let Some((across, drop_hu)) = self.blend {
            // A border that can be seen, though not a plane one.
            let along = dot(at.round, across) - 0.08 * wave(0.7 * (at.round[0] + at.round[1]));
            if along > BLEND_AT {
                hu -= drop_hu;
            }
        }
        if self.fluid_level && at.above > FLUID_AT {
            hu -= SERUM_DROP_HU;
        }
        if let Some(swirl) = self.swirl {
            let streak = 1.0 - ramp(0.25, 0.5, swirl.at(texture, at.head).abs());
            let inside =
                1.0 - ramp(SWIRL_WITHIN - 0.1, SWIRL_WITHIN, dot(at.round, at.round).sqrt());
            hu = hu.min(hu + streak * inside * (SWIRL_HU - hu));
        }
        hu
    }
}
