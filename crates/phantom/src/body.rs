//! Head and hematoma together: what a scanner sees at a point.

use hemex_volume::Lesion as Label;

use crate::anatomy::{AIR_HU, Head, Place, Space};
use crate::config::LesionConfig;
use crate::lesion::Lesion;
use crate::shape::{Ellipsoid, Point, dot, ramp, sub};
use crate::texture::Texture;

/// Tissue is displaced by a hematoma up to this many radii from its centre.
const PUSH_REACH: f32 = 3.5;

/// No ventricle of any head lies outside, mm, however a hematoma pushes it.
const VENTRICLES: Ellipsoid = Ellipsoid::new([0.0, -13.0, 4.0], [74.0, 92.0, 62.0]);

/// A patient at the time of one scan.
pub(crate) struct Body<'a> {
    head: &'a Head,
    texture: &'a Texture,
    lesion: &'a Lesion,
    /// Size of the hematoma, a level.
    radius_mm: f32,
    /// Neither hematoma nor edema nor subarachnoid blood lies further from the hematoma's centre.
    reach_mm: f32,
    mass_effect: f32,
    edema_hu: f32,
    /// Whether the hematoma is there at all.
    has_lesion: bool,
}

/// HU and lesion label (0: none) at a point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Seen {
    pub(crate) hu: f32,
    pub(crate) label: u8,
}

impl Seen {
    pub(crate) const AIR: Seen = Seen { hu: AIR_HU, label: 0 };
}

impl<'a> Body<'a> {
    pub(crate) fn new(
        head: &'a Head,
        texture: &'a Texture,
        lesion: &'a Lesion,
        radius_mm: f32,
        config: &LesionConfig,
    ) -> Self {
        Self {
            head,
            texture,
            lesion,
            radius_mm,
            reach_mm: lesion
                .reach_mm(radius_mm + lesion.edema_mm)
                .max(lesion.subarachnoid_reach_mm(radius_mm)),
            mass_effect: config.mass_effect as f32,
            edema_hu: config.edema_hu as f32,
            has_lesion: true,
        }
    }

    /// The same head before the hemorrhage.
    pub(crate) fn without_lesion(self) -> Self {
        Self { has_lesion: false, ..self }
    }

    /// Where a point (head mm) lies; `None` in the air far from the head.
    pub(crate) fn place(&self, point: Point) -> Option<Place> {
        (!Head::is_far(point)).then(|| self.head.place(point))
    }

    /// What lies there.
    pub(crate) fn at(&self, place: &Place) -> Seen {
        if place.cavity_mm > 0.0 {
            return Seen { hu: self.head.outside_hu(self.texture, place), label: 0 };
        }
        if !self.has_lesion {
            let tissue = self.head.tissue(self.texture, place.template, -place.cavity_mm);
            return Seen { hu: tissue.hu, label: 0 };
        }
        let from = sub(place.head, self.lesion.centre);
        let distance2 = dot(from, from);
        let edge_mm = self.radius_mm + self.lesion.edema_mm;
        let mut level_mm = f32::MAX;
        if distance2 < self.reach_mm.powi(2)
            && let Some(level) = self.lesion.level_below(self.texture, place.head, edge_mm)
            && self.head.admits_hematoma(place, self.lesion.territory)
        {
            level_mm = level;
            if level_mm < self.radius_mm {
                let hu = self.lesion.hu(self.texture, place.head, self.radius_mm);
                return Seen { hu, label: Label::Intraparenchymal as u8 };
            }
        }
        let origin = self.before_mass_effect(place, from, distance2);
        let tissue = self.head.tissue(self.texture, origin, -place.cavity_mm);
        match tissue.space {
            Space::Ventricle if self.is_bled_into(origin) => {
                Seen { hu: self.lesion.diluted_hu(), label: Label::Intraventricular as u8 }
            }
            Space::Subarachnoid if self.lesion.reaches_subarachnoid(distance2, self.radius_mm) => {
                Seen { hu: self.lesion.diluted_hu(), label: Label::ExtraAxial as u8 }
            }
            Space::Parenchyma if level_mm < edge_mm => {
                // Densest water next to the clot, fading outwards.
                let fading = ramp(0.4, 1.0, (level_mm - self.radius_mm) / self.lesion.edema_mm);
                let hu = self.edema_hu + 0.5 * fading * (tissue.hu - self.edema_hu);
                Seen { hu, label: Label::Edema as u8 }
            }
            _ => Seen { hu: tissue.hu, label: 0 },
        }
    }

    /// The label of what lies there, as [`Body::at`] has it; where only a ventricle could hold blood, nothing
    /// else is looked at.
    pub(crate) fn label_at(&self, place: &Place) -> u8 {
        let from = sub(place.head, self.lesion.centre);
        let distance2 = dot(from, from);
        if distance2 > self.reach_mm.powi(2) {
            let origin = self.before_mass_effect(place, from, distance2);
            if !self.is_bled_into(origin) || !self.head.is_ventricle(origin) {
                return 0;
            }
        }
        self.at(place).label
    }

    /// Whether there may be a label near a point (head mm): around the hematoma, or where ventricles are.
    pub(crate) fn may_be_labelled(&self, point: Point) -> bool {
        // Half a stretch of voxels that are looked at together, and what mass effect moves.
        const NEAR_MM: f32 = 6.0;
        let from = sub(point, self.lesion.centre);
        self.has_lesion
            && (dot(from, from) < (self.reach_mm + NEAR_MM).powi(2)
                || self.lesion.ivh_level_mm.is_some() && VENTRICLES.contains(point))
    }

    /// Where the tissue now at `place` lay before the hematoma pushed it away (template mm): the push
    /// falls with the square of the distance and vanishes at the skull.
    fn before_mass_effect(&self, place: &Place, from: Point, distance2: f32) -> Point {
        let radius2 = self.radius_mm * self.radius_mm;
        if distance2 > PUSH_REACH * PUSH_REACH * radius2 || self.mass_effect == 0.0 {
            return place.template;
        }
        let falloff = (radius2 / distance2.max(1e-3)).min(1.0);
        // Continuous at the reach, where the push would otherwise end in a step.
        let falloff = falloff - 1.0 / (PUSH_REACH * PUSH_REACH);
        let inside = ramp(0.0, 18.0, -place.cavity_mm);
        let push_mm = self.mass_effect * self.radius_mm * falloff * inside;
        let share = (push_mm / distance2.sqrt().max(1e-3)).min(0.5);
        let origin = std::array::from_fn(|i| place.head[i] - share * from[i]);
        self.head.to_template(origin)
    }

    /// Blood settles in the back of the ventricles, more on the hematoma's own side.
    fn is_bled_into(&self, template: Point) -> bool {
        let other_side = if template[0] * self.lesion.territory.side < 0.0 { 14.0 } else { 0.0 };
        self.lesion.ivh_level_mm.is_some_and(|level| template[1] + other_side < level)
    }
}
