//! Moving an image and its labels through a deformation of space.

use rayon::prelude::*;

use crate::displacement::{Basis, determinant};
use crate::sample::{LinearRows, NearestRows, Row};
use crate::{DisplacementField, Flow, Geometry, Image, LabelMap, VolumeError};

/// The fewest rows worth a thread of their own.
const MIN_ROWS: usize = 32;

/// Where each point of the result comes from: `source = flow⁻¹(linear · (point + u(point)) + translation)`.
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
    /// A flow around a point of the source, such as the middle of a lesion: seen from the content it comes
    /// first, and what has flown is then moved and bent.
    pub flow: Option<Flow>,
}

impl Deformation {
    /// The deformation that leaves everything in place.
    pub fn identity() -> Self {
        let linear = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
        Self { linear, translation_mm: [0.0; 3], elastic: None, flow: None }
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
        let linear = LinearRows::of(self, background);
        let mut voxels = vec![background; self.voxels().len()];
        let n_w = self.geometry().shape()[2];
        Warp::new(deformation, self.geometry())
            .for_each_row(voxels.par_chunks_exact_mut(n_w), |row, out| linear.fill(row, out));
        Image::on(*self.geometry(), voxels)
    }
}

impl LabelMap {
    /// The labels seen through a deformation, each voxel that of the nearest source voxel; points that
    /// come from outside the grid are 0.
    ///
    /// With the deformation of an [`Image::warp`] on the same grid, labels and image stay together.
    pub fn warp(&self, deformation: &Deformation) -> LabelMap {
        let nearest = NearestRows::of(self);
        let mut voxels = vec![0; self.voxels().len()];
        let n_w = self.geometry().shape()[2];
        Warp::new(deformation, self.geometry())
            .for_each_row(voxels.par_chunks_exact_mut(n_w), |row, out| nearest.fill(row, out));
        LabelMap::on(*self.geometry(), voxels)
    }
}

impl Deformation {
    /// An image and its labels seen through the deformation: as [`Image::warp`] and [`LabelMap::warp`], in
    /// one pass.
    ///
    /// # Errors
    /// [`VolumeError::GridMismatch`] if they lie on different grids.
    pub fn warp(
        &self,
        image: &Image,
        labels: &LabelMap,
        background: f32,
    ) -> Result<(Image, LabelMap), VolumeError> {
        let geometry = *image.geometry();
        if !geometry.is_same_grid(labels.geometry()) {
            let right = labels.geometry().shape();
            return Err(VolumeError::GridMismatch { left: geometry.shape(), right });
        }
        let (linear, nearest) = (LinearRows::of(image, background), NearestRows::of(labels));
        let mut hu = vec![background; geometry.n_voxels()];
        let mut moved = vec![0; geometry.n_voxels()];
        let n_w = geometry.shape()[2];
        let rows = hu.par_chunks_exact_mut(n_w).zip(moved.par_chunks_exact_mut(n_w));
        Warp::new(self, &geometry).for_each_row(rows, |row, (hu, moved)| {
            linear.fill(row, hu);
            nearest.fill(row, moved);
        });
        Ok((Image::on(geometry, hu), LabelMap::on(*labels.geometry(), moved)))
    }
}

/// A deformation made ready for one grid: everything in voxel indices, B-splines per axis.
struct Warp<'a> {
    shape: [usize; 3],
    linear: [[f64; 3]; 3],
    offset: [f64; 3],
    elastic: Option<Elastic<'a>>,
    flow: Option<&'a Flow>,
    spacing: [f64; 3],
}

struct Elastic<'a> {
    field: &'a DisplacementField,
    /// Along `D` and `H`.
    bases: [Vec<Basis>; 2],
    /// Along `W`.
    pieces: Vec<Piece>,
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
        let bases = |field: &DisplacementField, a: usize| -> Vec<Basis> {
            (0..shape[a]).map(|i| Basis::at(i as f64, shape[a], field.n_control()[a])).collect()
        };
        let elastic = deformation.elastic.as_ref().map(|field| Elastic {
            field,
            bases: [bases(field, 0), bases(field, 1)],
            pieces: pieces(&bases(field, 2)),
            per_mm: std::array::from_fn(|a| std::array::from_fn(|b| entry(a, b) / spacing[a])),
        });
        Self { shape, linear, offset, elastic, flow: deformation.flow.as_ref(), spacing }
    }

    /// Calls `fill` with each row of the result, `[D, H]` in order, and where its voxels come from.
    fn for_each_row<Out: Send>(
        &self,
        rows: impl IndexedParallelIterator<Item = Out>,
        fill: impl Fn(&mut Row, Out) + Sync,
    ) {
        let n_h = self.shape[1];
        let rows = rows.with_min_len(MIN_ROWS).enumerate();
        rows.for_each_init(Default::default, |(row, control): &mut (Row, Vec<_>), (n, out)| {
            self.places([n / n_h, n % n_h], control, &mut row.places);
            fill(row, out);
        });
    }

    /// Where the voxels of a row come from, in source voxels: a list an axis.
    fn places(&self, [d, h]: [usize; 2], control: &mut Vec<[f32; 3]>, places: &mut [Vec<f32>; 3]) {
        for (axis, linear) in places.iter_mut().zip(self.linear.iter().zip(self.offset)) {
            let ([by_d, by_h, by_w], offset) = linear;
            let at = by_d * d as f64 + by_h * h as f64 + offset;
            axis.clear();
            axis.extend((0..self.shape[2]).map(|w| (at + by_w * w as f64) as f32));
        }
        if let Some(elastic) = &self.elastic {
            elastic.along_row(d, h, control);
            elastic.displace(control, places);
        }
        if let Some(flow) = self.flow {
            self.flow_back(flow, places);
        }
    }
}

/// A part of a row between the same control points.
struct Piece {
    start: usize,
    control: [usize; 4],
    /// How far each voxel lies between the middle two, 0 to 1.
    between: Vec<f32>,
}

/// Parts a row at its control points.
fn pieces(row: &[Basis]) -> Vec<Piece> {
    let mut start = 0;
    let parts = row.chunk_by(|a, b| a.control == b.control);
    parts
        .map(|part| {
            let begin = start;
            start += part.len();
            let between = part.iter().map(|basis| basis.between as f32).collect();
            Piece { start: begin, control: part[0].control, between }
        })
        .collect()
}

/// The cubic B-spline over four control values as a polynomial of the way between the middle two.
fn polynomial([a, b, c, d]: [f32; 4]) -> [f32; 4] {
    [(a + 4.0 * b + c) / 6.0, (c - a) / 2.0, (a - 2.0 * b + c) / 2.0, (d - a + 3.0 * (b - c)) / 6.0]
}

impl Warp<'_> {
    fn flow_back(&self, flow: &Flow, places: &mut [Vec<f32>; 3]) {
        let centre = self.shape.map(|n| (n - 1) as f64 / 2.0);
        let [along_d, along_h, along_w] = places;
        for ((d, h), w) in along_d.iter_mut().zip(along_h).zip(along_w) {
            let mut place = [d, h, w];
            let point: [f64; 3] =
                std::array::from_fn(|a| (f64::from(*place[a]) - centre[a]) * self.spacing[a]);
            let source = flow.source(point);
            if source != point {
                for (a, place) in place.iter_mut().enumerate() {
                    **place = (source[a] / self.spacing[a] + centre[a]) as f32;
                }
            }
        }
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

    /// Moves the places of a row by the field, given its row of control displacements.
    fn displace(&self, control: &[[f32; 3]], places: &mut [Vec<f32>; 3]) {
        for piece in &self.pieces {
            for (a, axis) in places.iter_mut().enumerate() {
                let [c0, c1, c2, c3] = polynomial(piece.control.map(|at| control[at][a]));
                for (place, t) in axis[piece.start..].iter_mut().zip(&piece.between) {
                    *place += ((c3 * t + c2) * t + c1) * t + c0;
                }
            }
        }
    }
}
