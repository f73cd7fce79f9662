//! A hematoma as a level function: it fills all points whose level lies below its radius.
//!
//! One function serves every volume, so that a follow-up is the same hematoma at a larger radius. The
//! radius for a volume is found by counting, which takes into account where skull, midline and
//! ventricles cut the shape.

mod density;
mod extent;

use hemex_stage::DrawKey;
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use crate::PhantomError;
use crate::anatomy::{Head, Territory};
use crate::config::LesionConfig;
use crate::shape::{Point, dot, sub};
use crate::signs::{ImageSigns, Location, uniform};
use crate::texture::{Texture, TextureUse};
use density::{Density, Hole, Within};

pub(crate) use extent::Extent;

/// No point of level `l` of the main hematoma lies further than this times `l` from its centre (longest
/// axis, largest lobe).
const REACH: f32 = 2.25;
/// The outline bulges by no more than this many SD.
const MOST_LOBE: f32 = 1.6;
/// Radius of the small hematomas of an island sign, share of the main one's, and its limits, mm.
const ISLAND_RADIUS: f32 = 0.32;
const ISLAND_MM: [f32; 2] = [2.6, 5.0];
/// No two of them lie nearer than this angle (its cosine), seen from the centre.
const ISLANDS_APART: f32 = 0.6;
/// A black hole lies this far from the centre and is so large, share of the radius: the first for which there
/// is room.
const HOLE_AT: f32 = 0.4;
const HOLE_RADII: [f32; 3] = [0.42, 0.34, 0.26];
/// Blood in the subarachnoid space lies no further than this from the main hematoma, mm.
const SUBARACHNOID_MM: f32 = 22.0;

/// One patient's hematoma, in head mm, without its size.
#[derive(Debug)]
pub(crate) struct Lesion {
    pub(crate) centre: Point,
    pub(crate) territory: Territory,
    outline: Outline,
    /// Small hematomas beside the main one: centre, and level a mm from it.
    foci: Vec<(Point, f32)>,
    density: Density,
    /// Blood in the ventricles lies behind this (template mm).
    pub(crate) ivh_level_mm: Option<f32>,
    is_subarachnoid: bool,
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
        let key = |purpose| DrawKey::new(seed, purpose).case(patient);
        let rng = &mut key("phantom.lesion").rng();
        let side = if rng.random_bool(0.5) { 1.0 } else { -1.0 };
        let outline = Outline {
            to_round: draw_stretch(rng),
            irregularity: signs.irregularity as f32,
            lobes: TextureUse::draw(rng, 0.9),
        };
        let centre = head.to_head(draw_centre(rng, signs.location, side));
        let edema_mm = uniform(rng, config.edema_rim_mm) as f32;
        let across = flattened(draw_direction(&mut key("phantom.blend.at").rng()));
        let mut lesion = Self {
            centre,
            territory: Territory { side, cerebellar: signs.location == Location::Cerebellar },
            outline,
            foci: Vec::new(),
            density: Density::draw(key, signs, config, across),
            ivh_level_mm: (signs.ivh).then(|| key("phantom.ivh").rng().random_range(-46.0..-18.0)),
            is_subarachnoid: signs.subarachnoid,
            edema_mm,
        };
        if signs.black_hole || signs.island || signs.satellite {
            // What the foci hold, the main hematoma does not.
            let share = if signs.island { 0.85 } else { 0.96 };
            let extent = Extent::measure(&lesion, head, texture, signs.volume_ml);
            let radius_mm = extent.radius_mm(patient, share * signs.volume_ml)?;
            let main = Main { lesion: &lesion, head, texture, radius_mm };
            let mut foci = Vec::new();
            if signs.island {
                foci.extend(main.draw_islands(&mut key("phantom.island").rng()));
            }
            if signs.satellite {
                foci.extend(main.draw_satellites(&mut key("phantom.satellite").rng()));
            }
            let hole = main.draw_hole(&mut key("phantom.black_hole.at").rng());
            lesion.density.move_black_hole(hole);
            lesion.foci = foci;
        }
        Ok(lesion)
    }

    /// The level at a point in head mm, where it lies below a limit: about the distance from the centre in mm,
    /// less where the outline bulges.
    pub(crate) fn level_below(&self, texture: &Texture, head: Point, limit_mm: f32) -> Option<f32> {
        let round = self.round(head);
        let main = match self.outline.least_level_mm(round) < limit_mm {
            true => self.outline.level_mm(texture, round),
            false => f32::MAX,
        };
        let level_mm = self.foci.iter().fold(main, |least, (centre, level_per_mm)| {
            let from = sub(head, *centre);
            least.min(dot(from, from).sqrt() * level_per_mm)
        });
        (level_mm < limit_mm).then_some(level_mm)
    }

    /// No point of this level or below lies further from the centre, mm.
    pub(crate) fn reach_mm(&self, level_mm: f32) -> f32 {
        self.foci.iter().fold(REACH * level_mm, |reach, (centre, level_per_mm)| {
            let from = sub(*centre, self.centre);
            reach.max(dot(from, from).sqrt() + level_mm / level_per_mm)
        })
    }

    /// Whether blood of a hematoma of this radius reaches the subarachnoid space at this distance (squared)
    /// from its centre.
    pub(crate) fn reaches_subarachnoid(&self, distance2: f32, radius_mm: f32) -> bool {
        self.is_subarachnoid && distance2 < self.subarachnoid_reach_mm(radius_mm).powi(2)
    }

    /// How far from the centre blood lies in the subarachnoid space; 0 if there is none.
    pub(crate) fn subarachnoid_reach_mm(&self, radius_mm: f32) -> f32 {
        if self.is_subarachnoid { radius_mm + SUBARACHNOID_MM } else { 0.0 }
    }

    /// From the centre, in the frame in which the hematoma is about a ball.
    fn round(&self, head: Point) -> Point {
        let from = sub(head, self.centre);
        self.outline.to_round.map(|row| dot(row, from))
    }

    /// Density at a point inside a hematoma of this radius, HU.
    pub(crate) fn hu(&self, texture: &Texture, head: Point, radius_mm: f32) -> f32 {
        let per_radius = 1.0 / radius_mm;
        let round = self.round(head).map(|v| v * per_radius);
        // The patient lies on the back.
        let above = (head[1] - self.centre[1]) * per_radius;
        self.density.hu(texture, &Within { head, round, above })
    }

    /// Density of blood in the ventricles and in the subarachnoid space, HU.
    pub(crate) fn diluted_hu(&self) -> f32 {
        self.density.mean_hu - 4.0
    }
}

/// The outline of the main hematoma.
#[derive(Debug)]
struct Outline {
    /// Rotation and stretching, determinant 1.
    to_round: [Point; 3],
    irregularity: f32,
    lobes: TextureUse,
}

impl Outline {
    fn level_mm(&self, texture: &Texture, round: Point) -> f32 {
        let length = dot(round, round).sqrt();
        if length < 1e-3 {
            return 0.0;
        }
        length / (1.0 + self.irregularity * self.lobe(texture, round.map(|v| v / length)))
    }

    /// What the level cannot lie below, however the outline bulges.
    fn least_level_mm(&self, round: Point) -> f32 {
        dot(round, round).sqrt() / (1.0 + MOST_LOBE * self.irregularity)
    }

    /// How far the outline bulges in a direction, SD 1, limited to ± [`MOST_LOBE`].
    fn lobe(&self, texture: &Texture, direction: Point) -> f32 {
        let coarse = self.lobes.at(texture, direction);
        let fine = self.lobes.at(texture, direction.map(|v| 2.3 * v + 9.0));
        (0.95 * coarse + 0.25 * fine).clamp(-MOST_LOBE, MOST_LOBE)
    }

    /// The offset from the centre, head mm, of a point in the frame in which the hematoma is about a ball.
    fn unround(&self, round: Point) -> Point {
        // The rows are at right angles, so the inverse is the transposed over their squared lengths.
        let per_length2 = self.to_round.map(|row| 1.0 / dot(row, row));
        std::array::from_fn(|i| {
            (0..3).map(|row| round[row] * per_length2[row] * self.to_round[row][i]).sum()
        })
    }
}

/// The main hematoma at the size at which its foci are placed.
struct Main<'a> {
    lesion: &'a Lesion,
    head: &'a Head,
    texture: &'a Texture,
    radius_mm: f32,
}

impl Main<'_> {
    /// Four to six small hematomas that bud from the margin.
    fn draw_islands(&self, rng: &mut impl Rng) -> Vec<(Point, f32)> {
        let n = rng.random_range(4..=6);
        let [least, most] = ISLAND_MM;
        let mut directions: Vec<Point> = Vec::new();
        let mut islands = Vec::new();
        for _ in 0..400 {
            if islands.len() == n {
                break;
            }
            let direction = flattened(draw_direction(rng));
            let island_mm = (ISLAND_RADIUS * self.radius_mm).clamp(least, most);
            let island_mm = island_mm * rng.random_range(0.85..1.15f32);
            if directions.iter().any(|other| dot(*other, direction) > ISLANDS_APART) {
                continue;
            }
            if let Some(centre) = self.place(direction, 0.35 * island_mm, 1.0) {
                directions.push(direction);
                islands.push((centre, self.radius_mm / island_mm));
            }
        }
        islands
    }

    /// One or two small foci, a few mm apart from the margin.
    fn draw_satellites(&self, rng: &mut impl Rng) -> Vec<(Point, f32)> {
        let n = rng.random_range(1..=2);
        let mut satellites = Vec::new();
        for _ in 0..200 {
            if satellites.len() == n {
                break;
            }
            let direction = flattened(draw_direction(rng));
            let satellite_mm = rng.random_range(3.4..4.9f32);
            let gap_mm = rng.random_range(3.0..8.0f32);
            if let Some(centre) = self.place(direction, gap_mm + satellite_mm, 4.0) {
                satellites.push((centre, self.radius_mm / satellite_mm));
            }
        }
        satellites
    }

    /// A black hole as large and as far off the centre as it is enclosed.
    fn draw_hole(&self, rng: &mut impl Rng) -> Hole {
        let mut best = (0, Hole { centre: [0.0; 3], radius: HOLE_RADII[0] });
        for n in 0..90 {
            let radius = HOLE_RADII[n / 30];
            let off_centre = HOLE_AT * (1.0 - (n % 30) as f32 / 30.0);
            let centre = flattened(draw_direction(rng)).map(|v| off_centre * v);
            let hole = Hole { centre, radius };
            let n_blood = hole.surroundings().filter(|point| self.is_blood(*point)).count();
            if n_blood > best.0 {
                best = (n_blood, hole);
            }
        }
        best.1
    }

    /// Whether a point (round frame, in radii) is filled with blood.
    fn is_blood(&self, at: Point) -> bool {
        let round = at.map(|v| v * self.radius_mm);
        let offset = self.lesion.outline.unround(round);
        let place = self.head.place(std::array::from_fn(|i| self.lesion.centre[i] + offset[i]));
        self.lesion.outline.level_mm(self.texture, round) < self.radius_mm
            && self.head.admits_hematoma(&place, self.lesion.territory)
    }

    /// The point beyond the margin in a direction, where a focus has room. Directions run near the slice
    /// plane: above or below, a thick slice would join a focus to the main hematoma.
    fn place(&self, direction: Point, beyond_mm: f32, room_mm: f32) -> Option<Point> {
        let lesion = self.lesion;
        let along = |mm: f32| std::array::from_fn(|i| lesion.centre[i] + mm * direction[i]);
        let ahead = lesion.round(along(1.0));
        let margin_mm = self.radius_mm / lesion.outline.level_mm(self.texture, ahead);
        let centre = along(margin_mm + beyond_mm);
        let mut place = self.head.place(centre);
        place.cavity_mm += room_mm;
        self.head.admits_hematoma(&place, lesion.territory).then_some(centre)
    }
}

/// The centre of a hematoma, template mm.
fn draw_centre(rng: &mut impl Rng, location: Location, side: f32) -> Point {
    const LOBES: [Point; 4] =
        [[30.0, 42.0, 26.0], [34.0, -36.0, 36.0], [45.0, -6.0, -12.0], [28.0, -60.0, 16.0]];
    let (centre, spread_mm) = match location {
        Location::Deep => ([27.0, 2.0, 5.0], [3.0, 7.0, 4.0]),
        Location::Thalamic => ([14.0, -13.0, 8.0], [2.0, 3.0, 2.5]),
        Location::Cerebellar => ([21.0, -52.0, -33.0], [3.0, 4.0, 3.0]),
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
