//! A hematoma as a level function: it fills all points whose level lies below its radius.
//!
//! One function serves every volume, so that a follow-up is the same hematoma at a larger radius. The
//! radius for a volume is found by counting, which takes into account where skull, midline and
//! ventricles cut the shape.

use hemex_stage::DrawKey;
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use crate::PhantomError;
use crate::anatomy::Head;
use crate::config::LesionConfig;
use crate::shape::{Point, dot, sub};
use crate::signs::{ImageSigns, Location, uniform};
use crate::texture::{Texture, TextureUse};

/// No point of level `l` of the main hematoma lies further than this times `l` from its centre (longest
/// axis, largest lobe).
const REACH: f32 = 2.25;
/// Grid points that a hematoma is counted with, about.
const N_COUNTED: f64 = 12_000.0;
/// Centre and radius of the black hole, share of the radius.
const HOLE_AT: f32 = 0.36;
const HOLE_RADIUS: f32 = 0.42;

/// One patient's hematoma, in head mm, without its size.
#[derive(Debug)]
pub(crate) struct Lesion {
    pub(crate) centre: Point,
    /// 1 right, −1 left.
    pub(crate) side: f32,
    /// Rotation and stretching, determinant 1.
    to_round: [Point; 3],
    irregularity: f32,
    lobes: TextureUse,
    /// Centre, and level a mm from it.
    satellites: Vec<(Point, f32)>,
    density_hu: f32,
    swirl_hu: f32,
    swirl: TextureUse,
    /// Direction of the black hole in the round frame, and how far it lies below, HU.
    black_hole: Option<(Point, f32)>,
    /// Blood in the ventricles lies behind this (template mm).
    pub(crate) ivh_level_mm: Option<f32>,
    pub(crate) edema_mm: f32,
}

impl Lesion {
    /// Draws the hematoma with the given signs.
    ///
    /// # Errors
    /// [`PhantomError::NoRoom`] if the head cannot hold its volume.
    pub(crate) fn draw(
        seed: u64,
        patient: &str,
        signs: &ImageSigns,
        config: &LesionConfig,
        head: &Head,
        texture: &Texture,
    ) -> Result<Self, PhantomError> {
        // A generator a sign: one that comes or goes leaves the rest of the patient as it was.
        let key = |purpose| DrawKey::new(seed, purpose).case(patient).rng();
        let mut rng = key("phantom.lesion");
        let rng = &mut rng;
        let side = if rng.random_bool(0.5) { 1.0 } else { -1.0 };
        let centre = head.to_head(draw_centre(rng, signs.location, side));
        let mut lesion = Self {
            centre,
            side,
            to_round: draw_stretch(rng),
            irregularity: signs.irregularity as f32,
            lobes: TextureUse::draw(rng, 0.9),
            satellites: Vec::new(),
            density_hu: uniform(rng, config.density_hu) as f32,
            swirl_hu: (signs.heterogeneity * config.heterogeneity_hu) as f32,
            swirl: TextureUse::draw(rng, 7.0),
            black_hole: None,
            ivh_level_mm: None,
            edema_mm: uniform(rng, config.edema_rim_mm) as f32,
        };
        if signs.ivh {
            let level_mm = key("phantom.ivh").random_range(-46.0..-18.0);
            lesion.ivh_level_mm = Some(level_mm);
        }
        if signs.black_hole {
            let mut rng = key("phantom.black_hole");
            let drop_hu = uniform(&mut rng, config.black_hole_drop_hu) as f32;
            lesion.black_hole = Some((lesion.widest_direction(&mut rng, texture), drop_hu));
        }
        if signs.satellite {
            let extent = Extent::measure(&lesion, head, texture, signs.volume_ml);
            let radius_mm = extent.radius_mm(patient, 0.96 * signs.volume_ml)?;
            let mut rng = key("phantom.satellite");
            lesion.satellites = lesion.draw_satellites(&mut rng, head, texture, radius_mm);
        }
        Ok(lesion)
    }

    /// The level at a point in head mm: about the distance from the centre in mm, less where the
    /// outline bulges.
    pub(crate) fn level_mm(&self, texture: &Texture, head: Point) -> f32 {
        let main = self.main_level_mm(texture, self.round(head));
        self.satellites.iter().fold(main, |least, (centre, level_per_mm)| {
            let from = sub(head, *centre);
            least.min(dot(from, from).sqrt() * level_per_mm)
        })
    }

    /// No point of this level or below lies further from the centre, mm.
    pub(crate) fn reach_mm(&self, level_mm: f32) -> f32 {
        self.satellites.iter().fold(REACH * level_mm, |reach, (centre, level_per_mm)| {
            let from = sub(*centre, self.centre);
            reach.max(dot(from, from).sqrt() + level_mm / level_per_mm)
        })
    }

    fn round(&self, head: Point) -> Point {
        let from = sub(head, self.centre);
        self.to_round.map(|row| dot(row, from))
    }

    fn main_level_mm(&self, texture: &Texture, round: Point) -> f32 {
        let length = dot(round, round).sqrt();
        if length < 1e-3 {
            return 0.0;
        }
        length / (1.0 + self.irregularity * self.lobe(texture, round.map(|v| v / length)))
    }

    /// How far the outline bulges in a direction, SD 1, limited to ±1.6.
    fn lobe(&self, texture: &Texture, direction: Point) -> f32 {
        let coarse = self.lobes.at(texture, direction);
        let fine = self.lobes.at(texture, direction.map(|v| 2.3 * v + 9.0));
        (0.95 * coarse + 0.25 * fine).clamp(-1.6, 1.6)
    }

    /// Density at a point inside a hematoma of this radius, HU.
    pub(crate) fn hu(&self, texture: &Texture, head: Point, radius_mm: f32) -> f32 {
        let round = self.round(head);
        if let Some((direction, drop_hu)) = self.black_hole {
            let from: Point =
                std::array::from_fn(|i| round[i] - HOLE_AT * radius_mm * direction[i]);
            if dot(from, from) < (HOLE_RADIUS * radius_mm).powi(2) {
                return self.density_hu - drop_hu;
            }
        }
        // Cells settle: the back of a hematoma is a little denser than its front.
        let settled = -2.0 * (head[1] - self.centre[1]) / radius_mm;
        self.density_hu + settled + self.swirl_hu * self.swirl.at(texture, head)
    }

    /// Density of blood in the ventricles, HU.
    pub(crate) fn ivh_hu(&self) -> f32 {
        self.density_hu - 4.0
    }

    /// The direction, near the slice plane, in which the outline bulges most: a hole there is enclosed.
    fn widest_direction(&self, rng: &mut impl Rng, texture: &Texture) -> Point {
        let mut widest = ([1.0, 0.0, 0.0], f32::MIN);
        for _ in 0..24 {
            let direction = flattened(draw_direction(rng));
            let lobe = self.lobe(texture, direction);
            if lobe > widest.1 {
                widest = (direction, lobe);
            }
        }
        widest.0
    }

    /// One to three small foci, a few mm apart from the main hematoma of this radius.
    fn draw_satellites(
        &self,
        rng: &mut impl Rng,
        head: &Head,
        texture: &Texture,
        radius_mm: f32,
    ) -> Vec<(Point, f32)> {
        let n = rng.random_range(1..=3);
        let mut satellites = Vec::new();
        for _ in 0..200 {
            if satellites.len() == n {
                break;
            }
            // Near the slice plane: above or below, a thick slice would join them to the main one.
            let direction = flattened(draw_direction(rng));
            let satellite_mm = rng.random_range(3.4..4.9f32);
            let gap_mm = rng.random_range(3.0..8.0f32);
            let ahead: Point = std::array::from_fn(|i| self.centre[i] + direction[i]);
            let margin_mm = radius_mm / self.main_level_mm(texture, self.round(ahead));
            let at = margin_mm + gap_mm + satellite_mm;
            let centre: Point = std::array::from_fn(|i| self.centre[i] + at * direction[i]);
            let mut place = head.place(centre);
            place.cavity_mm += 4.0;
            if head.admits_hematoma(&place, self.side) {
                satellites.push((centre, radius_mm / satellite_mm));
            }
        }
        satellites
    }
}

/// Sorted levels of the points a hematoma can fill: the volume of every radius.
pub(crate) struct Extent {
    levels_mm: Vec<f32>,
    cell_ml: f64,
}

impl Extent {
    /// Levels around a lesion, up to those that a hematoma of `max_volume_ml` needs (more, where
    /// anatomy leaves little room).
    pub(crate) fn measure(
        lesion: &Lesion,
        head: &Head,
        texture: &Texture,
        max_volume_ml: f64,
    ) -> Self {
        let sphere_mm = (max_volume_ml * 1000.0 * 0.75 / std::f64::consts::PI).cbrt();
        let step_mm = (max_volume_ml * 1000.0 / N_COUNTED).cbrt();
        let mut extent = Self { levels_mm: Vec::new(), cell_ml: step_mm.powi(3) / 1000.0 };
        for growth in [1.25, 1.6, 2.2] {
            extent.count(lesion, head, texture, step_mm as f32, (growth * sphere_mm) as f32);
            if extent.max_volume_ml() >= max_volume_ml {
                break;
            }
        }
        extent.levels_mm.sort_by(f32::total_cmp);
        extent
    }

    fn count(
        &mut self,
        lesion: &Lesion,
        head: &Head,
        texture: &Texture,
        step_mm: f32,
        max_level_mm: f32,
    ) {
        self.levels_mm.clear();
        let n = (lesion.reach_mm(max_level_mm) / step_mm).ceil() as i32;
        // Half a step aside: the centre is no grid point.
        let along = |i: i32, axis: usize| lesion.centre[axis] + (i as f32 + 0.5) * step_mm;
        for k in -n..n {
            for j in -n..n {
                for i in -n..n {
                    let point = [along(i, 0), along(j, 1), along(k, 2)];
                    let level_mm = lesion.level_mm(texture, point);
                    if level_mm < max_level_mm
                        && head.admits_hematoma(&head.place(point), lesion.side)
                    {
                        self.levels_mm.push(level_mm);
                    }
                }
            }
        }
    }

    fn max_volume_ml(&self) -> f64 {
        self.levels_mm.len() as f64 * self.cell_ml
    }

    /// The radius at which the hematoma has this volume.
    ///
    /// # Errors
    /// [`PhantomError::NoRoom`] if there are too few points.
    pub(crate) fn radius_mm(&self, patient: &str, volume_ml: f64) -> Result<f32, PhantomError> {
        let place = (volume_ml / self.cell_ml).round() as usize;
        self.levels_mm
            .get(place)
            .copied()
            .ok_or_else(|| PhantomError::NoRoom { patient: patient.to_owned(), volume_ml })
    }
}

/// The centre of a hematoma, template mm.
fn draw_centre(rng: &mut impl Rng, location: Location, side: f32) -> Point {
    const LOBES: [Point; 4] =
        [[30.0, 42.0, 26.0], [34.0, -36.0, 36.0], [45.0, -6.0, -12.0], [28.0, -60.0, 16.0]];
    let (centre, spread_mm) = match location {
        Location::Deep => ([27.0, 2.0, 5.0], [3.0, 7.0, 4.0]),
        Location::Thalamic => ([14.0, -13.0, 8.0], [2.0, 3.0, 2.5]),
        Location::Lobar => (LOBES[rng.random_range(0..LOBES.len())], [4.0, 8.0, 6.0]),
    };
    let [x, y, z]: Point =
        std::array::from_fn(|i| centre[i] + spread_mm[i] * rng.random_range(-1.0..1.0f32));
    [side * x, y, z]
}

/// A random rotation after stretching by axes of 0.75 to 1.35, determinant 1.
fn draw_stretch(rng: &mut impl Rng) -> [Point; 3] {
    let axes: Point = std::array::from_fn(|_| rng.random_range(0.8..1.25f32));
    let scale = (axes[0] * axes[1] * axes[2]).cbrt();
    let first = draw_direction(rng);
    let other = draw_direction(rng);
    let along = dot(first, other);
    let second: Point = std::array::from_fn(|i| other[i] - along * first[i]);
    let length = dot(second, second).sqrt().max(1e-3);
    let second = second.map(|v| v / length);
    let third = [
        first[1] * second[2] - first[2] * second[1],
        first[2] * second[0] - first[0] * second[2],
        first[0] * second[1] - first[1] * second[0],
    ];
    let rows = [first, second, third];
    std::array::from_fn(|i| rows[i].map(|v| v * scale / axes[i]))
}

/// A random unit vector.
fn draw_direction(rng: &mut impl Rng) -> Point {
    let v: Point = std::array::from_fn(|_| rng.sample(StandardNormal));
    let length = dot(v, v).sqrt();
    if length < 1e-3 { [0.0, 1.0, 0.0] } else { v.map(|x| x / length) }
}

/// A unit vector turned toward the slice plane.
fn flattened([x, y, z]: Point) -> Point {
    let flat = [x, y, 0.3 * z];
    let length = dot(flat, flat).sqrt();
    if length < 1e-3 { [0.0, 1.0, 0.0] } else { flat.map(|v| v / length) }
}
