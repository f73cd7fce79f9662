use std::collections::{BTreeMap, BTreeSet};

use hemex_artifacts::{Regime, Role, SplitRow};
use hemex_stage::DrawKey;
use rand::seq::SliceRandom;

use super::Unit;
use super::deal::{Patient, deal, draw, draw_stratified, part};
use crate::{IngestError, SplitSettings};

/// Patients dealt to k folds.
pub(super) fn by_patient(
    units: &[&Unit],
    settings: &SplitSettings,
    seed: u64,
) -> Result<Vec<SplitRow>, IngestError> {
    let patients = Patient::group(labelled(units));
    if patients.len() < settings.n_folds {
        let (found, n_folds) = (patients.len(), settings.n_folds);
        let problem = format!(
            "{n_folds} folds need as many patients with a label, found {found}; lower `n_folds`"
        );
        return Err(IngestError::Split { regime: Regime::Patient, fold: found, problem });
    }
    let mut rows = Vec::new();
    for repeat in 0..settings.n_repeats {
        let mut rng = DrawKey::new(seed, "ingest.splits.patient").repeat(repeat).rng();
        let fold_of = deal(&patients, settings.n_folds, &mut rng);
        for fold in 0..settings.n_folds {
            let (tested, rest): (Vec<_>, Vec<_>) =
                patients.iter().cloned().zip(&fold_of).partition(|(_, of)| **of == fold);
            let rest: Vec<Patient<'_>> = rest.into_iter().map(|(patient, _)| patient).collect();
            let outer = repeat * settings.n_folds + fold;
            let (calibrate, rest) =
                calibration_and_rest(rest, Regime::Patient, outer, settings, seed);
            for inner in 0..settings.n_inner_folds {
                let fold = outer * settings.n_inner_folds + inner;
                for (patient, _) in &tested {
                    let cases = patient.cases.iter();
                    rows.extend(cases.map(|unit| row(unit, Regime::Patient, fold, Role::Test)));
                }
                rows.extend(of_role(&calibrate, Regime::Patient, fold, Role::Calibration));
                rows.extend(match settings.n_inner_folds {
                    1 => train_and_val(&rest, Regime::Patient, fold, settings, seed),
                    n => inner_fold(&rest, fold, [outer, inner], n, seed),
                });
            }
        }
    }
    Ok(rows)
}

/// What is not tested, dealt to `n` inner folds of which one validates.
fn inner_fold(
    patients: &[Patient<'_>],
    fold: usize,
    [outer, inner]: [usize; 2],
    n: usize,
    seed: u64,
) -> Vec<SplitRow> {
    let mut rng = DrawKey::new(seed, "ingest.splits.patient.inner").repeat(outer).rng();
    let inner_of = deal(patients, n, &mut rng);
    let mut rows = Vec::new();
    for (patient, of) in patients.iter().zip(inner_of) {
        let role = if of == inner { Role::Val } else { Role::Train };
        rows.extend(patient.cases.iter().map(|unit| row(unit, Regime::Patient, fold, role)));
    }
    rows
}

/// The patients scanned last test.
pub(super) fn by_time(
    units: &[&Unit],
    settings: &SplitSettings,
    seed: u64,
    warnings: &mut Vec<String>,
) -> Vec<SplitRow> {
    let dated = Patient::group(labelled(units).filter(|unit| unit.scanned.is_some()));
    let n_labelled = Patient::group(labelled(units)).len();
    // Where nobody has a date, nobody expects this regime; asked for, it is missed by name.
    if dated.is_empty() {
        return Vec::new();
    }
    if dated.len() < 2 {
        warnings
            .push("no two patients have a scan with a date: there is no regime `time`".to_owned());
        return Vec::new();
    }
    if dated.len() < n_labelled {
        let n = n_labelled - dated.len();
        warnings.push(format!("{n} patients have no date: they are not in the regime `time`"));
    }
    // By the latest scan, then by pseudonym.
    let mut patients: Vec<(Option<&str>, Patient<'_>)> = dated
        .into_iter()
        .map(|patient| {
            let latest = patient.cases.iter().filter_map(|unit| unit.scanned.as_deref()).max();
            (latest, patient)
        })
        .collect();
    patients.sort_by(|a, b| a.0.cmp(&b.0));
    let n_tested = part(patients.len(), settings.time_test_fraction);
    let tested = patients.split_off(patients.len() - n_tested);
    let others: Vec<Patient<'_>> = patients.into_iter().map(|(_, patient)| patient).collect();
    let (calibrate, others) = calibration_and_rest(others, Regime::Time, 0, settings, seed);
    let mut rows = train_and_val(&others, Regime::Time, 0, settings, seed);
    rows.extend(of_role(&calibrate, Regime::Time, 0, Role::Calibration));
    for (_, patient) in tested {
        rows.extend(patient.cases.iter().map(|unit| row(unit, Regime::Time, 0, Role::Test)));
    }
    rows
}

/// The dataset's own split, as far as cases can have the roles.
pub(super) fn as_given(units: &[&Unit]) -> Result<Vec<SplitRow>, IngestError> {
    let mut rows = Vec::new();
    let mut roles: BTreeMap<(usize, &str), Role> = BTreeMap::new();
    for unit in units {
        for (fold, role) in &unit.given {
            if *roles.entry((*fold, &unit.patient_id)).or_insert(*role) != *role {
                let problem = format!("patient {} is given two roles", unit.patient_id);
                return Err(IngestError::Split { regime: Regime::Given, fold: *fold, problem });
            }
            if unit.can_be(*role) {
                rows.push(row(unit, Regime::Given, *fold, *role));
            }
        }
    }
    Ok(rows)
}

/// One site held out a fold.
pub(super) fn by_site(
    units: &[&Unit],
    settings: &SplitSettings,
    seed: u64,
    warnings: &mut Vec<String>,
) -> Result<Vec<SplitRow>, IngestError> {
    let sites: BTreeSet<&str> = units.iter().map(|unit| unit.site.as_str()).collect();
    if sites.len() < 2 {
        warnings.push("all cases are of one site: there is no regime `site`".to_owned());
        return Ok(Vec::new());
    }
    let mut rows = Vec::new();
    for (fold, site) in sites.into_iter().enumerate() {
        let here = |unit: &&&Unit| unit.site == site;
        let held_out = Patient::group(units.iter().filter(here).copied());
        let away: BTreeSet<&str> =
            units.iter().filter(here).map(|unit| unit.patient_id.as_str()).collect();
        let mut rng = DrawKey::new(seed, "ingest.splits.target").repeat(fold).rng();
        let is_target = draw(held_out.len(), settings.target_fraction, &mut rng);
        let mut n_test = 0;
        for (patient, is_target) in held_out.iter().zip(is_target) {
            for unit in &patient.cases {
                if is_target {
                    rows.push(row(unit, Regime::Site, fold, Role::Target));
                } else if unit.growth.is_some() {
                    rows.push(row(unit, Regime::Site, fold, Role::Test));
                    n_test += 1;
                }
            }
        }
        if n_test == 0 {
            warnings.push(format!("regime `site`, fold {fold} has no case to test"));
        }
        let others = labelled(units).filter(|unit| !away.contains(unit.patient_id.as_str()));
        let others = Patient::group(others);
        let (calibrate, others) = calibration_and_rest(others, Regime::Site, fold, settings, seed);
        rows.extend(of_role(&calibrate, Regime::Site, fold, Role::Calibration));
        rows.extend(train_and_val(&others, Regime::Site, fold, settings, seed));
    }
    Ok(rows)
}

/// The slices of each case dealt to k folds.
pub(super) fn by_slice(units: &[&Unit], settings: &SplitSettings, seed: u64) -> Vec<SplitRow> {
    let mut rows = Vec::new();
    for unit in labelled(units) {
        let mut rng = DrawKey::new(seed, "ingest.splits.slice").case(&unit.case_id).rng();
        let mut slices: Vec<usize> = (0..unit.n_slices).collect();
        slices.shuffle(&mut rng);
        for fold in 0..settings.n_folds {
            let dealt = slices.iter().enumerate();
            let is_tested = |place: usize| place % settings.n_folds == fold;
            let n_rest = (0..slices.len()).filter(|place| !is_tested(*place)).count();
            let n_val = part(n_rest, settings.val_fraction);
            let mut n_seen = 0;
            for (place, slice_idx) in dealt {
                let role = if is_tested(place) {
                    Role::Test
                } else if !unit.has_mask {
                    continue;
                } else {
                    n_seen += 1;
                    if n_seen <= n_val { Role::Val } else { Role::Train }
                };
                let whole = row(unit, Regime::SamePatient, fold, role);
                rows.push(SplitRow { slice_idx: Some(*slice_idx), ..whole });
            }
        }
    }
    rows
}

fn labelled<'a>(units: &[&'a Unit]) -> impl Iterator<Item = &'a Unit> {
    units.iter().copied().filter(|unit| unit.growth.is_some())
}

/// The patients that calibrate, a part of each label's, and the others, all without the cases that have no reference
/// mask.
fn calibration_and_rest<'a>(
    patients: Vec<Patient<'a>>,
    regime: Regime,
    fold: usize,
    settings: &SplitSettings,
    seed: u64,
) -> (Vec<Patient<'a>>, Vec<Patient<'a>>) {
    let patients: Vec<Patient<'a>> = patients.into_iter().filter_map(Patient::with_masks).collect();
    if settings.calibration_fraction == 0.0 {
        return (Vec::new(), patients);
    }
    let key = DrawKey::new(seed, "ingest.splits.calibration").case(regime.name());
    let mut rng = key.repeat(fold).rng();
    let mut calibrates =
        draw_stratified(&patients, settings.calibration_fraction, &mut rng).into_iter();
    patients.into_iter().partition(|_| calibrates.next() == Some(true))
}

/// Every case of these patients.
fn of_role(
    patients: &[Patient<'_>],
    regime: Regime,
    fold: usize,
    role: Role,
) -> impl Iterator<Item = SplitRow> {
    let cases = patients.iter().flat_map(|patient| &patient.cases);
    cases.map(move |unit| row(unit, regime, fold, role))
}

fn train_and_val(
    patients: &[Patient<'_>],
    regime: Regime,
    fold: usize,
    settings: &SplitSettings,
    seed: u64,
) -> Vec<SplitRow> {
    let purpose = match regime {
        Regime::Site => "ingest.splits.site.val",
        Regime::Time => "ingest.splits.time.val",
        Regime::Patient | Regime::SamePatient | Regime::Given => "ingest.splits.patient.val",
    };
    let mut rng = DrawKey::new(seed, purpose).repeat(fold).rng();
    let is_val = draw_stratified(patients, settings.val_fraction, &mut rng);
    let mut rows = Vec::new();
    for (patient, is_val) in patients.iter().zip(is_val) {
        let role = if is_val { Role::Val } else { Role::Train };
        rows.extend(patient.cases.iter().map(|unit| row(unit, regime, fold, role)));
    }
    rows
}

fn row(unit: &Unit, regime: Regime, fold: usize, role: Role) -> SplitRow {
    SplitRow {
        case_id: unit.case_id.clone(),
        slice_idx: None,
        patient_id: unit.patient_id.clone(),
        site: unit.site.clone(),
        regime,
        fold,
        role,
    }
}
