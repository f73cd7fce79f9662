//! A head of analytic shapes.
//!
//! Two frames: *head* mm (RAS+, the origin between the commissures, rigidly placed in the scanner) and
//! *template* mm, in which every organ is written down once. A patient's size, asymmetry and bends are
//! the map from head to template; organs are paired by mirroring, so the map is what makes left and
//! right differ.

mod base;
mod brain;
mod skull;
mod ventricles;

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use crate::shape::{Ellipsoid, Point, dot, floor, ramp, smooth_union, sub, to_right, wave};
use crate::texture::{Texture, TextureUse};

pub(crate) use brain::{Space, Tissue};

/// HU of air.
pub(crate) const AIR_HU: f32 = -1000.0;

// The inside of the skull, template mm: cerebrum (upper and lower half), posterior and middle fossa.
const CEREBRUM_CENTRE: Point = [0.0, -4.0, 10.0];
const CEREBRUM_UP: Ellipsoid = Ellipsoid::new(CEREBRUM_CENTRE, [66.0, 84.0, 63.0]);
const CEREBRUM_DOWN: Ellipsoid = Ellipsoid::new(CEREBRUM_CENTRE, [66.0, 84.0, 38.0]);
const POSTERIOR_FOSSA: Ellipsoid = Ellipsoid::new([0.0, -42.0, -32.0], [52.0, 40.0, 28.0]);
const MIDDLE_FOSSA: Ellipsoid = Ellipsoid::new([38.0, 10.0, -19.0], [25.0, 33.0, 22.0]);

/// A point in both frames, and how far from the inner surface of the skull (negative inside).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) head: Point,
    pub(crate) template: Point,
    pub(crate) cavity_mm: f32,
}

impl Place {
    /// The place a `share` of the way to another; exact enough over a few mm, since the map between the
    /// frames bends over decimetres.
    #[inline]
    pub(crate) fn toward(&self, other: &Place, share: f32) -> Place {
        let mix = |a: f32, b: f32| a + share * (b - a);
        Place {
            head: std::array::from_fn(|i| mix(self.head[i], other.head[i])),
            template: std::array::from_fn(|i| mix(self.template[i], other.template[i])),
            cavity_mm: mix(self.cavity_mm, other.cavity_mm),
        }
    }
}

/// Where a hematoma may spread: a hemisphere of the cerebrum or of the cerebellum.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Territory {
    /// 1 right, −1 left.
    pub(crate) side: f32,
    pub(crate) cerebellar: bool,
}

/// One patient's head.
#[derive(Debug)]
pub(crate) struct Head {
    per_scale: Point,
    egg: f32,
    torque: f32,
    bend_mm: [f32; 2],
    bend_phase: [f32; 2],
    midline_phase: f32,
    /// 0 in youth, 1 at the most: wide sulci and ventricles.
    atrophy: f32,
    skull_mm: f32,
    scalp_mm: f32,
    /// Size of the lateral ventricles, `[right, left]`.
    ventricle_scale: [f32; 2],
    /// HU of the calcified choroid plexus, `[right, left]`, and the pineal gland; 0: not calcified.
    calcification_hu: [f32; 3],
    folds: TextureUse,
    fold_width: TextureUse,
    thickness: TextureUse,
    grain: TextureUse,
}

impl Head {
    pub(crate) fn draw(rng: &mut impl Rng, age_years: f64) -> Self {
        let mut normal = |sd: f32| {
            let z: f32 = rng.sample(StandardNormal);
            sd * z.clamp(-2.5, 2.5)
        };
        let size = 1.0 + normal(0.02);
        let per_scale = std::array::from_fn(|_| 1.0 / (size + normal(0.02)));
        let (egg, torque) = (0.06 + normal(0.02), normal(0.02));
        let bend_mm = [normal(1.5), normal(1.0)];
        let (skull_mm, scalp_mm) = (6.0 + normal(0.9), 5.5 + normal(0.8));
        let ventricles = 1.0 + normal(0.08);
        let asymmetry = normal(0.06);
        let aged = ramp(40.0, 95.0, age_years as f32);
        let atrophy = (0.75 * aged + rng.random_range(0.0..0.35f32)).min(1.0);
        let ventricle_size = ventricles * (0.9 + 0.6 * atrophy);
        let calcification_hu = [0.85, 0.85, 0.7].map(|share| {
            let hu = rng.random_range(100.0..300.0f32);
            if rng.random_bool(share) { hu } else { 0.0 }
        });
        Self {
            per_scale,
            egg,
            torque,
            bend_mm,
            bend_phase: std::array::from_fn(|_| rng.random_range(0.0..1.0)),
            midline_phase: rng.random_range(0.0..1.0),
            atrophy,
            skull_mm,
            scalp_mm,
            ventricle_scale: [
                ventricle_size * (1.0 + asymmetry),
                ventricle_size * (1.0 - asymmetry),
            ],
            calcification_hu,
            folds: TextureUse::draw(rng, 13.0),
            fold_width: TextureUse::draw(rng, 22.0),
            thickness: TextureUse::draw(rng, 60.0),
            grain: TextureUse::draw(rng, 4.0),
        }
    }

    /// A point of head mm in both frames.
    pub(crate) fn place(&self, head: Point) -> Place {
        let template = self.to_template(head);
        Place { head, template, cavity_mm: self.cavity_mm(template) }
    }

    /// Head mm to template mm.
    #[inline]
    pub(crate) fn to_template(&self, head: Point) -> Point {
        // Products with reciprocals throughout: this runs for every point of every scan.
        let [x, y, z]: Point = std::array::from_fn(|i| head[i] * self.per_scale[i]);
        let along = y * (1.0 / 85.0);
        // Narrower in front, and fuller at both ends than an ellipse.
        let x = (x + self.torque * y) * (1.0 + self.egg * along - 0.13 * along * along);
        [
            x + self.bend_mm[0] * wave((y + 0.6 * z) * (1.0 / 190.0) + self.bend_phase[0]),
            y + self.bend_mm[1] * wave((x - 0.5 * z) * (1.0 / 170.0) + self.bend_phase[1]),
            z,
        ]
    }

    /// Template mm to head mm, by iteration: the map is close to the identity.
    pub(crate) fn to_head(&self, template: Point) -> Point {
        let mut head = template;
        for _ in 0..8 {
            let miss = sub(template, self.to_template(head));
            head = std::array::from_fn(|i| head[i] + miss[i]);
        }
        head
    }

    /// Whether a point (head mm) lies clear of every head, in the air.
    pub(crate) fn is_far(head: Point) -> bool {
        // Room for the largest skull with its scalp; below, also for nose and ears.
        const UP: Ellipsoid = Ellipsoid::new(CEREBRUM_CENTRE, [95.0, 114.0, 90.0]);
        const DOWN: Ellipsoid = Ellipsoid::new(CEREBRUM_CENTRE, [102.0, 132.0, 1000.0]);
        let bound = if head[2] > 25.0 { &UP } else { &DOWN };
        !bound.contains(head)
    }

    /// Distance to the inner surface of the skull, about mm: negative inside.
    fn cavity_mm(&self, t: Point) -> f32 {
        let z = t[2];
        let upper = z > CEREBRUM_CENTRE[2];
        let (half, deep) = if upper { (&CEREBRUM_UP, 0.36) } else { (&CEREBRUM_DOWN, 0.11) };
        // Deeper than anything that asks how deep.
        if half.level2(t) < deep {
            return -25.0;
        }
        let cerebrum = half.distance_mm(t);
        if z > 14.0 {
            return cerebrum;
        }
        let cavity = smooth_union(cerebrum, MIDDLE_FOSSA.distance_mm(to_right(t)), 7.0);
        if z > 8.0 {
            return cavity;
        }
        smooth_union(cavity, POSTERIOR_FOSSA.distance_mm(t), 6.0)
    }

    /// Whether a hematoma may lie here: tissue of its territory, not next to the skull, in no ventricle and no
    /// cistern.
    pub(crate) fn admits_hematoma(&self, place: &Place, territory: Territory) -> bool {
        let t = place.template;
        if place.cavity_mm >= -4.5 || territory.side * t[0] <= 2.5 {
            return false;
        }
        if territory.cerebellar {
            return brain::is_cerebellum(t);
        }
        !brain::is_infratentorial(t)
            && !brain::is_basal_cistern(t)
            && self.lateral_ventricle_mm(t) > 0.5
            && !ventricles::is_third(t, self.atrophy)
    }

    /// Whether a point (template mm) lies in a lateral or the third ventricle.
    pub(crate) fn is_ventricle(&self, t: Point) -> bool {
        self.lateral_ventricle_mm(t) < 0.0 || ventricles::is_third(t, self.atrophy)
    }

    /// HU outside the inner surface of the skull, `cavity_mm` from it.
    pub(crate) fn outside_hu(&self, texture: &Texture, place: &Place) -> f32 {
        let t = place.template;
        if skull::is_air(t, place.cavity_mm) {
            return AIR_HU;
        }
        if t[2] < base::TOP_MM
            && let Some(hu) = base::hu(&self.grain, texture, t)
        {
            return hu;
        }
        skull::hu(self, texture, t, place.cavity_mm)
    }

    /// The tissue at a point inside the skull, `depth_mm` (positive) from its inner surface.
    pub(crate) fn tissue(&self, texture: &Texture, t: Point, depth_mm: f32) -> Tissue {
        if t[2] < base::TOP_MM && base::is_ridge(t) {
            return Tissue::other(1000.0);
        }
        brain::tissue(self, texture, t, depth_mm)
    }

    /// The direction from the middle of the cerebrum, on a sphere of 70 mm: folds are drawn on it, so
    /// that they run into the brain at right angles.
    fn on_sphere(t: Point) -> Point {
        let from = sub(t, CEREBRUM_CENTRE);
        let per_length = 70.0 / dot(from, from).sqrt().max(1.0);
        from.map(|v| v * per_length)
    }
}

/// Air cells of the temporal and ethmoid bone: a grid of thin walls, bent.
fn is_cell_wall(t: Point, cell_mm: f32) -> bool {
    let bent = t[0] + 0.35 * t[1] + 1.5 * wave(t[2] / 11.0);
    let (u, v) = (bent / cell_mm, (t[1] - 0.3 * t[2] + 1.5 * wave(t[0] / 9.0)) / cell_mm);
    (u - floor(u) as f32) < 0.25 || (v - floor(v) as f32) < 0.25
}
