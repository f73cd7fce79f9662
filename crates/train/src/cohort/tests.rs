#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use std::path::PathBuf;

use hemex_artifacts::json;
use hemex_augment::{GrowthRule, Policy, RawPolicy, RawTransplant};
use hemex_model::RawNetworkSpec;
use hemex_stage::{CONTRACT_VERSION, InputArtifact, Kind};
use hemex_volume::{Affine, Geometry};
use serde_json::json;

use super::*;
use crate::sample::WindowSource;
use crate::{Config, RawConfig, Sampler, SamplerKind};

const SHAPE: [usize; 3] = [10, 48, 44];
/// Cases 0 to 5 train, 6 and 7 validate, 8 tests, 9 and 10 are targets; 0 and 1 are of one patient.
const ROLES: [&str; 11] = [
    "train", "train", "train", "train", "train", "train", "val", "val", "test", "target", "target",
];

/// Brains with a bleed each, somewhere else in every case.
pub(crate) fn write_cohort(root: &Path) {
    for folder in ["cases/images", "cases/brain", "labels/masks", "splits"] {
        std::fs::create_dir_all(root.join(folder)).unwrap();
    }
    let affine = Affine::from_spacing([5.0, 2.0, 2.0], [0.0; 3]).unwrap();
    let geometry = Geometry::new(SHAPE, affine).unwrap();
    let mut cases = "case_id,patient_id,site,age_years,sex,onset_to_ct_h,anticoagulation,gcs,ivh,\
                     source_format,native_spacing_d_mm,native_spacing_h_mm,native_spacing_w_mm,\
                     convolution_kernel,noise_hu\n"
        .to_owned();
    let mut labels = "case_id,growth,growth_undefined_reason,baseline_volume_ml,\
                      followup_volume_ml,followup_interval_h,mask,true_probability,\
                      true_probability_image_signs\n"
        .to_owned();
    let mut splits = "case_id,slice_idx,patient_id,site,regime,fold,role\n".to_owned();
    for (i, role) in ROLES.iter().enumerate() {
        let place = |at: usize| [at / (48 * 44), at / 44 % 48, at % 44];
        let lesion = |at: usize| {
            let [d, h, w] = place(at);
            let middle = [3 + i % 4, 14 + 2 * i, 14 + 3 * (i % 5)];
            d.abs_diff(middle[0]) < 2
                && h.abs_diff(middle[1]).pow(2) + w.abs_diff(middle[2]).pow(2) < 10 + i
        };
        let in_brain = |at: usize| {
            let [d, h, w] = place(at);
            (1..9).contains(&d) && (3..45).contains(&h) && (3..41).contains(&w)
        };
        let n = geometry.n_voxels();
        let hu = |at| (at * 17 % 9) as f32 + if lesion(at) { 60.0 } else { 26.0 };
        let image = Image::new(geometry, (0..n).map(hu).collect()).unwrap();
        let mask = (0..n).map(|at| u8::from(lesion(at))).collect();
        let brain = (0..n).map(|at| u8::from(in_brain(at))).collect();
        let map = |voxels| LabelMap::new(geometry, voxels).unwrap();
        nifti::write_image(&root.join(format!("cases/images/c{i}.nii")), &image).unwrap();
        nifti::write_label_map(&root.join(format!("cases/brain/c{i}.nii")), &map(brain)).unwrap();
        nifti::write_label_map(&root.join(format!("labels/masks/c{i}.nii")), &map(mask)).unwrap();
        let patient = i.max(1);
        let growth = i % 2;
        let followup_ml = if growth == 1 { 9.0 } else { 4.0 };
        cases += &format!("c{i},p{patient},A,,,,,,,nifti,5,2,2,,\n");
        labels += &format!("c{i},{growth},,4,{followup_ml},24,masks/c{i}.nii,,\n");
        splits += &format!("c{i},,p{patient},A,patient,0,{role}\n");
    }
    std::fs::write(root.join("cases/cases.csv"), cases).unwrap();
    std::fs::write(root.join("labels/labels.csv"), labels).unwrap();
    std::fs::write(root.join("splits/splits.csv"), splits).unwrap();
    let preparation =
        json!({ "version": "1", "spacing_mm": [5.0, 2.0, 2.0], "window_hu": [-100.0, 200.0] });
    json::write(&root.join("cases/preparation.json"), &preparation).unwrap();
    json::write(&root.join("cases/geometry.json"), &json!({})).unwrap();
}

/// What keeps the demo's networks small on this cohort.
const SMALL: &str = "
    regime = \"patient\"
    batch_size = 4
    [sampler]
    shift_weights = false
    [arm.joint]
    channels = [4, 8, 8]
    window = [1, 16, 16]
    [arm.vgg]
    channels = [4, 8, 8]
    window = [1, 16, 16]
    ";

/// The demo's config of small networks with these keys otherwise.
pub(crate) fn config_with(changes: &str) -> Config {
    checked(changes).unwrap()
}

/// The same, or why it is refused.
pub(crate) fn checked(changes: &str) -> Result<Config, String> {
    let text = include_str!("../../../../configs/train.toml");
    let mut document: toml::Table = toml::from_str(text).unwrap();
    for changes in [SMALL, changes] {
        merge(&mut document, toml::from_str(changes).unwrap());
    }
    let raw: RawConfig = document.try_into().unwrap();
    Config::try_from(raw).map_err(|error| error.to_string())
}

fn merge(document: &mut toml::Table, changes: toml::Table) {
    for (key, value) in changes {
        match (document.get_mut(&key).and_then(toml::Value::as_table_mut), value) {
            (Some(table), toml::Value::Table(changes)) => merge(table, changes),
            (_, value) => {
                document.insert(key, value);
            }
        }
    }
}

/// A request for a network of this arm.
pub(crate) fn asked(root: &Path, arm: &str) -> Request {
    let mut request = request(root);
    request.axes.insert("arm".to_owned(), arm.into());
    request.axes.insert("fold".to_owned(), 0.into());
    request
}

pub(crate) fn request(root: &Path) -> Request {
    let input = |name: &str, kind| {
        let artifact = InputArtifact { path: root.join(name), kind, axes: BTreeMap::new() };
        (name.to_owned(), vec![artifact])
    };
    Request {
        contract: CONTRACT_VERSION,
        stage: "train".to_owned(),
        axes: BTreeMap::new(),
        config: serde_json::Value::Null,
        inputs: BTreeMap::from([
            input("cases", Kind::Cases),
            input("labels", Kind::Labels),
            input("splits", Kind::Splits),
        ]),
        outputs: BTreeMap::new(),
        seed: 5,
        device: "cpu".to_owned(),
        threads: 2,
        scratch: root.to_owned(),
    }
}

pub(crate) fn spec() -> NetworkSpec {
    let raw: RawNetworkSpec = serde_json::from_value(json!({
        "kind": "joint_unet", "dims": "2d", "channels": [4, 8], "n_groups": 2,
        "n_planar_levels": 0, "pooling": "mean_max", "window": [1, 16, 16],
        "input": { "windows_hu": [[-10.0, 90.0]], "brain_only": true, "n_neighbours": 0 },
    }))
    .unwrap();
    NetworkSpec::try_from(raw).unwrap()
}

pub(crate) fn transplant(probability: f64) -> TransplantPolicy {
    let raw = RawTransplant { probability, edge_mm: 4.0, gap_mm: 4.0, ..RawTransplant::NOTHING };
    TransplantPolicy::try_from(raw).unwrap()
}

pub(crate) fn fold<'a>(spec: &'a NetworkSpec, transplant: &'a TransplantPolicy) -> Fold<'a> {
    Fold {
        regime: Regime::Patient,
        fold: 0,
        spec,
        shift_weights: false,
        weighs_calibration: false,
        targets: false,
        transplant,
    }
}

fn cohort(root: &Path, spec: &NetworkSpec, transplant: &TransplantPolicy) -> Cohort {
    Cohort::read(&request(root), &fold(spec, transplant)).unwrap()
}

#[test]
fn donors_train_in_the_same_fold_and_are_of_another_patient() {
    let folder = tempfile::tempdir().unwrap();
    write_cohort(folder.path());
    let (spec, transplant) = (spec(), transplant(1.0));
    let cohort = cohort(folder.path(), &spec, &transplant);
    let trains: BTreeSet<&str> = (0..6).map(|i| ["c0", "c1", "c2", "c3", "c4", "c5"][i]).collect();
    let donors: BTreeSet<&str> = cohort.donors.iter().map(Donor::case_id).collect();
    assert_eq!(donors, trains);

    let drawn: Vec<DrawnCase<'_>> = cohort.train.iter().map(TrainCase::drawn).collect();
    let sampler = Sampler::new(SamplerKind::ClassBalanced, 0.0, &drawn).unwrap();
    let policy = Policy::try_from(RawPolicy::NOTHING).unwrap();
    let source = WindowSource {
        cohort: &cohort,
        sampler: &sampler,
        policy: &policy,
        transplant: &transplant,
        growth: &GrowthRule { relative: 0.33, absolute_ml: 6.0 },
        spec: &spec,
        lesion_window_share: 0.5,
        seed: 5,
        batch_size: 4,
    };
    let mut given = BTreeSet::new();
    for index in 0..300 {
        let sample = source.sample(0, index).unwrap();
        let Some(planted) = &sample.transplant else { continue };
        assert!(trains.contains(planted.drawn.donor_case_id.as_str()), "{planted:?}");
        assert!(trains.contains(planted.recipient_case_id.as_str()), "{planted:?}");
        assert_ne!(planted.donor_patient_id, planted.recipient_patient_id);
        given.insert(planted.drawn.donor_case_id.clone());
    }
    assert!(given.len() > 3, "{given:?}");
}

#[test]
fn without_transplants_nothing_is_kept_for_them() {
    let folder = tempfile::tempdir().unwrap();
    write_cohort(folder.path());
    let cohort = cohort(folder.path(), &spec(), &transplant(0.0));
    assert!(cohort.donors.is_empty() && cohort.train.iter().all(|case| case.ground.is_none()));
}

/// The cohort of [`write_cohort`] with c4, which is stable, and c7, which grew, for calibration.
pub(crate) fn write_calibrated_cohort(root: &Path) {
    write_cohort(root);
    let splits = std::fs::read_to_string(root.join("splits/splits.csv")).unwrap();
    let splits = splits.replace("c4,,p4,A,patient,0,train", "c4,,p4,A,patient,0,calibration");
    let splits = splits.replace("c7,,p7,A,patient,0,val", "c7,,p7,A,patient,0,calibration");
    std::fs::write(root.join("splits/splits.csv"), splits).unwrap();
}

#[test]
fn calibration_cases_neither_train_nor_validate_and_weigh_as_they_are_asked_to() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write_calibrated_cohort(root);
    let (spec, transplant) = (spec(), transplant(0.0));
    let cohort = cohort(root, &spec, &transplant);
    assert!(cohort.train.iter().all(|case| case.case_id != "c4"));
    assert!(cohort.val.iter().all(|case| case.case_id == "c6"));
    // c4 is stable, c7 grew.
    let logit = |case: &ValCase| Ok(Some(if case.case_id == "c4" { -0.5 } else { 2.0 }));
    let found = cohort.calibration.conformal(logit).unwrap().unwrap();
    assert_eq!((found.stable, found.growth), (vec![[-0.5, 1.0]], vec![[2.0, 1.0]]));
    assert_eq!(found.most_weight, 1.0);
    // A case without a hematoma that is found says nothing.
    let nothing = cohort.calibration.conformal(|_| Ok(None)).unwrap().unwrap();
    assert!(nothing.stable.is_empty() && nothing.growth.is_empty());

    let weighs = Fold { weighs_calibration: true, ..fold(&spec, &transplant) };
    let refused = |request: &Request| Cohort::read(request, &weighs).err().unwrap().to_string();
    assert!(refused(&request(root)).contains("no input `weights`"));
    let mut request = request(root);
    let path = wire_weights(root, &mut request);
    let head = "regime,fold,case_id,weight\npatient,0,c4,0.5\n";
    std::fs::write(path.join("weights.csv"), head).unwrap();
    assert!(refused(&request).contains("case c7 has no row in weights.csv"));
    std::fs::write(path.join("weights.csv"), format!("{head}patient,0,c7,3\n")).unwrap();
    let mut summary = json!([{
        "regime": "patient", "fold": 0, "n_train": 7, "n_target": 4, "effective_sample_size": 5.0,
        "domain_auroc": null, "overlap": null, "mean_discrepancy": null, "features": [],
        "features_reported_only": [], "n_clipped": 1,
    }]);
    json::write(&path.join("weights.json"), &summary).unwrap();
    assert!(refused(&request).contains("most_weight"));
    summary[0]["most_weight"] = 8.0.into();
    json::write(&path.join("weights.json"), &summary).unwrap();
    let weighed = Cohort::read(&request, &weighs).unwrap().calibration;
    let found = weighed.conformal(logit).unwrap().unwrap();
    assert_eq!((found.stable, found.growth), (vec![[-0.5, 0.5]], vec![[2.0, 3.0]]));
    assert_eq!(found.most_weight, 8.0);
}

/// Wires a folder of weights; gives it.
fn wire_weights(root: &Path, request: &mut Request) -> PathBuf {
    let path = root.join("weights");
    std::fs::create_dir(&path).unwrap();
    let artifact = InputArtifact { path: path.clone(), kind: Kind::Weights, axes: BTreeMap::new() };
    request.inputs.insert("weights".to_owned(), vec![artifact]);
    path
}

#[test]
fn a_table_of_weights_that_is_wired_has_one_for_every_case_that_trains() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write_cohort(root);
    let (spec, transplant) = (spec(), transplant(0.0));
    let weighs = Fold { shift_weights: true, ..fold(&spec, &transplant) };
    let mut request = request(root);
    let weights = |request: &Request| {
        let train = Cohort::read(request, &weighs).map(|cohort| cohort.train);
        train.map(|train| train.iter().map(|case| case.weight).collect::<Vec<f64>>())
    };
    assert_eq!(weights(&request).unwrap(), [1.0; 6], "none are wired");
    let path = wire_weights(root, &mut request).join("weights.csv");
    let head = "regime,fold,case_id,weight\n";
    let rows = |fold: usize, n: usize| -> String {
        (0..n).map(|i| format!("patient,{fold},c{i},{}\n", 0.5 + i as f64)).collect()
    };
    std::fs::write(&path, format!("{head}{}", rows(0, 6))).unwrap();
    assert_eq!(weights(&request).unwrap(), [0.5, 1.5, 2.5, 3.5, 4.5, 5.5]);
    for (fold, n, missing) in [(0, 5, "case c5"), (1, 6, "case c0")] {
        std::fs::write(&path, format!("{head}{}", rows(fold, n))).unwrap();
        let error = weights(&request).unwrap_err().to_string();
        assert!(error.contains(missing) && error.contains("sampler.shift_weights"), "{error}");
    }
}

#[test]
fn nobody_to_choose_the_epoch_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    write_cohort(folder.path());
    let splits = folder.path().join("splits/splits.csv");
    let without = std::fs::read_to_string(&splits).unwrap().replace(",val", ",test");
    std::fs::write(&splits, without).unwrap();
    let (spec, transplant) = (spec(), transplant(0.0));
    let error = Cohort::read(&request(folder.path()), &fold(&spec, &transplant)).err().unwrap();
    let error = error.to_string();
    assert!(error.contains("no validation cases") && error.contains("val_fraction"), "{error}");
}

#[test]
fn targets_are_read_where_they_are_asked_for_and_must_be_there() {
    let folder = tempfile::tempdir().unwrap();
    write_cohort(folder.path());
    let (spec, transplant) = (spec(), transplant(0.0));
    assert!(cohort(folder.path(), &spec, &transplant).target.is_empty());
    let asked = Fold { targets: true, ..fold(&spec, &transplant) };
    let read = || Cohort::read(&request(folder.path()), &asked);
    let cohort = read().unwrap();
    let targets: Vec<&str> = cohort.target.iter().map(|case| case.unlabelled().case_id).collect();
    assert_eq!(targets, ["c10", "c9"]);
    for case in cohort.target.iter().map(TargetCase::unlabelled) {
        assert!(case.labels.voxels().iter().all(|label| *label == 0 || *label == BRAIN));
        let n = case.brain.iter().map(Vec::len).sum::<usize>();
        assert_eq!(n, case.labels.count(&[BRAIN]), "slices 1 to 8");
        assert_eq!(case.brain.len(), 8);
    }
    let splits = folder.path().join("splits/splits.csv");
    let without = std::fs::read_to_string(&splits).unwrap().replace(",target", ",test");
    std::fs::write(&splits, without).unwrap();
    let error = read().err().unwrap().to_string();
    assert!(error.contains("fold 0") && error.contains("splits.target_fraction"), "{error}");
}
