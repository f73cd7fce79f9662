//! Density ratios: how much more often than among the training cases a case is met in the target domain.

mod kernel_model;
mod kliep;
mod least_squares;
mod mean_matching;

use hemex_metrics::LogisticRegression;
use serde::Deserialize;

use crate::NoRatio;
use kernel_model::chosen_ratios;
pub(crate) use kernel_model::{gaussians, median_distance, shuffled};
use kliep::Kliep;
use least_squares::LeastSquares;
use mean_matching::mean_matching;

/// What estimates the ratio of densities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Odds of a logistic regression that tells the domains apart (Sugiyama et al., Density Ratio Estimation in
    /// Machine Learning, 2012, chapter 4).
    Logistic,
    /// Kernel mean matching (Huang et al., NIPS 19, 2006, 601–608): weights under which the training cases have the
    /// target cases' mean in the feature space of a Gaussian kernel, as wide as the median distance of the cases.
    MeanMatching,
    /// KLIEP (Sugiyama et al., Ann Inst Stat Math 60, 2008, 699–746): kernels whose sum makes the target cases
    /// likeliest.
    Kliep,
    /// Unconstrained least-squares importance fitting (Kanamori et al., JMLR 10, 2009, 1391–1445).
    Ulsif,
    /// Relative least-squares importance fitting (Yamada et al., Neural Computation 25, 2013, 1324–1370).
    Rulsif,
}

/// How the ratio is estimated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimator {
    /// By which method.
    pub method: Method,
    /// Penalty of the logistic regression, as [`LogisticRegression::fit`] has it.
    pub l2: f64,
    /// Share of the target domain in the denominator of RuLSIF's ratio, from 0 to below 1.
    pub alpha: f64,
    /// Largest ratio that mean matching may give.
    pub max_ratio: f64,
    /// Folds by which KLIEP, uLSIF and RuLSIF choose width and penalty.
    pub n_folds: usize,
}

impl Estimator {
    /// The ratio of densities, target over training domain, at each training case. Rows are cases of standardised
    /// features.
    ///
    /// The ratio has a mean near 1 over the training cases; RuLSIF's, of the target over a mixture of both, is at most
    /// near `1 / alpha`.
    ///
    /// # Errors
    /// [`NoRatio`] where nothing can be fitted: fewer cases than folds, cases that are all alike, an iteration that does
    /// not converge.
    pub fn ratios(
        &self,
        train: &[Vec<f64>],
        target: &[Vec<f64>],
        seed: u64,
    ) -> Result<Vec<f64>, NoRatio> {
        match self.method {
            Method::Logistic => logistic(train, target, self.l2).ok_or(NoRatio::Regression),
            Method::MeanMatching => {
                let width = median_distance(&[train, target].concat());
                let width = width.ok_or(NoRatio::AlikeCases)?;
                mean_matching(train, target, width, self.max_ratio).ok_or(NoRatio::Kernels)
            }
            Method::Kliep => chosen_ratios(&Kliep, train, target, self.n_folds, seed),
            Method::Ulsif => {
                chosen_ratios(&LeastSquares { alpha: 0.0 }, train, target, self.n_folds, seed)
            }
            Method::Rulsif => {
                let fit = LeastSquares { alpha: self.alpha };
                chosen_ratios(&fit, train, target, self.n_folds, seed)
            }
        }
    }
}

fn logistic(train: &[Vec<f64>], target: &[Vec<f64>], l2: f64) -> Option<Vec<f64>> {
    let rows = [train, target].concat();
    let is_target: Vec<bool> = (0..rows.len()).map(|i| i >= train.len()).collect();
    let fit = LogisticRegression::fit(&rows, &is_target, &vec![1.0; rows.len()], l2)?;
    let prior = (train.len() as f64 / target.len() as f64).ln();
    Some(train.iter().map(|row| (fit.logit(row) + prior).exp()).collect())
}

#[cfg(test)]
pub(crate) mod tests;
