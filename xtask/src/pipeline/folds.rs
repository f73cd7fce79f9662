//! Whether the splits have the regime and the folds that tasks ask for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Result, bail};
use hemex_stage::validate::n_folds;
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
    let mut known: BTreeMap<PathBuf, Vec<(String, usize)>> = BTreeMap::new();
    for (task, state) in states.iter().enumerate() {
        let is_selected = selection.contains(&plan.stage_of(task).name);
        if !is_selected || matches!(state, State::Finished(_)) {
            continue;
        }
        let request = plan.request(task, states, store, store.root());
        let [splits] = request.inputs("splits") else { continue };
        if !known.contains_key(&splits.path) {
            known.insert(splits.path.clone(), n_folds(&splits.path)?);
        }
        check_fold(&request, &known[&splits.path])?;
    }
    Ok(())
}

/// Whether splits with so many folds a regime have what a task asks for by its axis `fold` and the
/// `regime` of its config.
fn check_fold(request: &Request, n_folds: &[(String, usize)]) -> Result<()> {
    let fold = request.axes.get("fold").and_then(serde_json::Value::as_u64);
    let regime = request.config.get("regime").and_then(serde_json::Value::as_str);
    let (Some(fold), Some(regime)) = (fold, regime) else { return Ok(()) };
    let stage = &request.stage;
    let Some((_, n)) = n_folds.iter().find(|(name, _)| name == regime) else {
        let names: Vec<String> = n_folds.iter().map(|(name, _)| format!("`{name}`")).collect();
        let why = if regime == "site" { " (it needs cases of two sites)" } else { "" };
        bail!(
            "stage `{stage}`: its config asks for the regime `{regime}`, which the splits lack{why}; \
             they have {}: choose one, for instance --set {stage}.regime=patient",
            names.join(", ")
        );
    };
    if fold >= *n as u64 {
        let folds: Vec<String> = (0..*n).map(|fold| fold.to_string()).collect();
        bail!(
            "stage `{stage}`: the matrix asks for fold {fold}, but regime `{regime}` has {n} folds: set \
             `fold = {n}` or fewer, for instance --set '{stage}.matrix.fold=[{}]'",
            folds.join(", ")
        );
    }
    Ok(())
}
