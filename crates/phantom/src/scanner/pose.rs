//! Where a head lies.

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use crate::config::ScanConfig;
use crate::shape::{Point, dot};

/// Where the head lies in the scanner: `head = rotation · (scanner − centre)`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pose {
    rotation: [Point; 3],
    pub(super) centre: Point,
}

impl Pose {
    pub(crate) fn draw(rng: &mut impl Rng, config: &ScanConfig) -> Self {
        let mut normal = |sd: f64| {
            let z: f64 = rng.sample(StandardNormal);
            sd * z.clamp(-2.0, 2.0)
        };
        let [roll, pitch, yaw]: [f64; 3] =
            std::array::from_fn(|_| normal(config.tilt_sd_deg).to_radians());
        let [x, y]: [f64; 2] = std::array::from_fn(|_| normal(config.offset_sd_mm));
        let about = |axis: usize, angle: f64| {
            let mut m = [[0.0; 3]; 3];
            let (a, b) = ((axis + 1) % 3, (axis + 2) % 3);
            m[axis][axis] = 1.0;
            (m[a][a], m[a][b]) = (angle.cos(), -angle.sin());
            (m[b][a], m[b][b]) = (angle.sin(), angle.cos());
            m
        };
        let rotation = product(product(about(1, roll), about(0, pitch)), about(2, yaw));
        // The table's height above the floor of the gantry: origins differ from scan to scan.
        let z = rng.random_range(-60.0..60.0f64);
        Self {
            rotation: rotation.map(|row| row.map(|v| v as f32)),
            centre: [x as f32, y as f32, z as f32],
        }
    }

    pub(super) fn direction(&self, scanner: Point) -> Point {
        self.rotation.map(|row| dot(row, scanner))
    }

    pub(super) fn point(&self, scanner: Point) -> Point {
        self.direction(std::array::from_fn(|i| scanner[i] - self.centre[i]))
    }
}

fn product(a: [[f64; 3]; 3], b: [[f64; 3]; 3]) -> [[f64; 3]; 3] {
    std::array::from_fn(|i| std::array::from_fn(|j| (0..3).map(|k| a[i][k] * b[k][j]).sum()))
}
