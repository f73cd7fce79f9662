//! Sets of labels, from the split to the report.

use hemex_artifacts::{ModelCard, PredictionRow, PredictionStatus, Role, SplitRow, json, table};

use crate::{tiny, with_finished};

#[test]
fn sets_of_labels_rest_on_cases_that_nobody_learned_from() {
    let bench = with_finished(&["phantom"]);
    let settings = ["ingest.splits.calibration_fraction=0.3", "train.conformal.shift_weights=true"];
    let arms = "train.matrix.arm=[\"joint\"]";
    let sets = settings.iter().chain([&arms]).flat_map(|set| ["--set", set]);
    bench.pipeline(tiny()).args(sets).succeeds();
    let splits = bench.task("ingest").output("splits").join("splits.csv");
    let splits: Vec<SplitRow> = table::read_rows(&splits).unwrap();
    let mut n_models = 0;
    for train in bench.tasks("train") {
        let card: ModelCard = json::read(&train.output("model").join("model.json")).unwrap();
        let own = splits.iter().filter(|row| (row.regime, row.fold) == (card.regime, card.fold));
        let n = |role: Role| own.clone().filter(|row| row.role == role).count();
        let conformal = card.conformal.unwrap();
        let n_found = conformal.stable.len() + conformal.growth.len();
        assert!(n_found > 0 && n_found <= n(Role::Calibration), "{conformal:?}");
        assert_eq!(card.n_train, n(Role::Train));
        assert!(conformal.stable.iter().all(|[_, weight]| *weight <= conformal.most_weight));
        n_models += 1;
    }
    assert_eq!(n_models, 2);
    for predict in bench.tasks("predict") {
        let path = predict.output("predictions").join("predictions.csv");
        for row in table::read_rows::<PredictionRow>(&path).unwrap() {
            let p_values = [row.p_value_stable, row.p_value_growth];
            match row.status {
                PredictionStatus::Ok => {
                    assert!(
                        p_values.iter().flatten().filter(|p| (0.0..=1.0).contains(*p)).count() == 2
                    );
                }
                _ => assert_eq!(p_values, [None, None]),
            }
        }
    }
    let metrics = bench.metrics();
    let conformal = &metrics["arms"]["joint"]["conformal"];
    assert_eq!(conformal["miss"], 0.1);
    assert!(conformal["decided"]["n"].as_u64().is_some_and(|n| n > 0), "{metrics:#}");
    let page = bench.task("report").output("report").join("report.html");
    assert!(std::fs::read_to_string(page).unwrap().contains("Sets of labels"));
}
