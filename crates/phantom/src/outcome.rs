//! The logistic outcome model and what the best possible predictor reaches on it.

use std::collections::BTreeMap;

use hemex_stage::DrawKey;
use rayon::prelude::*;
use serde::Serialize;

use crate::cohort::Patient;
use crate::config::{Config, PerPredictor};
use crate::scanner::Site;
use crate::signs::{Clinical, ClinicalDraw, ImageSigns};

/// Draws of the clinical columns over which the image-only probability is averaged.
const N_CLINICAL_DRAWS: usize = 256;
/// People a chunk of the population holds; each chunk has a generator of its own.
const CHUNK: usize = 1000;

/// The model: `logit P(growth) = intercept + Σ ln(odds ratio) · predictor`.
#[derive(Debug)]
pub(crate) struct OutcomeModel<'a> {
    config: &'a Config,
    intercept: f64,
    coefficients: PerPredictor,
    clinical_draws: Vec<ClinicalDraw>,
}

/// The AUROC of the true probabilities in a large population drawn from the config, and at each site.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Oracle {
    pub(crate) auroc_population: f64,
    pub(crate) auroc_population_image_signs: f64,
    pub(crate) n_population: usize,
    pub(crate) sites: BTreeMap<String, SiteOracle>,
}

/// What the best possible predictor reaches at a site.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct SiteOracle {
    pub(crate) prevalence: f64,
    pub(crate) auroc: f64,
    pub(crate) auroc_image_signs: f64,
}

/// Someone of the population as the oracle weighs them: a score, and how often they come as growing and as
/// stable.
#[derive(Debug, Clone, Copy)]
struct Weighed {
    score: f64,
    growing: f64,
    stable: f64,
}

/// The model as `truth.json` shows it.
#[derive(Debug, Serialize)]
pub(crate) struct ModelRecord {
    intercept: f64,
    coefficients: PerPredictor,
    /// By how much the probability rises where the hematoma is a tenth larger: mean and largest of the
    /// cohort. What an augmentation that changes volumes so much does to a label that it keeps.
    probability_rise_with_a_tenth_more_volume: Rise,
}

/// Mean and largest of a cohort.
#[derive(Debug, Clone, Copy, Serialize)]
struct Rise {
    mean: f64,
    largest: f64,
}

/// Someone of the population on which intercept and oracle are computed.
struct Member<'a> {
    site_name: &'a str,
    site: &'a Site,
    signs: ImageSigns,
    score: f64,
}

impl<'a> OutcomeModel<'a> {
    /// Solves the intercept so that the mean probability in the population is the configured
    /// prevalence, and computes the oracle there.
    pub(crate) fn solve(config: &'a Config, seed: u64) -> (Self, Oracle) {
        let coefficients = config.odds_ratio.ln();
        let population = population(config, &coefficients, seed);
        let scores: Vec<f64> = population.iter().map(|member| member.score).collect();
        let mut rng = DrawKey::new(seed, "phantom.clinical_average").rng();
        let model = Self {
            config,
            intercept: intercept(&scores, config.prevalence),
            coefficients,
            clinical_draws: (0..N_CLINICAL_DRAWS).map(|_| ClinicalDraw::draw(&mut rng)).collect(),
        };
        let oracle = model.oracle(&population);
        (model, oracle)
    }

    pub(crate) fn record(&self, patients: &[Patient]) -> ModelRecord {
        let step = self.coefficients.volume * 1.1f64.ln() / self.config.lesion.volume_sigma_log;
        let rises = patients.iter().map(|patient| {
            let score = score(self.config, &self.coefficients, &patient.signs, &patient.clinical);
            logistic(self.intercept + score + step) - logistic(self.intercept + score)
        });
        ModelRecord {
            intercept: self.intercept,
            coefficients: self.coefficients,
            probability_rise_with_a_tenth_more_volume: Rise {
                mean: rises.clone().sum::<f64>() / patients.len() as f64,
                largest: rises.fold(0.0, f64::max),
            },
        }
    }

    /// The probability of growth, everything known, where no site admits one outcome rather than the other.
    pub(crate) fn probability_everywhere(&self, signs: &ImageSigns, clinical: &Clinical) -> f64 {
        logistic(self.intercept + score(self.config, &self.coefficients, signs, clinical))
    }

    /// The probability of growth at a site, everything known.
    pub(crate) fn probability(&self, signs: &ImageSigns, clinical: &Clinical, site: &Site) -> f64 {
        site.shifted(self.probability_everywhere(signs, clinical))
    }

    /// The probability of growth, the scan alone known: averaged over the clinical columns as they are
    /// distributed given the image signs at this site (a scan shows where it was made).
    pub(crate) fn probability_image_signs(&self, signs: &ImageSigns, site: &Site) -> f64 {
        let image = self.intercept + signs.score(&self.config.lesion, &self.coefficients);
        let sum: f64 = self
            .clinical_draws
            .iter()
            .map(|draw| {
                let (lesion, clinical) = (&self.config.lesion, &self.config.clinical);
                let values = Clinical::new(draw, signs, lesion, clinical, site);
                logistic(image + values.score(clinical, &self.coefficients))
            })
            .sum();
        site.shifted(sum / self.clinical_draws.len() as f64)
    }

    fn oracle(&self, population: &[Member]) -> Oracle {
        let both: Vec<[Weighed; 2]> =
            population.par_iter().map(|member| self.weighed(member)).collect();
        let mut of_site: BTreeMap<&str, Vec<[Weighed; 2]>> = BTreeMap::new();
        for (member, weighed) in population.iter().zip(both) {
            of_site.entry(member.site_name).or_default().push(weighed);
        }
        let mut sites = BTreeMap::new();
        for (name, members) in &mut of_site {
            let oracle = SiteOracle {
                prevalence: prevalence(members),
                auroc: auroc(members, 0),
                auroc_image_signs: auroc(members, 1),
            };
            sites.insert((*name).to_owned(), oracle);
            // A site has its share of patients, however many it turns away.
            let total: f64 = members.iter().map(|[m, _]| m.growing + m.stable).sum();
            let scale = members.len() as f64 / total;
            for weighed in members.iter_mut().flatten() {
                weighed.growing *= scale;
                weighed.stable *= scale;
            }
        }
        let all: Vec<[Weighed; 2]> = of_site.into_values().flatten().collect();
        Oracle {
            auroc_population: auroc(&all, 0),
            auroc_population_image_signs: auroc(&all, 1),
            n_population: population.len(),
            sites,
        }
    }

    /// A member with all inputs known, and with the scan alone.
    fn weighed(&self, member: &Member) -> [Weighed; 2] {
        let probability = logistic(self.intercept + member.score);
        let [of_growing, of_stable] = member.site.admitted_shares();
        let weighed = |score| Weighed {
            score,
            growing: of_growing * probability,
            stable: of_stable * (1.0 - probability),
        };
        let image = self.probability_image_signs(&member.signs, member.site);
        [weighed(member.site.shifted(probability)), weighed(image)]
    }
}

fn prevalence(members: &[[Weighed; 2]]) -> f64 {
    let growing: f64 = members.iter().map(|[m, _]| m.growing).sum();
    growing / members.iter().map(|[m, _]| m.growing + m.stable).sum::<f64>()
}

/// Of the first or second score of each.
fn auroc(members: &[[Weighed; 2]], which: usize) -> f64 {
    expected_auroc(&members.iter().map(|both| both[which]).collect::<Vec<_>>())
}

fn population<'a>(config: &'a Config, coefficients: &PerPredictor, seed: u64) -> Vec<Member<'a>> {
    let sites: Vec<(&String, &Site)> = config.site.iter().collect();
    let total: f64 = sites.iter().map(|(_, site)| site.share).sum();
    let n = config.n_population;
    let chunks = n.div_ceil(CHUNK);
    (0..chunks)
        .into_par_iter()
        .flat_map_iter(|chunk| {
            let mut rng = DrawKey::new(seed, "phantom.population").slice(chunk).rng();
            let sites = sites.clone();
            (chunk * CHUNK..n.min((chunk + 1) * CHUNK)).map(move |i| {
                // The golden ratio spreads any run of people evenly over the sites.
                let place = (i as f64 * 0.618_033_988_749_895).fract() * total;
                let (site_name, site) = site_at(&sites, place);
                let signs = ImageSigns::draw(&mut rng, config, site);
                let draw = ClinicalDraw::draw(&mut rng);
                let clinical = Clinical::new(&draw, &signs, &config.lesion, &config.clinical, site);
                Member {
                    site_name,
                    site,
                    signs,
                    score: score(config, coefficients, &signs, &clinical),
                }
            })
        })
        .collect()
}

/// The site in whose share `place` (0 to the sum of shares) falls.
fn site_at<'a>(sites: &[(&'a String, &'a Site)], mut place: f64) -> (&'a String, &'a Site) {
    for site in sites {
        if place < site.1.share {
            return *site;
        }
        place -= site.1.share;
    }
    sites[sites.len() - 1]
}

fn score(
    config: &Config,
    coefficients: &PerPredictor,
    signs: &ImageSigns,
    clinical: &Clinical,
) -> f64 {
    signs.score(&config.lesion, coefficients) + clinical.score(&config.clinical, coefficients)
}

fn logistic(logit: f64) -> f64 {
    1.0 / (1.0 + (-logit).exp())
}

/// The intercept at which the mean probability is `prevalence`, by bisection.
fn intercept(scores: &[f64], prevalence: f64) -> f64 {
    let (mut low, mut high) = (-60.0, 60.0);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        let mean = scores.iter().map(|s| logistic(middle + s)).sum::<f64>() / scores.len() as f64;
        if mean < prevalence {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

/// The AUROC of a score when each person comes growing and stable as often as stated.
///
/// The chance that a positive scores above a negative is a ratio of expected pair counts: labels need not be
/// drawn, so the figure carries no label noise.
fn expected_auroc(people: &[Weighed]) -> f64 {
    let mut sorted = people.to_vec();
    sorted.sort_by(|a, b| a.score.total_cmp(&b.score));
    let (mut below, mut pairs, mut positives) = (0.0, 0.0, 0.0);
    for tied in sorted.chunk_by(|a, b| a.score == b.score) {
        let positive: f64 = tied.iter().map(|person| person.growing).sum();
        let negative: f64 = tied.iter().map(|person| person.stable).sum();
        pairs += positive * (below + 0.5 * negative);
        below += negative;
        positives += positive;
    }
    pairs / (positives * below)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use rand::RngExt;

    use super::*;
    use crate::tests::config;

    #[test]
    fn the_demo_has_the_prevalence_and_the_oracle_it_is_meant_to_have() {
        let config = config("phantom.toml", |_| ());
        let (model, oracle) = OutcomeModel::solve(&config, 1);
        let probabilities: Vec<f64> = population(&config, &model.coefficients, 1)
            .iter()
            .map(|member| logistic(model.intercept + member.score))
            .collect();
        let mean = probabilities.iter().sum::<f64>() / probabilities.len() as f64;
        assert!((mean - 0.25).abs() < 1e-6, "{mean}");
        assert!((0.85..0.88).contains(&oracle.auroc_population), "{oracle:?}");
        assert!((0.78..0.82).contains(&oracle.auroc_population_image_signs), "{oracle:?}");
        assert_eq!(oracle.n_population, 100_000);
    }

    #[test]
    fn the_oracle_is_what_drawn_outcomes_give() {
        let config = config("phantom.toml", |raw| raw.n_population = 200_000);
        let (model, oracle) = OutcomeModel::solve(&config, 2);
        let mut rng = DrawKey::new(2, "test").rng();
        // Another population than the one the oracle was computed on.
        let people = population(&config, &model.coefficients, 77);
        let (mut full, mut image, mut grew) = (Vec::new(), Vec::new(), Vec::new());
        for member in &people {
            let probability = logistic(model.intercept + member.score);
            full.push(probability);
            image.push(model.probability_image_signs(&member.signs, member.site));
            grew.push(rng.random_bool(probability));
        }
        // The standard error of these AUROCs is 0.001.
        let auroc = hemex_metrics::auroc(&full, &grew).unwrap();
        assert!((auroc - oracle.auroc_population).abs() < 0.005, "{auroc} {oracle:?}");
        let auroc = hemex_metrics::auroc(&image, &grew).unwrap();
        assert!((auroc - oracle.auroc_population_image_signs).abs() < 0.005, "{auroc} {oracle:?}");
        // Averaged probabilities are probabilities: their mean is the prevalence, too.
        let mean = image.iter().sum::<f64>() / image.len() as f64;
        assert!((mean - 0.25).abs() < 0.005, "{mean}");
    }

    #[test]
    fn the_image_only_probability_is_the_average_over_clinical_values() {
        let config = config("phantom.toml", |_| ());
        let (model, _) = OutcomeModel::solve(&config, 3);
        let mut rng = DrawKey::new(3, "test").rng();
        for member in population(&config, &model.coefficients, 5).iter().take(5) {
            let n = 20_000;
            let sum: f64 = (0..n)
                .map(|_| {
                    let draw = ClinicalDraw::draw(&mut rng);
                    let (lesion, clinical) = (&config.lesion, &config.clinical);
                    let values = Clinical::new(&draw, &member.signs, lesion, clinical, member.site);
                    model.probability(&member.signs, &values, member.site)
                })
                .sum();
            let found = model.probability_image_signs(&member.signs, member.site);
            assert!((found - sum / f64::from(n)).abs() < 0.03, "{found} {}", sum / f64::from(n));
        }
    }

    #[test]
    fn expected_auroc_of_certain_and_of_equal_people() {
        let of = |people: &[(f64, f64)]| {
            let weighed = people.iter().map(|(score, growing)| Weighed {
                score: *score,
                growing: *growing,
                stable: 1.0 - growing,
            });
            expected_auroc(&weighed.collect::<Vec<_>>())
        };
        assert_eq!(of(&[(0.1, 0.0), (0.2, 1.0), (0.3, 0.0), (0.4, 1.0)]), 0.75);
        assert_eq!(of(&[(0.5, 0.3), (0.5, 0.8)]), 0.5);
    }
}
