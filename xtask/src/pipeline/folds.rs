//! Whether the splits have the regime and the folds that tasks ask for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Result, bail};
use hemex_stage::validate::folds;
use hemex_stage::{Request, RunStore};

use super::plan::Plan;
use super::task::State;

/// A regime or a fold that the splits do not have is an error as soon as there are splits, not after
/// hours of training on the other folds.
pub(super) fn check(
    plan: &Plan,
    states: &[State],
    selection: &BTreeSet<String>,
    store: &RunStore,
) -> Result<()> {
    let mut known: BTreeMap<PathBuf, BTreeMap<String, BTreeSet<usize>>> = BTreeMap::new();
    for (task, state) in states.iter().enumerate() {
        let is_selected = selection.contains(&plan.stage_of(task).name);
        if !is_selected || matches!(state, State::Finished(_)) {
            continue;
        }
        let request = plan.request(task, states, store, store.root());
        let [splits] = request.inputs("splits") else { continue };
        if !known.contains_key(&splits.path) {
            known.insert(splits.path.clone(), folds(&splits.path)?);
        }
        check_fold(&request, &known[&splits.path])?;
    }
    Ok(())
}

/// Whether splits with these folds of each regime have what a task asks for by its axis `fold` and the `regime` of its
/// config.
fn check_fold(request: &Request, folds: &BTreeMap<String, BTreeSet<usize>>) -> Result<()> {
    let fold = request.axes.get("fold").and_then(serde_json::Value::as_u64);
    let regime = request.config.get("regime").and_then(serde_json::Value::as_str);
    let (Some(fold), Some(regime)) = (fold, regime) else { return Ok(()) };
    let stage = &request.stage;
    let Some(folds) = folds.get(regime) else {
        let names: Vec<String> = folds.keys().map(|name| format!("`{name}`")).collect();
        let why = match regime {
            "site" => " (it needs cases of two sites, and of both outcomes at all sites but one)",
            _ => "",
        };
        bail!(
            "stage `{stage}`: its config asks for the regime `{regime}`, which the splits lack{why}; \
             they have {}: choose one, for instance --set {stage}.regime=patient",
            names.join(", ")
        );
    };
    if !folds.iter().any(|known| *known as u64 == fold) {
        let folds: Vec<String> = folds.iter().map(ToString::to_string).collect();
        let folds = folds.join(", ");
        bail!(
            "stage `{stage}`: the matrix asks for fold {fold}, but regime `{regime}` has the folds {folds}: for \
             instance --set '{stage}.matrix.fold=[{folds}]'"
        );
    }
    Ok(())
}
