//! `truth.json` of a phantom: the probabilities behind its labels.

use std::collections::BTreeMap;
use std::path::Path;

use hemex_artifacts::Oracle;
use serde::Deserialize;

use crate::IngestError;

/// What ingest passes on of a phantom's truth.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Truth {
    /// What the best possible predictor reaches.
    pub(crate) oracle: Option<Oracle>,
    /// By the dataset's name of the case.
    #[serde(default)]
    pub(crate) cases: BTreeMap<String, CaseTruth>,
}

/// True probabilities of growth.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub(crate) struct CaseTruth {
    /// All inputs known.
    pub(crate) probability: f64,
    /// The image signs alone known.
    pub(crate) probability_image_signs: f64,
}

/// Reads the truth of a phantom; a dataset that is none has an empty one.
pub(crate) fn read(root: &Path) -> Result<Truth, IngestError> {
    let path = root.join("truth.json");
    if !path.is_file() {
        return Ok(Truth::default());
    }
    let problem = |problem: String| IngestError::Truth { problem };
    let text =
        std::fs::read(path).map_err(|e| problem(format!("cannot be read ({})", e.kind())))?;
    let truth: Truth = serde_json::from_slice(&text).map_err(|e| problem(e.to_string()))?;
    let is_probability = |p: f64| (0.0..=1.0).contains(&p);
    let wrong = truth.cases.values().filter(|case| {
        !is_probability(case.probability) || !is_probability(case.probability_image_signs)
    });
    match wrong.count() {
        0 => Ok(truth),
        n => Err(problem(format!("{n} cases have a probability outside 0 to 1"))),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    fn truth(text: &str) -> Result<Truth, IngestError> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("truth.json"), text).unwrap();
        read(folder.path())
    }

    #[test]
    fn probabilities_and_the_oracle_are_read() {
        let found = truth(
            r#"{"model": {"intercept": 1}, "oracle": {"auroc_population": 0.8,
                "auroc_population_image_signs": 0.7, "n_population": 5}, "cases": {"sub-1":
                {"probability": 0.25, "probability_image_signs": 0.5, "growth": 1}}}"#,
        )
        .unwrap();
        assert_eq!(found.cases["sub-1"].probability, 0.25);
        assert_eq!(found.oracle.unwrap().auroc_population_image_signs, 0.7);
        let empty = tempfile::tempdir().unwrap();
        assert!(read(empty.path()).unwrap().oracle.is_none());
    }

    #[test]
    fn an_unsound_truth_is_an_error() {
        assert!(truth("{").is_err());
        let case = r#"{"cases": {"s": {"probability": 1.5, "probability_image_signs": 0.5}}}"#;
        assert!(truth(case).is_err());
    }
}
