/// Logistic regression with a ridge penalty, fitted by Newton's method (Hastie et al., The Elements of
/// Statistical Learning, 2nd ed., section 4.4.1).
#[derive(Debug, Clone, PartialEq)]
pub struct LogisticRegression {
    /// Coefficients, the intercept last.
    coefficients: Vec<f64>,
}

/// What brings a feature to mean 0 and standard deviation 1, as a ridge penalty asks for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    /// Mean.
    pub mean: f64,
    /// Standard deviation (over n); 1 for values that do not vary, and for none.
    pub sd: f64,
}

impl Scale {
    /// Of these values.
    pub fn of(values: &[f64]) -> Self {
        let n = (values.len() as f64).max(1.0);
        let mean = values.iter().sum::<f64>() / n;
        let sd = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n).sqrt();
        Self { mean, sd: if sd > 1e-9 { sd } else { 1.0 } }
    }

    /// How many standard deviations a value lies above the mean.
    pub fn standardise(&self, value: f64) -> f64 {
        (value - self.mean) / self.sd
    }
}

/// A regression and how its penalty was chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct ChosenRegression {
    /// On every row.
    pub regression: LogisticRegression,
    /// The penalty.
    pub l2: f64,
    /// Mean cross-entropy of held-out rows under it.
    pub cross_entropy: f64,
    /// Log-odds of each row by the fit on the other folds.
    pub held_out: Vec<f64>,
}

/// Newton steps at most; a penalised fit converges in about ten.
const MAX_STEPS: usize = 100;

impl LogisticRegression {
    /// Fits `P(label = 1 | row)`, the log-likelihood of each row times its weight; the penalty is
    /// `Σ weights · l2 / 2 · Σ β²`, the intercept is free. (scikit-learn's `C` is `1 / (l2 · Σ weights)`.)
    ///
    /// `None` if the fit does not converge: no rows, one class with almost no penalty.
    pub fn fit(rows: &[Vec<f64>], labels: &[bool], weights: &[f64], l2: f64) -> Option<Self> {
        let n_features = rows.first()?.len();
        let mut coefficients = vec![0.0; n_features + 1];
        let penalty = l2 * weights.iter().sum::<f64>();
        for _ in 0..MAX_STEPS {
            let (mut gradient, mut hessian) =
                normal_equations(rows, labels, weights, &coefficients);
            for j in 0..n_features {
                gradient[j] -= penalty * coefficients[j];
                hessian[j][j] += penalty;
            }
            let step = solve(hessian, gradient)?;
            let largest = step.iter().fold(0.0, |most: f64, s| most.max(s.abs()));
            // A full step may overshoot while the fit is far off.
            let scale = if largest > 2.0 { 2.0 / largest } else { 1.0 };
            for (coefficient, s) in coefficients.iter_mut().zip(&step) {
                *coefficient += scale * s;
            }
            if largest < 1e-10 {
                return Some(Self { coefficients });
            }
        }
        None
    }

    /// Fits under that of some penalties with which cases held out are told best: the least mean cross-entropy where
    /// each fold is predicted by a fit on the others. `folds` names the fold of each row; every row weighs alike.
    ///
    /// `None` if no fit converges: one class, or no row.
    pub fn choose(
        rows: &[Vec<f64>],
        labels: &[bool],
        penalties: &[f64],
        folds: &[usize],
    ) -> Option<ChosenRegression> {
        let tried = penalties.iter().filter_map(|l2| {
            let held_out = held_out_logits(rows, labels, *l2, folds)?;
            Some((*l2, mean_cross_entropy(&held_out, labels), held_out))
        });
        let (l2, cross_entropy, held_out) = tried.min_by(|a, b| a.1.total_cmp(&b.1))?;
        let regression = Self::fit(rows, labels, &vec![1.0; rows.len()], l2)?;
        Some(ChosenRegression { regression, l2, cross_entropy, held_out })
    }

    /// The coefficients of the features, and the intercept.
    pub fn coefficients(&self) -> (&[f64], f64) {
        match self.coefficients.split_last() {
            Some((intercept, slopes)) => (slopes, *intercept),
            None => (&[], 0.0),
        }
    }

    /// Log-odds of a row.
    pub fn logit(&self, row: &[f64]) -> f64 {
        logit(&self.coefficients, row)
    }
}

fn held_out_logits(
    rows: &[Vec<f64>],
    labels: &[bool],
    l2: f64,
    folds: &[usize],
) -> Option<Vec<f64>> {
    let mut names = folds.to_vec();
    names.sort_unstable();
    names.dedup();
    let mut logits = vec![0.0; rows.len()];
    for fold in names {
        let kept = || (0..rows.len()).filter(|i| folds[*i] != fold);
        let kept_rows: Vec<Vec<f64>> = kept().map(|i| rows[i].clone()).collect();
        let kept_labels: Vec<bool> = kept().map(|i| labels[i]).collect();
        let weights = vec![1.0; kept_rows.len()];
        let fit = LogisticRegression::fit(&kept_rows, &kept_labels, &weights, l2)?;
        for i in (0..rows.len()).filter(|i| folds[*i] == fold) {
            logits[i] = fit.logit(&rows[i]);
        }
    }
    (!rows.is_empty()).then_some(logits)
}

fn mean_cross_entropy(logits: &[f64], labels: &[bool]) -> f64 {
    let terms = logits.iter().zip(labels).map(|(z, label)| {
        let z = if *label { -z } else { *z };
        z.max(0.0) + (-z.abs()).exp().ln_1p()
    });
    terms.sum::<f64>() / logits.len() as f64
}

fn logit(coefficients: &[f64], row: &[f64]) -> f64 {
    let intercept = coefficients.last().copied().unwrap_or_default();
    intercept + coefficients.iter().zip(row).map(|(b, x)| b * x).sum::<f64>()
}

/// Gradient and negative Hessian of the log-likelihood.
fn normal_equations(
    rows: &[Vec<f64>],
    labels: &[bool],
    weights: &[f64],
    coefficients: &[f64],
) -> (Vec<f64>, Vec<Vec<f64>>) {
    let n = coefficients.len();
    let (mut gradient, mut hessian) = (vec![0.0; n], vec![vec![0.0; n]; n]);
    for ((row, label), weight) in rows.iter().zip(labels).zip(weights) {
        let p = 1.0 / (1.0 + (-logit(coefficients, row)).exp());
        let residual = weight * (f64::from(u8::from(*label)) - p);
        let x = |j: usize| row.get(j).copied().unwrap_or(1.0);
        for (j, (gradient, hessian)) in gradient.iter_mut().zip(&mut hessian).enumerate() {
            *gradient += residual * x(j);
            for (k, entry) in hessian.iter_mut().enumerate() {
                *entry += weight * p * (1.0 - p) * x(j) * x(k);
            }
        }
    }
    (gradient, hessian)
}

/// Solves a symmetric system by elimination with pivoting; `None` if it is singular.
fn solve(mut a: Vec<Vec<f64>>, mut b: Vec<f64>) -> Option<Vec<f64>> {
    let n = b.len();
    for column in 0..n {
        let pivot =
            (column..n).max_by(|i, j| a[*i][column].abs().total_cmp(&a[*j][column].abs()))?;
        if a[pivot][column].abs() < 1e-12 {
            return None;
        }
        a.swap(column, pivot);
        b.swap(column, pivot);
        let pivot_row = a[column].clone();
        for row in column + 1..n {
            let factor = a[row][column] / pivot_row[column];
            for (entry, pivot) in a[row].iter_mut().zip(&pivot_row) {
                *entry -= factor * pivot;
            }
            b[row] -= factor * b[column];
        }
    }
    for row in (0..n).rev() {
        let known: f64 = (row + 1..n).map(|k| a[row][k] * b[k]).sum();
        b[row] = (b[row] - known) / a[row][row];
    }
    Some(b)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    #[test]
    fn one_binary_feature_gives_the_log_odds_ratio() {
        // Of x = 0: 3 of 10 are 1; of x = 1: 8 of 10.
        let mut rows = Vec::new();
        let mut labels = Vec::new();
        for (x, n_ones) in [(0.0, 3), (1.0, 8)] {
            for i in 0..10 {
                rows.push(vec![x]);
                labels.push(i < n_ones);
            }
        }
        let fit = LogisticRegression::fit(&rows, &labels, &[1.0; 20], 1e-12).unwrap();
        let odds = |p: f64| (p / (1.0 - p)).ln();
        assert!((fit.logit(&[0.0]) - odds(0.3)).abs() < 1e-8);
        assert!((fit.logit(&[1.0]) - odds(0.8)).abs() < 1e-8);
    }

    #[test]
    fn a_scale_brings_values_to_mean_nought_and_deviation_one() {
        let scale = Scale::of(&[1.0, 5.0]);
        assert_eq!((scale.mean, scale.sd, scale.standardise(7.0)), (3.0, 2.0, 2.0));
        assert_eq!(Scale::of(&[4.0, 4.0]), Scale { mean: 4.0, sd: 1.0 });
        assert_eq!(Scale::of(&[]), Scale { mean: 0.0, sd: 1.0 });
    }

    #[test]
    fn the_penalty_is_that_which_tells_held_out_cases_best() {
        // Without a feature the share that grew is all there is: its entropy, from folds of one share.
        let labels: Vec<bool> = (0..20).map(|i| i % 4 == 0).collect();
        let folds: Vec<usize> = (0..20).map(|i| i / 4).collect();
        let nothing = vec![vec![0.0]; 20];
        let chosen = LogisticRegression::choose(&nothing, &labels, &[0.1, 1.0], &folds).unwrap();
        let entropy = -(0.25 * 0.25f64.ln() + 0.75 * 0.75f64.ln());
        assert!((chosen.cross_entropy - entropy).abs() < 1e-9, "{chosen:?}");
        // One that tells the label is penalised little, one that misleads in each fold much.
        let tells: Vec<Vec<f64>> =
            labels.iter().map(|label| vec![f64::from(u8::from(*label))]).collect();
        let few = LogisticRegression::choose(&tells, &labels, &[0.001, 10.0], &folds).unwrap();
        assert_eq!(few.l2, 0.001);
        let fold_alone: Vec<Vec<f64>> = (0..20)
            .map(|i| vec![if labels[i] { [3.0, -3.0, 1.0, -1.0, 2.0][i / 4] } else { 0.0 }])
            .collect();
        let much =
            LogisticRegression::choose(&fold_alone, &labels, &[0.001, 10.0], &folds).unwrap();
        assert_eq!(much.l2, 10.0);
        assert_eq!(LogisticRegression::choose(&tells, &[true; 20], &[0.1], &folds), None);
    }

    const EXPECTED: [f64; 3] = [1.2307099538349224, -1.0303652354898838, 0.13308247070139098];

    /// `logistic_regression` of `tests/reference/metrics.py`.
    #[test]
    fn agrees_with_scikit_learn() {
        let rows: Vec<Vec<f64>> = [
            [0.0, 1.0],
            [0.5, -0.3],
            [1.2, 0.8],
            [2.0, -1.1],
            [-0.7, 0.4],
            [0.9, 2.0],
            [-1.5, -0.6],
            [1.1, 0.1],
        ]
        .map(Vec::from)
        .into();
        let labels = [false, true, true, true, false, false, false, true];
        let weights = [1.0, 2.0, 1.0, 0.5, 1.0, 1.5, 1.0, 2.0];
        let fit = LogisticRegression::fit(&rows, &labels, &weights, 0.1).unwrap();
        let (slopes, intercept) = fit.coefficients();
        // L-BFGS stops that near the maximum.
        for (found, expected) in slopes.iter().chain([&intercept]).zip(EXPECTED) {
            assert!((found - expected).abs() < 1e-6, "{found}, expected {expected}");
        }
    }

    #[test]
    fn a_weight_counts_a_row_as_often() {
        let rows: Vec<Vec<f64>> = [0.0, 0.4, 1.0, 1.5, 0.2].map(|x| vec![x, x * x]).into();
        let labels = [false, true, true, false, true];
        let weighted =
            LogisticRegression::fit(&rows, &labels, &[1.0, 2.0, 1.0, 3.0, 1.0], 0.05).unwrap();
        let at = [0, 1, 1, 2, 3, 3, 3, 4];
        let rows: Vec<Vec<f64>> = at.map(|i| rows[i].clone()).into();
        let repeated =
            LogisticRegression::fit(&rows, &at.map(|i| labels[i]), &[1.0; 8], 0.05).unwrap();
        for x in [-1.0, 0.3, 2.0] {
            assert!((weighted.logit(&[x, x * x]) - repeated.logit(&[x, x * x])).abs() < 1e-9);
        }
    }

    #[test]
    fn a_penalty_keeps_separable_classes_finite() {
        let rows = [vec![-1.0], vec![1.0]];
        let fit = LogisticRegression::fit(&rows, &[false, true], &[1.0; 2], 0.1).unwrap();
        // Stationary: the residual 1 − p of each row balances the penalty, 2 (1 − p(β)) = 0.2 β.
        let beta = fit.coefficients[0];
        let p = 1.0 / (1.0 + (-beta).exp());
        assert!((2.0 * (1.0 - p) - 0.2 * beta).abs() < 1e-8, "{beta}");
    }
}
