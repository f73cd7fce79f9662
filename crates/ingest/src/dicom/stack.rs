//! From the positions of slices to the grid they make.

use hemex_volume::{Affine, Geometry};

use crate::{StackProblem, Unusable};

/// Slices closer than this are at one position, mm.
const SAME_MM: f64 = 0.01;

/// Steps may differ by this part of the median step, or by [`STEP_MM`] if that is more.
const STEP_FRACTION: f64 = 0.01;
const STEP_MM: f64 = 0.05;

/// A stack may lean by this angle; up to it the grid follows the positions, so nothing is lost.
const TILT_DEGREES: f64 = 0.5;

/// Slices in order with the grid's axes, patient coordinates (LPS), mm.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stack {
    /// Which slice lies at each depth, along the normal.
    pub(super) order: Vec<usize>,
    first_mm: [f64; 3],
    /// One step along `D`, `H`, `W`.
    steps_mm: [[f64; 3]; 3],
}

impl Stack {
    /// Orders slices of one orientation (direction along a row, along a column) and pixel spacing
    /// (distance of rows, of columns) by position, or says all that is wrong with the stack.
    pub(super) fn of(
        orientation: [[f64; 3]; 2],
        pixel_spacing_mm: [f64; 2],
        positions_mm: &[[f64; 3]],
    ) -> Result<Self, Vec<StackProblem>> {
        let [row, column] = orientation;
        let normal = cross(row, column);
        let depth: Vec<f64> = positions_mm.iter().map(|p| dot(*p, normal)).collect();
        let mut order: Vec<usize> = (0..positions_mm.len()).collect();
        order.sort_by(|a, b| depth[*a].total_cmp(&depth[*b]));
        let (Some(&first), Some(&last)) = (order.first(), order.last()) else {
            return Err(vec![StackProblem::Single]);
        };
        if depth[last] - depth[first] < SAME_MM {
            return Err(vec![StackProblem::Single]);
        }
        let distances_mm: Vec<f64> =
            order.windows(2).map(|pair| depth[pair[1]] - depth[pair[0]]).collect();
        let mut problems = Vec::new();
        problems.extend(tilt(normal, positions_mm, &order));
        problems.extend(steps(&distances_mm));
        if !problems.is_empty() {
            return Err(problems);
        }
        let n_steps = distances_mm.len() as f64;
        let step: [f64; 3] =
            std::array::from_fn(|i| (positions_mm[last][i] - positions_mm[first][i]) / n_steps);
        let steps_mm =
            [step, column.map(|v| v * pixel_spacing_mm[0]), row.map(|v| v * pixel_spacing_mm[1])];
        Ok(Self { order, first_mm: positions_mm[first], steps_mm })
    }

    /// The grid in RAS+ coordinates.
    pub(super) fn geometry(&self, n_rows: usize, n_columns: usize) -> Result<Geometry, Unusable> {
        let [d, h, w] = self.steps_mm;
        // DICOM's x runs to the left and y to the back.
        let sign = [-1.0, -1.0, 1.0];
        let rows = std::array::from_fn(|r| {
            [w[r], h[r], d[r], self.first_mm[r]].map(|value| sign[r] * value)
        });
        Affine::new(rows)
            .and_then(|affine| Geometry::new([self.order.len(), n_rows, n_columns], affine))
            .map_err(|error| Unusable::series(error.to_string()))
    }
}

/// The angle between the way from each slice to the next and the normal, if it is too large anywhere.
fn tilt(normal: [f64; 3], positions_mm: &[[f64; 3]], order: &[usize]) -> Option<StackProblem> {
    let degrees = order
        .windows(2)
        .map(|pair| {
            let way: [f64; 3] =
                std::array::from_fn(|i| positions_mm[pair[1]][i] - positions_mm[pair[0]][i]);
            let up = dot(way, normal);
            let aside = (dot(way, way) - up * up).max(0.0).sqrt();
            // Slices at one position have no direction.
            if up < SAME_MM { 0.0 } else { aside.atan2(up).to_degrees() }
        })
        .fold(0.0, f64::max);
    (degrees > TILT_DEGREES).then_some(StackProblem::Tilt { degrees })
}

fn steps(distances_mm: &[f64]) -> Vec<StackProblem> {
    let mut problems = Vec::new();
    let n_duplicates = distances_mm.iter().filter(|d| **d < SAME_MM).count();
    if n_duplicates > 0 {
        problems.push(StackProblem::Duplicates { n: n_duplicates });
    }
    let mut sorted: Vec<f64> = distances_mm.iter().copied().filter(|d| *d >= SAME_MM).collect();
    sorted.sort_by(f64::total_cmp);
    let Some(&median) = sorted.get(sorted.len() / 2) else { return problems };
    let tolerance = (STEP_FRACTION * median).max(STEP_MM);
    if sorted.iter().all(|d| (d - median).abs() <= tolerance) {
        return problems;
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
    problems.push(if gaps.clone().all(is_whole) && !in_a_row {
        let n = gaps.map(|gap| gap.round() as usize - 1).sum();
        StackProblem::Missing { n, distances_mm: found }
    } else {
        StackProblem::Uneven { distances_mm: found }
    });
    problems
}

/// The cross product.
pub(super) fn cross(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    const AXIAL: [[f64; 3]; 2] = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]];

    fn stack(depths: &[f64]) -> Result<Stack, Vec<StackProblem>> {
        let positions: Vec<[f64; 3]> = depths.iter().map(|z| [-100.0, -90.0, *z]).collect();
        Stack::of(AXIAL, [0.5, 0.4], &positions)
    }

    #[test]
    fn slices_are_ordered_and_placed_in_ras() {
        let stack = stack(&[10.0, 0.0, 5.02]).unwrap();
        assert_eq!(stack.order, [1, 2, 0]);
        let geometry = stack.geometry(20, 30).unwrap();
        assert_eq!(geometry.shape(), [3, 20, 30]);
        assert_eq!(geometry.spacing_mm(), [5.0, 0.5, 0.4]);
        assert_eq!(geometry.point_mm([0.0; 3]), [100.0, 90.0, 0.0]);
        // One row further down the image is 0.5 mm further back, one column 0.4 mm further left.
        assert_eq!(geometry.point_mm([0.0, 1.0, 0.0]), [100.0, 89.5, 0.0]);
        assert_eq!(geometry.point_mm([0.0, 0.0, 1.0]), [99.6, 90.0, 0.0]);
        assert_eq!(geometry.point_mm([2.0, 0.0, 0.0]), [100.0, 90.0, 10.0]);
    }

    #[test]
    fn what_is_no_even_stack_is_named() {
        assert_eq!(stack(&[3.0]), Err(vec![StackProblem::Single]));
        assert_eq!(stack(&[3.0, 3.0]), Err(vec![StackProblem::Single]));
        assert_eq!(stack(&[0.0, 5.0, 5.0, 10.0]), Err(vec![StackProblem::Duplicates { n: 1 }]));
        let missing = StackProblem::Missing { n: 1, distances_mm: vec![5.0, 10.0] };
        assert_eq!(stack(&[0.0, 5.0, 10.0, 20.0]), Err(vec![missing]));
        let protocol = StackProblem::Uneven { distances_mm: vec![2.5, 5.0] };
        assert_eq!(stack(&[0.0, 2.5, 5.0, 10.0, 15.0]), Err(vec![protocol]));
        let uneven = StackProblem::Uneven { distances_mm: vec![4.0, 7.0] };
        assert_eq!(stack(&[0.0, 4.0, 8.0, 15.0]), Err(vec![uneven]));
    }

    #[test]
    fn tolerance_is_one_percent_or_a_twentieth_mm() {
        assert!(stack(&[0.0, 1.0, 2.04, 3.0]).is_ok());
        assert!(stack(&[0.0, 1.0, 2.07, 3.0]).is_err());
        assert!(stack(&[0.0, 10.0, 20.09, 30.0]).is_ok());
        assert!(stack(&[0.0, 10.0, 20.12, 30.0]).is_err());
    }

    #[test]
    fn a_leaning_stack_is_tilted() {
        let angle = 14f64.to_radians();
        let orientation = [[1.0, 0.0, 0.0], [0.0, angle.cos(), -angle.sin()]];
        let positions: Vec<[f64; 3]> = (0..5).map(|i| [0.0, 0.0, 4.5 * f64::from(i)]).collect();
        match Stack::of(orientation, [0.5, 0.5], &positions).unwrap_err().as_slice() {
            [StackProblem::Tilt { degrees }] => assert!((degrees - 14.0).abs() < 1e-9),
            other => panic!("{other:?}"),
        }
        // The same plane with slices stacked along its normal is an oblique scan, and fine.
        let normal = cross(orientation[0], orientation[1]);
        let positions: Vec<[f64; 3]> = (0..5).map(|i| normal.map(|v| v * f64::from(i))).collect();
        assert!(Stack::of(orientation, [0.5, 0.5], &positions).is_ok());
    }
}
