/// The normal equations of six unknowns, turns (radians) before shifts (mm), as a sum over voxels.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Equations {
    /// Σ j jᵀ, its lower triangle.
    squares: [[f64; 6]; 6],
    /// Σ r j.
    slope: [f64; 6],
}

impl Equations {
    /// Adds a voxel: its residual and how that changes with each unknown.
    #[inline(always)]
    pub(super) fn add(&mut self, residual: f64, by: [f64; 6]) {
        for i in 0..6 {
            self.slope[i] += residual * by[i];
            for j in 0..=i {
                self.squares[i][j] += by[i] * by[j];
            }
        }
    }

    /// Adds another sum.
    pub(super) fn merge(&mut self, other: &Self) {
        for i in 0..6 {
            self.slope[i] += other.slope[i];
            for j in 0..=i {
                self.squares[i][j] += other.squares[i][j];
            }
        }
    }

    /// The step `−(H + damping · diag H)⁻¹ · slope` by Cholesky's decomposition; `None` where the equations tell
    /// nothing of an unknown.
    pub(super) fn step(&self, damping: f64) -> Option<[f64; 6]> {
        let mut root = [[0.0; 6]; 6];
        for i in 0..6 {
            for j in 0..=i {
                let known: f64 = (0..j).map(|k| root[i][k] * root[j][k]).sum();
                let rest = self.squares[i][j] - known;
                root[i][j] = match i == j {
                    true => {
                        let square = rest + damping * self.squares[i][i];
                        (square > 0.0).then(|| square.sqrt())?
                    }
                    false => rest / root[j][j],
                };
            }
        }
        let mut step = [0.0; 6];
        for i in 0..6 {
            let known: f64 = (0..i).map(|k| root[i][k] * step[k]).sum();
            step[i] = (-self.slope[i] - known) / root[i][i];
        }
        for i in (0..6).rev() {
            let known: f64 = (i + 1..6).map(|k| root[k][i] * step[k]).sum();
            step[i] = (step[i] - known) / root[i][i];
        }
        step.iter().all(|v| v.is_finite()).then_some(step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_step_makes_linear_residuals_vanish() {
        // Residuals that a known offset from the solution leaves, in ten directions.
        let offset = [0.3, -0.2, 0.1, 4.0, -5.0, 6.0];
        let mut sums = [Equations::default(); 2];
        for k in 0..10_u32 {
            let by = std::array::from_fn(|i| f64::from((7 * k + 3 * i as u32 + k * k) % 11) - 5.0);
            let residual = by.iter().zip(offset).map(|(b, o)| b * o).sum();
            sums[k as usize % 2].add(residual, by);
        }
        let [mut equations, other] = sums;
        equations.merge(&other);
        let step = equations.step(0.0);
        let close = |step: [f64; 6]| (0..6).all(|i| (step[i] + offset[i]).abs() < 1e-9);
        assert!(step.is_some_and(close), "{step:?}");
        // Damped much, a step down the slope of each unknown by itself.
        let damped = equations.step(1e9);
        let down = |step: [f64; 6]| {
            (0..6).all(|i| {
                let alone = -equations.slope[i] / (1e9 * equations.squares[i][i]);
                (step[i] / alone - 1.0).abs() < 1e-6
            })
        };
        assert!(damped.is_some_and(down), "{damped:?}");
        assert_eq!(Equations::default().step(1.0), None);
    }
}
