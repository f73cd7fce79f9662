use serde_json::Value;

use crate::evaluate::{ArmFindings, ModelFindings};
use crate::html::Page;
use crate::html::text::{escape, fixed, list, settings, with_interval};
use crate::read::Model;

/// What each arm is, in the form of a model card (Mitchell et al., FAT* 2019).
pub(in crate::html) fn model_card(page: &Page) -> String {
    let cards: String = page.findings.arms.iter().map(|arm| card(page, arm)).collect();
    format!(
        "{cards}<p class=\"note\">Use and limits are those of the page: <a href=\"#use\">intended use</a>, \
         <a href=\"#methods\">methods and limits</a>. The settings of the training stand under \
         <a href=\"#reproducibility\">reproducibility</a>.</p>"
    )
}

fn card(page: &Page, arm: &ArmFindings) -> String {
    let models: Vec<&Model> =
        page.evaluation.models.iter().filter(|model| model.arm == arm.name).collect();
    let of = |key: &str| models.first().and_then(|model| model.card.get(key));
    let trained: Vec<String> = models.iter().filter_map(|model| trained(page, model)).collect();
    let trained = if trained.is_empty() { "not stated".to_owned() } else { trained.join("<br>") };
    let preparation = &page.evaluation.cases.preparation;
    let [d, h, w] = preparation.spacing_mm;
    let [low, high] = preparation.window_hu.map(|hu| fixed(f64::from(hu), 0));
    let predictions = &page.evaluation.predictions;
    let has_masks = predictions.iter().any(|p| p.card.arm == arm.name && p.card.has_masks);
    let writes = if has_masks {
        "a probability of growth, a mask of the hematoma and its volume"
    } else {
        "a probability of growth"
    };
    let figures = [
        ("AUROC", with_interval(arm.auroc.value, arm.auroc.ci95, 2)),
        ("Brier score", with_interval(arm.brier.value, arm.brier.ci95, 3)),
        ("mean Dice", with_interval(arm.dice.mean, arm.dice.ci95, 2)),
    ];
    let figures: Vec<String> = figures
        .into_iter()
        .filter(|(_, figure)| figure != "–")
        .map(|(name, figure)| format!("{name} {figure}"))
        .collect();
    format!(
        "<h3>{}</h3><dl><dt>Architecture</dt><dd>{}</dd>\
         <dt>Reads</dt><dd>the head resampled to {d} × {h} × {w} mm, {low} to {high} HU</dd>\
         <dt>Writes</dt><dd>{writes}</dd><dt>Trained on</dt><dd>{trained}</dd>\
         <dt>Decides by</dt><dd>{}</dd><dt>Speaks as</dt><dd>{}</dd><dt>Label shift</dt><dd>{}</dd>\
         <dt>Reaches</dt><dd>{}</dd></dl>",
        escape(&arm.name),
        of("architecture").map_or_else(|| "not stated".to_owned(), settings),
        decides(of("decision"), has_masks),
        told(page, arm, together).unwrap_or_else(|| "one model".to_owned()),
        told(page, arm, shifted)
            .unwrap_or_else(|| "none: growth as frequent as in training".to_owned()),
        if figures.is_empty() { "no figure is defined".to_owned() } else { list(&figures) },
    )
}

/// The settings of the rule that bear on this arm: presence without masks, all others with them.
fn decides(decision: Option<&Value>, has_masks: bool) -> String {
    let Some(Value::Object(all)) = decision else { return "not stated".to_owned() };
    let bears = |(key, _): &(&String, &Value)| (key.as_str() == "min_presence") != has_masks;
    let those = all.iter().filter(bears).map(|(key, value)| (key.clone(), value.clone()));
    settings(&Value::Object(those.collect()))
}

/// What is told of an arm's models, a line each; `None` where nothing is.
fn told(
    page: &Page,
    arm: &ArmFindings,
    of: fn(&ModelFindings) -> Option<String>,
) -> Option<String> {
    let line = |model: &ModelFindings| {
        let words = of(model)?;
        Some(format!("{}, seed {}: {words}", escape(&page.fold_name(model.fold)), model.seed))
    };
    let lines: Vec<String> = arm.models.iter().filter_map(line).collect();
    (!lines.is_empty()).then(|| lines.join("<br>"))
}

/// Several models as one.
fn together(model: &ModelFindings) -> Option<String> {
    let n = model.n_models;
    (n > 1).then(|| format!("{n} models, by the mean of their logits"))
}

/// What label shift adds.
fn shifted(model: &ModelFindings) -> Option<String> {
    let shift = model.label_shift?;
    let [target, training] =
        [shift.target_share, shift.training_share].map(|share| fixed(100.0 * share, 1));
    Some(format!(
        "{} on the logit of each test case: {target} % are expected to grow, told from {} unlabelled cases, and \
         {training} % grew in training",
        fixed(shift.logit_offset, 2),
        shift.n_target
    ))
}

/// `fold 0, seed 1: 107 cases, 27 of them grew; the weights of epoch 7`.
fn trained(page: &Page, model: &Model) -> Option<String> {
    let number = |key: &str| model.card.get(key).and_then(Value::as_u64);
    let growth =
        number("n_train_growth").map_or_else(String::new, |n| format!(", {n} of them grew"));
    let epoch = number("best_epoch")
        .map_or_else(String::new, |e| format!("; the weights of epoch {}", e + 1));
    let (name, n) = (escape(&page.fold_name(model.fold)), number("n_train")?);
    Some(format!("{name}, seed {}: {n} cases{growth}{epoch}", model.seed))
}
