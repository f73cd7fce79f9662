use std::collections::BTreeMap;

use hemex_artifacts::{Regime, Role};
use hemex_metrics::{MetricError, Ranking, Recalibration};
use serde::Serialize;

use crate::cohort::{CaseLine, Cohort};
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
    /// Test patients with a known outcome, and those that grew.
    pub(crate) n_patients: usize,
    pub(crate) n_growth: usize,
    /// Of those, how many the arm does not speak of.
    pub(crate) n_unspoken: usize,
    /// Mean over cohorts.
    pub(crate) auroc: Figure,
    /// Above each arm of `against`, paired.
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
    /// AUROC on the lesion-free heads of validation patients, against their outcome.
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

/// The cohorts of a setting and a regime, their patients numbered.
struct Field<'a> {
    of: (&'a str, Regime),
    cohorts: Vec<&'a Cohort>,
    /// Test patients by cohort.
    patients: Vec<BTreeMap<String, CaseLine>>,
    draws: Draws,
    seed: u64,
}

/// The figures of every arm of every setting and regime; arms in the order of the first report, the oracle last.
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
        let patients: Vec<BTreeMap<String, CaseLine>> =
            cohorts.iter().map(|cohort| cohort.test_cases()).collect();
        let labels = |cases: &BTreeMap<String, CaseLine>| {
            cases.values().map(|case| case.growth == Some(true)).collect()
        };
        let labels: Vec<Vec<bool>> = patients.iter().map(labels).collect();
        Self { of, cohorts, draws: Draws::new(&labels, n_draws, seed), patients, seed }
    }

    fn figures(&self, config: &Config) -> Result<Vec<ArmFigures>, SummaryError> {
        let mut names: Vec<&str> = Vec::new();
        for (arm, _) in self.cohorts.iter().flat_map(|cohort| &cohort.arms) {
            if !names.contains(&arm.as_str()) {
                names.push(arm);
            }
        }
        let has_truth = self.patients.iter().flat_map(BTreeMap::values);
        if has_truth.clone().next().is_some()
            && has_truth.clone().all(|case| case.true_probability_image_signs.is_some())
        {
            names.push(ORACLE);
        }
        let ranked = names.iter().map(|name| self.rankings(name).map(|rankings| (*name, rankings)));
        let rankings: BTreeMap<&str, Vec<Option<Ranking>>> =
            ranked.collect::<Result<_, SummaryError>>()?;
        let oracle = rankings.get(ORACLE).and_then(|oracle| self.mean_auroc(oracle));
        names.iter().map(|name| self.arm(name, &rankings, oracle, config)).collect()
    }

    fn arm(
        &self,
        name: &str,
        rankings: &BTreeMap<&str, Vec<Option<Ranking>>>,
        oracle: Option<f64>,
        config: &Config,
    ) -> Result<ArmFigures, SummaryError> {
        let own = &rankings[name];
        let auroc = Figure {
            value: self.mean_auroc(own),
            ci95: self.draws.interval(|draw| drawn_auroc(own, draw)),
        };
        let above = config.against.iter().filter(|other| *other != name).filter_map(|other| {
            let other_rankings = rankings.get(other.as_str())?;
            let difference = |a: Option<f64>, b: Option<f64>| Some(a? - b?);
            let value = difference(auroc.value, self.mean_auroc(other_rankings));
            let ci95 = self.draws.interval(|draw| {
                difference(drawn_auroc(own, draw), drawn_auroc(other_rankings, draw))
            });
            Some((other.clone(), Figure { value, ci95 }))
        });
        let rows = self.rows(name);
        let spoken = rows.iter().flatten().filter(|(_, row)| score(name, row).is_some()).count();
        let n_patients = self.patients.iter().map(BTreeMap::len).sum();
        let (calibration_intercept, calibration_slope) = calibration(name, &rows);
        let (twin_auroc, n_twins) = self.twins(name)?;
        let (setting, regime) = self.of;
        Ok(ArmFigures {
            setting: setting.to_owned(),
            regime,
            arm: name.to_owned(),
            n_cohorts: own.iter().flatten().count(),
            n_patients,
            n_growth: self
                .patients
                .iter()
                .flat_map(BTreeMap::values)
                .filter(|case| case.growth == Some(true))
                .count(),
            n_unspoken: n_patients - spoken,
            share_of_oracle: auroc.value.zip(oracle).map(|(own, o)| (own - 0.5) / (o - 0.5)),
            auroc,
            above: above.collect(),
            dice: self.dice(&rows),
            volume_bias: volume_bias(&rows),
            calibration_intercept,
            calibration_slope,
            twin_auroc,
            n_twins,
        })
    }

    /// Test rows of an arm by cohort, each with the number of its patient.
    fn rows(&self, name: &str) -> Vec<Vec<(usize, CaseLine)>> {
        let of_cohort = |(cohort, patients): (&&Cohort, &BTreeMap<String, CaseLine>)| {
            if name == ORACLE {
                // It says nothing of masks: what a row holds of them is another arm's.
                let alone =
                    |row: &CaseLine| CaseLine { dice: None, volume_ml: None, ..row.clone() };
                return patients.values().map(alone).enumerate().collect();
            }
            let rows = cohort.arm(name).unwrap_or_default();
            let own: BTreeMap<&str, &CaseLine> = rows
                .iter()
                .filter(|row| row.role == Role::Test)
                .map(|row| (row.case_id.as_str(), row))
                .collect();
            let numbered = patients.keys().enumerate();
            numbered
                .filter_map(|(p, id)| Some((p, (*own.get(id.as_str())?).clone())))
                .collect::<Vec<_>>()
        };
        self.cohorts.iter().zip(&self.patients).map(of_cohort).collect()
    }

    fn rankings(&self, name: &str) -> Result<Vec<Option<Ranking>>, SummaryError> {
        let ranking = |(rows, patients): (&Vec<(usize, CaseLine)>, &BTreeMap<_, _>)| {
            let spoken: Vec<(usize, f64, bool)> = rows
                .iter()
                .filter_map(|(p, row)| Some((*p, score(name, row)?, row.growth?)))
                .collect();
            if spoken.is_empty() {
                return Ok(None);
            }
            let scores: Vec<f64> = spoken.iter().map(|(_, score, _)| *score).collect();
            let labels: Vec<bool> = spoken.iter().map(|(_, _, label)| *label).collect();
            let places: Vec<usize> = spoken.iter().map(|(p, _, _)| *p).collect();
            Ranking::of_patients(&scores, &labels, &places, patients.len())
                .map(Some)
                .map_err(|source| of(name, "AUROC", source))
        };
        let rows = self.rows(name);
        rows.iter().zip(&self.patients).map(ranking).collect()
    }

    fn mean_auroc(&self, rankings: &[Option<Ranking>]) -> Option<f64> {
        let each = |(ranking, patients): (&Option<Ranking>, &BTreeMap<_, _>)| {
            ranking.as_ref()?.auroc(&vec![1; patients.len()])
        };
        mean(rankings.iter().zip(&self.patients).map(each))
    }

    fn dice(&self, rows: &[Vec<(usize, CaseLine)>]) -> Figure {
        let of_cohort = |cohort: usize, n_drawn: Option<&[u32]>| {
            let (mut sum, mut n) = (0.0, 0.0);
            for (p, row) in &rows[cohort] {
                if let Some(dice) = row.dice {
                    let times = n_drawn.map_or(1.0, |n_drawn| f64::from(n_drawn[*p]));
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

    /// AUROC of the twins' logits over the validation patients of all cohorts, and how many they are. What a model does
    /// not say of a head without hematoma ranks with whatever else it does not say.
    fn twins(&self, name: &str) -> Result<(Figure, usize), SummaryError> {
        let rows = self.cohorts.iter().map(|cohort| {
            let rows = cohort.arm(name).unwrap_or_default();
            rows.iter().filter(|row| row.role == Role::Val && row.growth.is_some()).collect()
        });
        let rows: Vec<Vec<&CaseLine>> = rows.collect();
        // Twins were read if the arm says anything of one, or of none although it speaks of the cases themselves.
        let others = self.cohorts.iter().flat_map(|cohort| &cohort.arms);
        let any = others.flat_map(|(_, rows)| rows).any(|row| row.twin_logit.is_some());
        if !any || rows.iter().all(Vec::is_empty) {
            return Ok((Figure::default(), 0));
        }
        let labels: Vec<Vec<bool>> = rows
            .iter()
            .map(|rows| rows.iter().map(|row| row.growth == Some(true)).collect())
            .collect();
        let ranking = |(rows, labels): (&Vec<&CaseLine>, &Vec<bool>)| {
            let scores: Vec<f64> =
                rows.iter().map(|row| row.twin_logit.unwrap_or(f64::NEG_INFINITY)).collect();
            Ranking::new(&scores, labels)
                .map(Some)
                .map_err(|source| of(name, "AUROC on twins", source))
        };
        let rankings: Vec<Option<Ranking>> =
            rows.iter().zip(&labels).map(ranking).collect::<Result<_, _>>()?;
        let draws = Draws::new(&labels, self.draws.draws.len(), self.seed);
        let whole = rankings.iter().zip(&labels).map(|(ranking, labels)| {
            ranking.as_ref().and_then(|ranking| ranking.auroc(&vec![1; labels.len()]))
        });
        let value = mean(whole);
        let ci95 = draws.interval(|draw| drawn_auroc(&rankings, draw));
        Ok((Figure { value, ci95 }, rows.iter().map(Vec::len).sum()))
    }
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

fn volume_bias(rows: &[Vec<(usize, CaseLine)>]) -> Option<f64> {
    let pairs = rows
        .iter()
        .flatten()
        .filter_map(|(_, row)| Some((row.volume_ml?, row.reference_volume_ml?)));
    let (found, true_ml) = pairs.fold((0.0, 0.0), |(a, b), (x, y)| (a + x, b + y));
    (true_ml > 0.0).then(|| found / true_ml - 1.0)
}

/// Intercept at slope 1, and slope; nothing where probabilities have no spread or tell the classes apart.
fn calibration(name: &str, rows: &[Vec<(usize, CaseLine)>]) -> (Option<f64>, Option<f64>) {
    let stated = rows.iter().flatten().filter_map(|(_, row)| {
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
mod tests;
