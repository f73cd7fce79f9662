use std::collections::BTreeMap;

use hemex_artifacts::{Regime, Role};
use hemex_metrics::{MetricError, Ranking, Recalibration};
use serde::Serialize;

use crate::cohort::{CaseLine, Cohort};
use crate::patients::Patients;
use crate::regime::rank;
use crate::resample::Draws;
use crate::{Config, SummaryError};

/// The name of the phantom's own probabilities given the image signs, as an arm.
pub(crate) const ORACLE: &str = "oracle_image_signs";

/// What an arm reaches over the cohorts of a regime.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ArmFigures {
    /// Of the cohorts; empty where they are not told apart.
    pub(crate) setting: String,
    pub(crate) regime: Regime,
    pub(crate) arm: String,
    pub(crate) n_cohorts: usize,
    /// Test patients with a known outcome, and those of whom a hematoma grew.
    pub(crate) n_patients: usize,
    pub(crate) n_growth: usize,
    /// Their cases: scans, of which a patient may have several.
    pub(crate) n_cases: usize,
    /// Of those, how many the arm does not speak of.
    pub(crate) n_unspoken: usize,
    /// Mean over cohorts.
    pub(crate) auroc: Figure,
    /// Above each arm of `against`, paired: over the cases that both speak of.
    pub(crate) above: BTreeMap<String, Figure>,
    /// Share of the way from 0.5 to the oracle.
    pub(crate) share_of_oracle: Option<f64>,
    /// Mean Dice per patient.
    pub(crate) dice: Figure,
    /// Predicted less true volume of all patients, share of the true.
    pub(crate) volume_bias: Option<f64>,
    /// Logistic recalibration over the patients of all cohorts: intercept at slope 1, and slope.
    pub(crate) calibration_intercept: Option<f64>,
    pub(crate) calibration_slope: Option<f64>,
    /// AUROC on the lesion-free heads of validation patients, against their outcome: mean over the cohorts that have
    /// such heads.
    pub(crate) twin_auroc: Figure,
    pub(crate) n_twins: usize,
}

#[cfg(test)]
impl ArmFigures {
    /// Nothing known but the AUROC.
    pub(crate) fn only_auroc(setting: &str, regime: Regime, arm: &str, auroc: Figure) -> Self {
        Self {
            setting: setting.to_owned(),
            regime,
            arm: arm.to_owned(),
            n_cohorts: 1,
            n_patients: 0,
            n_growth: 0,
            n_cases: 0,
            n_unspoken: 0,
            auroc,
            above: BTreeMap::new(),
            share_of_oracle: None,
            dice: Figure::default(),
            volume_bias: None,
            calibration_intercept: None,
            calibration_slope: None,
            twin_auroc: Figure::default(),
            n_twins: 0,
        }
    }
}

/// A figure with its 95 % interval over cohorts and patients.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct Figure {
    pub(crate) value: Option<f64>,
    pub(crate) ci95: Option<[f64; 2]>,
}

/// The cohorts of a setting and a regime.
struct Field<'a> {
    of: (&'a str, Regime),
    cohorts: Vec<&'a Cohort>,
    /// Test cases by cohort: what every arm is asked.
    cases: Vec<BTreeMap<&'a str, &'a CaseLine>>,
    /// Those whose cases they are, by cohort.
    patients: Vec<Patients>,
    draws: Draws,
    seed: u64,
}

/// What an arm says of a cohort's cases: by case the patient's number, the score, and whether the hematoma grew.
type Spoken<'a> = BTreeMap<&'a str, (usize, f64, bool)>;

/// The figures of every arm of every setting and regime: settings in the order of their reports, of each the strictest
/// regime first; arms in the order of the first report, the oracle last.
pub(crate) fn figures(
    cohorts: &[Cohort],
    config: &Config,
    seed: u64,
) -> Result<Vec<ArmFigures>, SummaryError> {
    let mut fields: Vec<(&str, Regime)> = Vec::new();
    for cohort in cohorts {
        let of = (cohort.setting.as_str(), cohort.regime);
        if !fields.contains(&of) {
            fields.push(of);
        }
    }
    let place = |setting: &str| cohorts.iter().position(|cohort| cohort.setting == setting);
    fields.sort_by_key(|(setting, regime)| (place(setting), rank(*regime)));
    let mut all = Vec::new();
    for of in fields {
        let own = |c: &&Cohort| (c.setting.as_str(), c.regime) == of;
        let field = Field::new(of, cohorts.iter().filter(own).collect(), config.n_draws, seed);
        all.extend(field.figures(config)?);
    }
    Ok(all)
}

impl<'a> Field<'a> {
    fn new(of: (&'a str, Regime), cohorts: Vec<&'a Cohort>, n_draws: usize, seed: u64) -> Self {
        let cases: Vec<_> = cohorts.iter().map(|cohort| cohort.test_cases()).collect();
        let patients_of = |cases: &BTreeMap<_, &'a CaseLine>| Patients::of(cases.values().copied());
        let patients: Vec<Patients> = cases.iter().map(patients_of).collect();
        let draws = Draws::new(&patients, n_draws, seed);
        Self { of, cohorts, cases, patients, draws, seed }
    }

    fn figures(&self, config: &Config) -> Result<Vec<ArmFigures>, SummaryError> {
        let mut names: Vec<&str> = Vec::new();
        for (arm, _) in self.cohorts.iter().flat_map(|cohort| &cohort.arms) {
            if !names.contains(&arm.as_str()) {
                names.push(arm);
            }
        }
        let knows = |case: &&CaseLine| case.true_probability_image_signs.is_some();
        let n_known =
            self.cases.iter().flat_map(BTreeMap::values).filter(|case| knows(case)).count();
        if n_known > 0 && n_known == self.n_cases() {
            names.push(ORACLE);
        }
        let rows: Vec<Vec<Vec<&CaseLine>>> = names.iter().map(|name| self.rows(name)).collect();
        let spoken = names.iter().zip(&rows).map(|(name, rows)| (*name, self.spoken(name, rows)));
        let spoken: BTreeMap<&str, Vec<Spoken<'_>>> = spoken.collect();
        let oracle = spoken.get(ORACLE).map(|oracle| self.auroc(ORACLE, oracle)).transpose()?;
        let oracle = oracle.and_then(|figure| figure.value);
        let arm = |(name, rows): (&&str, &Vec<_>)| self.arm(name, rows, &spoken, oracle, config);
        names.iter().zip(&rows).map(arm).collect()
    }

    fn arm(
        &self,
        name: &str,
        rows: &[Vec<&CaseLine>],
        spoken: &BTreeMap<&str, Vec<Spoken<'_>>>,
        oracle: Option<f64>,
        config: &Config,
    ) -> Result<ArmFigures, SummaryError> {
        let own = &spoken[name];
        let auroc = self.auroc(name, own)?;
        let others = config.against.iter().filter(|other| *other != name);
        let above = others.filter_map(|other| {
            let difference = self.difference(name, own, spoken.get(other.as_str())?);
            Some(difference.map(|difference| (other.clone(), difference)))
        });
        let above = above.collect::<Result<_, _>>()?;
        // The oracle says nothing of masks: what its rows hold of them is another arm's.
        let with_masks = if name == ORACLE { &[] } else { rows };
        let (calibration_intercept, calibration_slope) = calibration(name, rows);
        let (twin_auroc, n_twins) = self.twins(name)?;
        let (setting, regime) = self.of;
        Ok(ArmFigures {
            setting: setting.to_owned(),
            regime,
            arm: name.to_owned(),
            n_cohorts: own.iter().filter(|cases| !cases.is_empty()).count(),
            n_patients: self.patients.iter().map(Patients::n_patients).sum(),
            n_growth: self.patients.iter().map(Patients::n_growth).sum(),
            n_cases: self.n_cases(),
            n_unspoken: self.n_cases() - own.iter().map(BTreeMap::len).sum::<usize>(),
            share_of_oracle: auroc.value.zip(oracle).map(|(own, o)| (own - 0.5) / (o - 0.5)),
            auroc,
            above,
            dice: self.dice(with_masks),
            volume_bias: volume_bias(with_masks),
            calibration_intercept,
            calibration_slope,
            twin_auroc,
            n_twins,
        })
    }

    fn n_cases(&self) -> usize {
        self.cases.iter().map(BTreeMap::len).sum()
    }

    /// Rows of an arm of the test cases, by cohort; of the oracle those of any arm.
    fn rows(&self, name: &str) -> Vec<Vec<&'a CaseLine>> {
        let of_cohort = |(cohort, cases): (&&'a Cohort, &BTreeMap<&str, &'a CaseLine>)| {
            if name == ORACLE {
                return cases.values().copied().collect();
            }
            let is_asked = |row: &&CaseLine| {
                row.role == Role::Test && cases.contains_key(row.case_id.as_str())
            };
            cohort.arm(name).unwrap_or_default().iter().filter(is_asked).collect::<Vec<_>>()
        };
        self.cohorts.iter().zip(&self.cases).map(of_cohort).collect()
    }

    fn spoken<'r>(&self, name: &str, rows: &[Vec<&'r CaseLine>]) -> Vec<Spoken<'r>> {
        let of_cohort = |(rows, patients): (&Vec<&'r CaseLine>, &Patients)| {
            let said = |row: &&'r CaseLine| {
                let told = (patients.idx_of(row)?, score(name, row)?, row.growth?);
                Some((row.case_id.as_str(), told))
            };
            rows.iter().filter_map(said).collect()
        };
        rows.iter().zip(&self.patients).map(of_cohort).collect()
    }

    fn rankings(
        &self,
        name: &str,
        spoken: &[Spoken<'_>],
    ) -> Result<Vec<Option<Ranking>>, SummaryError> {
        let ranking = |(spoken, patients): (&Spoken<'_>, &Patients)| {
            ranking(spoken.values().copied(), patients).map_err(|source| of(name, "AUROC", source))
        };
        spoken.iter().zip(&self.patients).map(ranking).collect()
    }

    fn auroc(&self, name: &str, spoken: &[Spoken<'_>]) -> Result<Figure, SummaryError> {
        let rankings = self.rankings(name, spoken)?;
        Ok(Figure {
            value: mean_auroc(&rankings),
            ci95: self.draws.interval(|draw| drawn_auroc(&rankings, draw)),
        })
    }

    /// How far an arm's AUROC lies above another's, over the cases that both speak of: else who leaves out what is hard
    /// would lie above who does not.
    fn difference(
        &self,
        name: &str,
        own: &[Spoken<'_>],
        other: &[Spoken<'_>],
    ) -> Result<Figure, SummaryError> {
        let ours = self.rankings(name, &common(own, other))?;
        let theirs = self.rankings(name, &common(other, own))?;
        let difference = |a: Option<f64>, b: Option<f64>| Some(a? - b?);
        Ok(Figure {
            value: difference(mean_auroc(&ours), mean_auroc(&theirs)),
            ci95: self
                .draws
                .interval(|draw| difference(drawn_auroc(&ours, draw), drawn_auroc(&theirs, draw))),
        })
    }

    fn dice(&self, rows: &[Vec<&CaseLine>]) -> Figure {
        let of_cohort = |cohort: usize, n_drawn: Option<&[u32]>| {
            let (mut sum, mut n) = (0.0, 0.0);
            for row in &rows[cohort] {
                if let (Some(dice), Some(p)) = (row.dice, self.patients[cohort].idx_of(row)) {
                    let times = n_drawn.map_or(1.0, |n_drawn| f64::from(n_drawn[p]));
                    (sum, n) = (sum + times * dice, n + times);
                }
            }
            (n > 0.0).then(|| sum / n)
        };
        let value = mean((0..rows.len()).map(|cohort| of_cohort(cohort, None)));
        let ci95 = value.and_then(|_| {
            let drawn = |draw: &[(usize, Vec<u32>)]| {
                mean(draw.iter().map(|(cohort, n_drawn)| of_cohort(*cohort, Some(n_drawn))))
            };
            self.draws.interval(drawn)
        });
        Figure { value, ci95 }
    }

    /// AUROC of the twins' logits over the validation patients of the cohorts that have twins, and how many they are.
    /// What a model does not say of a head without hematoma ranks with whatever else it does not say.
    fn twins(&self, name: &str) -> Result<(Figure, usize), SummaryError> {
        let rows = self.cohorts.iter().map(|cohort| cohort.with_twins(name));
        let rows: Vec<Vec<&CaseLine>> = rows.filter(|rows| !rows.is_empty()).collect();
        if rows.is_empty() {
            return Ok((Figure::default(), 0));
        }
        let patients: Vec<Patients> =
            rows.iter().map(|rows| Patients::of(rows.iter().copied())).collect();
        let ranking = |(rows, patients): (&Vec<&CaseLine>, &Patients)| {
            let told = |row: &&CaseLine| {
                let logit = row.twin_logit.unwrap_or(f64::NEG_INFINITY);
                Some((patients.idx_of(row)?, logit, row.growth?))
            };
            ranking(rows.iter().filter_map(told), patients)
                .map_err(|source| of(name, "AUROC on twins", source))
        };
        let rankings = rows.iter().zip(&patients).map(ranking).collect::<Result<Vec<_>, _>>()?;
        let draws = Draws::new(&patients, self.draws.draws.len(), self.seed);
        let ci95 = draws.interval(|draw| drawn_auroc(&rankings, draw));
        let figure = Figure { value: mean_auroc(&rankings), ci95 };
        Ok((figure, rows.iter().map(Vec::len).sum()))
    }
}

/// What is said of the cases of which the other speaks too.
fn common<'a>(spoken: &[Spoken<'a>], other: &[Spoken<'_>]) -> Vec<Spoken<'a>> {
    let of_cohort = |(spoken, other): (&Spoken<'a>, &Spoken<'_>)| {
        let both = spoken.iter().filter(|(case, _)| other.contains_key(*case));
        both.map(|(case, told)| (*case, *told)).collect()
    };
    spoken.iter().zip(other).map(of_cohort).collect()
}

/// Ranks a cohort's cases, each with its patient's number, score and outcome; `None` without any.
fn ranking(
    cases: impl Iterator<Item = (usize, f64, bool)>,
    patients: &Patients,
) -> Result<Option<Ranking>, MetricError> {
    let cases: Vec<(usize, f64, bool)> = cases.collect();
    if cases.is_empty() {
        return Ok(None);
    }
    let scores: Vec<f64> = cases.iter().map(|(_, score, _)| *score).collect();
    let labels: Vec<bool> = cases.iter().map(|(_, _, label)| *label).collect();
    let idx: Vec<usize> = cases.iter().map(|(p, _, _)| *p).collect();
    Ranking::of_patients(&scores, &labels, &idx, patients.n_patients()).map(Some)
}

fn mean_auroc(rankings: &[Option<Ranking>]) -> Option<f64> {
    mean(rankings.iter().map(|ranking| {
        let ranking = ranking.as_ref()?;
        ranking.auroc(&vec![1; ranking.n_patients()])
    }))
}

fn score(name: &str, row: &CaseLine) -> Option<f64> {
    if name == ORACLE { row.true_probability_image_signs } else { row.score() }
}

fn of(arm: &str, figure: &str, source: MetricError) -> SummaryError {
    SummaryError::Figure { what: format!("{figure} of `{arm}`"), source }
}

/// The mean; `None` where one is not defined.
fn mean(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let values: Vec<f64> = values.collect::<Option<_>>()?;
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

fn drawn_auroc(rankings: &[Option<Ranking>], draw: &[(usize, Vec<u32>)]) -> Option<f64> {
    mean(draw.iter().map(|(cohort, n_drawn)| rankings[*cohort].as_ref()?.auroc(n_drawn)))
}

fn volume_bias(rows: &[Vec<&CaseLine>]) -> Option<f64> {
    let pairs =
        rows.iter().flatten().filter_map(|row| Some((row.volume_ml?, row.reference_volume_ml?)));
    let (found, true_ml) = pairs.fold((0.0, 0.0), |(a, b), (x, y)| (a + x, b + y));
    (true_ml > 0.0).then(|| found / true_ml - 1.0)
}

/// Intercept at slope 1, and slope; nothing where probabilities have no spread or tell the classes apart.
fn calibration(name: &str, rows: &[Vec<&CaseLine>]) -> (Option<f64>, Option<f64>) {
    let stated = rows.iter().flatten().filter_map(|row| {
        let probability =
            if name == ORACLE { row.true_probability_image_signs } else { row.probability };
        Some((probability?, row.growth?))
    });
    let (probabilities, labels): (Vec<f64>, Vec<bool>) = stated.unzip();
    match Recalibration::fit(&probabilities, &labels) {
        Ok(fit) => (Some(fit.intercept_at_unit_slope), Some(fit.slope)),
        Err(_) => (None, None),
    }
}

#[cfg(test)]
pub(crate) mod tests;
