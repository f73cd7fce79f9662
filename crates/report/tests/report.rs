//! Reports on cohorts whose figures are known by hand.

#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

mod fixture;

use std::fs::File;

use fixture::{Cohort, Said, config, report, report_with};
use hemex_artifacts::Regime;
use hemex_report::Config;
use polars_io::SerReader;
use polars_io::prelude::ParquetReader;
use serde_json::Value;

fn number(value: &Value, pointer: &str) -> f64 {
    let found = value.pointer(pointer);
    found.and_then(Value::as_f64).unwrap_or_else(|| panic!("{pointer} is {found:?}"))
}

fn close(value: &Value, pointer: &str, expected: f64) {
    fixture::close(value.pointer(pointer).unwrap_or(&Value::Null), expected);
}

#[test]
fn figures_are_those_worked_out_by_hand() {
    let metrics = report(&Cohort::known(), |_| {}).unwrap().metrics;
    // Fold 0: 0.9 beats three, 0.4 beats 0.2 and the case without a lesion: 5 of 6 pairs.
    // Fold 1: the growing case without a lesion beats none, 0.7 ties one and beats one: 1.5 of 4.
    close(&metrics, "/arms/joint/auroc/value", (5.0 / 6.0 + 1.5 / 4.0) / 2.0);
    close(&metrics, "/arms/joint/models/0/auroc", 5.0 / 6.0);
    close(&metrics, "/arms/joint/models/1/auroc", 1.5 / 4.0);
    close(&metrics, "/arms/vgg/auroc/value", (1.0 + 0.5) / 2.0);
    close(&metrics, "/differences/joint-vgg/auroc", (5.0 / 6.0 + 1.5 / 4.0) / 2.0 - 0.75);
    // Truth: 0.8 beats three and 0.6 two of (0.5, 0.3, 0.65); 0.7 three and 0.2 one of (0.1, 0.4, 0.3).
    close(&metrics, "/oracle/auroc", (5.0 / 6.0 + 4.0 / 6.0) / 2.0);
    close(&metrics, "/oracle/auroc_population", 0.79);
    close(&metrics, "/oracle/auroc_image_signs", 0.5);
    // Precision at each growing case, fold 0: 1/1, 2/3; fold 1: both at 0.7, then the last of 4.
    let auprc = ((1.0 + 2.0 / 3.0) / 2.0 + (0.5 + 2.0 / 4.0) / 2.0) / 2.0;
    close(&metrics, "/arms/joint/auprc/value", auprc);
    // 0.1², 0.6², 0.5², 0.2² and 0.3², 0.7², 0.1².
    close(
        &metrics,
        "/arms/joint/brier/value",
        (0.01 + 0.36 + 0.25 + 0.04 + 0.09 + 0.49 + 0.01) / 7.0,
    );
}

#[test]
fn every_case_is_counted() {
    let metrics = report(&Cohort::known(), |_| {}).unwrap().metrics;
    let joint = &metrics["arms"]["joint"];
    assert_eq!(joint["statuses"]["ok"], 8);
    assert_eq!(joint["statuses"]["no_lesion"], 2);
    assert_eq!(joint["statuses"]["refused"], 1);
    assert_eq!(joint["statuses"]["missing"], 1);
    assert_eq!(joint["n_no_lesion_ranked_lowest"], 2);
    assert_eq!(joint["n_not_ranked"], 1);
    assert_eq!(joint["n_label_undefined"], 2);
    assert_eq!((&joint["auroc"]["n"], &joint["auroc"]["n_positive"]), (&9.into(), &4.into()));
    assert_eq!(metrics["differences"]["joint-vgg"]["n_ranked_by_one_arm"], 1);
    let cohort = &metrics["cohort"];
    assert_eq!((&cohort["n_patients_tested"], &cohort["n_excluded"]), (&12.into(), &1.into()));
    assert_eq!(cohort["label_undefined_reasons"]["no follow-up"], 2);
    assert_eq!(cohort["exclusion_reasons"]["gantry <tilt>"], 1);
}

#[test]
fn masks_are_compared_where_the_scan_is_not_canonical() {
    let metrics = report(&Cohort::known(), |_| {}).unwrap().metrics;
    let dice = &metrics["arms"]["joint"]["dice"];
    // Six cases agree, a1 has 6/8, two lesions were missed; one case is empty on both sides, one was
    // refused and one never predicted.
    close(dice, "/mean", (6.0 + 0.75) / 9.0);
    assert_eq!((&dice["n"], &dice["n_undefined"]), (&9.into(), &3.into()));
    assert_eq!((&dice["n_empty"], &dice["n_refused"]), (&1.into(), &2.into()));
    // Volumes: seven right (the empty one too), one within a voxel of it, two lesions missed.
    close(&metrics, "/arms/joint/volume/mean_difference_ml", -2.0 * 0.08 / 10.0);
    let vgg = &metrics["arms"]["vgg"]["dice"];
    assert_eq!((&vgg["mean"], &vgg["reason"]), (&Value::Null, &"the arm writes no masks".into()));
}

#[test]
fn intervals_hold_their_figure_and_stay_in_range() {
    let metrics = report(&Cohort::known(), |_| {}).unwrap().metrics;
    for pointer in ["/arms/joint/auroc", "/arms/joint/auprc", "/arms/joint/brier"] {
        let (low, high) = (
            number(&metrics, &format!("{pointer}/ci95/0")),
            number(&metrics, &format!("{pointer}/ci95/1")),
        );
        let value = number(&metrics, &format!("{pointer}/value"));
        assert!(0.0 <= low && low <= value && value <= high && high <= 1.0, "{pointer}");
        assert!(low < high, "{pointer}");
    }
    // Paired, and no draw changes the VGG: the difference varies as the joint arm does.
    let joint = number(&metrics, "/arms/joint/auroc/ci95/0");
    close(&metrics, "/differences/joint-vgg/ci95/0", joint - 0.75);
}

/// The VGG's fold 0 is perfect and its fold 1 all ties: no draw can change that, and nothing follows.
#[test]
fn draws_that_do_not_differ_are_no_certainty() {
    let first = report(&Cohort::known(), |_| {}).unwrap();
    let auroc = &first.metrics["arms"]["vgg"]["auroc"];
    assert_eq!((&auroc["value"], &auroc["ci95"]), (&0.75.into(), &Value::Null));
    assert!(auroc["reason"].as_str().unwrap().contains("too few patients or no spread"));
    assert!(first.page.contains("vgg: no interval of AUROC (too few patients or no spread"));
    assert!(first.page.contains("these patients do not show which of the two ranks growth better"));

    let mut cohort = Cohort::known();
    cohort.folds.iter_mut().flatten().for_each(|case| case.joint = case.vgg);
    let same = report(&cohort, |_| {}).unwrap();
    let difference = &same.metrics["differences"]["joint-vgg"];
    assert_eq!(difference["auroc"], 0.0);
    assert_eq!((&difference["ci95"], &difference["p"]), (&Value::Null, &Value::Null));
    assert_eq!(difference["auprc_ci95"], Value::Null);
    assert!(difference["reason"].as_str().unwrap().contains("too few patients or no spread"));
    assert!(same.page.contains("joint minus vgg: no interval of AUROC difference (too few"));
    assert!(!same.page.contains("which of the two ranks growth better"));
}

#[test]
fn arms_are_compared_on_the_cases_that_both_rank() {
    let mut cohort = Cohort::known();
    // Stable, above all others for the VGG, and refused by the joint arm.
    cohort.folds[1][4].vgg = Said::Probability(0.9);
    let report = report(&cohort, |_| {}).unwrap();
    close(&report.metrics, "/arms/vgg/auroc/value", (1.0 + 2.0 / 6.0) / 2.0);
    let difference = &report.metrics["differences"]["joint-vgg"];
    close(difference, "/auroc", (5.0 / 6.0 + 1.5 / 4.0) / 2.0 - 0.75);
    assert_eq!((&difference["n"], &difference["n_positive"]), (&9.into(), &4.into()));
    assert_eq!(difference["n_ranked_by_one_arm"], 1);
    assert!(report.page.contains("9 cases ranked by both"));
}

#[test]
fn chance_is_averaged_over_folds_as_the_auprc_is() {
    let report = report(&Cohort::known(), |_| {}).unwrap();
    // 2 of 5 in fold 0, and in fold 1 two of the four that are not refused.
    close(&report.metrics, "/arms/joint/auprc_of_chance", (2.0 / 5.0 + 2.0 / 4.0) / 2.0);
    close(&report.metrics, "/arms/vgg/auprc_of_chance", 2.0 / 5.0);
    assert!(report.page.contains("AUPRC 0.45 (joint) and 0.40 (vgg)"));
}

#[test]
fn draws_in_which_a_figure_is_not_defined_are_counted_on_the_page() {
    let mut cohort = Cohort::known();
    // Of the two that grew one is not ranked: draws of it alone lack a class.
    cohort.folds[1][0].joint = Said::Refused;
    let report = report(&cohort, |_| {}).unwrap();
    let n = report.metrics["arms"]["joint"]["auroc"]["n_draws_undefined"].as_u64().unwrap();
    assert!((20..80).contains(&n), "{n} of 200, expected a quarter");
    let note = format!("joint: the AUROC was not defined in {n} of 200 draws");
    assert!(report.page.contains(&note));
    assert!(report.page.contains("joint minus vgg: the AUROC difference was not defined in"));
    assert!(!report.page.contains("vgg: the AUROC was not defined"));
}

#[test]
fn one_class_is_undefined_with_a_reason_and_still_a_page() {
    let mut cohort = Cohort::known();
    cohort.folds[1].iter_mut().for_each(|case| case.growth = case.growth.map(|_| true));
    let report = report(&cohort, |_| {}).unwrap();
    let auroc = &report.metrics["arms"]["joint"]["auroc"];
    assert_eq!((&auroc["value"], &auroc["ci95"]), (&Value::Null, &Value::Null));
    let reason = auroc["reason"].as_str().unwrap();
    assert!(reason.contains("in fold 1, 4 of 4 ranked cases grew"), "{reason}");
    // The fold that has both classes keeps its figure, and so does the mask.
    close(&report.metrics, "/arms/joint/models/0/auroc", 5.0 / 6.0);
    close(&report.metrics, "/arms/joint/dice/mean", 6.75 / 9.0);
    assert!(report.metrics["differences"]["joint-vgg"]["auroc"].is_null());
    assert!(report.page.contains("in fold 1, 4 of 4 ranked cases grew"));
    assert!(
        report.page.contains("joint minus vgg: no AUROC difference (needs cases of both classes")
    );
}

#[test]
fn nobody_with_a_label_and_nobody_predicted_still_make_a_page() {
    let mut cohort = Cohort::known();
    for case in cohort.folds.iter_mut().flatten() {
        case.growth = None;
        (case.joint, case.vgg) = (Said::Refused, Said::Refused);
    }
    let metrics = report(&cohort, |_| {}).unwrap().metrics;
    assert!(metrics["arms"]["joint"]["auroc"]["value"].is_null());
    assert!(metrics["arms"]["joint"]["brier"]["reason"].is_string());
    assert!(metrics["arms"]["joint"]["volume"]["reason"].is_string());
    assert!(metrics["oracle"]["auroc"].is_null());
}

#[test]
fn one_arm_has_no_difference() {
    let cohort = Cohort { arms: vec!["vgg"], ..Cohort::known() };
    let report = report(&cohort, |_| {}).unwrap();
    assert_eq!(report.metrics["differences"], Value::Object(serde_json::Map::new()));
    close(&report.metrics, "/arms/vgg/auroc/value", 0.75);
    assert!(report.page.contains("nothing to compare"));
}

#[test]
fn lesions_are_found_or_missed() {
    let report = report(&Cohort::known(), |_| {}).unwrap();
    let joint = &report.metrics["arms"]["joint"];
    // Six lesions found; in a1 a second one beside it that is none; two cases in which none was found; a3 has none
    // to find; b4 and b5 say nothing.
    close(joint, "/lesion_f1/mean", (6.0 + 2.0 / 3.0) / 9.0);
    assert_eq!(joint["lesion_f1"]["n_empty"], 1);
    assert_eq!(joint["surface_dice"]["n"], 7);
    let surface_dice = |surface_tolerance_mm| {
        let config = Config { surface_tolerance_mm, ..config() };
        let report = report_with(&config, &Cohort::known(), |_| {}).unwrap();
        report.metrics["arms"]["joint"]["surface_dice"]["mean"].as_f64().unwrap()
    };
    // All but a1 are right to the voxel; nothing in it is 20 mm off.
    let [strict, lax] = [0.5, 20.0].map(surface_dice);
    assert!(6.0 / 7.0 < strict && strict < 1.0 && lax == 1.0, "{strict} {lax}");
}

#[test]
fn the_page_is_whole_and_alone() {
    let known = Cohort::known();
    let cohort = Cohort { sites: ["A&<b>", "B"], arms: vec!["joint", "v&g"], ..known };
    let report = report(&cohort, |_| {}).unwrap();
    let page = &report.page;
    for id in [
        "headline",
        "use",
        "cohort",
        "discrimination",
        "calibration",
        "segmentation",
        "training",
        "shift",
        "cues",
        "cases",
        "models",
        "methods",
        "reproducibility",
        "checklists",
    ] {
        assert!(page.contains(&format!("<section id=\"{id}\">")), "{id}");
    }
    for figure in ["ROC curves", "Predicted and observed", "Agreement of volumes", "joint: loss"] {
        assert!(page.contains(&format!("<h3>{figure}</h3>")), "{figure}");
    }
    assert_eq!(page.matches("data:image/png").count(), 6);
    assert!(page.contains("Not a medical device"));
    assert!(!page.contains("Optimistic"));
    for outside in ["http:", "https:", "//", "<script", "<link", "@import", "url(", "A&<b>"] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(page.contains("A&amp;&lt;b&gt;") && page.contains("gantry &lt;tilt&gt;"));
    assert!(page.contains("Validation figures of v&amp;g over") && !page.contains("&amp;amp;"));
}

#[test]
fn slices_of_one_patient_on_both_sides_are_marked() {
    let cohort = Cohort { regime: Regime::SamePatient, ..Cohort::known() };
    let report = report(&cohort, |_| {}).unwrap();
    assert_eq!(report.metrics["regime"], "same_patient");
    assert!(report.page.contains("<b>Optimistic.</b>"));
}

#[test]
fn both_tables_hold_every_row() {
    let report = report(&Cohort::known(), |_| {}).unwrap();
    let csv = std::fs::read_to_string(report.folder.join("cases.csv")).unwrap();
    // Two arms of twelve test cases (one never predicted), and a header.
    assert_eq!(csv.lines().count(), 25);
    assert!(csv.starts_with("case_id,patient_id,site,regime,fold,seed,arm,role,status,"));
    let row = csv.lines().find(|line| line.starts_with("a1,p-a1,A,site,0,1,joint,test,ok,,1,0.4,"));
    let row: Vec<&str> = row.unwrap().split(',').collect();
    let mut names = csv.lines().next().unwrap().split(',');
    let place = names.position(|name| name == "true_probability").unwrap();
    assert_eq!(row[place..place + 5], ["0.6", "0.5", "0.75", "0.75", "0.75"], "{row:?}");
    let file = File::open(report.folder.join("cases.parquet")).unwrap();
    let frame = ParquetReader::new(file).finish().unwrap();
    assert_eq!(frame.shape(), (24, 36));
    let header: Vec<&str> = csv.lines().next().unwrap().split(',').collect();
    let names: Vec<String> = frame.get_column_names().iter().map(|name| name.to_string()).collect();
    assert_eq!(names, header);
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    let (first, second) =
        (report(&Cohort::known(), |_| {}).unwrap(), report(&Cohort::known(), |_| {}).unwrap());
    for name in ["report.html", "metrics.json", "cases.csv", "cases.parquet"] {
        let bytes = |folder: &std::path::Path| std::fs::read(folder.join(name)).unwrap();
        assert!(bytes(&first.folder) == bytes(&second.folder), "{name}");
    }
}

#[test]
fn what_another_program_leaves_out_is_noted_not_fatal() {
    let report = report(&Cohort::known(), |root| {
        std::fs::remove_file(root.join("model-vgg-0/history.csv")).unwrap();
        std::fs::write(root.join("model-vgg-0/model.json"), "{}").unwrap();
        std::fs::write(root.join("weights/weights.json"), "{}").unwrap();
        std::fs::write(root.join("labels/labels.json"), "{}").unwrap();
    })
    .unwrap();
    assert!(report.page.contains("arm vgg, fold 0, seed 0 brings no readable history.csv"));
    assert!(report.page.contains("weights.json holds no summaries"));
    assert!(report.metrics["oracle"]["auroc_population"].is_null());
}

#[test]
fn an_oracle_that_cannot_be_read_is_noted() {
    let report = report(&Cohort::known(), |root| {
        let summary = r#"{"oracle": {"auroc_population": "high"}}"#;
        std::fs::write(root.join("labels/labels.json"), summary).unwrap();
    })
    .unwrap();
    assert!(report.page.contains("The `oracle` of labels.json cannot be read"));
    assert!(report.metrics["oracle"]["auroc_population"].is_null());
    assert!(report.metrics["oracle"]["auroc"].is_number(), "the patients' own truth is there");
}

#[test]
fn contradictions_are_named() {
    let error_after = |file: &str, edit: fn(&str) -> String| {
        let made = report(&Cohort::known(), |root| {
            let path = root.join(file);
            let text = std::fs::read_to_string(&path).unwrap();
            std::fs::write(&path, edit(&text)).unwrap();
        });
        format!("{:#}", made.map(|_| ()).unwrap_err())
    };
    let card = "predictions-vgg-1/predictions.json";
    let text = error_after(card, |text| text.replace("\"fold\": 1", "\"fold\": 0"));
    assert!(text.contains("arm `vgg`, fold 0, seed 1 is predicted a second time"), "{text}");
    let text = error_after(card, |text| text.replace("\"site\"", "\"patient\""));
    assert!(text.contains("regimes `site` and `patient`"), "{text}");
    let text = error_after("splits/splits.csv", |text| {
        text.lines().filter(|line| !line.starts_with("a0,")).collect::<Vec<_>>().join("\n")
    });
    assert!(text.contains("`a0` has no role in regime `site`, fold 0"), "{text}");
    let rows = "predictions-joint-0/predictions.csv";
    let text = error_after(rows, |text| text.replace("a0,", "zz,"));
    assert!(text.contains("`zz` is not in cases.csv"), "{text}");
    let text = error_after("labels/labels.csv", |text| text.replace("a0,", "zz,"));
    assert!(text.contains("labels.csv") && text.contains("`zz` is not in cases.csv"), "{text}");
    for file in ["cases/cases.csv", "labels/labels.csv", rows] {
        let text = error_after(file, |text| {
            let line = text.lines().find(|line| line.starts_with("a0,")).unwrap();
            format!("{text}{line}\n")
        });
        let name = file.rsplit('/').next().unwrap();
        assert!(text.contains(name) && text.contains("`a0` has two rows"), "{text}");
    }
}

#[test]
fn the_config_that_ships_is_valid() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../configs/report.toml");
    let raw: hemex_report::RawConfig =
        toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert!(hemex_report::Config::try_from(raw).is_ok());
}
