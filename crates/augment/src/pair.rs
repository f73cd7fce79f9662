//! One transform for the baseline and the follow-up of a case, whose outcome stays.

use hemex_stage::DrawKey;
use hemex_volume::{Deformation, Geometry};

use crate::lesion::{Places, WEAKEN};
use crate::{Drawn, DrawnElastic, DrawnLesion, GrowthRule, Policy};

/// What is weakened below this share of its drawn strength is left out.
const FAINTEST: f64 = 0.05;

/// How far from the limit of the rule a deformed pair is kept, as a share of the limit, unless the pair was
/// nearer to begin with: warped masks are whole voxels, whose volume is that of the smooth deformation to a few per cent.
const CLEARANCE: f64 = 0.05;

/// Steps in which a point of the result is looked for.
const N_STEPS: usize = 50;

/// How near the point must be found, mm.
const FOUND_MM: f64 = 1e-3;

/// A transform of the two images of a case and their masks.
#[derive(Debug, Clone, PartialEq)]
pub struct DrawnPair {
    /// To be applied to both.
    pub drawn: Drawn,
    /// What the smooth deformation makes of the baseline's and the follow-up's volume, mL: the volumes of the
    /// warped masks but for whole voxels and what leaves the grid.
    pub volumes_ml: [f64; 2],
    /// Whether the hematoma grew: the same before and after. `None` without a baseline hematoma.
    pub grew: Option<bool>,
}

impl Policy {
    /// Draws one transform for a baseline and a follow-up on one grid, whose hematomas fill the voxels
    /// `[before, after]` (places in `[D, H, W]` order): the numbers are those of [`Policy::draw_around`].
    ///
    /// The lesion's flow runs about both masks together. It is weakened, and left out if need be, until each
    /// mask keeps to the largest change of volume and the rule of growth says of the deformed volumes what it
    /// says of the original ones; where scaling and the elastic part alone would change the outcome (an
    /// absolute gain grows with the third power of scale) they are weakened in turn. A pair is
    /// not brought nearer to the rule's limit than 5 % of it, unless it was nearer already.
    pub fn draw_pair(
        &self,
        key: &DrawKey,
        geometry: &Geometry,
        [before, after]: [&[usize]; 2],
        rule: &GrowthRule,
    ) -> DrawnPair {
        let (drawn, sketch) = self.draw_but_lesion(key, geometry);
        let mut both = [before, after].concat();
        both.sort_unstable();
        both.dedup();
        let pair = Pair::of(geometry, [before, after], rule);
        let flow = self.lesion().flow(&sketch, geometry, &both);
        let together = Places::of(geometry, &both);
        let with_flow = |strength: f64| {
            let flow = flow.as_ref()?.scaled(strength);
            let mut of_masks = pair.places.iter().map(|places| places.volume_factor(&flow));
            if !of_masks.all(|factor| self.lesion().keeps(factor)) {
                return None;
            }
            let volume_factor = together.volume_factor(&flow);
            let lesion = Some(DrawnLesion { flow, strength, volume_factor });
            Some(Drawn { lesion, ..drawn.clone() }).filter(|drawn| pair.keeps(drawn))
        };
        let without_flow = |strength: f64| {
            Some(weakened(&drawn, geometry, strength)).filter(|drawn| pair.keeps(drawn))
        };
        let drawn = strengths()
            .find_map(with_flow)
            .or_else(|| strengths().find_map(without_flow))
            .unwrap_or_else(|| still(&drawn));
        let volumes_ml = pair.predicted_ml(&drawn).unwrap_or(pair.volumes_ml);
        DrawnPair { drawn, volumes_ml, grew: rule.grew(pair.volumes_ml) }
    }
}

/// From 1 down to where it is not worth it.
fn strengths() -> impl Iterator<Item = f64> {
    std::iter::successors(Some(1.0), |strength| Some(strength * WEAKEN))
        .take_while(|strength| *strength > FAINTEST)
}

/// The transform with weaker scaling and a weaker elastic part.
fn weakened(drawn: &Drawn, geometry: &Geometry, strength: f64) -> Drawn {
    if strength == 1.0 {
        return drawn.clone();
    }
    let elastic = drawn.elastic.as_ref().map(|elastic| {
        let field = elastic.field.scaled(strength);
        let extremes = field.extremes(geometry);
        DrawnElastic { field, strength: elastic.strength * strength, extremes }
    });
    let magnification = 1.0 + strength * (drawn.magnification - 1.0);
    Drawn { elastic, magnification, ..drawn.clone() }
}

/// The transform without anything that changes a volume.
fn still(drawn: &Drawn) -> Drawn {
    Drawn { elastic: None, magnification: 1.0, lesion: None, ..drawn.clone() }
}

/// The two masks of a case.
struct Pair<'a> {
    geometry: &'a Geometry,
    rule: &'a GrowthRule,
    places: [Places; 2],
    volumes_ml: [f64; 2],
}

impl<'a> Pair<'a> {
    fn of(geometry: &'a Geometry, masks: [&[usize]; 2], rule: &'a GrowthRule) -> Self {
        Self {
            geometry,
            rule,
            places: masks.map(|mask| Places::of(geometry, mask)),
            volumes_ml: masks.map(|mask| mask.len() as f64 * geometry.voxel_ml()),
        }
    }

    /// Whether the outcome stays, and not by a hair that it did not have.
    fn keeps(&self, drawn: &Drawn) -> bool {
        let Some(own) = self.rule.index(self.volumes_ml) else {
            return true;
        };
        let deformed = self.predicted_ml(drawn).and_then(|volumes| self.rule.index(volumes));
        deformed.is_some_and(|index| match own > 1.0 {
            true => index > 1.0 && index >= own.min(1.0 + CLEARANCE),
            false => index <= 1.0 && index <= own.max(1.0 - CLEARANCE),
        })
    }

    /// The volumes of the deformed masks, mL; `None` if a voxel's place in the result cannot be found.
    fn predicted_ml(&self, drawn: &Drawn) -> Option<[f64; 2]> {
        let deformation = drawn.deformation();
        let mut volumes_ml = self.volumes_ml;
        for (volume_ml, places) in volumes_ml.iter_mut().zip(&self.places) {
            let points = &places.points_mm;
            let factors = points.iter().map(|point| factor(&deformation, self.geometry, *point));
            let sum = factors.sum::<Option<f64>>()?;
            if !points.is_empty() {
                *volume_ml *= sum / points.len() as f64;
            }
        }
        Some(volumes_ml)
    }
}

/// By what factor the volume at a point of the source (mm from the grid's centre) changes.
fn factor(deformation: &Deformation, geometry: &Geometry, point_mm: [f64; 3]) -> Option<f64> {
    let (flown, by_flow) = match &deformation.flow {
        Some(flow) => flow.forward(point_mm),
        None => (point_mm, 1.0),
    };
    let by_scale = deformation.volume_factor(geometry.shape());
    let Some(field) = &deformation.elastic else {
        return Some(by_flow * by_scale);
    };
    let moved = forward(deformation, flown);
    // The point whose displacement leads to it: each guess is corrected by what it misses.
    let mut at = moved;
    for _ in 0..N_STEPS {
        let index = index_within(geometry, at);
        let u = field.at(geometry, index);
        let next: [f64; 3] = std::array::from_fn(|a| moved[a] - u[a]);
        let missed = (0..3).map(|a| (next[a] - at[a]).powi(2)).sum::<f64>().sqrt();
        at = next;
        if missed < FOUND_MM {
            let by_elastic = 1.0 / field.jacobian(geometry, index_within(geometry, at));
            return Some(by_flow * by_scale * by_elastic);
        }
    }
    None
}

/// Where the linear part, a turn and a magnification, brings a point.
fn forward(deformation: &Deformation, point_mm: [f64; 3]) -> [f64; 3] {
    let Deformation { linear, translation_mm, .. } = deformation;
    let from: [f64; 3] = std::array::from_fn(|a| point_mm[a] - translation_mm[a]);
    // A turn over a magnification m: its inverse is m² times its transpose.
    let over_m2 = linear[0].iter().map(|v| v * v).sum::<f64>();
    std::array::from_fn(|b| (0..3).map(|a| linear[a][b] * from[a]).sum::<f64>() / over_m2)
}

/// The index of a point (mm from the grid's centre); one outside that of the nearest within.
fn index_within(geometry: &Geometry, point_mm: [f64; 3]) -> [f64; 3] {
    let (shape, spacing) = (geometry.shape(), geometry.spacing_mm());
    std::array::from_fn(|a| {
        let last = (shape[a] - 1) as f64;
        (point_mm[a] / spacing[a] + last / 2.0).clamp(0.0, last)
    })
}
