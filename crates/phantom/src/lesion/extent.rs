//! How large a hematoma is at every radius.

use super::Lesion;
use crate::PhantomError;
use crate::anatomy::Head;
use crate::texture::Texture;

/// Grid points that a hematoma is counted with, about.
const N_COUNTED: f64 = 12_000.0;

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
                    if let Some(level_mm) = lesion.level_below(texture, point, max_level_mm)
                        && head.admits_hematoma(&head.place(point), lesion.territory)
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
