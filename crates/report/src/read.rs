//! The inputs of the stage as one typed [`Evaluation`].

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use hemex_artifacts::{
    CaseRow, Cases, ClinicalRow, ExclusionRow, HistoryRow, LabelRow, Oracle, PredictionCard,
    PredictionRow, Regime, Role, SignRow, SplitRow, WeightSummary, json, table,
};
use hemex_stage::{InputArtifact, Provenance, Request};
use serde_json::Value;

use crate::ReportError;

/// All that the report speaks of, read and checked against each other; volumes stay on disk.
#[derive(Debug, Clone)]
pub struct Evaluation {
    /// How the cohort was split for the models at hand.
    pub regime: Regime,
    /// The cohort.
    pub cases: Cases,
    /// What clinical scores ask for beside the cohort's table, as far as it is known.
    pub clinical: BTreeMap<String, ClinicalRow>,
    /// Signs of growth that a person saw, as far as the cohort has them.
    pub read_signs: BTreeMap<String, SignRow>,
    /// Scans that could not be used.
    pub exclusions: Vec<ExclusionRow>,
    /// Labels by case.
    pub labels: BTreeMap<String, LabelRow>,
    /// Folder of the labels, for the reference masks.
    pub labels_folder: PathBuf,
    /// The rule behind the growth label, as `labels.json` states it.
    pub growth_rule: Option<Value>,
    /// What the best possible predictor reaches in the phantom's population.
    pub oracle_population: Option<Oracle>,
    /// Role of each case in each fold of the regime.
    pub folds: BTreeMap<usize, BTreeMap<String, Role>>,
    /// What each model said.
    pub predictions: Vec<Predictions>,
    /// What each model says of itself.
    pub models: Vec<Model>,
    /// How each model was trained.
    pub trainings: Vec<Training>,
    /// How far the weights of each fold can be trusted.
    pub weights: Vec<WeightSummary>,
    /// How the inputs came to be, a task each, in the order of their stages; empty for inputs that no task made.
    pub provenance: Vec<Provenance>,
    /// Inputs that could not be shown, and why; the report goes on without them.
    pub notes: Vec<String>,
}

/// A `predictions/1` artifact.
#[derive(Debug, Clone)]
pub struct Predictions {
    /// Its folder.
    pub folder: PathBuf,
    /// Which model spoke.
    pub card: PredictionCard,
    /// What it said, by case.
    pub rows: BTreeMap<String, PredictionRow>,
}

/// A `model/1` artifact, as its `model.json` describes it.
#[derive(Debug, Clone)]
pub struct Model {
    /// Its arm.
    pub arm: String,
    /// Its fold.
    pub fold: usize,
    /// Its seed.
    pub seed: u64,
    /// The document; null where the model brings none that can be read.
    pub card: Value,
}

/// The course of one training.
#[derive(Debug, Clone)]
pub struct Training {
    /// The model's arm.
    pub arm: String,
    /// Its fold.
    pub fold: usize,
    /// Its seed.
    pub seed: u64,
    /// Epoch of the stored weights, where the model says.
    pub best_epoch: Option<usize>,
    /// Number of trained values, where the model says.
    pub n_parameters: Option<u64>,
    /// The epochs.
    pub history: Vec<HistoryRow>,
}

impl Evaluation {
    /// Reads every input of the stage.
    ///
    /// # Errors
    /// If a table cannot be read, or the tables contradict each other.
    pub fn read(request: &Request) -> Result<Self, ReportError> {
        let cases_folder = request.input("cases")?;
        let labels_folder = request.input("labels")?;
        let cases = Cases::open(cases_folder)?;
        let mut known: BTreeSet<&str> = BTreeSet::new();
        if let Some(row) = cases.rows.iter().find(|row| !known.insert(&row.case_id)) {
            let path = cases_folder.join("cases.csv");
            return Err(ReportError::DuplicateCase { path, case_id: row.case_id.clone() });
        }
        let predictions = read_predictions(request.inputs("predictions"), &known)?;
        let regime = one_regime(&predictions)?;
        let mut notes = Vec::new();
        let (growth_rule, oracle_population) = read_label_summary(labels_folder, &mut notes);
        Ok(Self {
            regime,
            clinical: cases.clinical()?,
            read_signs: cases.signs()?,
            exclusions: read_exclusions(cases_folder)?,
            labels: read_labels(labels_folder, &known)?,
            labels_folder: labels_folder.to_owned(),
            growth_rule,
            oracle_population,
            folds: read_folds(request.input("splits")?, regime, &known)?,
            models: request.inputs("model").iter().map(read_model).collect(),
            trainings: read_trainings(request.inputs("model"), &mut notes),
            provenance: read_provenance(request),
            weights: read_weights(request.optional_input("weights")?, regime, &mut notes),
            cases,
            predictions,
            notes,
        })
    }

    /// The case's row in the cohort.
    pub fn case(&self, case_id: &str) -> Option<&CaseRow> {
        self.cases.rows.iter().find(|row| row.case_id == case_id)
    }

    /// Which model spoke in the predictions of an arm, fold and seed.
    pub fn card(&self, arm: &str, fold: usize, seed: u64) -> Option<&PredictionCard> {
        let mut cards = self.predictions.iter().map(|predictions| &predictions.card);
        cards.find(|card| card.arm == arm && (card.fold, card.seed) == (fold, seed))
    }

    /// The arms in the order in which their predictions arrive.
    pub fn arms(&self) -> Vec<&str> {
        let mut arms: Vec<&str> = Vec::new();
        for predictions in &self.predictions {
            if !arms.contains(&predictions.card.arm.as_str()) {
                arms.push(&predictions.card.arm);
            }
        }
        arms
    }
}

fn read_predictions(
    inputs: &[InputArtifact],
    known: &BTreeSet<&str>,
) -> Result<Vec<Predictions>, ReportError> {
    let mut seen = BTreeSet::new();
    let mut all = Vec::with_capacity(inputs.len());
    for input in inputs {
        let card: PredictionCard = json::read(&input.path.join("predictions.json"))?;
        if !seen.insert((card.arm.clone(), card.fold, card.seed)) {
            let PredictionCard { arm, fold, seed, .. } = card;
            return Err(ReportError::DuplicateModel { path: input.path.clone(), arm, fold, seed });
        }
        let path = input.path.join("predictions.csv");
        let rows = table::read_rows::<PredictionRow>(&path)?;
        let rows = by_case(rows, |row| &row.case_id, known, path)?;
        all.push(Predictions { folder: input.path.clone(), card, rows });
    }
    Ok(all)
}

/// The rows by their case, which the cohort must know and each of which has one.
fn by_case<Row>(
    rows: Vec<Row>,
    case_id: fn(&Row) -> &String,
    known: &BTreeSet<&str>,
    path: PathBuf,
) -> Result<BTreeMap<String, Row>, ReportError> {
    let mut by_case = BTreeMap::new();
    for row in rows {
        let case_id = case_id(&row).clone();
        if !known.contains(case_id.as_str()) {
            return Err(ReportError::UnknownCase { path, case_id });
        }
        if by_case.insert(case_id.clone(), row).is_some() {
            return Err(ReportError::DuplicateCase { path, case_id });
        }
    }
    Ok(by_case)
}

fn one_regime(predictions: &[Predictions]) -> Result<Regime, ReportError> {
    let first = predictions.first().ok_or(ReportError::NoPredictions)?.card.regime;
    match predictions.iter().find(|other| other.card.regime != first) {
        Some(other) => {
            Err(ReportError::MixedRegimes { first: first.name(), second: other.card.regime.name() })
        }
        None => Ok(first),
    }
}

fn read_exclusions(cases: &Path) -> Result<Vec<ExclusionRow>, ReportError> {
    let path = cases.join("exclusions.csv");
    if path.exists() { Ok(table::read_rows(&path)?) } else { Ok(Vec::new()) }
}

fn read_labels(
    labels: &Path,
    known: &BTreeSet<&str>,
) -> Result<BTreeMap<String, LabelRow>, ReportError> {
    let path = labels.join("labels.csv");
    by_case(table::read_rows::<LabelRow>(&path)?, |row| &row.case_id, known, path)
}

/// The rule and the oracle. Another tool's `labels.json` may lack either: the report does without.
/// An oracle that cannot be understood is noted.
fn read_label_summary(labels: &Path, notes: &mut Vec<String>) -> (Option<Value>, Option<Oracle>) {
    match json::read::<Value>(&labels.join("labels.json")) {
        Ok(summary) => {
            let given = |key: &str| summary.get(key).filter(|value| !value.is_null()).cloned();
            let oracle = given("oracle").map(serde_json::from_value::<Oracle>);
            if let Some(Err(error)) = &oracle {
                notes.push(format!(
                    "The `oracle` of labels.json cannot be read ({error}): the population's figures are \
                     not stated."
                ));
            }
            (given("rule"), oracle.and_then(Result::ok))
        }
        Err(_) => {
            notes.push("labels.json cannot be read: the growth rule is not stated.".to_owned());
            (None, None)
        }
    }
}

/// The role of each case in each fold. A case whose slices have several roles (regime
/// `same_patient`) counts as a test case as soon as one of its slices is tested.
fn read_folds(
    splits: &Path,
    regime: Regime,
    known: &BTreeSet<&str>,
) -> Result<BTreeMap<usize, BTreeMap<String, Role>>, ReportError> {
    let precedence = |role: Role| match role {
        Role::Test => 4,
        Role::Val => 3,
        Role::Train => 2,
        Role::Calibration => 1,
        Role::Target => 0,
    };
    let path = splits.join("splits.csv");
    let mut folds: BTreeMap<usize, BTreeMap<String, Role>> = BTreeMap::new();
    for row in table::read_rows::<SplitRow>(&path)? {
        if row.regime != regime {
            continue;
        }
        if !known.contains(row.case_id.as_str()) {
            return Err(ReportError::UnknownCase { path, case_id: row.case_id });
        }
        let role = folds.entry(row.fold).or_default().entry(row.case_id).or_insert(row.role);
        if precedence(row.role) > precedence(*role) {
            *role = row.role;
        }
    }
    Ok(folds)
}

fn read_model(input: &InputArtifact) -> Model {
    let card = json::read::<Value>(&input.path.join("model.json")).unwrap_or(Value::Null);
    let of = |key: &str| card.get(key).or_else(|| input.axes.get(key));
    Model {
        arm: of("arm").and_then(Value::as_str).unwrap_or("model").to_owned(),
        fold: of("fold").and_then(Value::as_u64).unwrap_or(0) as usize,
        seed: of("seed").and_then(Value::as_u64).unwrap_or(0),
        card,
    }
}

/// What stands beside the inputs' folders and upstream of them, as far as the run store reaches; each task once.
fn read_provenance(request: &Request) -> Vec<Provenance> {
    let inputs = request.inputs.values().flatten();
    let mut waiting: VecDeque<PathBuf> =
        inputs.filter_map(|input| Some(input.path.parent()?.to_owned())).collect();
    let mut seen = BTreeSet::new();
    let mut tasks: Vec<Provenance> = Vec::new();
    while let Some(folder) = waiting.pop_front() {
        if !seen.insert(folder.clone()) {
            continue;
        }
        let Some(task) = Provenance::read(&folder) else { continue };
        // Folders of the store's own tasks are relative to it.
        let store = folder.parent().map(Path::to_owned).unwrap_or_default();
        let upstream = task.inputs.values().flatten().filter(|input| input.folder.is_relative());
        waiting.extend(upstream.filter_map(|input| Some(store.join(input.folder.parent()?))));
        // Another task may have made the same before; what it made is what counts.
        let made = |task: &Provenance| {
            let digests = task.outputs.values().map(|output| output.digest.clone());
            (task.stage.clone(), task.axes.clone(), digests.collect::<Vec<_>>())
        };
        if !tasks.iter().any(|other| made(other) == made(&task)) {
            tasks.push(task);
        }
    }
    tasks.sort_by(|a, b| (&a.stage, &a.key).cmp(&(&b.stage, &b.key)));
    tasks
}

/// The courses of training. A model made by another program may hold none: it is named and left out.
fn read_trainings(inputs: &[InputArtifact], notes: &mut Vec<String>) -> Vec<Training> {
    let mut trainings = Vec::new();
    for input in inputs {
        let Model { arm, fold, seed, card } = read_model(input);
        match table::read_rows(&input.path.join("history.csv")) {
            Ok(history) => trainings.push(Training {
                best_epoch: card.get("best_epoch").and_then(Value::as_u64).map(|e| e as usize),
                n_parameters: card.get("n_parameters").and_then(Value::as_u64),
                arm,
                fold,
                seed,
                history,
            }),
            Err(_) => notes.push(format!(
                "The model of arm {arm}, fold {fold}, seed {seed} brings no readable history.csv: \
                 its learning curve is not shown."
            )),
        }
    }
    trainings
}

fn read_weights(
    folder: Option<&Path>,
    regime: Regime,
    notes: &mut Vec<String>,
) -> Vec<WeightSummary> {
    let Some(folder) = folder else { return Vec::new() };
    match json::read::<Vec<WeightSummary>>(&folder.join("weights.json")) {
        Ok(all) => all.into_iter().filter(|summary| summary.regime == regime).collect(),
        Err(_) => {
            notes.push(
                "weights.json holds no summaries that can be read: the domain shift is not shown."
                    .to_owned(),
            );
            Vec::new()
        }
    }
}
