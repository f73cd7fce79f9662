use hemex_stage::DrawKey;
use rand::RngExt;

use crate::NoRatio;

/// A ratio that is a sum of Gaussian kernels about target cases. Rows are the kernels' values at a case.
pub(super) trait KernelModel {
    /// Penalties that are tried.
    const PENALTIES: &[f64];

    /// Coefficients of the kernels; `None` where an iteration does not converge.
    fn fit(&self, train: &[&[f64]], target: &[&[f64]], penalty: f64) -> Option<Vec<f64>>;

    /// What is lost on cases that the fit has not seen; less is better.
    fn loss(&self, train: &[&[f64]], target: &[&[f64]], coefficients: &[f64]) -> f64;
}

/// Widths that are tried, in median distances of the cases.
const WIDTHS: [f64; 6] = [0.2, 0.35, 0.6, 1.0, 1.7, 3.0];
/// Kernels at most; where there are more target cases, those with a kernel are drawn.
const MAX_CENTRES: usize = 100;

/// The ratios at the training cases under the width and penalty that lose least where held out.
pub(super) fn chosen_ratios<M: KernelModel>(
    model: &M,
    train: &[Vec<f64>],
    target: &[Vec<f64>],
    n_folds: usize,
    seed: u64,
) -> Result<Vec<f64>, NoRatio> {
    let (n_train, n_target) = (train.len(), target.len());
    if n_train.min(n_target) < n_folds {
        return Err(NoRatio::FewCases { n_train, n_target, n_folds });
    }
    let unit = median_distance(&[train, target].concat()).ok_or(NoRatio::AlikeCases)?;
    let order = shuffled(target.len(), &DrawKey::new(seed, "shift.centres"));
    let centres: Vec<Vec<f64>> =
        order.iter().take(MAX_CENTRES).map(|i| target[*i].clone()).collect();
    let folds =
        [train, target].map(|rows| shuffled(rows.len(), &DrawKey::new(seed, "shift.folds")));
    let mut best: Option<(f64, f64, f64)> = None;
    for width in WIDTHS.map(|width| width * unit) {
        let kernels = [train, target].map(|rows| gaussians(rows, &centres, width));
        for penalty in M::PENALTIES {
            let losses = (0..n_folds).map(|fold| {
                let kept = |s: usize| part(&kernels[s], |i| folds[s][i] % n_folds != fold);
                let held_out = |s: usize| part(&kernels[s], |i| folds[s][i] % n_folds == fold);
                let coefficients = model.fit(&kept(0), &kept(1), *penalty)?;
                Some(model.loss(&held_out(0), &held_out(1), &coefficients))
            });
            let Some(loss) = losses.sum::<Option<f64>>() else { continue };
            if best.is_none_or(|(least, ..)| loss < least) {
                best = Some((loss, width, *penalty));
            }
        }
    }
    let (_, width, penalty) = best.ok_or(NoRatio::Kernels)?;
    ratios(model, [train, target], &centres, width, penalty).ok_or(NoRatio::Kernels)
}

/// The ratios at the training cases.
pub(super) fn ratios<M: KernelModel>(
    model: &M,
    [train, target]: [&[Vec<f64>]; 2],
    centres: &[Vec<f64>],
    width: f64,
    penalty: f64,
) -> Option<Vec<f64>> {
    let kernels = [train, target].map(|rows| gaussians(rows, centres, width));
    let [train, target] = [0, 1].map(|s| part(&kernels[s], |_| true));
    let coefficients = model.fit(&train, &target, penalty)?;
    Some(train.iter().map(|row| dot(row, &coefficients)).collect())
}

fn part(rows: &[Vec<f64>], is_in: impl Fn(usize) -> bool) -> Vec<&[f64]> {
    (0..rows.len()).filter(|i| is_in(*i)).map(|i| rows[i].as_slice()).collect()
}

/// `exp(−‖row − centre‖² / (2 width²))`, a row a case, a column a centre.
pub(crate) fn gaussians(rows: &[Vec<f64>], centres: &[Vec<f64>], width: f64) -> Vec<Vec<f64>> {
    let scale = -0.5 / (width * width);
    let row = |row: &Vec<f64>| {
        centres.iter().map(|centre| (scale * squared_distance(row, centre)).exp()).collect()
    };
    rows.iter().map(row).collect()
}

/// Median distance of two cases, the usual unit of a kernel's width; `None` if most are alike.
pub(crate) fn median_distance(rows: &[Vec<f64>]) -> Option<f64> {
    let pairs = (0..rows.len()).flat_map(|i| (0..i).map(move |j| (i, j)));
    let mut distances: Vec<f64> =
        pairs.map(|(i, j)| squared_distance(&rows[i], &rows[j])).collect();
    if distances.is_empty() {
        return None;
    }
    let middle = distances.len() / 2;
    let (_, median, _) = distances.select_nth_unstable_by(middle, f64::total_cmp);
    (*median > 0.0).then(|| median.sqrt())
}

fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| (x - y) * (x - y)).sum()
}

pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// The numbers below `n` in an order drawn under the key.
pub(crate) fn shuffled(n: usize, key: &DrawKey) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    let rng = &mut key.rng();
    for i in (1..n).rev() {
        order.swap(i, rng.random_range(0..=i));
    }
    order
}
