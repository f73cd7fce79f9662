#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use hemex_artifacts::json;
use hemex_augment::{GrowthRule, Policy, RawPolicy, RawTransplant};
use hemex_model::RawNetworkSpec;
use hemex_stage::{CONTRACT_VERSION, InputArtifact, Kind};
use hemex_volume::{Affine, Geometry};
use serde_json::json;

use super::*;
use crate::sample::WindowSource;
use crate::{Sampler, SamplerKind};

const SHAPE: [usize; 3] = [10, 48, 44];
/// Cases 0 to 5 train, 6 and 7 validate, 8 tests; 0 and 1 are of one patient.
const ROLES: [&str; 9] =
    ["train", "train", "train", "train", "train", "train", "val", "val", "test"];

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

fn spec() -> NetworkSpec {
    let raw: RawNetworkSpec = serde_json::from_value(json!({
        "kind": "joint_unet", "dims": "2d", "channels": [4, 8], "n_groups": 2,
        "n_planar_levels": 0, "pooling": "mean_max", "window": [1, 16, 16],
        "input": { "windows_hu": [[-10.0, 90.0]], "brain_only": true, "n_neighbours": 0 },
    }))
    .unwrap();
    NetworkSpec::try_from(raw).unwrap()
}

fn transplant(probability: f64) -> TransplantPolicy {
    let raw = RawTransplant { probability, edge_mm: 4.0, gap_mm: 4.0, ..RawTransplant::NOTHING };
    TransplantPolicy::try_from(raw).unwrap()
}

fn cohort(root: &Path, spec: &NetworkSpec, transplant: &TransplantPolicy) -> Cohort {
    let fold = Fold { regime: Regime::Patient, fold: 0, spec, shift_weights: false, transplant };
    Cohort::read(&request(root), &fold).unwrap()
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
