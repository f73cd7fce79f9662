#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use super::*;

pub(crate) fn line(arm: &str, case: usize, role: Role, growth: bool, p: Option<f64>) -> CaseLine {
    CaseLine {
        case_id: format!("c{case}"),
        patient_id: format!("p{case}"),
        arm: arm.to_owned(),
        regime: Regime::Site,
        fold: 0,
        seed: 1,
        role,
        status: if p.is_some() { "ok" } else { "no_lesion" }.to_owned(),
        growth: Some(growth),
        probability: p,
        twin_logit: None,
        true_probability: None,
        true_probability_image_signs: None,
        dice: Some(0.5 + case as f64 / 20.0),
        volume_ml: Some(11.0),
        reference_volume_ml: Some(10.0),
    }
}

/// Ten test patients, the last five of whom grew; `p` of the good arm rises with them but for one pair, the other
/// arm says the same of all.
fn cohort() -> Cohort {
    let good = (0..10).map(|i| {
        let p = [0.1, 0.2, 0.3, 0.4, 0.6, 0.5, 0.65, 0.7, 0.8, 0.9][i];
        line("good", i, Role::Test, i >= 5, Some(p))
    });
    let flat = (0..10).map(|i| line("flat", i, Role::Test, i >= 5, Some(0.3)));
    let arms = vec![("good".to_owned(), good.collect()), ("flat".to_owned(), flat.collect())];
    Cohort { regime: Regime::Site, setting: String::new(), arms }
}

fn config() -> Config {
    Config { against: vec!["flat".to_owned()], by: None, n_draws: 200 }
}

#[test]
fn figures_are_means_over_cohorts_and_differences_are_paired() {
    let found = figures(&[cohort(), cohort()], &config(), 1).unwrap();
    let [good, flat] = &found[..] else { panic!("{found:?}") };
    assert_eq!((good.n_cohorts, good.n_patients, good.n_growth), (2, 20, 10));
    // 24 of the 25 pairs.
    assert_eq!((good.auroc.value, flat.auroc.value), (Some(0.96), Some(0.5)));
    let above = good.above["flat"];
    assert!((above.value.unwrap() - 0.46).abs() < 1e-12);
    // The other arm never moves: the difference has the interval of the arm itself.
    let shifted = good.auroc.ci95.unwrap().map(|end| end - 0.5);
    let [low, high] = above.ci95.unwrap();
    assert!((low - shifted[0]).abs() < 1e-12 && (high - shifted[1]).abs() < 1e-12);
    assert!(flat.above.is_empty());
    assert!((good.dice.value.unwrap() - 0.725).abs() < 1e-12);
    assert!((good.volume_bias.unwrap() - 0.1).abs() < 1e-12);
    assert_eq!(flat.calibration_slope, None, "one probability has no slope");
}

#[test]
fn what_an_arm_does_not_say_is_counted_and_a_head_without_hematoma_ranks_lowest() {
    let mut cohort = cohort();
    // The best of the growing cases is taken for no hematoma, a stable one is refused.
    let good = &mut cohort.arms[0].1;
    (good[9].status, good[9].probability) = ("no_lesion".to_owned(), None);
    (good[0].status, good[0].probability) = ("refused".to_owned(), None);
    let found = figures(&[cohort], &config(), 1).unwrap();
    assert_eq!(found[0].n_unspoken, 1);
    // Of 4 × 5 pairs, one is lost to the overlap and four to the hematoma that was not found.
    assert_eq!(found[0].auroc.value, Some(15.0 / 20.0));
}

#[test]
fn a_difference_is_over_the_cases_that_both_speak_of() {
    let mut cohort = cohort();
    // The good arm leaves out its one mistake, and the other arm tells that pair the wrong way round.
    for i in [4, 5] {
        cohort.arms[0].1[i].status = "refused".to_owned();
        cohort.arms[1].1[i].probability = Some(if i == 4 { 0.9 } else { 0.1 });
    }
    let found = figures(&[cohort], &config(), 1).unwrap();
    assert_eq!(found[0].auroc.value, Some(1.0));
    // Over all cases the other has 8 of 25 pairs; over those that both speak of it is at 0.5.
    assert_eq!(found[1].auroc.value, Some(8.0 / 25.0));
    assert_eq!(found[0].above["flat"].value, Some(0.5));
}

#[test]
fn the_cases_of_a_patient_are_drawn_together() {
    let mut cohort = cohort();
    let alone = figures(std::slice::from_ref(&cohort), &config(), 1).unwrap();
    // Five scans each of two patients: one stable, one grew. No draw of them differs from the cohort.
    for row in cohort.arms.iter_mut().flat_map(|(_, rows)| rows) {
        row.patient_id = if row.growth == Some(true) { "q" } else { "p" }.to_owned();
    }
    let found = figures(&[cohort], &config(), 1).unwrap();
    assert_eq!((found[0].n_patients, found[0].n_growth, found[0].n_cases), (2, 1, 10));
    assert_eq!((found[0].auroc.value, found[0].auroc.ci95), (Some(0.96), Some([0.96, 0.96])));
    assert_ne!(alone[0].auroc.ci95, found[0].auroc.ci95);
}

#[test]
fn the_oracle_is_an_arm_and_others_are_measured_by_its_way() {
    let mut cohort = cohort();
    for (_, rows) in &mut cohort.arms {
        for (i, row) in rows.iter_mut().enumerate() {
            row.true_probability_image_signs = Some(if i >= 5 { 0.8 } else { 0.1 });
        }
    }
    let found = figures(&[cohort], &config(), 1).unwrap();
    assert_eq!((found[2].arm.as_str(), found[2].auroc.value), (ORACLE, Some(1.0)));
    assert!((found[0].share_of_oracle.unwrap() - 0.92).abs() < 1e-12);
}

#[test]
fn twins_are_those_of_validation_patients_and_silence_ties() {
    let mut cohort = cohort();
    for (arm, rows) in &mut cohort.arms {
        for i in 20..26 {
            let mut row = line(arm, i, Role::Val, i % 2 == 0, Some(0.5));
            // The first arm follows something else than the hematoma, the second says nothing.
            row.twin_logit = (arm == "good").then_some(if i % 2 == 0 { 1.0 } else { -1.0 });
            rows.push(row);
        }
    }
    // A cohort without twins says nothing of them, and a refused case was not read.
    let without = self::cohort();
    let mut refused = line("good", 26, Role::Val, true, None);
    refused.status = "refused".to_owned();
    cohort.arms[0].1.push(refused);
    let found = figures(&[cohort, without], &config(), 1).unwrap();
    assert_eq!((found[0].twin_auroc.value, found[0].n_twins), (Some(1.0), 6));
    assert_eq!((found[1].twin_auroc.value, found[1].n_twins), (Some(0.5), 6));
    assert_eq!(found[1].twin_auroc.ci95, Some([0.5, 0.5]));
}

#[test]
fn the_oracle_ranks_and_says_nothing_of_masks() {
    let mut cohort = cohort();
    for row in cohort.arms.iter_mut().flat_map(|(_, rows)| rows) {
        row.true_probability_image_signs = row.case_id[1..].parse::<f64>().ok().map(|i| i / 10.0);
    }
    let found = figures(&[cohort], &config(), 1).unwrap();
    let oracle = found.last().unwrap();
    assert_eq!((oracle.arm.as_str(), oracle.auroc.value), (ORACLE, Some(1.0)));
    assert_eq!((oracle.dice, oracle.volume_bias), (Figure::default(), None));
    assert!((found[0].share_of_oracle.unwrap() - 0.92).abs() < 1e-12);
}

#[test]
fn the_strictest_regime_of_a_setting_leads() {
    let of = |setting: &str, regime| Cohort { setting: setting.to_owned(), regime, ..cohort() };
    let cohorts = [
        of("b", Regime::SamePatient),
        of("a", Regime::Patient),
        of("b", Regime::Patient),
        of("b", Regime::Site),
        of("a", Regime::Site),
    ];
    let found = figures(&cohorts, &config(), 1).unwrap();
    let fields: Vec<_> = found.iter().map(|arm| (arm.setting.as_str(), arm.regime)).collect();
    let expected = [
        ("b", Regime::Site),
        ("b", Regime::Patient),
        ("b", Regime::SamePatient),
        ("a", Regime::Site),
        ("a", Regime::Patient),
    ];
    assert_eq!(fields, expected.map(|of| [of; 2]).concat());
}
