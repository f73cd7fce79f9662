use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use hemex_artifacts::{Cases, LabelRow, Role, SignRow, SplitRow, clinical_feature, table};
use hemex_metrics::{LogisticRegression, Scale};
use hemex_stage::log;

use crate::SummaryError;
use crate::cohort::{CaseLine, Cohort};

/// The name of what the true signs tell, as an arm.
const NAME: &str = "true_signs";
/// Penalties of which the best is taken.
const PENALTIES: [f64; 6] = [0.01, 0.03, 0.1, 0.3, 1.0, 3.0];
const N_FOLDS: usize = 5;

/// The tables of a cohort beside its report.
pub(crate) struct Tables<'a> {
    pub(crate) cases: &'a Path,
    pub(crate) labels: &'a Path,
    pub(crate) splits: &'a Path,
}

/// Adds an arm that reads no image: a regression on the true volume and the signs that a reader states (of the
/// phantom the true ones), fitted on the training patients of the fold that the report tests. What can be had of
/// these patients where segmentation and signs are perfect.
///
/// Nothing is added, and the log says so, where no reader has stated signs or the fit does not converge. Signs and
/// blood elsewhere that are not stated count as absent, as a reader leaves out what is not there.
///
/// # Errors
/// If a table cannot be read.
pub(crate) fn add(cohort: &mut Cohort, tables: &Tables<'_>) -> Result<(), SummaryError> {
    let cases = Cases::open(tables.cases)?;
    let (signs, clinical) = (cases.signs()?, cases.clinical()?);
    let labels: Vec<LabelRow> = table::read_rows(&tables.labels.join("labels.csv"))?;
    let labels: BTreeMap<String, LabelRow> =
        labels.into_iter().map(|row| (row.case_id.clone(), row)).collect();
    let tested: Vec<CaseLine> = cohort.test_cases().into_values().cloned().collect();
    let Some(fold) = tested.first().map(|row| row.fold) else { return Ok(()) };
    let splits: Vec<SplitRow> = table::read_rows(&tables.splits.join("splits.csv"))?;
    let trains = splits.into_iter().filter(|row| {
        (row.regime, row.fold) == (cohort.regime, fold)
            && matches!(row.role, Role::Train | Role::Val)
    });
    let trains: BTreeSet<String> = trains.map(|row| row.case_id).collect();
    let known: BTreeMap<&str, Vec<f64>> = cases
        .rows
        .iter()
        .filter_map(|case| {
            let volume_ml = labels.get(&case.case_id)?.baseline_volume_ml?;
            let blood = ["ivh", "subarachnoid"]
                .map(|name| clinical_feature(name, case, clinical.get(&case.case_id)));
            let blood = blood.map(|value| value.unwrap_or(0.0));
            let of_reader = signs_of(signs.get(&case.case_id)?);
            let values = [volume_ml.max(0.1).ln()].into_iter().chain(of_reader).chain(blood);
            Some((case.case_id.as_str(), values.collect()))
        })
        .collect();
    let train: Vec<(&Vec<f64>, bool)> = trains
        .iter()
        .filter_map(|id| Some((known.get(id.as_str())?, labels.get(id)?.growth?)))
        .collect();
    let Some((first, _)) = train.first() else {
        log(format_args!("no signs are stated of training patients: no arm `{NAME}`"));
        return Ok(());
    };
    let column = |j: usize| train.iter().map(|(values, _)| values[j]).collect::<Vec<_>>();
    let scales: Vec<Scale> = (0..first.len()).map(|j| Scale::of(&column(j))).collect();
    let row = |values: &Vec<f64>| -> Vec<f64> {
        values.iter().zip(&scales).map(|(value, scale)| scale.standardise(*value)).collect()
    };
    let rows: Vec<Vec<f64>> = train.iter().map(|(values, _)| row(values)).collect();
    let growth: Vec<bool> = train.iter().map(|(_, growth)| *growth).collect();
    // Cases lie in the order of their pseudonyms, which is none.
    let folds: Vec<usize> = (0..rows.len()).map(|i| i % N_FOLDS).collect();
    let Some(fit) = LogisticRegression::choose(&rows, &growth, &PENALTIES, &folds) else {
        log(format_args!("no regression on the stated signs can be fitted: no arm `{NAME}`"));
        return Ok(());
    };
    let told = tested.into_iter().map(|case| {
        let logit =
            known.get(case.case_id.as_str()).map(|values| fit.regression.logit(&row(values)));
        CaseLine {
            arm: NAME.to_owned(),
            status: if logit.is_some() { "ok" } else { "refused" }.to_owned(),
            probability: logit.map(|z| 1.0 / (1.0 + (-z).exp())),
            twin_logit: None,
            dice: None,
            volume_ml: None,
            ..case
        }
    });
    cohort.arms.push((NAME.to_owned(), told.collect()));
    Ok(())
}

fn signs_of(row: &SignRow) -> [f64; 8] {
    let flags = [
        row.black_hole,
        row.hypodensity,
        row.blend,
        row.fluid_level,
        row.swirl,
        row.satellite,
        row.island,
        row.irregular,
    ];
    flags.map(|flag| f64::from(u8::from(flag == Some(true))))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use std::fmt::Write;
    use std::fs;

    use hemex_artifacts::Regime;

    use super::*;

    const CASES: &str = "case_id,patient_id,site,age_years,sex,onset_to_ct_h,anticoagulation,gcs,ivh,source_format,\
        native_spacing_d_mm,native_spacing_h_mm,native_spacing_w_mm,slice_thickness_mm,convolution_kernel,\
        tube_voltage_kvp,manufacturer,noise_hu\n";
    const LABELS: &str = "case_id,growth,growth_undefined_reason,baseline_volume_ml,followup_volume_ml,\
        followup_interval_h,mask,true_probability,true_probability_image_signs\n";

    /// Forty patients, of whom those with a blend grow, mostly; the first thirty train.
    #[test]
    fn the_signs_of_training_patients_tell_those_of_the_tested() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        ["cases", "labels", "splits"].iter().for_each(|name| fs::create_dir(at(name)).unwrap());
        let (mut cases, mut labels) = (CASES.to_owned(), LABELS.to_owned());
        let mut signs =
            "case_id,black_hole,hypodensity,blend,fluid_level,swirl,satellite,island,irregular\n"
                .to_owned();
        let mut splits = "case_id,slice_idx,patient_id,site,regime,fold,role\n".to_owned();
        let blend = |i: usize| i.is_multiple_of(2);
        let growth = |i: usize| blend(i) != (i % 10 == 3);
        for i in 0..40 {
            writeln!(cases, "c{i},p{i},A,,,,,,,nifti,5,1,1,,,,,").unwrap();
            writeln!(labels, "c{i},{},,{},,,,,", u8::from(growth(i)), 10 + i).unwrap();
            writeln!(signs, "c{i},0,,{},0,0,,0,", u8::from(blend(i))).unwrap();
            let role = if i < 30 { "train" } else { "test" };
            writeln!(splits, "c{i},,p{i},A,site,0,{role}").unwrap();
        }
        fs::write(at("cases/cases.csv"), cases).unwrap();
        fs::write(at("cases/signs.csv"), signs).unwrap();
        fs::write(at("cases/geometry.json"), "{}").unwrap();
        let preparation = "{\"version\":\"1\",\"spacing_mm\":[5,2,2],\"window_hu\":[-100,200]}";
        fs::write(at("cases/preparation.json"), preparation).unwrap();
        fs::write(at("labels/labels.csv"), labels).unwrap();
        fs::write(at("splits/splits.csv"), splits).unwrap();
        let tested = (30..40).map(|i| CaseLine {
            case_id: format!("c{i}"),
            patient_id: format!("p{i}"),
            arm: "vgg".to_owned(),
            regime: Regime::Site,
            fold: 0,
            seed: 1,
            role: Role::Test,
            status: "ok".to_owned(),
            growth: Some(growth(i)),
            probability: Some(0.5),
            twin_logit: None,
            true_probability: None,
            true_probability_image_signs: None,
            dice: None,
            volume_ml: None,
            reference_volume_ml: None,
        });
        let arms = vec![("vgg".to_owned(), tested.collect())];
        let mut cohort = Cohort { regime: Regime::Site, setting: String::new(), arms };
        let (cases, labels, splits) = (at("cases"), at("labels"), at("splits"));
        add(&mut cohort, &Tables { cases: &cases, labels: &labels, splits: &splits }).unwrap();
        for row in cohort.arm(NAME).unwrap() {
            let i: usize = row.case_id[1..].parse().unwrap();
            let p = row.probability.unwrap();
            assert!(if blend(i) { p > 0.6 } else { p < 0.4 }, "{row:?}");
        }
        // A cohort whose reader stated nothing has no such arm.
        fs::remove_file(at("cases/signs.csv")).unwrap();
        cohort.arms.pop();
        add(&mut cohort, &Tables { cases: &cases, labels: &labels, splits: &splits }).unwrap();
        assert_eq!(cohort.arm(NAME), None);
    }
}
