use hemex_metrics::{
    Confidence, Distribution, KappaWeights, Ratings, benjamini_hochberg, bland_altman,
    clopper_pearson, cohen_kappa, concordance, fleiss_kappa, holm, paired_permutation, pearson,
    wilson,
};

use super::{Draw, Figure};

pub(super) fn figures(seed: u64) -> Vec<Figure> {
    let mut draw = Draw::new(seed);
    [
        proportions(&mut draw),
        agreement(&mut draw),
        raters(&mut draw),
        resampling(&mut draw),
        multiplicity(&mut draw),
    ]
    .concat()
}

fn proportions(draw: &mut Draw) -> Vec<Figure> {
    let n = 1 + draw.below(200);
    let k = draw.below(n as u64 + 1);
    let (wilson, exact) =
        (wilson(k, n, Confidence::P95).unwrap(), clopper_pearson(k, n, Confidence::P95).unwrap());
    vec![
        ("wilson_low", Some(wilson.low)),
        ("wilson_high", Some(wilson.high)),
        ("clopper_pearson_low", Some(exact.low)),
        ("clopper_pearson_high", Some(exact.high)),
    ]
}

fn agreement(draw: &mut Draw) -> Vec<Figure> {
    let n = 2 + draw.below(39);
    // Few levels make cohorts without any spread.
    let most = [1, 8, 1000][draw.below(3)];
    let (measured, reference) = (draw.fractions(n, most, 8.0), draw.fractions(n, most, 8.0));
    let agreement = bland_altman(&measured, &reference).unwrap();
    let (near, exact) =
        (agreement.intervals(Confidence::P95), agreement.exact_intervals(Confidence::P95));
    vec![
        ("mean_difference_low", Some(near.mean_difference.low)),
        ("lower_limit_low", Some(near.lower_limit.low)),
        ("upper_limit_low", Some(near.upper_limit.low)),
        ("exact_lower_limit_high", Some(exact.lower_limit.high)),
        ("exact_upper_limit_high", Some(exact.upper_limit.high)),
        ("pearson", pearson(&measured, &reference).ok()),
        ("concordance", concordance(&measured, &reference).ok()),
    ]
}

fn raters(draw: &mut Draw) -> Vec<Figure> {
    let (n_subjects, n_raters) = (2 + draw.below(9), 2 + draw.below(3));
    let most = [1, 9, 500][draw.below(3)];
    let ratings = Ratings::new(&draw.fractions(n_subjects * n_raters, most, 4.0), n_raters).ok();
    let two = ratings.and_then(|ratings| ratings.icc_2_1(Confidence::P95));
    let three = ratings.and_then(|ratings| ratings.icc_3_1(Confidence::P95));
    let n = 1 + draw.below(30);
    let n_categories = 1 + draw.below(4) as u64;
    let [a, b]: [Vec<usize>; 2] =
        std::array::from_fn(|_| (0..n).map(|_| draw.below(n_categories)).collect());
    let kappa = |weights| cohen_kappa(&a, &b, weights).ok();
    let (equal, linear) = (kappa(KappaWeights::Equal), kappa(KappaWeights::Linear));
    let n_raters = 2 + draw.below(4);
    let mut table = vec![0; n * 3];
    for subject in 0..n {
        for _ in 0..n_raters {
            table[subject * 3 + draw.below(n_categories.min(3))] += 1;
        }
    }
    vec![
        ("icc_2_1", two.map(|icc| icc.value)),
        ("icc_2_1_low", two.and_then(|icc| icc.interval).map(|interval| interval.low)),
        ("icc_2_1_high", two.and_then(|icc| icc.interval).map(|interval| interval.high)),
        ("icc_3_1", three.map(|icc| icc.value)),
        ("icc_3_1_low", three.and_then(|icc| icc.interval).map(|interval| interval.low)),
        ("icc_3_1_high", three.and_then(|icc| icc.interval).map(|interval| interval.high)),
        ("cohen_kappa", equal),
        ("cohen_kappa_linear", linear),
        ("cohen_kappa_quadratic", kappa(KappaWeights::Quadratic)),
        ("fleiss_kappa", fleiss_kappa(&table, 3).ok()),
    ]
}

fn resampling(draw: &mut Draw) -> Vec<Figure> {
    let n_draws = 1 + draw.below(60);
    let most = [1, 20, 5000][draw.below(3)];
    // A draw in eight is undefined.
    let draws: Vec<Option<f64>> = (0..n_draws)
        .map(|_| (draw.below(8) > 0, draw.below(most + 1)))
        .map(|(is_defined, value)| is_defined.then_some(value as f64 / 64.0))
        .collect();
    let observed = draw.below(most + 1) as f64 / 64.0;
    let n = 2 + draw.below(20);
    let left_out = draw.fractions(n, most, 64.0);
    let distribution: Distribution = draws.into_iter().collect();
    let plain = distribution.interval(Confidence::P95).ok();
    let bca = distribution.bca_interval(observed, &left_out, Confidence::P95).ok();
    let n = 1 + draw.below(8);
    let differences: Vec<f64> =
        draw.fractions(n, 16, 8.0).iter().map(|value| value - 1.0).collect();
    let mean = |swapped: &[bool]| {
        let signed = differences.iter().zip(swapped).map(|(d, s)| if *s { -d } else { *d });
        Some(signed.sum::<f64>() / differences.len() as f64)
    };
    let test = paired_permutation(n, 0, 0, mean).unwrap();
    vec![
        ("percentile_low", plain.map(|interval| interval.low)),
        ("percentile_high", plain.map(|interval| interval.high)),
        ("bca_low", bca.map(|interval| interval.low)),
        ("bca_high", bca.map(|interval| interval.high)),
        ("permutation_p", Some(test.p_value())),
    ]
}

fn multiplicity(draw: &mut Draw) -> Vec<Figure> {
    let n = 1 + draw.below(12);
    let most = [10, 1000][draw.below(2)];
    let p_values = draw.fractions(n, most, most as f64);
    let (holm, hochberg) = (holm(&p_values).unwrap(), benjamini_hochberg(&p_values).unwrap());
    let digest = |values: &[f64]| {
        Some(values.iter().enumerate().map(|(i, value)| (i + 1) as f64 * value).sum::<f64>())
    };
    vec![
        ("holm_first", Some(holm[0])),
        ("holm_digest", digest(&holm)),
        ("benjamini_hochberg_first", Some(hochberg[0])),
        ("benjamini_hochberg_digest", digest(&hochberg)),
    ]
}
