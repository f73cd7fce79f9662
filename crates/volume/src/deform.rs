//! Moving an image and its labels through a deformation of space.

use rayon::prelude::*;

use crate::displacement::{Basis, determinant};
use crate::index_map::nearest;
use crate::sample::Sampler;
use crate::{DisplacementField, Geometry, Image, LabelMap};

/// The fewest rows worth a thread of their own.
const MIN_ROWS: usize = 32;

/// Where each point of the result comes from: `source = linear · (point + u(point)) + translation`.
///
/// Points are in mm along the grid's own axes `[D, H, W]`, measured from its centre, so a deformation
/// is independent of where the grid lies and of its number of voxels. It maps the result *back* to
/// its source: a `linear` that enlarges shrinks what is seen, and a lesion's volume changes by about
/// `1 / det(linear)`.
///
/// An axis with one voxel stays as it is: nothing is displaced along it, so a single slice is deformed
/// within its plane.
#[derive(Debug, Clone, PartialEq)]
pub struct Deformation {
    /// Rotation, scaling and flips; rows and columns in the order `[D, H, W]`.
    pub linear: [[f64; 3]; 3],
    /// A shift of the source, mm along `[D, H, W]`.
    pub translation_mm: [f64; 3],
    /// The elastic part `u`, applied before the linear one.
    pub elastic: Option<DisplacementField>,
}

impl Deformation {
    /// The deformation that leaves everything in place.
    pub fn identity() -> Self {
        let linear = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        Self { linear, translation_mm: [0.0; 3], elastic: None }
    }

    /// How volumes change by the linear part within a grid of this shape: `1 / |det(linear)|` over the
    /// axes with more than one voxel. The elastic part changes them locally on top of that.
    ///
    /// Infinite if the linear part is singular.
    pub fn volume_factor(&self, shape: [usize; 3]) -> f64 {
        let moves = |a: usize, b: usize| shape[a] > 1 && shape[b] > 1;
        let within = std::array::from_fn(|a| {
            std::array::from_fn(|b| match (moves(a, b), a == b) {
                (true, _) => self.linear[a][b],
                (false, same) => f64::from(u8::from(same)),
            })
        });
        1.0 / determinant(within).abs()
    }
}

impl Image {
    /// The image seen through a deformation, by linear interpolation on its own grid.
    ///
    /// Points that come from more than half a voxel outside the outermost voxel centres are
    /// `background`; within that half voxel the edge is repeated.
    pub fn warp(&self, deformation: &Deformation, background: f32) -> Image {
        let shape = self.geometry().shape();
        let sampler = Sampler::new(self.voxels(), shape);
        let high = shape.map(|n| n as f32 - 0.5);
        let warp = Warp::new(deformation, self.geometry());
        let voxels = warp.map_voxels(background, |at| {
            let inside = (0..3).all(|a| at[a] >= -0.5 && at[a] <= high[a]);
            inside.then(|| sampler.linear(at))
        });
        Image::on(*self.geometry(), voxels)
    }
}

impl LabelMap {
    /// The labels seen through a deformation, each voxel that of the nearest source voxel; points that
    /// come from outside the grid are 0.
    ///
    /// With the deformation of an [`Image::warp`] on the same grid, labels and image stay together.
    pub fn warp(&self, deformation: &Deformation) -> LabelMap {
        let shape = self.geometry().shape();
        let warp = Warp::new(deformation, self.geometry());
        let voxels = warp.map_voxels(0, |at| {
            let d = nearest(f64::from(at[0]), shape[0])?;
            let h = nearest(f64::from(at[1]), shape[1])?;
            let w = nearest(f64::from(at[2]), shape[2])?;
            Some(self.voxels()[(d * shape[1] + h) * shape[2] + w])
        });
        LabelMap::on(*self.geometry(), voxels)
    }
}

/// A deformation made ready for one grid: everything in voxel indices, B-splines per axis.
struct Warp<'a> {
    shape: [usize; 3],
    linear: [[f64; 3]; 3],
    offset: [f64; 3],
    elastic: Option<Elastic<'a>>,
}

struct Elastic<'a> {
    field: &'a DisplacementField,
    bases: [Vec<Basis>; 3],
    /// From a displacement in mm to one in source voxels.
    per_mm: [[f64; 3]; 3],
}

impl<'a> Warp<'a> {
    fn new(deformation: &'a Deformation, geometry: &Geometry) -> Self {
        let (shape, spacing) = (geometry.shape(), geometry.spacing_mm());
        let centre = shape.map(|n| (n - 1) as f64 / 2.0);
        // Along an axis with one voxel nothing moves: its row and column are empty.
        let entry = |a: usize, b: usize| {
            if shape[a] > 1 && shape[b] > 1 { deformation.linear[a][b] } else { 0.0 }
        };
        // Exactly 1 on the diagonal, so that the identity copies every voxel.
        let ratio = |a: usize, b: usize| if a == b { 1.0 } else { spacing[b] / spacing[a] };
        let linear: [[f64; 3]; 3] =
            std::array::from_fn(|a| std::array::from_fn(|b| entry(a, b) * ratio(a, b)));
        let offset = std::array::from_fn(|a| {
            if shape[a] == 1 {
                return 0.0;
            }
            let turned: f64 = linear[a].iter().zip(centre).map(|(m, c)| m * c).sum();
            centre[a] + deformation.translation_mm[a] / spacing[a] - turned
        });
        let elastic = deformation.elastic.as_ref().map(|field| Elastic {
            field,
            bases: std::array::from_fn(|a| {
                let basis = |i| Basis::at(i as f64, shape[a], field.n_control()[a]);
                (0..shape[a]).map(basis).collect()
            }),
            per_mm: std::array::from_fn(|a| std::array::from_fn(|b| entry(a, b) / spacing[a])),
        });
        Self { shape, linear, offset, elastic }
    }

    /// For each voxel `sample(source index)`, or `outside` where that is `None`.
    fn map_voxels<T: Copy + Send + Sync>(
        &self,
        outside: T,
        sample: impl Fn([f32; 3]) -> Option<T> + Sync,
    ) -> Vec<T> {
        let [_, n_h, n_w] = self.shape;
        let mut voxels = vec![outside; self.shape.iter().product()];
        let rows = voxels.par_chunks_exact_mut(n_w).with_min_len(MIN_ROWS).enumerate();
        rows.for_each_init(Vec::new, |control_row, (row, out)| {
            let (d, h) = (row / n_h, row % n_h);
            let at: [f64; 3] = std::array::from_fn(|a| {
                self.linear[a][0] * d as f64 + self.linear[a][1] * h as f64 + self.offset[a]
            });
            let affine = |w: usize| -> [f32; 3] {
                std::array::from_fn(|a| (at[a] + self.linear[a][2] * w as f64) as f32)
            };
            let Some(elastic) = &self.elastic else {
                for (w, value) in out.iter_mut().enumerate() {
                    *value = sample(affine(w)).unwrap_or(outside);
                }
                return;
            };
            elastic.along_row(d, h, control_row);
            for (w, (value, basis)) in out.iter_mut().zip(&elastic.bases[2]).enumerate() {
                let mut place = affine(w);
                for (control, weight) in basis.control.into_iter().zip(basis.weights) {
                    let u = control_row[control];
                    place.iter_mut().zip(u).for_each(|(p, u)| *p += weight as f32 * u);
                }
                *value = sample(place).unwrap_or(outside);
            }
        });
        voxels
    }
}

impl Elastic<'_> {
    /// The field of one row of voxels, reduced to a row of control displacements in source voxels.
    fn along_row(&self, d: usize, h: usize, row: &mut Vec<[f32; 3]>) {
        let [_, n_h, n_w] = self.field.n_control();
        let (basis_d, basis_h) = (&self.bases[0][d], &self.bases[1][h]);
        row.clear();
        row.extend((0..n_w).map(|w| {
            let mut sum = [0.0; 3];
            for (control_d, weight_d) in basis_d.control.into_iter().zip(basis_d.weights) {
                for (control_h, weight_h) in basis_h.control.into_iter().zip(basis_h.weights) {
                    let u = self.field.displacements_mm()[(control_d * n_h + control_h) * n_w + w];
                    sum.iter_mut().zip(u).for_each(|(s, u)| *s += weight_d * weight_h * u);
                }
            }
            self.per_mm.map(|m| m.iter().zip(sum).map(|(m, u)| m * u).sum::<f64>() as f32)
        }));
    }
}
