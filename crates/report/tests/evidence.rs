//! What else than the hematoma speaks: filled heads, maps of saliency, groups.

#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

#[expect(dead_code, reason = "shared with the other tests of the crate")]
mod fixture;

use std::fs;
use std::path::Path;

use fixture::{Cohort, close, report};
use hemex_artifacts::{json, nifti};
use hemex_volume::{Image, LabelMap};

/// Sets a column of some cases in a table.
fn set(path: &Path, column: &str, values: &[(&str, &str)]) {
    let text = fs::read_to_string(path).unwrap();
    let at = text.lines().next().unwrap().split(',').position(|name| name == column).unwrap();
    let line = |line: &str| {
        let mut cells: Vec<&str> = line.split(',').collect();
        if let Some((_, value)) = values.iter().find(|(case, _)| *case == cells[0]) {
            cells[at] = value;
        }
        cells.join(",") + "\n"
    };
    fs::write(path, text.lines().map(line).collect::<String>()).unwrap();
}

/// A map of saliency of the joint arm, 3 in the lesion and 1 elsewhere, beside a brain mask that leaves out the
/// uppermost slice.
fn write_map(root: &Path, case_id: &str) {
    let image = nifti::read_image(&root.join(format!("cases/images/{case_id}.nii"))).unwrap();
    let map = image.voxels().iter().map(|hu| if *hu > 50.0 { 3.0 } else { 1.0 }).collect();
    let map = Image::new(*image.geometry(), map).unwrap();
    let brain = (0..32).map(|place| u8::from(place < 16)).collect();
    let brain = LabelMap::new(*image.geometry(), brain).unwrap();
    let folders = [root.join("cases/brain"), root.join("predictions-joint-0/saliency")];
    folders.iter().for_each(|folder| fs::create_dir_all(folder).unwrap());
    nifti::write_label_map(&folders[0].join(format!("{case_id}.nii")), &brain).unwrap();
    nifti::write_image(&folders[1].join(format!("{case_id}.nii.gz")), &map).unwrap();
}

#[test]
fn maps_are_shared_out_by_the_reference_mask() {
    let report = report(&Cohort::known(), |root| {
        write_map(root, "a0");
        // No lesion to look for.
        write_map(root, "a3");
    })
    .unwrap();
    let [found] = &report.metrics["saliency"].as_array().unwrap()[..] else { panic!() };
    assert_eq!((&found["arm"], &found["n"]), (&"joint".into(), &1.into()));
    // Of 4 · 3 + 28: the lesion, all of its slice around it, and the other slice, which is no brain.
    close(&found["lesion_quartiles"][1], 12.0 / 40.0);
    close(&found["rim_quartiles"][0], 12.0 / 40.0);
    close(&found["brain_quartiles"][2], 0.0);
    close(&found["even_quartiles"][1], 4.0 / 16.0);
    assert!(report.page.contains("What the logit rests on") && report.page.contains("30.0 %"));
    let plain = fixture::report(&Cohort::known(), |_| {}).unwrap();
    assert_eq!(plain.metrics["saliency"].as_array().map(Vec::len), Some(0));
    assert!(!plain.page.contains("What the logit rests on"));
}

#[test]
fn filled_heads_are_ranked_where_they_are_read() {
    let report = report(&Cohort::known(), |root| {
        let filled = [("a0", "0.5"), ("a1", "-1"), ("a2", "0.1"), ("a3", "-2")];
        set(&root.join("predictions-joint-0/predictions.csv"), "inpainted_logit", &filled);
    })
    .unwrap();
    let [found] = &report.metrics["inpainted"].as_array().unwrap()[..] else { panic!() };
    assert_eq!(found["arm"], "joint");
    // Of fold 0, a0 beats both and a1 one of those that are stable. Nothing was found in a4; in a5 and in fold 1
    // nothing was filled.
    close(&found["told"]["value"], 3.0 / 4.0);
    assert_eq!((&found["n_told"], &found["told"]["n_pairs"]), (&4.into(), &4.into()));
    assert_eq!((&found["n"], &found["n_not_read"]), (&4.into(), &8.into()));
    assert!(report.page.contains("with the found hematoma filled in"));
}

#[test]
fn an_arm_that_tells_from_masks_is_silent_of_heads_that_it_read_alone() {
    let told = |change: fn(&Path)| {
        let report = report(&Cohort::known(), |root| {
            let said = [("a0", "0.5"), ("a2", "0.1")];
            let rows = root.join("predictions-joint-0/predictions.csv");
            set(&rows, "twin_logit", &said);
            set(&rows, "inpainted_logit", &said);
            change(root);
        });
        let metrics = report.unwrap().metrics;
        ["twins", "inpainted"].map(|heads| {
            let joint = &metrics[heads].as_array().unwrap()[0];
            assert_eq!(joint["arm"], "joint");
            ["n_told", "n", "n_not_read"].map(|key| joint[key].as_u64().unwrap())
        })
    };
    assert_eq!(told(|_| {}), [[2, 2, 10]; 2]);
    // a1 and b4, which was refused, have a twin; and growth is told from masks.
    let found = told(|root| {
        fs::create_dir(root.join("cases/twins")).unwrap();
        for case_id in ["a1", "b4"] {
            fs::write(root.join(format!("cases/twins/{case_id}.nii")), "").unwrap();
        }
        let card = r#"{"arm": "joint", "fold": 0, "seed": 1, "growth_regression": {}}"#;
        fs::write(root.join("model-joint-0/model.json"), card).unwrap();
    });
    assert_eq!(found, [[2, 3, 9], [2, 8, 4]]);
}

#[test]
fn what_is_foretold_is_held_against_the_follow_up() {
    let report = report(&Cohort::known(), |root| {
        let foretold = [("a0", "0.1"), ("a1", "0.1"), ("a2", "0.09")];
        set(&root.join("predictions-joint-0/predictions.csv"), "predicted_followup_ml", &foretold);
        let came = [("a0", "0.12"), ("a1", "0.2"), ("a3", "0.1")];
        set(&root.join("labels/labels.csv"), "followup_volume_ml", &came);
    })
    .unwrap();
    // 0.08 mL are found in both.
    let found = &report.metrics["arms"]["joint"]["followup_volume"];
    close(&found["median_absolute_error_ml"], (0.02 + 0.1) / 2.0);
    close(&found["median_absolute_error_ml_unchanged"], (0.04 + 0.12) / 2.0);
    assert_eq!((&found["n"], &found["n_undefined"]), (&2.into(), &10.into()));
    assert!(report.page.contains("joint: the volume foretold for the follow-up scan"));
    assert!(report.metrics["arms"]["vgg"].get("followup_volume").is_none());
    let plain = fixture::report(&Cohort::known(), |_| {}).unwrap();
    assert!(!plain.page.contains("foretold for the follow-up scan"));
}

#[test]
fn groups_need_validation_cases_and_say_so() {
    let report = report(&Cohort::known(), |_| {}).unwrap();
    let groups = report.metrics["groups"].as_array().unwrap();
    let [joint, vgg] = &groups[..] else { panic!("{groups:?}") };
    assert_eq!(
        (&joint["by"], &joint["arm"], &vgg["arm"]),
        (&"site".into(), &"joint".into(), &"vgg".into())
    );
    assert!(joint["worst"].is_null());
    assert!(joint["reason"].as_str().unwrap().contains("validation cases of both classes"));
    assert!(report.page.contains("joint: no accuracy of the worst group (no model has validation"));
}

#[test]
fn several_models_and_label_shift_are_told() {
    let plain = report(&Cohort::known(), |_| {}).unwrap();
    assert!(plain.page.contains("Predictions of several models are not combined."));
    assert!(plain.page.contains("no model is updated"));
    let models = |report: &fixture::Report| report.metrics["arms"]["joint"]["models"].clone();
    assert_eq!(models(&plain)[0]["n_models"], 1);
    assert!(models(&plain)[0].get("label_shift").is_none());

    let shifted = report(&Cohort::known(), |root| {
        let path = root.join("predictions-joint-0/predictions.json");
        let mut card: serde_json::Value = json::read(&path).unwrap();
        card["n_models"] = 5.into();
        card["label_shift"] = serde_json::json!({
            "n_target": 7, "training_share": 0.2, "target_share": 0.4, "logit_offset": -0.125,
        });
        json::write(&path, &card).unwrap();
    })
    .unwrap();
    let models = models(&shifted);
    assert_eq!((&models[0]["n_models"], &models[1]["n_models"]), (&5.into(), &1.into()));
    close(&models[0]["label_shift"]["logit_offset"], -0.125);
    assert!(models[1].get("label_shift").is_none());
    let page = &shifted.page;
    assert!(page.contains("Predictions of several models are combined in joint."));
    assert!(page.contains("the logits of joint are updated for label shift"));
    assert!(page.contains("seed 1: 5 models, by the mean of their logits"));
    assert!(page.contains("40.0 % are expected to grow, told from 7 unlabelled cases"));
}

/// Predictions of other programs, and of earlier ones, lack what is not required.
#[test]
fn predictions_without_the_later_columns_are_read() {
    let plain = report(&Cohort::known(), |_| {}).unwrap();
    let without = report(&Cohort::known(), |root| {
        for name in ["joint-0", "joint-1", "vgg-0", "vgg-1"] {
            let path = root.join(format!("predictions-{name}/predictions.csv"));
            let text = fs::read_to_string(&path).unwrap();
            let head: Vec<&str> = text.lines().next().unwrap().split(',').collect();
            let n = head.iter().position(|column| *column == "twin_logit").unwrap();
            let cut = |line: &str| line.split(',').take(n).collect::<Vec<_>>().join(",") + "\n";
            fs::write(&path, text.lines().map(cut).collect::<String>()).unwrap();
        }
    })
    .unwrap();
    assert_eq!(without.metrics, plain.metrics);
}
