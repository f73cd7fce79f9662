use super::kernel_model::{dot, gaussians};

/// Steps at most.
const MAX_STEPS: usize = 50_000;
/// The steps end where no weight moves by more than this share of the greatest.
const TOLERANCE: f64 = 1e-6;

/// Weights from 0 to `max_ratio` of the training cases, with a mean within `1 − 1/√n` of 1, under which their mean in
/// the feature space of a Gaussian kernel lies nearest to the target cases'.
///
/// The quadratic program is solved by accelerated projected gradients (Beck and Teboulle, SIAM J Imaging Sci 2, 2009,
/// 183–202), started anew where the momentum points uphill (O'Donoghue and Candès, Found Comput Math 15, 2015,
/// 715–732). `None` if they do not converge.
pub(crate) fn mean_matching(
    train: &[Vec<f64>],
    target: &[Vec<f64>],
    width: f64,
    max_ratio: f64,
) -> Option<Vec<f64>> {
    let n = train.len() as f64;
    let kernels = gaussians(train, train, width);
    let scale = n / target.len() as f64;
    let pull: Vec<f64> =
        gaussians(train, target, width).iter().map(|row| scale * row.iter().sum::<f64>()).collect();
    let slack = 1.0 - 1.0 / n.sqrt();
    let means = [1.0 - slack, 1.0 + slack];
    // No eigenvalue lies above the largest sum of a row.
    let steepest = kernels.iter().map(|row| row.iter().sum::<f64>()).fold(0.0, f64::max);
    let mut weights = vec![1.0; train.len()];
    let (mut ahead, mut momentum) = (weights.clone(), 1.0f64);
    for _ in 0..MAX_STEPS {
        let slope = kernels.iter().zip(&pull).map(|(row, pull)| dot(row, &ahead) - pull);
        let downhill = ahead.iter().zip(slope).map(|(w, slope)| w - slope / steepest).collect();
        let next = within(downhill, max_ratio, means);
        let moved: Vec<f64> = next.iter().zip(&weights).map(|(new, old)| new - old).collect();
        let largest = moved.iter().fold(0.0f64, |most, m| most.max(m.abs()));
        let uphill: f64 =
            ahead.iter().zip(&next).zip(&moved).map(|((a, new), m)| (a - new) * m).sum();
        if largest <= TOLERANCE * next.iter().copied().fold(1.0, f64::max) && momentum > 1.0 {
            return Some(next);
        }
        let grown =
            if uphill > 0.0 { 1.0 } else { (1.0 + (1.0 + 4.0 * momentum * momentum).sqrt()) / 2.0 };
        let push = if uphill > 0.0 { 0.0 } else { (momentum - 1.0) / grown };
        ahead = next.iter().zip(&moved).map(|(new, m)| new + push * m).collect();
        (weights, momentum) = (next, grown);
    }
    None
}

/// The nearest weights from 0 to `max` whose mean lies within the two means.
fn within(weights: Vec<f64>, max: f64, [least, most]: [f64; 2]) -> Vec<f64> {
    let shifted = |by: f64| weights.iter().map(move |w| (w + by).clamp(0.0, max));
    let mean = |by: f64| shifted(by).sum::<f64>() / weights.len() as f64;
    let unshifted = mean(0.0);
    let wanted = unshifted.clamp(least, most.min(max));
    if wanted == unshifted {
        return shifted(0.0).collect();
    }
    let reach = weights.iter().fold(max, |reach, w| reach.max(w.abs())) + max;
    let (mut low, mut high) = (-reach, reach);
    for _ in 0..100 {
        let middle = 0.5 * (low + high);
        if mean(middle) < wanted { low = middle } else { high = middle }
    }
    shifted(0.5 * (low + high)).collect()
}
