use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use crate::shape::{Point, floor};

/// Cells along an axis; a power of two, so that wrapping is a mask.
const N: usize = 64;
/// SD of the Gaussian that smooths the white noise, cells.
const SMOOTHING: f64 = 1.5;

/// Smooth noise that fills space: mean 0, SD 1, period [`N`] cells, zeros about 6.6 cells apart.
///
/// One cube serves a whole cohort; every use reads it at its own scale and its own random offset, a
/// table being far cheaper than noise computed at each point.
#[derive(Debug)]
pub(crate) struct Texture {
    cells: Vec<f32>,
}

impl Texture {
    pub(crate) fn draw(rng: &mut impl Rng) -> Self {
        let mut cells: Vec<f64> = (0..N * N * N).map(|_| rng.sample(StandardNormal)).collect();
        for stride in [1, N, N * N] {
            cells = smooth(&cells, stride);
        }
        let n = cells.len() as f64;
        let mean = cells.iter().sum::<f64>() / n;
        let sd = (cells.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n).sqrt();
        Self { cells: cells.iter().map(|v| ((v - mean) / sd) as f32).collect() }
    }

    /// The noise at a point in cells, interpolated trilinearly.
    #[inline]
    pub(crate) fn at(&self, p: Point) -> f32 {
        let cell = p.map(floor);
        let [fx, fy, fz]: Point = std::array::from_fn(|i| p[i] - cell[i] as f32);
        let wrap = |i: i32| (i & (N as i32 - 1)) as usize;
        let [x0, y0, z0] = cell.map(wrap);
        let [x1, y1, z1] = cell.map(|i| wrap(i.wrapping_add(1)));
        let row = |y: usize, z: usize| {
            let row = &self.cells[(z * N + y) * N..][..N];
            row[x0] + fx * (row[x1] - row[x0])
        };
        let plane = |z: usize| {
            let near = row(y0, z);
            near + fy * (row(y1, z) - near)
        };
        let near = plane(z0);
        near + fz * (plane(z1) - near)
    }
}

/// Periodic convolution with a Gaussian along the axis whose neighbours are `stride` apart.
fn smooth(cells: &[f64], stride: usize) -> Vec<f64> {
    let kernel: Vec<f64> =
        (-6..=6).map(|k| (-f64::from(k * k) / (2.0 * SMOOTHING * SMOOTHING)).exp()).collect();
    (0..cells.len())
        .map(|at| {
            let along = at / stride % N;
            let start = at - along * stride;
            let neighbour = |k: usize| cells[start + (along + k + N - 6) % N * stride];
            kernel.iter().enumerate().map(|(k, weight)| weight * neighbour(k)).sum()
        })
        .collect()
}

/// Where one use reads the cube.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TextureUse {
    offset: Point,
    cells_per_mm: f32,
}

impl TextureUse {
    /// A random place, `feature_mm` between zeros on average.
    pub(crate) fn draw(rng: &mut impl Rng, feature_mm: f32) -> Self {
        let offset = std::array::from_fn(|_| rng.random_range(0.0..N as f32));
        Self { offset, cells_per_mm: 4.4 * SMOOTHING as f32 / feature_mm }
    }

    #[inline]
    pub(crate) fn at(&self, texture: &Texture, p: Point) -> f32 {
        texture.at(std::array::from_fn(|i| p[i] * self.cells_per_mm + self.offset[i]))
    }
}

#[cfg(test)]
mod tests {
    use hemex_stage::DrawKey;

    use super::*;

    #[test]
    fn it_is_periodic_and_meets_its_cells() {
        let texture = Texture::draw(&mut DrawKey::new(1, "test").rng());
        assert_eq!(texture.at([3.0, 2.0, 1.0]), texture.cells[(N + 2) * N + 3]);
        assert!((texture.at([-0.25, 5.5, 70.0]) - texture.at([63.75, 69.5, 6.0])).abs() < 1e-4);
    }

    #[test]
    fn zeros_are_as_far_apart_as_asked() {
        let mut rng = DrawKey::new(2, "test").rng();
        let texture = Texture::draw(&mut rng);
        let mut n_zeros = 0;
        for _ in 0..200 {
            let place = TextureUse::draw(&mut rng, 12.0);
            let line: Vec<f32> =
                (0..1200).map(|i| place.at(&texture, [i as f32 * 0.1, 0.0, 0.0])).collect();
            n_zeros += line.windows(2).filter(|pair| pair[0] * pair[1] < 0.0).count();
        }
        let mean_mm = 200.0 * 120.0 / n_zeros as f64;
        assert!((mean_mm - 12.0).abs() < 1.0, "{mean_mm}");
    }
}
