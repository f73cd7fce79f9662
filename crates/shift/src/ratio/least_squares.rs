use super::kernel_model::{KernelModel, dot};

/// RuLSIF: the kernels' sum nearest in squared error to the density of the target over a mixture of both, a share
/// `alpha` of which is the target; with 0 uLSIF. Coefficients below 0 are set to 0, as Kanamori et al. do.
pub(super) struct LeastSquares {
    /// From 0 to below 1.
    pub(super) alpha: f64,
}

impl KernelModel for LeastSquares {
    const PENALTIES: &[f64] = &[1e-3, 1e-2, 1e-1, 1.0, 10.0];

    fn fit(&self, train: &[&[f64]], target: &[&[f64]], penalty: f64) -> Option<Vec<f64>> {
        let n_kernels = train.first()?.len();
        let mut second = vec![vec![0.0; n_kernels]; n_kernels];
        for (rows, share) in [(train, 1.0 - self.alpha), (target, self.alpha)] {
            let scale = share / rows.len() as f64;
            for row in rows {
                for (entries, a) in second.iter_mut().zip(*row) {
                    for (entry, b) in entries.iter_mut().zip(*row) {
                        *entry += scale * a * b;
                    }
                }
            }
        }
        for (l, entries) in second.iter_mut().enumerate() {
            entries[l] += penalty;
        }
        let mean = |l: usize| target.iter().map(|row| row[l]).sum::<f64>() / target.len() as f64;
        let first = (0..n_kernels).map(mean).collect();
        let coefficients = solve(second, first)?;
        Some(coefficients.into_iter().map(|c| c.max(0.0)).collect())
    }

    fn loss(&self, train: &[&[f64]], target: &[&[f64]], coefficients: &[f64]) -> f64 {
        let mean = |rows: &[&[f64]], f: fn(f64) -> f64| {
            rows.iter().map(|row| f(dot(row, coefficients))).sum::<f64>() / rows.len() as f64
        };
        let square = |r: f64| r * r;
        let squares = (1.0 - self.alpha) * mean(train, square) + self.alpha * mean(target, square);
        0.5 * squares - mean(target, |r| r)
    }
}

/// Solves a positive definite system by Cholesky's factors; `None` if it is none to the precision of numbers.
fn solve(mut a: Vec<Vec<f64>>, mut b: Vec<f64>) -> Option<Vec<f64>> {
    let n = b.len();
    for j in 0..n {
        let rest = a[j][j] - dot(&a[j][..j], &a[j][..j]);
        if rest <= 0.0 {
            return None;
        }
        a[j][j] = rest.sqrt();
        let (above, below) = a.split_at_mut(j + 1);
        for row in below {
            row[j] = (row[j] - dot(&row[..j], &above[j][..j])) / above[j][j];
        }
    }
    for j in 0..n {
        b[j] = (b[j] - dot(&a[j][..j], &b[..j])) / a[j][j];
    }
    for j in (0..n).rev() {
        let known: f64 = (j + 1..n).map(|k| a[k][j] * b[k]).sum();
        b[j] = (b[j] - known) / a[j][j];
    }
    Some(b)
}
