use std::collections::BTreeMap;
use std::path::Path;

use hemex_artifacts::{Regime, Role, flag, table};
use serde::Deserialize;

use crate::SummaryError;

/// What the summary needs of a row of a report's `cases.csv`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct CaseLine {
    pub(crate) case_id: String,
    pub(crate) patient_id: String,
    pub(crate) arm: String,
    pub(crate) regime: Regime,
    pub(crate) fold: usize,
    pub(crate) seed: u64,
    pub(crate) role: Role,
    pub(crate) status: String,
    #[serde(with = "flag")]
    pub(crate) growth: Option<bool>,
    pub(crate) probability: Option<f64>,
    pub(crate) twin_logit: Option<f64>,
    pub(crate) true_probability: Option<f64>,
    pub(crate) true_probability_image_signs: Option<f64>,
    pub(crate) dice: Option<f64>,
    pub(crate) volume_ml: Option<f64>,
    pub(crate) reference_volume_ml: Option<f64>,
}

impl CaseLine {
    /// What ranks the case: its probability, below all others where no hematoma is found; `None` where the model does
    /// not speak of it.
    pub(crate) fn score(&self) -> Option<f64> {
        match self.status.as_str() {
            "ok" => self.probability,
            "no_lesion" => Some(f64::NEG_INFINITY),
            _ => None,
        }
    }
}

/// One report: a cohort under a regime.
#[derive(Debug, Clone)]
pub(crate) struct Cohort {
    pub(crate) regime: Regime,
    /// The value of the axis that tells cohorts apart; empty without one.
    pub(crate) setting: String,
    /// Rows by arm, arms in the order of the report.
    pub(crate) arms: Vec<(String, Vec<CaseLine>)>,
}

impl Cohort {
    /// Reads the `cases.csv` of a report.
    ///
    /// # Errors
    /// If it cannot be read, holds no test case, or several models of an arm.
    pub(crate) fn read(folder: &Path, setting: String) -> Result<Self, SummaryError> {
        let path = folder.join("cases.csv");
        let rows: Vec<CaseLine> = table::read_rows(&path)?;
        let Some(first) = rows.iter().find(|row| row.role == Role::Test) else {
            return Err(SummaryError::NoTestCases { path });
        };
        let regime = first.regime;
        let mut arms: Vec<(String, Vec<CaseLine>)> = Vec::new();
        for row in rows {
            match arms.iter_mut().find(|(arm, _)| *arm == row.arm) {
                Some((_, rows)) => rows.push(row),
                None => arms.push((row.arm.clone(), vec![row])),
            }
        }
        for (arm, rows) in &arms {
            let mut models = rows.iter().map(|row| (row.fold, row.seed));
            let first = models.next();
            if models.any(|model| Some(model) != first) {
                return Err(SummaryError::SeveralModels { path, arm: arm.clone() });
            }
        }
        Ok(Self { regime, setting, arms })
    }

    /// The rows of an arm.
    pub(crate) fn arm(&self, name: &str) -> Option<&[CaseLine]> {
        self.arms.iter().find(|(arm, _)| arm == name).map(|(_, rows)| rows.as_slice())
    }

    /// The test cases with a known outcome, each once: what every arm is asked.
    pub(crate) fn test_cases(&self) -> BTreeMap<&str, &CaseLine> {
        let rows = self.arms.iter().flat_map(|(_, rows)| rows);
        let tested = rows.filter(|row| row.role == Role::Test && row.growth.is_some());
        tested.map(|row| (row.case_id.as_str(), row)).collect()
    }

    /// What an arm says of validation cases with a known outcome where these have twins without a hematoma: the rows of
    /// the cases that it speaks of. A cohort has twins if any arm says anything of one.
    pub(crate) fn with_twins(&self, name: &str) -> Vec<&CaseLine> {
        let mut all = self.arms.iter().flat_map(|(_, rows)| rows);
        if !all.any(|row| row.twin_logit.is_some()) {
            return Vec::new();
        }
        let validates = |row: &&CaseLine| {
            row.role == Role::Val && row.growth.is_some() && row.score().is_some()
        };
        self.arm(name).unwrap_or_default().iter().filter(validates).collect()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    fn read(rows: &[&str]) -> Result<Cohort, SummaryError> {
        let folder = tempfile::tempdir().unwrap();
        let head = "case_id,patient_id,arm,regime,fold,seed,role,status,growth,probability,twin_logit,true_probability,\
                    true_probability_image_signs,dice,volume_ml,reference_volume_ml";
        let text = [&[head], rows].concat().join("\n");
        std::fs::write(folder.path().join("cases.csv"), text).unwrap();
        Cohort::read(folder.path(), String::new())
    }

    #[test]
    fn a_report_of_one_model_an_arm_is_read() {
        let cohort = read(&[
            "a,p,vgg,site,2,7,test,ok,1,0.4,,,,,,",
            "b,q,vgg,site,2,7,val,ok,,0.4,,,,,,",
            "a,p,full,site,2,7,test,no_lesion,1,,,,,,,",
        ])
        .unwrap();
        assert_eq!(cohort.test_cases().len(), 1);
        assert_eq!(cohort.arm("vgg").unwrap()[0].score(), Some(0.4));
        assert_eq!(cohort.arm("full").unwrap()[0].score(), Some(f64::NEG_INFINITY));
    }

    #[test]
    fn several_models_of_an_arm_and_no_test_case_are_refused_by_name() {
        let several =
            ["a,p,vgg,site,1,7,test,ok,1,0.4,,,,,,", "b,q,vgg,site,2,7,test,ok,0,0.4,,,,,,"];
        assert!(read(&several).unwrap_err().to_string().contains("`vgg`"));
        let none = ["a,p,vgg,site,1,7,val,ok,1,0.4,,,,,,"];
        assert!(matches!(read(&none), Err(SummaryError::NoTestCases { .. })));
    }
}
