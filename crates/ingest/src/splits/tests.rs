use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const SETTINGS: SplitSettings = SplitSettings {
    n_folds: 3,
    n_repeats: 1,
    n_inner_folds: 1,
    val_fraction: 0.2,
    calibration_fraction: 0.0,
    target_fraction: 0.5,
    time_test_fraction: 0.3,
};

fn unit(i: usize, patient: usize, site: usize, growth: Option<bool>) -> Unit {
    Unit {
        case_id: format!("case-{i:04}"),
        patient_id: format!("patient-{patient:04}"),
        site: ["A", "B", "C"][site].to_owned(),
        growth,
        has_mask: true,
        n_slices: 5 + i % 3,
        scanned: Some(format!("2020{:04}", 100 + (i * 37) % 800)),
        given: Vec::new(),
    }
}

/// 40 to 100 cases of fewer patients at three sites, some labels undefined, each site and class
/// with enough for every fold.
fn cohorts() -> impl Strategy<Value = Vec<Unit>> {
    let case = (
        0..60usize,
        0..3usize,
        prop_oneof![3 => Just(Some(false)), 1 => Just(Some(true)), 1 => Just(None)],
    );
    prop::collection::vec(case, 10..70).prop_map(|drawn| {
        let sure = (0..30).map(|i| (100 + i, i % 3, Some(i % 2 == 0)));
        let cases = sure.chain(drawn).enumerate();
        cases.map(|(i, (patient, site, growth))| unit(i, patient, site, growth)).collect()
    })
}

fn of(splits: &Splits, regime: Regime) -> impl Iterator<Item = &SplitRow> {
    splits.rows.iter().filter(move |row| row.regime == regime)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_patient_has_one_role_a_fold(units in cohorts(), seed in 0..1000u64) {
        let splits = split(&units, &SETTINGS, seed).unwrap();
        let mut roles = BTreeMap::new();
        for row in splits.rows.iter().filter(|row| row.regime != Regime::SamePatient) {
            let key = (row.regime, row.fold, &row.patient_id);
            prop_assert_eq!(*roles.entry(key).or_insert(row.role), row.role);
        }
    }

    #[test]
    fn every_labelled_case_is_tested_once_and_undefined_ones_are_targets_at_most(
        units in cohorts(), seed in 0..1000u64,
    ) {
        let splits = split(&units, &SETTINGS, seed).unwrap();
        let growth: BTreeMap<&str, Option<bool>> =
            units.iter().map(|u| (u.case_id.as_str(), u.growth)).collect();
        let mut tested = BTreeMap::new();
        for row in of(&splits, Regime::Patient) {
            prop_assert!(growth[row.case_id.as_str()].is_some());
            prop_assert_ne!(row.role, Role::Target);
            *tested.entry(row.case_id.as_str()).or_insert(0) += usize::from(row.role == Role::Test);
        }
        prop_assert_eq!(tested.len(), growth.values().filter(|g| g.is_some()).count());
        prop_assert!(tested.values().all(|n| *n == 1));
        for row in of(&splits, Regime::Site) {
            prop_assert!(row.role == Role::Target || growth[row.case_id.as_str()].is_some());
        }
    }

    #[test]
    fn folds_and_validation_are_stratified(units in cohorts(), seed in 0..1000u64) {
        let splits = split(&units, &SETTINGS, seed).unwrap();
        let mut grew = BTreeMap::<&str, bool>::new();
        for unit in units.iter().filter(|u| u.growth.is_some()) {
            *grew.entry(&unit.patient_id).or_default() |= unit.growth == Some(true);
        }
        for class in [false, true] {
            let patients = |fold: usize, role: Role| -> usize {
                let rows = of(&splits, Regime::Patient).filter(|r| r.fold == fold && r.role == role);
                let names: BTreeSet<&str> = rows.map(|r| r.patient_id.as_str()).collect();
                names.into_iter().filter(|p| grew[p] == class).count()
            };
            let tested: Vec<usize> = (0..3).map(|fold| patients(fold, Role::Test)).collect();
            prop_assert!(tested.iter().max().unwrap() - tested.iter().min().unwrap() <= 1);
            for fold in 0..3 {
                let (n_val, n_train) = (patients(fold, Role::Val), patients(fold, Role::Train));
                let expected = 0.2 * (n_val + n_train) as f64;
                prop_assert!((n_val as f64 - expected).abs() <= 1.0, "{} of {}", n_val, n_train);
            }
        }
    }

    #[test]
    fn a_held_out_site_is_target_and_test_and_nothing_else(units in cohorts(), seed in 0..1000u64) {
        let splits = split(&units, &SETTINGS, seed).unwrap();
        for (fold, site) in ["A", "B", "C"].into_iter().enumerate() {
            let rows: Vec<&SplitRow> = of(&splits, Regime::Site).filter(|r| r.fold == fold).collect();
            for row in &rows {
                let held_out = matches!(row.role, Role::Target | Role::Test);
                prop_assert_eq!(held_out, row.site == site);
            }
            let cases = |role: Role| -> BTreeSet<&str> {
                rows.iter().filter(|r| r.role == role).map(|r| r.case_id.as_str()).collect()
            };
            prop_assert!(cases(Role::Target).is_disjoint(&cases(Role::Test)));
            prop_assert!(!cases(Role::Target).is_empty() && !cases(Role::Test).is_empty());
        }
    }

    #[test]
    fn the_order_of_units_changes_nothing_and_the_seed_does(units in cohorts(), seed in 0..1000u64) {
        let splits = split(&units, &SETTINGS, seed).unwrap();
        let mut reversed = units.clone();
        reversed.reverse();
        prop_assert_eq!(&split(&reversed, &SETTINGS, seed).unwrap(), &splits);
        prop_assert_ne!(&split(&units, &SETTINGS, seed + 1).unwrap().rows, &splits.rows);
    }

    #[test]
    fn every_slice_has_one_role_a_fold_and_is_tested_once(units in cohorts()) {
        let splits = split(&units, &SETTINGS, 7).unwrap();
        let mut tested = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for row in of(&splits, Regime::SamePatient) {
            prop_assert!(seen.insert((row.fold, &row.case_id, row.slice_idx.unwrap())));
            *tested.entry((&row.case_id, row.slice_idx)).or_insert(0) +=
                usize::from(row.role == Role::Test);
        }
        let n_slices: usize = units.iter().filter(|u| u.growth.is_some()).map(|u| u.n_slices).sum();
        prop_assert_eq!(tested.len(), n_slices);
        prop_assert!(tested.values().all(|n| *n == 1));
    }
}

/// Labels must not decide who is a target: swapping them all changes no target.
#[test]
fn targets_are_drawn_without_labels() {
    let units: Vec<Unit> = (0..60).map(|i| unit(i, i, i % 3, Some(i % 4 == 0))).collect();
    let swapped: Vec<Unit> =
        units.iter().map(|u| Unit { growth: u.growth.map(|g| !g), ..u.clone() }).collect();
    let targets = |units: &[Unit]| -> Vec<(usize, String)> {
        let splits = split(units, &SETTINGS, 3).unwrap();
        let rows = splits.rows.into_iter().filter(|r| r.role == Role::Target);
        rows.map(|r| (r.fold, r.case_id)).collect()
    };
    assert_eq!(targets(&units), targets(&swapped));
    assert_eq!(targets(&units).len(), 30);
}

#[test]
fn what_cannot_be_split_is_named() {
    let one_site: Vec<Unit> = (0..12).map(|i| unit(i, i, 0, Some(i % 2 == 0))).collect();
    let splits = split(&one_site, &SETTINGS, 1).unwrap();
    assert_eq!(of(&splits, Regime::Site).count(), 0);
    assert!(splits.warnings[0].contains("one site"), "{:?}", splits.warnings);

    // One grown case: the fold that tests it has none to train on.
    let lonely: Vec<Unit> = (0..12).map(|i| unit(i, i, 0, Some(i == 5))).collect();
    let text = split(&lonely, &SETTINGS, 1).unwrap_err().to_string();
    assert!(text.starts_with("regime `patient`, fold ") && text.contains("0 grown"), "{text}");

    let few: Vec<Unit> = (0..2).map(|i| unit(i, i, 0, Some(i == 0))).collect();
    assert!(split(&few, &SETTINGS, 1).unwrap_err().to_string().contains("lower `n_folds`"));
}

#[test]
fn a_fold_nobody_can_train_in_is_left_out_and_the_others_stay() {
    // All of site B are stable: what holds out site A would train without a hematoma that grew.
    let units: Vec<Unit> =
        (0..60).map(|i| unit(i, i, usize::from(i >= 40), Some(i < 40 && i % 3 == 0))).collect();
    let splits = split(&units, &SETTINGS, 1).unwrap();
    let folds: BTreeSet<usize> = of(&splits, Regime::Site).map(|row| row.fold).collect();
    assert_eq!(folds, BTreeSet::from([1]));
    let told = splits.warnings.iter().find(|text| text.contains("regime `site`, fold 0")).unwrap();
    assert!(told.contains("0 grown"), "{told}");
    assert!(of(&splits, Regime::Patient).count() > 0);
}

#[test]
fn a_given_fold_may_test_alone() {
    let mut units: Vec<Unit> = (0..12).map(|i| unit(i, i, 0, Some(i % 2 == 0))).collect();
    units[0].given = vec![(0, Role::Test)];
    let splits = split(&units, &SETTINGS, 1).unwrap();
    assert_eq!(of(&splits, Regime::Given).count(), 1);
}

#[test]
fn a_case_without_a_mask_is_tested_and_teaches_nothing() {
    let mut units = pairs();
    for (i, unit) in units.iter_mut().enumerate() {
        unit.has_mask = i % 3 > 0;
        let roles = [Role::Train, Role::Train, Role::Val, Role::Calibration, Role::Test];
        unit.given = vec![(0, roles[i / 2 % 5])];
    }
    let settings = SplitSettings { calibration_fraction: 0.25, ..SETTINGS };
    let splits = split(&units, &settings, 1).unwrap();
    let is_unmasked =
        |row: &&SplitRow| units.iter().any(|unit| unit.case_id == row.case_id && !unit.has_mask);
    for row in splits.rows.iter().filter(is_unmasked) {
        assert!(matches!(row.role, Role::Test | Role::Target), "{row:?}");
    }
    assert_eq!(of(&splits, Regime::Patient).filter(is_unmasked).count(), 40, "each tested once");
    assert!(of(&splits, Regime::Given).any(|row| row.role == Role::Train));
    let told = splits.warnings.iter().find(|text| text.contains("no reference mask")).unwrap();
    assert!(told.starts_with("40 of 120 labelled cases"), "{told}");

    // A cohort without any tests a model trained elsewhere.
    units.iter_mut().for_each(|unit| unit.has_mask = false);
    let splits = split(&units, &settings, 1).unwrap();
    assert_eq!(of(&splits, Regime::Patient).filter(|row| row.role == Role::Test).count(), 120);
}

/// 60 patients with two scans each.
fn pairs() -> Vec<Unit> {
    (0..120).map(|i| unit(i, i / 2, i / 2 % 3, Some(i / 2 % 4 == 0))).collect()
}

#[test]
fn repeats_deal_anew_and_inner_folds_validate_in_turn() {
    let settings = SplitSettings { n_repeats: 2, n_inner_folds: 4, ..SETTINGS };
    let splits = split(&pairs(), &settings, 1).unwrap();
    let patients = |fold: usize, role: Role| -> BTreeSet<&str> {
        let rows = of(&splits, Regime::Patient);
        rows.filter(|row| (row.fold, row.role) == (fold, role))
            .map(|row| row.patient_id.as_str())
            .collect()
    };
    let n_folds = of(&splits, Regime::Patient).map(|row| row.fold).max().unwrap() + 1;
    assert_eq!(n_folds, 2 * 3 * 4);
    for outer in 0..6 {
        let folds = (0..4).map(|inner| outer * 4 + inner);
        let tested = patients(outer * 4, Role::Test);
        let mut validated = BTreeSet::new();
        let mut n_validated = 0;
        for fold in folds {
            assert_eq!(patients(fold, Role::Test), tested);
            let val = patients(fold, Role::Val);
            assert_eq!(val.len() + patients(fold, Role::Train).len() + tested.len(), 60);
            n_validated += val.len();
            validated.extend(val);
        }
        // Each of the others once.
        assert_eq!((validated.len(), n_validated), (40, 40));
    }
    assert_ne!(patients(0, Role::Test), patients(12, Role::Test), "the second repeat");
}

#[test]
fn what_calibrates_neither_trains_nor_validates() {
    let settings = SplitSettings { calibration_fraction: 0.25, ..SETTINGS };
    let (splits, without) =
        (split(&pairs(), &settings, 1).unwrap(), split(&pairs(), &SETTINGS, 1).unwrap());
    for regime in [Regime::Patient, Regime::Site, Regime::Time] {
        let n_folds = of(&splits, regime).map(|row| row.fold).max().unwrap() + 1;
        for fold in 0..n_folds {
            let patients = |splits: &Splits, role: Role| -> BTreeSet<String> {
                let rows = of(splits, regime).filter(|row| (row.fold, row.role) == (fold, role));
                rows.map(|row| row.patient_id.clone()).collect()
            };
            let calibrate = patients(&splits, Role::Calibration);
            let others = [Role::Train, Role::Val].map(|role| patients(&splits, role));
            assert!(others.iter().all(|other| other.is_disjoint(&calibrate)));
            let n = calibrate.len() + others[0].len() + others[1].len();
            assert!((calibrate.len() as f64 - 0.25 * n as f64).abs() <= 1.0, "{regime:?} {fold}");
            // A quarter grew: of those that calibrate too.
            let grew = |patient: &&String| {
                pairs().iter().any(|unit| unit.patient_id == **patient && unit.growth == Some(true))
            };
            let n_grew = calibrate.iter().filter(grew).count();
            assert!((n_grew as f64 - 0.25 * calibrate.len() as f64).abs() <= 1.0, "{n_grew}");
            // Who tests and who is the target does not depend on it.
            for role in [Role::Test, Role::Target] {
                assert_eq!(patients(&splits, role), patients(&without, role));
            }
        }
    }
    assert!(of(&splits, Regime::SamePatient).all(|row| row.role != Role::Calibration));
}

#[test]
fn the_patients_scanned_last_are_tested() {
    let mut units = pairs();
    units[7].scanned = None;
    units[6].scanned = None;
    let splits = split(&units, &SETTINGS, 1).unwrap();
    assert!(
        splits.warnings.iter().any(|w| w.contains("1 patients have no date")),
        "{:?}",
        splits.warnings
    );
    let latest = |role: Role| {
        let rows = of(&splits, Regime::Time).filter(move |row| row.role == role);
        rows.map(|row| {
            let same = units.iter().filter(|unit| unit.patient_id == row.patient_id);
            same.filter_map(|unit| unit.scanned.clone()).max().unwrap()
        })
    };
    let first_tested = latest(Role::Test).min().unwrap();
    assert!(latest(Role::Train).chain(latest(Role::Val)).all(|date| date <= first_tested));
    let n_tested: BTreeSet<&str> = of(&splits, Regime::Time)
        .filter(|row| row.role == Role::Test)
        .map(|row| row.patient_id.as_str())
        .collect();
    assert_eq!(n_tested.len(), 18, "0.3 of 59");

    units.iter_mut().for_each(|unit| unit.scanned = None);
    let undated = split(&units, &SETTINGS, 1).unwrap();
    assert_eq!(of(&undated, Regime::Time).count(), 0);
}

#[test]
fn a_given_split_is_taken_unless_it_parts_a_patient() {
    let mut units = pairs();
    for (i, unit) in units.iter_mut().enumerate() {
        let role = [Role::Train, Role::Train, Role::Val, Role::Test][i / 2 % 4];
        unit.given = vec![(0, role)];
    }
    let splits = split(&units, &SETTINGS, 1).unwrap();
    assert_eq!(of(&splits, Regime::Given).count(), 120);
    let expected: Vec<Role> = units.iter().map(|unit| unit.given[0].1).collect();
    assert_eq!(of(&splits, Regime::Given).map(|row| row.role).collect::<Vec<_>>(), expected);
    units[1].given = vec![(0, Role::Test)];
    let error = split(&units, &SETTINGS, 1).unwrap_err().to_string();
    assert!(error.contains("regime `given`, fold 0: patient patient-0000"), "{error}");
}
