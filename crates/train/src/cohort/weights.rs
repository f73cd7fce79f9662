use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use hemex_artifacts::{WeightRow, table};
use hemex_stage::{Request, log};

use super::Fold;
use crate::TrainError;

/// Domain-shift weights of the cases that train; none where they do not count, or no weights are wired.
pub(super) fn weights_of_training(
    request: &Request,
    fold: &Fold<'_>,
    train: &BTreeMap<String, BTreeSet<usize>>,
) -> anyhow::Result<BTreeMap<String, f64>> {
    if !fold.shift_weights {
        return Ok(BTreeMap::new());
    }
    let Some(folder) = request.optional_input("weights")? else {
        log(format_args!(
            "sampler.shift_weights = true, and no input `weights` is wired: every case weighs 1"
        ));
        return Ok(BTreeMap::new());
    };
    let unweighed = |what| TrainError::UnweighedTraining { what };
    Ok(read_weights(folder, fold, train.keys().cloned(), unweighed)?)
}

/// The weight of each of these cases in the fold.
///
/// # Errors
/// `unweighed`, told what is missing, if a case has no row.
pub(crate) fn read_weights(
    folder: &Path,
    fold: &Fold<'_>,
    case_ids: impl Iterator<Item = String>,
    unweighed: impl Fn(String) -> TrainError,
) -> Result<BTreeMap<String, f64>, TrainError> {
    let rows = table::read_rows::<WeightRow>(&folder.join("weights.csv"))?;
    let own = rows.into_iter().filter(|row| (row.regime, row.fold) == (fold.regime, fold.fold));
    let known: BTreeMap<String, f64> = own.map(|row| (row.case_id, row.weight)).collect();
    let weight = |case_id: String| match known.get(&case_id) {
        Some(weight) => Ok((case_id, *weight)),
        None => Err(unweighed(format!("case {case_id} has no row in weights.csv"))),
    };
    case_ids.map(weight).collect()
}
