//! What a scanner sees along the rows of a grid.

use hemex_volume::Geometry;

use super::Pose;
use crate::anatomy::Place;
use crate::body::{Body, Seen};
use crate::shape::Point;

/// Looks at a body along the rows of a grid, at several points along the thickness of a slice.
pub(super) struct Rays<'a> {
    pub(super) body: &'a Body<'a>,
    pub(super) pose: &'a Pose,
    pub(super) n_sub: usize,
}

/// Distance of the points of a row that are mapped to the template; those between interpolate, mm.
const STRIDE_MM: f64 = 4.8;

impl Rays<'_> {
    /// Mean HU of each voxel.
    pub(super) fn hu(&self, geometry: &Geometry) -> Vec<f32> {
        let mut voxels = vec![0.0f32; geometry.n_voxels()];
        let share = 1.0 / self.n_sub as f32;
        for (row, hu) in voxels.chunks_exact_mut(geometry.shape()[2]).enumerate() {
            self.visit(
                geometry,
                row,
                hu.len(),
                |_| true,
                |w, place| {
                    hu[w] += share * place.map_or(Seen::AIR, |place| self.body.at(place)).hu;
                },
            );
        }
        voxels
    }

    /// The label that fills at least half of the thickness of each voxel.
    pub(super) fn labels(&self, geometry: &Geometry) -> Vec<u8> {
        let mut labels = vec![0u8; geometry.n_voxels()];
        let n_w = geometry.shape()[2];
        // How many points of each voxel of the row carry the labels 1 to 4.
        let mut counts = vec![[0u8; 4]; n_w];
        let full = |count: &u8| 2 * usize::from(*count) >= self.n_sub;
        for (row, labels) in labels.chunks_exact_mut(n_w).enumerate() {
            counts.fill([0; 4]);
            let may_be = |point: Point| self.body.may_be_labelled(point);
            self.visit(geometry, row, n_w, may_be, |w, place| {
                let label = place.map_or(0, |place| self.body.label_at(place));
                if label > 0 {
                    counts[w][usize::from(label) - 1] += 1;
                }
            });
            for (label, counts) in labels.iter_mut().zip(&counts) {
                *label = counts.iter().position(full).map_or(0, |at| at as u8 + 1);
            }
        }
        labels
    }

    /// Calls `look` for the points of a row (counted over all slices) wherever `may_count` says so of a point
    /// nearby. Places are the same whatever it says; one is `None` far from the head.
    fn visit(
        &self,
        geometry: &Geometry,
        row: usize,
        n_w: usize,
        may_count: impl Fn(Point) -> bool,
        mut look: impl FnMut(usize, Option<&Place>),
    ) {
        let step = self.pose.direction(geometry.affine().axes_mm()[2].map(|v| v as f32));
        let stride = ((STRIDE_MM / geometry.spacing_mm()[2]).round() as usize).max(1);
        let per_stride = 1.0 / stride as f32;
        for sub in 0..self.n_sub {
            let start = self.start(geometry, row, sub);
            let point =
                |w: usize| -> Point { std::array::from_fn(|i| start[i] + w as f32 * step[i]) };
            let mut from = None;
            for first in (0..n_w).step_by(stride) {
                if !may_count(point(first + stride / 2)) {
                    from = None;
                    continue;
                }
                let begin = from.unwrap_or_else(|| self.body.place(point(first)));
                let end = self.body.place(point(first + stride));
                for w in first..n_w.min(first + stride) {
                    let share = (w - first) as f32 * per_stride;
                    let place = match (&begin, &end) {
                        (Some(begin), Some(end)) => Some(begin.toward(end, share)),
                        // The head ends well before its surroundings do.
                        _ => None,
                    };
                    look(w, place.as_ref());
                }
                from = Some(end);
            }
        }
    }

    /// The first point of the row in the `sub`-th part of the slice, head mm.
    fn start(&self, geometry: &Geometry, row: usize, sub: usize) -> Point {
        let n_h = geometry.shape()[1];
        let point = geometry.point_mm([(row / n_h) as f64, (row % n_h) as f64, 0.0]);
        // A slice is thick at right angles to its plane, whatever the table does.
        let (normal, thickness_mm) = across_slices(geometry);
        let along_mm = ((sub as f64 + 0.5) / self.n_sub as f64 - 0.5) * thickness_mm;
        self.pose.point(std::array::from_fn(|i| (point[i] + along_mm * normal[i]) as f32))
    }
}

/// The direction at right angles to the slices, upward, and their distance along it, mm.
fn across_slices(geometry: &Geometry) -> ([f64; 3], f64) {
    let [along_d, along_h, along_w] = geometry.affine().axes_mm();
    let normal: [f64; 3] = std::array::from_fn(|i| {
        let (a, b) = ((i + 1) % 3, (i + 2) % 3);
        along_w[a] * along_h[b] - along_w[b] * along_h[a]
    });
    let length = normal.iter().map(|v| v * v).sum::<f64>().sqrt();
    let normal = normal.map(|v| v / length);
    (normal, (0..3).map(|i| normal[i] * along_d[i]).sum())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use hemex_stage::DrawKey;

    use super::*;
    use crate::anatomy::Head;
    use crate::cohort::draw_patients;
    use crate::lesion::{Extent, Lesion};
    use crate::outcome::OutcomeModel;
    use crate::scanner::grid;
    use crate::tests::config;
    use crate::texture::Texture;

    /// Labels are looked for around the hematoma and the ventricles alone: looking everywhere finds no more.
    #[test]
    fn no_label_lies_where_none_is_looked_for() {
        let config = config("phantom.toml", |raw| {
            (raw.n_patients, raw.n_population) = (12, 2000);
            (raw.signs.ivh, raw.signs.subarachnoid) = (1.0, 1.0);
        });
        let (model, _) = OutcomeModel::solve(&config, 4);
        let texture = Texture::draw(&mut DrawKey::new(4, "test.texture").rng());
        let mut found = [0usize; 5];
        for patient in draw_patients(&config, &model, 4) {
            let rng = |purpose| DrawKey::new(4, purpose).case(&patient.id).rng();
            let head = Head::draw(&mut rng("test.head"), patient.clinical.age_years);
            let (id, signs) = (&patient.id, &patient.signs);
            let lesion = Lesion::draw(4, id, signs, &config.lesion, &head, &texture).unwrap();
            let extent = Extent::measure(&lesion, &head, &texture, 1.05 * signs.volume_ml);
            let radius_mm = extent.radius_mm(id, signs.volume_ml).unwrap();
            let body = Body::new(&head, &texture, &lesion, radius_mm, &config.lesion);
            let pose = Pose::draw(&mut rng("test.pose"), &config.scan);
            let geometry = grid(&pose, patient.site, &config.scan).unwrap();
            let rays = Rays { body: &body, pose: &pose, n_sub: 1 };
            let labels = rays.labels(&geometry);
            let n_w = geometry.shape()[2];
            for (row, labels) in labels.chunks_exact(n_w).enumerate() {
                rays.visit(
                    &geometry,
                    row,
                    n_w,
                    |_| true,
                    |w, place| {
                        let expected = place.map_or(0, |place| body.at(place).label);
                        assert_eq!(labels[w], expected, "{id}, row {row}, column {w}");
                        found[usize::from(expected)] += 1;
                    },
                );
            }
        }
        assert!(found[1..].iter().all(|n| *n > 100), "{found:?}");
    }
}
