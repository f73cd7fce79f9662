//! Golden figures of the metrics on sixty made cases; `cargo xtask regress -p metrics`.
#![expect(clippy::unwrap_used, reason = "a failed figure may panic")]

use hemex_metrics::{
    Bootstrap, Confidence, DeLong, Ranking, Recalibration, Strata, SurfaceDistances,
    average_precision, bland_altman, brier, concordance, equal_mass_bins,
    expected_calibration_error, log_loss, overlap, paired_delong, wilson,
};
use hemex_volume::{Affine, Geometry, LabelMap};

/// A ball of 9 mm about the voxel `[d, h, w]`.
fn ball(centre: [f64; 3]) -> LabelMap {
    let (spacing, [n_d, n_h, n_w]) = ([3.1, 1.0, 1.4], [10, 26, 22]);
    let affine = Affine::from_spacing(spacing, [0.0; 3]).unwrap();
    let inside = |i: usize| {
        let index = [i / (n_h * n_w), i / n_w % n_h, i % n_w];
        let squared = |a: usize| ((index[a] as f64 - centre[a]) * spacing[a]).powi(2);
        u8::from((0..3).map(squared).sum::<f64>() <= 81.0)
    };
    let voxels = (0..n_d * n_h * n_w).map(inside).collect();
    LabelMap::new(Geometry::new([n_d, n_h, n_w], affine).unwrap(), voxels).unwrap()
}

fn main() {
    let figure = |name: &str, value: f64| println!("{name} {value}");
    // Every fifth probability is also another case's, and outcomes follow them loosely.
    let first: Vec<f64> =
        (0..60).map(|i| ((i + usize::from(i % 5 == 0)) * 37 % 61 + 1) as f64 / 62.0).collect();
    let second: Vec<f64> = (0..60).map(|i| (i * 29 % 61 + 1) as f64 / 62.0).collect();
    let labels: Vec<bool> =
        (0..60).map(|i| first[i] + 0.5 * second[i] > (i * 23 % 61) as f64 / 45.0).collect();

    let delong = DeLong::new(&first, &labels).unwrap();
    figure("auroc", delong.auroc);
    figure("delong_variance", delong.variance);
    figure("delong_low", delong.interval(Confidence::P95).unwrap().low);
    let paired = paired_delong(&first, &second, &labels).unwrap();
    figure("paired_delong_p", paired.p_value().unwrap());
    figure("average_precision", average_precision(&first, &labels).unwrap());

    figure("brier", brier(&first, &labels).unwrap());
    figure("log_loss", log_loss(&first, &labels).unwrap());
    let calibration = Recalibration::fit(&first, &labels).unwrap();
    figure("calibration_slope", calibration.slope);
    figure("calibration_in_the_large", calibration.intercept_at_unit_slope);
    let bins = equal_mass_bins(&first, &labels, 8, Confidence::P95).unwrap();
    figure("expected_calibration_error", expected_calibration_error(&bins));
    figure("wilson_high", wilson(7, 20, Confidence::P95).unwrap().high);

    let bootstrap = Bootstrap { n_draws: 500, seed: 7 };
    let strata = Strata::new(&labels);
    let drawn = |scores: &[f64]| {
        let ranking = Ranking::new(scores, &labels).unwrap();
        bootstrap.distribution(&strata, |n_drawn| ranking.auroc(n_drawn))
    };
    let difference = drawn(&first).minus(&drawn(&second)).unwrap();
    figure("bootstrap_low", difference.interval(Confidence::P95).unwrap().low);
    figure("bootstrap_p", difference.p_value_of_zero().unwrap());

    let (prediction, reference) = (ball([4.5, 11.0, 10.0]), ball([4.6, 14.0, 7.3]));
    figure("dice", overlap(&prediction, &[1], &reference, &[1]).unwrap().dice().unwrap());
    let surface = SurfaceDistances::new(&prediction, &[1], &reference, &[1]).unwrap().unwrap();
    figure("hd95_mm", surface.hd95_mm());
    figure("surface_distance_mm", surface.mean_mm());
    figure("limit_of_agreement", bland_altman(&first, &second).unwrap().limits_of_agreement.high);
    figure("concordance", concordance(&first, &second).unwrap());
}
