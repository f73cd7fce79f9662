//! What sets of labels rest on: what the trained model says of cases that it has never seen.

use std::collections::{BTreeMap, BTreeSet};

use hemex_artifacts::{ConformalCalibration, WeightSummary, json};
use hemex_stage::{Request, log};
use rayon::prelude::*;

use crate::TrainError;
use crate::cohort::{Fold, ValCase, read_weights};

/// Cases that neither train nor choose the checkpoint, each with its weight.
pub(crate) struct CalibrationCases {
    cases: Vec<(ValCase, f64)>,
    most_weight: f64,
}

/// Which cases calibrate, and what they weigh.
pub(crate) struct CalibrationWeights {
    weights: BTreeMap<String, f64>,
    most_weight: f64,
}

impl CalibrationWeights {
    /// Those of the fold: 1 each, unless they count by their domain-shift weights.
    pub(crate) fn read(
        request: &Request,
        fold: &Fold<'_>,
        units: BTreeMap<String, BTreeSet<usize>>,
    ) -> anyhow::Result<Self> {
        if !fold.weighs_calibration || units.is_empty() {
            let weights = units.into_keys().map(|case_id| (case_id, 1.0)).collect();
            return Ok(Self { weights, most_weight: 1.0 });
        }
        let unweighed = |what: String| TrainError::UnweighedCalibration { what };
        let folder = request.optional_input("weights")?;
        let folder = folder.ok_or_else(|| unweighed("no input `weights` is wired".to_owned()))?;
        let weights = read_weights(folder, fold, units.into_keys(), unweighed)?;
        let summaries: Vec<WeightSummary> = json::read(&folder.join("weights.json"))?;
        let own = summaries.iter().find(|s| (s.regime, s.fold) == (fold.regime, fold.fold));
        let most_weight = own.and_then(|summary| summary.most_weight).ok_or_else(|| {
            unweighed(
                "weights.json does not say the `most_weight` of a case in the fold".to_owned(),
            )
        })?;
        Ok(Self { weights, most_weight })
    }

    /// Reads them.
    pub(crate) fn cases(
        self,
        read: impl Fn(&str) -> Result<ValCase, TrainError> + Sync,
    ) -> Result<CalibrationCases, TrainError> {
        let cases =
            self.weights.into_par_iter().map(|(case_id, weight)| Ok((read(&case_id)?, weight)));
        let cases = cases.collect::<Result<Vec<_>, TrainError>>()?;
        Ok(CalibrationCases { cases, most_weight: self.most_weight })
    }
}

impl CalibrationCases {
    pub(crate) fn is_empty(&self) -> bool {
        self.cases.is_empty()
    }

    /// How the model speaks of them, where `logit_of` is its calibrated logit, `None` where it finds no hematoma.
    /// `None` without such cases.
    pub(crate) fn conformal(
        &self,
        logit_of: impl Fn(&ValCase) -> Result<Option<f64>, TrainError>,
    ) -> Result<Option<ConformalCalibration>, TrainError> {
        if self.is_empty() {
            return Ok(None);
        }
        let (mut stable, mut growth) = (Vec::new(), Vec::new());
        for (case, weight) in &self.cases {
            let of_class = if case.growth { &mut growth } else { &mut stable };
            of_class.extend(logit_of(case)?.map(|logit| [logit, *weight]));
        }
        log(format_args!(
            "sets of labels rest on {} stable and {} grown of {} calibration cases",
            stable.len(),
            growth.len(),
            self.cases.len()
        ));
        Ok(Some(ConformalCalibration { stable, growth, most_weight: self.most_weight }))
    }
}
