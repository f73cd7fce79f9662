//! Head and hematoma together: what a scanner sees at a point.

use hemex_volume::Lesion as Label;

use crate::anatomy::{AIR_HU, Head, Space};
use crate::config::LesionConfig;
use crate::lesion::Lesion;
use crate::shape::{Point, dot, ramp, sub};
use crate::texture::Texture;

/// Tissue is displaced by a hematoma up to this many radii from its centre.
const PUSH_REACH: f32 = 3.5;

/// A patient at the time of one scan.
pub(crate) struct Body<'a> {
    head: &'a Head,
    texture: &'a Texture,
    lesion: &'a Lesion,
    /// Size of the hematoma, a level.
    radius_mm: f32,
    /// Neither hematoma nor edema lies further from the hematoma's centre.
    reach_mm: f32,
    mass_effect: f32,
    edema_hu: f32,
}

/// HU and lesion label (0: none) at a point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Seen {
    pub(crate) hu: f32,
    pub(crate) label: u8,
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
            reach_mm: lesion.reach_mm(radius_mm + lesion.edema_mm),
            mass_effect: config.mass_effect as f32,
            edema_hu: config.edema_hu as f32,
        }
    }

    /// What lies at a point in head mm.
    pub(crate) fn at(&self, point: Point) -> Seen {
        if Head::is_far(point) {
            return Seen { hu: AIR_HU, label: 0 };
        }
        let template = self.head.to_template(point);
        let cavity_mm = self.head.cavity_mm(template);
        if cavity_mm > 0.0 {
            let hu = self.head.outside_hu(self.texture, template, cavity_mm);
            return Seen { hu, label: 0 };
        }
        let from = sub(point, self.lesion.centre);
        let distance2 = dot(from, from);
        let edge_mm = self.radius_mm + self.lesion.edema_mm;
        let mut level_mm = f32::MAX;
        if distance2 < self.reach_mm.powi(2)
            && self.head.admits_hematoma(template, cavity_mm, self.lesion.side)
        {
            level_mm = self.lesion.level_mm(self.texture, point);
            if level_mm < self.radius_mm {
                let hu = self.lesion.hu(self.texture, point, self.radius_mm);
                return Seen { hu, label: Label::Intraparenchymal as u8 };
            }
        }
        let origin = self.before_mass_effect(point, template, from, distance2, -cavity_mm);
        let tissue = self.head.tissue(self.texture, origin, -cavity_mm);
        match tissue.space {
            Space::Ventricle if self.is_bled_into(origin) => {
                Seen { hu: self.lesion.ivh_hu(), label: Label::Intraventricular as u8 }
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

    /// The label alone: where no blood can be, nothing is looked at.
    pub(crate) fn label_at(&self, point: Point) -> u8 {
        let from = sub(point, self.lesion.centre);
        if self.lesion.ivh_level_mm.is_none() && dot(from, from) > self.reach_mm.powi(2) {
            return 0;
        }
        self.at(point).label
    }

    /// Where the tissue now at `point` lay before the hematoma pushed it away (template mm): the push
    /// falls with the square of the distance and vanishes at the skull.
    fn before_mass_effect(
        &self,
        point: Point,
        template: Point,
        from: Point,
        distance2: f32,
        depth_mm: f32,
    ) -> Point {
        let radius2 = self.radius_mm * self.radius_mm;
        if distance2 > PUSH_REACH * PUSH_REACH * radius2 || self.mass_effect == 0.0 {
            return template;
        }
        let falloff = (radius2 / distance2.max(1e-3)).min(1.0);
        // Continuous at the reach, where the push would otherwise end in a step.
        let falloff = falloff - 1.0 / (PUSH_REACH * PUSH_REACH);
        let push_mm = self.mass_effect * self.radius_mm * falloff * ramp(0.0, 18.0, depth_mm);
        let share = (push_mm / distance2.sqrt().max(1e-3)).min(0.5);
        self.head.to_template(std::array::from_fn(|i| point[i] - share * from[i]))
    }

    /// Blood settles in the back of the ventricles, more on the hematoma's own side.
    fn is_bled_into(&self, template: Point) -> bool {
        let other_side = if template[0] * self.lesion.side < 0.0 { 14.0 } else { 0.0 };
        self.lesion.ivh_level_mm.is_some_and(|level| template[1] + other_side < level)
    }
}
