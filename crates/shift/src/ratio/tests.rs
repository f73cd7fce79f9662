#![expect(clippy::unwrap_used, reason = "a failed test may panic")]
//! `EXPECTED` values: `tests/reference/shift.py`.

use hemex_stage::DrawKey;
use rand_distr::{Distribution, Normal};

use super::kernel_model::{KernelModel, ratios};
use super::*;

const WIDTH: f64 = 0.8;

/// The cases of the reference.
pub(crate) fn samples() -> [Vec<Vec<f64>>; 2] {
    let train = [
        [-1.2, 0.3],
        [-0.7, -0.9],
        [-0.4, 0.8],
        [-0.1, -0.2],
        [0.2, 0.5],
        [0.4, -1.1],
        [0.8, 0.1],
        [1.1, 0.9],
        [1.5, -0.4],
        [2.1, 0.6],
    ];
    let target = [[0.5, 0.2], [0.9, 0.7], [1.3, -0.3], [1.6, 0.4], [1.9, 0.9], [2.4, -0.1]];
    [train.map(Vec::from).into(), target.map(Vec::from).into()]
}

fn assert_near(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < tolerance, "{found}, expected {expected}");
    }
}

fn at_width<M: KernelModel>(model: &M, penalty: f64) -> Vec<f64> {
    let [train, target] = samples();
    ratios(model, [&train, &target], &target, WIDTH, penalty).unwrap()
}

const ULSIF: [f64; 10] = [
    0.028345694586585334,
    0.04124475119782608,
    0.23348676793226078,
    0.3784484584311371,
    0.8037274764611005,
    0.29103314524462165,
    1.6554368456315012,
    1.8760210241307367,
    1.9190014779445415,
    2.4257284895859517,
];
const RULSIF: [f64; 10] = [
    0.03330023678933794,
    0.044139252011305884,
    0.2305259885648558,
    0.36105402996041414,
    0.7192074406375264,
    0.24509964196833392,
    1.3502652330582885,
    1.4535241261833398,
    1.4886832384007538,
    1.7979453028076482,
];

#[test]
fn least_squares_agree_with_densratio() {
    assert_near(&at_width(&LeastSquares { alpha: 0.0 }, 0.1), &ULSIF, 1e-9);
    assert_near(&at_width(&LeastSquares { alpha: 0.3 }, 0.05), &RULSIF, 1e-9);
}

const KLIEP: [f64; 10] = [
    0.00453736331934404,
    0.009649420412697972,
    0.0824599987597124,
    0.18150913446416936,
    0.4848565417781501,
    0.16782655321917692,
    1.504527073309906,
    1.7088098975009804,
    2.541829185502138,
    3.313994831733727,
];

#[test]
fn kliep_agrees_with_the_optimum_that_scipy_finds() {
    let found = at_width(&Kliep, 0.0);
    // The steps end 1e-4 below the greatest mean log ratio.
    assert_near(&found, &KLIEP, 0.03);
    assert!((found.iter().sum::<f64>() / 10.0 - 1.0).abs() < 1e-9);
}

const MEAN_MATCHING: [f64; 10] = [
    0.0,
    0.005911696829743455,
    0.0,
    0.0,
    0.6186339250154584,
    0.0,
    2.2327968332120056,
    1.9323995591894187,
    2.014977405296417,
    3.1186335135588905,
];
const BOUNDED: [f64; 10] =
    [0.0, 0.0025057341818766382, 0.0, 0.0, 0.8106794552203674, 0.0, 2.0, 2.0, 2.0, 2.0];

#[test]
fn mean_matching_agrees_with_the_optimum_that_cvxopt_finds() {
    let [train, target] = samples();
    let matched = |max| mean_matching(&train, &target, WIDTH, max).unwrap();
    assert_near(&matched(1000.0), &MEAN_MATCHING, 1e-4);
    assert_near(&matched(2.0), &BOUNDED, 1e-4);
}

#[test]
fn the_mean_of_matched_weights_keeps_near_one() {
    // Target cases far from all training cases pull at none: the mean is held at its least, 1/√n.
    let [train, _] = samples();
    let found = mean_matching(&train, &[vec![90.0, 90.0]], WIDTH, 1000.0).unwrap();
    assert!((found.iter().sum::<f64>() / 10.0 - 1.0 / 10f64.sqrt()).abs() < 1e-6);
}

/// Two normal samples whose ratio is known: N(m, 1) over N(0, 1) has the log ratio m x − m² / 2.
fn normal_samples(m: f64, n: usize) -> [Vec<Vec<f64>>; 2] {
    [0.0, m].map(|mean| {
        let rng = &mut DrawKey::new(1, "test").repeat(usize::from(mean > 0.0)).rng();
        Normal::new(mean, 1.0).unwrap().sample_iter(rng).take(n).map(|x| vec![x]).collect()
    })
}

fn estimator(method: Method) -> Estimator {
    Estimator { method, l2: 1e-6, alpha: 0.1, max_ratio: 50.0, n_folds: 5 }
}

#[test]
fn the_ratio_of_two_gaussians_is_recovered() {
    let m = 0.8;
    let [train, target] = normal_samples(m, 400);
    let truth: Vec<f64> = train.iter().map(|x| (m * x[0] - m * m / 2.0).exp()).collect();
    for method in [Method::Logistic, Method::Kliep, Method::Ulsif, Method::Rulsif] {
        let found = estimator(method).ratios(&train, &target, 1).unwrap();
        let expected = |t: &f64| match method {
            Method::Rulsif => t / (0.1 * t + 0.9),
            _ => *t,
        };
        // In the middle nine tenths of the training cases, where there is something to go by.
        let near: Vec<(f64, f64)> = found
            .iter()
            .zip(&truth)
            .zip(&train)
            .filter(|(_, x)| x[0].abs() < 1.65)
            .map(|((found, t), _)| (*found, expected(t)))
            .collect();
        let error = near.iter().map(|(f, t)| (f - t).powi(2)).sum::<f64>() / near.len() as f64;
        let spread = near.iter().map(|(_, t)| (t - 1.0).powi(2)).sum::<f64>() / near.len() as f64;
        assert!(error < 0.15 * spread, "{method:?}: {error} of {spread}");
        assert_eq!(estimator(method).ratios(&train, &target, 1), Ok(found), "{method:?}");
    }
}

#[test]
fn matched_cases_have_the_mean_and_the_spread_of_the_target() {
    let [train, target] = normal_samples(0.8, 400);
    let weights = estimator(Method::MeanMatching).ratios(&train, &target, 1).unwrap();
    let moments = |rows: &[Vec<f64>], weights: &[f64]| {
        let sum: f64 = weights.iter().sum();
        let mean = rows.iter().zip(weights).map(|(x, w)| w * x[0]).sum::<f64>() / sum;
        let spread = rows.iter().zip(weights).map(|(x, w)| w * (x[0] - mean).powi(2)).sum::<f64>();
        (mean, (spread / sum).sqrt())
    };
    let (found, wanted) = (moments(&train, &weights), moments(&target, &[1.0; 400]));
    assert!((found.0 - wanted.0).abs() < 0.05, "{found:?}, {wanted:?}");
    assert!((found.1 - wanted.1).abs() < 0.05, "{found:?}, {wanted:?}");
}

#[test]
fn without_cases_for_each_fold_or_any_spread_nothing_is_fitted() {
    let [train, target] = samples();
    let few = estimator(Method::Kliep).ratios(&train, &target[..3], 1);
    let alike = vec![vec![1.0]; 12];
    assert_eq!(few, Err(NoRatio::FewCases { n_train: 10, n_target: 3, n_folds: 5 }));
    for method in [Method::Rulsif, Method::MeanMatching] {
        let found = estimator(method).ratios(&alike, &alike, 1);
        assert_eq!(found, Err(NoRatio::AlikeCases), "{method:?}");
    }
}
