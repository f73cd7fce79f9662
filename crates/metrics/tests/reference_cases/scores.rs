use hemex_metrics::{
    BrierDecomposition, CalibrationCurve, Confidence, DeLong, DiscriminationImprovement, McNemar,
    PredictiveValues, Ranking, Recalibration, Reclassification, RocCurve, WeightedCases, auroc,
    average_precision, brier, decision_curve, equal_mass_bins, equal_width_bins,
    expected_calibration_error, log_loss, paired_delong,
};

use super::{Draw, Figure};

struct Scores {
    first: Vec<f64>,
    second: Vec<f64>,
    labels: Vec<bool>,
    weights: Vec<f64>,
    n_drawn: Vec<u32>,
}

impl Scores {
    fn new(draw: &mut Draw) -> Self {
        let n = 4 + draw.below(37);
        // Few levels make many ties.
        let levels = [4, 12, 64, 4096][draw.below(4)];
        // One cohort in eight holds probabilities of 0 and 1.
        let closed = draw.below(8) == 0;
        let probabilities = |draw: &mut Draw| -> Vec<f64> {
            let inner = |draw: &mut Draw| 1 + draw.below(levels - 1);
            (0..n)
                .map(|_| if closed { draw.below(levels + 1) } else { inner(draw) })
                .map(|part| part as f64 / levels as f64)
                .collect()
        };
        let (first, second) = (probabilities(draw), probabilities(draw));
        // None positive in one cohort of ten.
        let share = draw.below(10);
        let labels = (0..n).map(|_| draw.below(10) < share).collect();
        let weights = (0..n)
            .map(|_| if draw.below(5) == 0 { 0 } else { 1 + draw.below(40) })
            .map(|eighths| eighths as f64 / 8.0)
            .collect();
        let n_drawn = (0..n).map(|_| draw.below(4) as u32).collect();
        Self { first, second, labels, weights, n_drawn }
    }
}

pub(super) fn figures(seed: u64) -> Vec<Figure> {
    let scores = Scores::new(&mut Draw::new(seed));
    [
        discrimination(&scores),
        operating_points(&scores),
        calibration(&scores),
        comparison(&scores),
        weighted(&scores),
    ]
    .concat()
}

fn discrimination(scores: &Scores) -> Vec<Figure> {
    let Scores { first, second, labels, .. } = scores;
    let delong = DeLong::new(first, labels).ok();
    let interval = delong.and_then(|delong| delong.interval(Confidence::P95));
    let paired = paired_delong(first, second, labels).ok();
    let ranking = Ranking::new(first, labels).ok();
    vec![
        ("auroc", auroc(first, labels).ok()),
        ("average_precision", average_precision(first, labels).ok()),
        ("drawn_auroc", ranking.as_ref().and_then(|r| r.auroc(&scores.n_drawn))),
        ("drawn_average_precision", ranking.and_then(|r| r.average_precision(&scores.n_drawn))),
        ("delong_variance", delong.map(|delong| delong.variance)),
        ("delong_low", interval.map(|interval| interval.low)),
        ("delong_high", interval.map(|interval| interval.high)),
        ("paired_delong_covariance", paired.map(|paired| paired.covariance)),
        ("paired_delong_p", paired.and_then(|paired| paired.p_value())),
    ]
}

fn operating_points(scores: &Scores) -> Vec<Figure> {
    let curve = RocCurve::new(&scores.first, &scores.labels).ok();
    let specific = curve.as_ref().and_then(|curve| curve.at_specificity(0.8).ok());
    let sensitive = curve.as_ref().and_then(|curve| curve.at_sensitivity(0.9).ok());
    let values = sensitive
        .and_then(|point| PredictiveValues::new(point.sensitivity, point.specificity(), 0.3).ok());
    vec![
        ("sensitivity_at_specificity", specific.map(|point| point.sensitivity)),
        ("its_specificity", specific.map(|point| point.specificity())),
        ("specificity_at_sensitivity", sensitive.map(|point| point.specificity())),
        ("its_sensitivity", sensitive.map(|point| point.sensitivity)),
        ("positive_predictive_value", values.and_then(|values| values.positive)),
        ("negative_predictive_value", values.and_then(|values| values.negative)),
    ]
}

fn calibration(scores: &Scores) -> Vec<Figure> {
    let Scores { first, labels, .. } = scores;
    let fit = Recalibration::fit(first, labels).ok();
    let parts = BrierDecomposition::new(first, labels).ok();
    let mass = equal_mass_bins(first, labels, 5, Confidence::P95).unwrap();
    let width = equal_width_bins(first, labels, 5, Confidence::P95).unwrap();
    let binned = BrierDecomposition::of_bins(&width).ok();
    let curve = CalibrationCurve::new(first, labels, 0.75).unwrap();
    let curve_narrow = CalibrationCurve::new(first, labels, 0.3).unwrap();
    vec![
        ("brier", brier(first, labels).ok()),
        ("log_loss", log_loss(first, labels).ok()),
        ("reliability", parts.map(|parts| parts.reliability)),
        ("resolution", parts.map(|parts| parts.resolution)),
        ("uncertainty", parts.map(|parts| parts.uncertainty)),
        ("binned_reliability", binned.map(|parts| parts.reliability)),
        ("binned_resolution", binned.map(|parts| parts.resolution)),
        ("ece_mass", Some(expected_calibration_error(&mass))),
        ("ece_width", Some(expected_calibration_error(&width))),
        ("calibration_intercept", fit.map(|fit| fit.intercept)),
        ("calibration_slope", fit.map(|fit| fit.slope)),
        ("calibration_in_the_large", fit.map(|fit| fit.intercept_at_unit_slope)),
        ("loess_at_first_case", curve.at(first[0])),
        ("loess_at_0.4", curve.at(0.4)),
        ("loess_narrow_at_0.4", curve_narrow.at(0.4)),
        ("calibration_index", Some(curve.integrated_calibration_index())),
    ]
}

fn comparison(scores: &Scores) -> Vec<Figure> {
    let Scores { first, second, labels, .. } = scores;
    let right = |scores: &[f64]| -> Vec<bool> {
        scores.iter().zip(labels).map(|(p, label)| (*p >= 0.5) == *label).collect()
    };
    let mcnemar = McNemar::new(&right(first), &right(second)).unwrap();
    let benefit = decision_curve(first, labels, &[0.2, 0.5]).unwrap();
    let free = Reclassification::category_free(first, second, labels).ok();
    let by_category = Reclassification::by_category(first, second, labels, &[0.25, 0.5]).ok();
    let idi = DiscriminationImprovement::new(first, second, labels).ok();
    vec![
        ("mcnemar_exact_p", mcnemar.exact_p_value()),
        ("mcnemar_chi_squared", mcnemar.corrected_chi_squared()),
        ("mcnemar_p", mcnemar.chi_squared_p_value()),
        ("net_benefit_0.2", Some(benefit[0].model)),
        ("net_benefit_0.5", Some(benefit[1].model)),
        ("net_benefit_all_0.2", Some(benefit[0].all)),
        ("nri_free", free.map(|nri| nri.improvement())),
        ("nri_free_error", free.map(|nri| nri.standard_error())),
        ("nri", by_category.map(|nri| nri.improvement())),
        ("nri_low", by_category.map(|nri| nri.interval(Confidence::P95).low)),
        ("idi", idi.map(|idi| idi.improvement)),
        ("idi_high", idi.map(|idi| idi.interval(Confidence::P95).high)),
        ("idi_p", idi.and_then(|idi| idi.p_value())),
    ]
}

fn weighted(scores: &Scores) -> Vec<Figure> {
    let cases = WeightedCases::new(&scores.first, &scores.labels, &scores.weights).unwrap();
    let benefit = cases.decision_curve(&[0.2]).ok();
    let fit = cases.recalibration().ok();
    vec![
        ("weighted_auroc", cases.auroc().ok()),
        ("weighted_average_precision", cases.average_precision().ok()),
        ("weighted_brier", cases.brier().ok()),
        ("weighted_log_loss", cases.log_loss().ok()),
        ("weighted_ece_width", cases.expected_calibration_error(5).ok()),
        ("weighted_calibration_intercept", fit.map(|fit| fit.intercept)),
        ("weighted_calibration_slope", fit.map(|fit| fit.slope)),
        ("weighted_calibration_in_the_large", fit.map(|fit| fit.intercept_at_unit_slope)),
        ("weighted_net_benefit_0.2", benefit.as_ref().map(|curve| curve[0].model)),
        ("weighted_net_benefit_all_0.2", benefit.map(|curve| curve[0].all)),
        ("effective_sample_size", cases.effective_sample_size()),
        ("effective_sample_size_positive", cases.effective_sample_size_of(true)),
    ]
}
