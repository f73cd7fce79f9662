//! From the positions of slices to the grid they make.

use hemex_artifacts::limits::MAX_VOXELS;
use hemex_volume::vector::{cross, dot, norm};
use hemex_volume::{Affine, Geometry, Image};
use serde::{Deserialize, Serialize};

use crate::{DicomSettings, StackProblem, UnevenSlices, Unusable};

/// Slices closer than this are at one position, mm.
pub(super) const SAME_MM: f64 = 0.01;

/// Steps may differ by this part of the median step, or by [`STEP_MM`] if that is more.
const STEP_FRACTION: f64 = 0.01;
const STEP_MM: f64 = 0.05;

/// How far a slice may lie beside the line through the first and the last, mm: positions are rounded.
const ASIDE_MM: f64 = 0.25;

/// The finest step of a grid that uneven slices are brought to, mm: what lies closer is a seam between
/// two blocks, and a grid as fine as that would cost memory and tell nothing.
const FINEST_MM: f64 = 1.0;

/// Parallel slices at their true positions, which may be uneven and lean (gantry tilt).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stack {
    /// `[H, W]`, voxels.
    pub matrix: [usize; 2],
    /// Distance of rows, then of columns, mm.
    pub pixel_spacing_mm: [f64; 2],
    /// Direction along a row, then along a column, patient coordinates (LPS).
    pub orientation: [[f64; 3]; 2],
    /// Centre of the first voxel of the first slice, patient coordinates (LPS), mm.
    pub first_mm: [f64; 3],
    /// Distance of each slice from the first along the normal, ascending, mm.
    pub depths_mm: Vec<f64>,
    /// Displacement within the plane from one slice to the next, mm a mm of depth, patient coordinates
    /// (LPS); 0 without gantry tilt.
    pub lean: [f64; 3],
}

impl Stack {
    /// Slices of one orientation, matrix and spacing, ordered by depth, no two at one position.
    ///
    /// # Errors
    /// [`StackProblem`]s if they are no stack: a single position, or slices shifted against each other
    /// in another way than a tilt does.
    pub(super) fn of(
        matrix: [usize; 2],
        pixel_spacing_mm: [f64; 2],
        orientation: [[f64; 3]; 2],
        positions_mm: &[[f64; 3]],
    ) -> Result<Self, Vec<StackProblem>> {
        let normal = cross(orientation[0], orientation[1]);
        let (Some(first), Some(last)) = (positions_mm.first(), positions_mm.last()) else {
            return Err(vec![StackProblem::Single]);
        };
        let way = |to: &[f64; 3]| -> [f64; 3] { std::array::from_fn(|i| to[i] - first[i]) };
        let aside = |to: &[f64; 3]| -> [f64; 3] {
            let (way, depth) = (way(to), dot(way(to), normal));
            std::array::from_fn(|i| way[i] - depth * normal[i])
        };
        let depths_mm: Vec<f64> = positions_mm.iter().map(|p| dot(way(p), normal)).collect();
        let extent_mm = dot(way(last), normal);
        if extent_mm < SAME_MM {
            return Err(vec![StackProblem::Single]);
        }
        let lean = aside(last).map(|mm| mm / extent_mm);
        let off_mm = positions_mm
            .iter()
            .zip(&depths_mm)
            .map(|(position, depth)| {
                let aside = aside(position);
                (0..3).map(|i| (aside[i] - depth * lean[i]).powi(2)).sum::<f64>().sqrt()
            })
            .fold(0.0, f64::max);
        if off_mm > ASIDE_MM {
            return Err(vec![StackProblem::Shifted { off_mm }]);
        }
        let first_mm = *first;
        Ok(Self { matrix, pixel_spacing_mm, orientation, first_mm, depths_mm, lean })
    }

    /// The angle between the stack and the slices' normal, degrees: the gantry's tilt.
    pub fn tilt_degrees(&self) -> f64 {
        norm(self.lean).atan().to_degrees()
    }

    /// From the first to the last slice along the normal, mm.
    pub fn extent_mm(&self) -> f64 {
        self.depths_mm.last().copied().unwrap_or_default()
    }

    /// The median distance of neighbouring slices along the normal, mm.
    pub fn step_mm(&self) -> f64 {
        let mut distances_mm = self.distances_mm();
        distances_mm.sort_by(f64::total_cmp);
        distances_mm.get(distances_mm.len() / 2).copied().unwrap_or_default()
    }

    /// What a slice stands for: half the way to each neighbour, at the ends as much outwards, mm.
    pub fn slab_mm(&self, slice_idx: usize) -> f64 {
        let depth = |i: usize| self.depths_mm.get(i).copied();
        let here = depth(slice_idx).unwrap_or_default();
        let below = slice_idx.checked_sub(1).and_then(depth).map(|mm| here - mm);
        let above = depth(slice_idx + 1).map(|mm| mm - here);
        match (below, above) {
            (Some(below), Some(above)) => (below + above) / 2.0,
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => 0.0,
        }
    }

    /// Volume of a voxel of a slice, mm³.
    pub fn voxel_mm3(&self, slice_idx: usize) -> f64 {
        self.pixel_spacing_mm[0] * self.pixel_spacing_mm[1] * self.slab_mm(slice_idx)
    }

    /// What is uneven about the slices' distances, if anything is.
    pub fn unevenness(&self) -> Option<StackProblem> {
        unevenness(&self.distances_mm())
    }

    fn distances_mm(&self) -> Vec<f64> {
        self.depths_mm.windows(2).map(|pair| pair[1] - pair[0]).collect()
    }

    /// The volume of these voxels (`[D, H, W]`, HU), whose grid leans as the stack does.
    ///
    /// Even slices are taken as they are. Others are interpolated linearly between neighbours onto an
    /// even grid from the first to the last slice, about as fine as the shortest step.
    ///
    /// # Errors
    /// [`Unusable::Stack`] for uneven slices where `settings` refuse them, and for a gap that is wider
    /// than they allow.
    pub fn into_image(self, voxels: Vec<f32>, settings: &DicomSettings) -> Result<Image, Unusable> {
        let distances_mm = self.distances_mm();
        let gap_mm = distances_mm.iter().copied().fold(0.0, f64::max);
        let mut problems = Vec::new();
        let unevenness = unevenness(&distances_mm);
        if settings.uneven_slices == UnevenSlices::Refuse {
            problems.extend(unevenness.clone());
        }
        if gap_mm > settings.max_gap_mm {
            problems.push(StackProblem::Gap { gap_mm, max_gap_mm: settings.max_gap_mm });
        }
        if !problems.is_empty() {
            return Err(Unusable::Stack { problems });
        }
        let (n, voxels) = match unevenness {
            None => (self.depths_mm.len(), voxels),
            Some(_) => {
                let shortest = distances_mm.iter().copied().filter(|mm| *mm >= FINEST_MM);
                let step = shortest.fold(f64::INFINITY, f64::min);
                // All are closer than the finest step: then they are the grid's.
                let step = if step.is_finite() {
                    step
                } else {
                    self.extent_mm() / distances_mm.len() as f64
                };
                let n = (self.extent_mm() / step).round() as usize + 1;
                // Many slices with a gap now and then: the even grid may be far larger than they are.
                if n > MAX_VOXELS / (self.matrix[0] * self.matrix[1]) {
                    let extent_mm = self.extent_mm();
                    let problem =
                        format!("{extent_mm:.0} mm of slices every {step:.1} mm are no head");
                    return Err(Unusable::series(problem));
                }
                (n, self.evened(&voxels, n))
            }
        };
        let geometry = self.geometry(n)?;
        Image::new(geometry, voxels).map_err(|error| Unusable::series(error.to_string()))
    }

    /// `n` slices at even depths.
    fn evened(&self, voxels: &[f32], n: usize) -> Vec<f32> {
        use rayon::prelude::*;
        let n_voxels = self.matrix[0] * self.matrix[1];
        let step = self.extent_mm() / (n - 1) as f64;
        let slice = |i: usize| &voxels[i * n_voxels..(i + 1) * n_voxels];
        let mut evened = vec![0.0; n * n_voxels];
        evened.par_chunks_exact_mut(n_voxels).enumerate().for_each(|(i, out)| {
            let depth = i as f64 * step;
            let above = self.depths_mm.partition_point(|d| *d <= depth);
            let (below, above) = (above.saturating_sub(1), above.min(self.depths_mm.len() - 1));
            let distance = self.depths_mm[above] - self.depths_mm[below];
            let part =
                if above == below { 0.0 } else { (depth - self.depths_mm[below]) / distance };
            let part = part as f32;
            for ((out, a), b) in out.iter_mut().zip(slice(below)).zip(slice(above)) {
                *out = a + part * (b - a);
            }
        });
        evened
    }

    /// The grid of `n` even slices in RAS+ coordinates.
    fn geometry(&self, n: usize) -> Result<Geometry, Unusable> {
        let [row, column] = self.orientation;
        let normal = cross(row, column);
        let step_mm = self.extent_mm() / (n - 1) as f64;
        let d: [f64; 3] = std::array::from_fn(|i| step_mm * (normal[i] + self.lean[i]));
        let [h, w] = [
            column.map(|v| v * self.pixel_spacing_mm[0]),
            row.map(|v| v * self.pixel_spacing_mm[1]),
        ];
        // DICOM's x runs to the left and y to the back.
        let sign = [-1.0, -1.0, 1.0];
        let rows = std::array::from_fn(|r| {
            [w[r], h[r], d[r], self.first_mm[r]].map(|value| sign[r] * value)
        });
        Affine::new(rows)
            .and_then(|affine| Geometry::new([n, self.matrix[0], self.matrix[1]], affine))
            .map_err(|error| Unusable::series(error.to_string()))
    }
}

/// What is uneven about the distances of neighbours, if anything is.
fn unevenness(distances_mm: &[f64]) -> Option<StackProblem> {
    let mut sorted = distances_mm.to_vec();
    sorted.sort_by(f64::total_cmp);
    let median = *sorted.get(sorted.len() / 2)?;
    let tolerance = (STEP_FRACTION * median).max(STEP_MM);
    if sorted.iter().all(|d| (d - median).abs() <= tolerance) {
        return None;
    }
    let mut found: Vec<f64> = Vec::new();
    for distance in &sorted {
        if found.last().is_none_or(|last| distance - last > tolerance) {
            found.push(*distance);
        }
    }
    // Single gaps of whole steps are slices that got lost; several in a row are another protocol.
    let smallest = sorted[0];
    let gaps = sorted.iter().map(|d| d / smallest);
    let is_whole = |gap: f64| (gap - gap.round()).abs() * smallest <= tolerance;
    let in_a_row = distances_mm.windows(2).any(|pair| pair.iter().all(|d| *d > 1.5 * smallest));
    Some(if gaps.clone().all(is_whole) && !in_a_row {
        let n = gaps.map(|gap| gap.round() as usize - 1).sum();
        StackProblem::Missing { n, distances_mm: found }
    } else {
        StackProblem::Uneven { distances_mm: found }
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    const AXIAL: [[f64; 3]; 2] = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]];

    fn settings(uneven_slices: UnevenSlices) -> DicomSettings {
        DicomSettings { uneven_slices, ..DicomSettings::for_tests() }
    }

    fn stack(depths: &[f64]) -> Result<Stack, Vec<StackProblem>> {
        let positions: Vec<[f64; 3]> = depths.iter().map(|z| [-100.0, -90.0, *z]).collect();
        Stack::of([1, 1], [0.5, 0.4], AXIAL, &positions)
    }

    /// One voxel a slice, whose value is given.
    fn image(
        depths: &[f64],
        voxels: &[f32],
        uneven: UnevenSlices,
    ) -> Result<Image, Vec<StackProblem>> {
        match stack(depths).unwrap().into_image(voxels.to_vec(), &settings(uneven)) {
            Err(Unusable::Stack { problems }) => Err(problems),
            other => Ok(other.unwrap()),
        }
    }

    #[test]
    fn slices_are_placed_in_ras() {
        let image = image(&[0.0, 5.0, 10.02], &[1.0, 2.0, 3.0], UnevenSlices::Refuse).unwrap();
        let geometry = image.geometry();
        assert_eq!(geometry.shape(), [3, 1, 1]);
        let near = |a: [f64; 3], b: [f64; 3]| (0..3).all(|i| (a[i] - b[i]).abs() < 1e-9);
        assert!(near(geometry.spacing_mm(), [5.01, 0.5, 0.4]));
        assert_eq!(geometry.point_mm([0.0; 3]), [100.0, 90.0, 0.0]);
        // One row further down the image is 0.5 mm further back, one column 0.4 mm further left.
        assert_eq!(geometry.point_mm([0.0, 1.0, 0.0]), [100.0, 89.5, 0.0]);
        assert_eq!(geometry.point_mm([0.0, 0.0, 1.0]), [99.6, 90.0, 0.0]);
        assert!(near(geometry.point_mm([2.0, 0.0, 0.0]), [100.0, 90.0, 10.02]));
    }

    #[test]
    fn what_is_no_even_stack_is_named() {
        assert_eq!(stack(&[3.0]), Err(vec![StackProblem::Single]));
        assert_eq!(stack(&[3.0, 3.0]), Err(vec![StackProblem::Single]));
        let refused = |depths: &[f64]| {
            image(depths, &vec![0.0; depths.len()], UnevenSlices::Refuse).unwrap_err()
        };
        let missing = StackProblem::Missing { n: 1, distances_mm: vec![5.0, 10.0] };
        assert_eq!(refused(&[0.0, 5.0, 10.0, 20.0]), [missing]);
        let protocol = StackProblem::Uneven { distances_mm: vec![2.5, 5.0] };
        assert_eq!(refused(&[0.0, 2.5, 5.0, 10.0, 15.0]), [protocol]);
        let uneven = StackProblem::Uneven { distances_mm: vec![4.0, 7.0] };
        assert_eq!(refused(&[0.0, 4.0, 8.0, 15.0]), [uneven]);
    }

    #[test]
    fn tolerance_is_one_percent_or_a_twentieth_mm() {
        let is_even = |depths: &[f64]| unevenness(&stack(depths).unwrap().distances_mm()).is_none();
        assert!(is_even(&[0.0, 1.0, 2.04, 3.0]));
        assert!(!is_even(&[0.0, 1.0, 2.07, 3.0]));
        assert!(is_even(&[0.0, 10.0, 20.09, 30.0]));
        assert!(!is_even(&[0.0, 10.0, 20.12, 30.0]));
    }

    #[test]
    fn uneven_slices_are_interpolated_at_their_true_positions() {
        // A ramp of 1 HU a mm stays one, whatever the steps.
        let depths = [0.0, 2.5, 5.0, 10.0, 15.0];
        let image = image(&depths, &depths.map(|d| d as f32), UnevenSlices::Resample).unwrap();
        assert_eq!(image.geometry().spacing_mm()[0], 2.5);
        let expected: Vec<f32> = (0..7).map(|i| 2.5 * i as f32).collect();
        assert_eq!(image.voxels(), expected);
    }

    #[test]
    fn a_gap_that_is_too_wide_is_refused_even_so() {
        let depths = [0.0, 5.0, 10.0, 40.0];
        let problems = image(&depths, &[0.0; 4], UnevenSlices::Resample).unwrap_err();
        assert_eq!(problems, [StackProblem::Gap { gap_mm: 30.0, max_gap_mm: 15.0 }]);
    }

    #[test]
    fn an_even_grid_that_would_not_fit_is_refused_before_it_is_made() {
        // 100,000 slices of 64 × 64, one of them missing: 1.4 km.
        let positions: Vec<[f64; 3]> = (0..100_000)
            .map(|i| [0.0, 0.0, f64::from(i) * 14.0 + f64::from(i32::from(i > 0))])
            .collect();
        let stack = Stack::of([64, 64], [0.5, 0.5], AXIAL, &positions).unwrap();
        let reason = stack.into_image(Vec::new(), &settings(UnevenSlices::Resample)).unwrap_err();
        assert!(reason.to_string().contains("are no head"), "{reason}");
    }

    #[test]
    fn a_slice_stands_for_half_the_way_to_its_neighbours() {
        let stack = stack(&[0.0, 4.0, 8.0, 15.0]).unwrap();
        let slabs: Vec<f64> = (0..4).map(|i| stack.slab_mm(i)).collect();
        assert_eq!(slabs, [4.0, 4.0, 5.5, 7.0]);
        assert_eq!(stack.voxel_mm3(1), 0.5 * 0.4 * 4.0);
    }

    #[test]
    fn a_leaning_stack_is_tilted() {
        let angle = 14f64.to_radians();
        let orientation = [[1.0, 0.0, 0.0], [0.0, angle.cos(), -angle.sin()]];
        let of = |positions: &[[f64; 3]]| Stack::of([1, 1], [0.5, 0.5], orientation, positions);
        let positions: Vec<[f64; 3]> = (0..5).map(|i| [0.0, 0.0, 4.5 * f64::from(i)]).collect();
        let tilted = of(&positions).unwrap();
        assert!((tilted.tilt_degrees() - 14.0).abs() < 1e-9);
        assert!((tilted.extent_mm() - 18.0 * angle.cos()).abs() < 1e-9);
        // The grid leans with it: its third slice lies where that slice was scanned.
        let image = tilted.into_image(vec![0.0; 5], &settings(UnevenSlices::Refuse)).unwrap();
        let third = image.geometry().point_mm([2.0, 0.0, 0.0]);
        assert!((0..3).all(|i| (third[i] - [0.0, 0.0, 9.0][i]).abs() < 1e-9), "{third:?}");
        // The same plane with slices stacked along its normal is an oblique scan.
        let normal = cross(orientation[0], orientation[1]);
        let positions: Vec<[f64; 3]> = (0..5).map(|i| normal.map(|v| v * f64::from(i))).collect();
        assert!(of(&positions).unwrap().tilt_degrees() < 1e-6);
    }

    #[test]
    fn slices_that_jump_aside_are_no_stack() {
        let positions = [[0.0, 0.0, 0.0], [0.0, 3.0, 5.0], [0.0, 0.0, 10.0]];
        let problems = Stack::of([1, 1], [0.5, 0.5], AXIAL, &positions).unwrap_err();
        assert_eq!(problems, [StackProblem::Shifted { off_mm: 3.0 }]);
    }
}
