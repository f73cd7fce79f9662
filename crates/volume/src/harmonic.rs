//! Holes filled as smoothly as what lies around them allows.

use crate::{Geometry, Image, VolumeError};

/// Of the first residual: where the steps end.
const TOLERANCE: f64 = 1e-6;

/// No voxel of the hole lies there.
const NONE: u32 = u32::MAX;

/// The image with the voxels of `hole` replaced by the harmonic function that takes the values of the `known` voxels
/// around it: Laplace's equation by differences between the six neighbours of a voxel, each weighing one over the
/// square of its distance in mm. A neighbour that is neither hole nor known has no part in it, as if nothing flowed
/// there. A part of the hole that touches no known voxel takes the mean of those that other parts touch.
///
/// Solved by conjugate gradients, preconditioned by the diagonal (Saad, Iterative Methods for Sparse Linear Systems,
/// 2003, algorithm 9.1), until the residual is 1e-6 of the first, in at most as many steps as there are voxels to fill;
/// in one fixed order, whatever the threads. `None` if no part of the hole touches a known voxel.
///
/// # Errors
/// [`VolumeError::LengthMismatch`] if a mask does not fill the grid.
pub fn harmonic_fill(
    image: &Image,
    hole: &[bool],
    known: &[bool],
) -> Result<Option<Image>, VolumeError> {
    let geometry = image.geometry();
    for mask in [hole, known] {
        if mask.len() != geometry.n_voxels() {
            let shape = geometry.shape();
            return Err(VolumeError::LengthMismatch { shape, n_values: mask.len() });
        }
    }
    let Some(equations) = Equations::new(image, hole, known) else { return Ok(None) };
    let mut filled = image.clone();
    for (place, value) in equations.places.iter().zip(equations.solve()) {
        filled.voxels_mut()[*place] = (equations.mean_hu + value) as f32;
    }
    Ok(Some(filled))
}

/// One equation a voxel of the hole, in differences from the mean of the known voxels that it touches.
struct Equations {
    places: Vec<usize>,
    /// Rows of the neighbours along `[D, H, W]`, below and above; [`NONE`] where that is no hole.
    neighbours: Vec<[u32; 6]>,
    /// Of each axis, 1/mm².
    weights: [f64; 3],
    diagonal: Vec<f64>,
    right: Vec<f64>,
    mean_hu: f64,
}

impl Equations {
    fn new(image: &Image, hole: &[bool], known: &[bool]) -> Option<Self> {
        let weights = image.geometry().spacing_mm().map(|mm| mm.powi(-2));
        let places: Vec<usize> = (0..hole.len()).filter(|place| hole[*place]).collect();
        let mut rows = vec![NONE; hole.len()];
        places.iter().enumerate().for_each(|(row, place)| rows[*place] = row as u32);
        let is_known = |place: &usize| known[*place] && !hole[*place];
        let touched = |place: usize| neighbours(image.geometry(), place).into_iter().flatten();
        let hu = |place: usize| f64::from(image.voxels()[place]);
        let border: Vec<f64> =
            places.iter().flat_map(|place| touched(*place).filter(is_known).map(hu)).collect();
        if border.is_empty() {
            return None;
        }
        let mean_hu = border.iter().sum::<f64>() / border.len() as f64;
        let mut equations = Self {
            neighbours: Vec::with_capacity(places.len()),
            diagonal: Vec::with_capacity(places.len()),
            right: Vec::with_capacity(places.len()),
            places,
            weights,
            mean_hu,
        };
        for &place in &equations.places {
            let (mut diagonal, mut right, mut beside) = (0.0, 0.0, [NONE; 6]);
            for (side, neighbour) in neighbours(image.geometry(), place).into_iter().enumerate() {
                let Some(neighbour) = neighbour else { continue };
                let weight = weights[side / 2];
                beside[side] = rows[neighbour];
                if is_known(&neighbour) {
                    right += weight * (hu(neighbour) - mean_hu);
                }
                if hole[neighbour] || is_known(&neighbour) {
                    diagonal += weight;
                }
            }
            equations.neighbours.push(beside);
            // A voxel without neighbours keeps the mean.
            equations.diagonal.push(if diagonal > 0.0 { diagonal } else { 1.0 });
            equations.right.push(right);
        }
        Some(equations)
    }

    fn times(&self, x: &[f64], product: &mut [f64]) {
        let rows = product.iter_mut().zip(&self.neighbours).zip(self.diagonal.iter().zip(x));
        for ((product, neighbours), (diagonal, own)) in rows {
            *product = diagonal * own;
            for (side, row) in neighbours.iter().enumerate().filter(|(_, row)| **row != NONE) {
                *product -= self.weights[side / 2] * x[*row as usize];
            }
        }
    }

    fn solve(&self) -> Vec<f64> {
        let n = self.places.len();
        let (mut x, mut residual, mut product) = (vec![0.0; n], self.right.clone(), vec![0.0; n]);
        let scaled = |residual: &[f64]| -> Vec<f64> {
            residual.iter().zip(&self.diagonal).map(|(r, d)| r / d).collect()
        };
        let mut direction = scaled(&residual);
        let mut size = dot(&residual, &direction);
        let least = TOLERANCE * TOLERANCE * size;
        for _ in 0..n {
            if size <= least {
                break;
            }
            self.times(&direction, &mut product);
            let step = size / dot(&direction, &product);
            add(&mut x, step, &direction);
            add(&mut residual, -step, &product);
            let next = scaled(&residual);
            let next_size = dot(&residual, &next);
            let kept = next_size / size;
            size = next_size;
            direction.iter_mut().zip(next).for_each(|(d, next)| *d = next + kept * *d);
        }
        x
    }
}

/// The voxels that share a face with this one, along `[D, H, W]` below and above.
fn neighbours(geometry: &Geometry, place: usize) -> [Option<usize>; 6] {
    let [n_d, n_h, n_w] = geometry.shape();
    let at = [place / (n_h * n_w), place / n_w % n_h, place % n_w];
    let axes = [(n_d, n_h * n_w), (n_h, n_w), (n_w, 1)];
    std::array::from_fn(|side| {
        let (axis, (n, stride)) = (side / 2, axes[side / 2]);
        match side % 2 {
            0 => (at[axis] > 0).then(|| place - stride),
            _ => (at[axis] + 1 < n).then(|| place + stride),
        }
    })
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(to: &mut [f64], factor: f64, values: &[f64]) {
    to.iter_mut().zip(values).for_each(|(to, value)| *to += factor * value);
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;
    use crate::Affine;

    fn grid(shape: [usize; 3], spacing: [f64; 3]) -> Geometry {
        Geometry::new(shape, Affine::from_spacing(spacing, [-3.0, 2.0, 1.0]).unwrap()).unwrap()
    }

    fn image_of(geometry: Geometry, value: impl Fn([usize; 3]) -> f64) -> Image {
        let [_, n_h, n_w] = geometry.shape();
        let at = |i: usize| [i / (n_h * n_w), i / n_w % n_h, i % n_w];
        Image::new(geometry, (0..geometry.n_voxels()).map(|i| value(at(i)) as f32).collect())
            .unwrap()
    }

    /// A ball and a bar, which touch.
    fn hole(geometry: &Geometry) -> Vec<bool> {
        let [_, n_h, n_w] = geometry.shape();
        let is_in = |i: usize| {
            let [d, h, w] = [i / (n_h * n_w), i / n_w % n_h, i % n_w];
            let in_ball =
                d.abs_diff(4).pow(2) * 6 + h.abs_diff(9).pow(2) + w.abs_diff(8).pow(2) < 36;
            in_ball || (d == 4 && h == 9 && (8..18).contains(&w))
        };
        (0..geometry.n_voxels()).map(is_in).collect()
    }

    /// The differences of a harmonic polynomial of the second degree are its own Laplacian, whatever the spacing.
    #[test]
    fn a_harmonic_polynomial_is_restored() {
        let geometry = grid([9, 20, 20], [5.0, 0.8, 1.5]);
        let polynomial = |at: [usize; 3]| {
            let [x, y, z] = geometry.point_mm(at.map(|i| i as f64));
            0.2 * (x * x - y * y) + 0.1 * (y * y - z * z) + 0.3 * x * y - z + 30.0
        };
        let whole = image_of(geometry, polynomial);
        let hole = hole(&geometry);
        let mut holed = whole.clone();
        hole.iter().zip(holed.voxels_mut()).filter(|(h, _)| **h).for_each(|(_, v)| *v = 900.0);
        let filled = harmonic_fill(&holed, &hole, &vec![true; hole.len()]).unwrap().unwrap();
        for (found, expected) in filled.voxels().iter().zip(whole.voxels()) {
            assert!((found - expected).abs() < 2e-3, "{found} {expected}");
        }
    }

    /// `tests/reference/inpaint.py`.
    #[test]
    fn a_hole_at_the_border_of_what_is_known_agrees_with_scipy() {
        let geometry = grid([5, 12, 11], [5.0, 0.8, 1.5]);
        let image = image_of(geometry, |[d, h, w]| {
            30.0 + 10.0 * (0.9 * (d * 132 + h * 11 + w) as f64).sin()
        });
        let inside = |test: &dyn Fn([usize; 3]) -> bool| -> Vec<bool> {
            (0..geometry.n_voxels()).map(|i| test([i / 132, i / 11 % 12, i % 11])).collect()
        };
        // Nothing is known of the last columns and of the lowest slice; the hole reaches both.
        let known = inside(&|[d, _, w]| d > 0 && w < 8);
        let hole = inside(&|[d, h, w]| d < 3 && (3..8).contains(&h) && (4..8).contains(&w));
        let filled = harmonic_fill(&image, &hole, &known).unwrap().unwrap();
        let at = |index: [usize; 3]| f64::from(filled.voxels()[geometry.offset(index)]);
        let sum: f64 = filled
            .voxels()
            .iter()
            .zip(&hole)
            .filter(|(_, h)| **h)
            .map(|(v, _)| f64::from(*v))
            .sum();
        for (found, expected) in [
            (sum, 1_819.198_470_390_338),
            (at([0, 5, 7]), 30.521_053_635_177_61),
            (at([1, 3, 4]), 26.082_089_614_631_54),
            (at([2, 7, 6]), 35.657_600_563_212_02),
        ] {
            assert!(
                (found - expected).abs() < 1e-4 * expected.abs().max(1.0),
                "{found} {expected}"
            );
        }
    }

    #[test]
    fn parts_that_touch_nothing_known_take_the_mean_and_a_hole_without_border_is_none() {
        let geometry = grid([1, 1, 7], [5.0, 1.0, 1.0]);
        let image = image_of(geometry, |[_, _, w]| w as f64);
        let hole = [false, true, false, false, true, true, false];
        let known = [true, false, true, false, false, false, false];
        let filled = harmonic_fill(&image, &hole, &known).unwrap().unwrap();
        assert_eq!(filled.voxels(), [0.0, 1.0, 2.0, 3.0, 1.0, 1.0, 6.0]);
        assert_eq!(harmonic_fill(&image, &hole, &[false; 7]).unwrap(), None);
        assert_eq!(harmonic_fill(&image, &[false; 7], &known).unwrap(), None);
        assert!(harmonic_fill(&image, &hole[1..], &known).is_err());
    }
}
