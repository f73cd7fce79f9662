use super::kernel_model::{KernelModel, dot};

/// KLIEP: of the ratios `Σ αₗ φₗ` with `αₗ ≥ 0` and mean 1 over the training cases, that under which the target cases
/// have the greatest mean log ratio.
///
/// With `βₗ = αₗ · (mean of φₗ over the training cases)` the `β` sum to 1 and are the shares of a mixture whose
/// components are known: expectation maximisation climbs to the maximum without a step size (where the paper takes
/// projected gradients), and its steps bound how far the maximum still is.
pub(super) struct Kliep;

/// The mean log ratio is brought this near to its maximum.
const TOLERANCE: f64 = 1e-4;
const MAX_STEPS: usize = 100_000;

impl KernelModel for Kliep {
    const PENALTIES: &[f64] = &[0.0];

    fn fit(&self, train: &[&[f64]], target: &[&[f64]], _penalty: f64) -> Option<Vec<f64>> {
        let n_kernels = train.first()?.len();
        let mean = |l: usize| train.iter().map(|row| row[l]).sum::<f64>() / train.len() as f64;
        let means: Vec<f64> = (0..n_kernels).map(mean).collect();
        // A kernel that no training case is near says nothing of any of them.
        let usable: Vec<usize> = (0..n_kernels).filter(|l| means[*l] > 1e-12).collect();
        let components: Vec<Vec<f64>> =
            target.iter().map(|row| usable.iter().map(|l| row[*l] / means[*l]).collect()).collect();
        let shares = shares(&components, usable.len())?;
        let mut coefficients = vec![0.0; n_kernels];
        for (l, share) in usable.iter().zip(shares) {
            coefficients[*l] = share / means[*l];
        }
        Some(coefficients)
    }

    fn loss(&self, _train: &[&[f64]], target: &[&[f64]], coefficients: &[f64]) -> f64 {
        // A target case far from every kernel has a ratio of 0 by its floating point alone.
        let logs = target.iter().map(|row| dot(row, coefficients).max(f64::MIN_POSITIVE).ln());
        -logs.sum::<f64>() / target.len() as f64
    }
}

/// Shares of a mixture by expectation maximisation.
fn shares(components: &[Vec<f64>], n: usize) -> Option<Vec<f64>> {
    let mut shares = vec![1.0 / n as f64; n];
    for _ in 0..MAX_STEPS {
        let mut growth = vec![0.0; n];
        for row in components {
            let scale = 1.0 / (dot(row, &shares).max(f64::MIN_POSITIVE) * components.len() as f64);
            for (growth, component) in growth.iter_mut().zip(row) {
                *growth += component * scale;
            }
        }
        // The mean log-likelihood is concave: it lies below its maximum by no more than the greatest growth less 1.
        if growth.iter().copied().fold(0.0, f64::max) < 1.0 + TOLERANCE {
            return Some(shares);
        }
        for (share, growth) in shares.iter_mut().zip(growth) {
            *share *= growth;
        }
    }
    None
}
