use std::collections::BTreeMap;

use hemex_artifacts::{Cases, Regime, Role, SplitRow, WeightRow, WeightSummary, json, table};
use hemex_stage::{Request, warning};

use crate::fold::FoldWeights;
use crate::{Config, FeatureTable, ShiftError, weigh};

/// Source and target cases of a fold, as rows of the feature table.
#[derive(Default)]
struct Domains {
    /// That train or calibrate: of one population, so that both weigh by one ratio.
    source: Vec<usize>,
    target: Vec<usize>,
}

/// Runs the stage.
///
/// # Errors
/// If an input cannot be read or a classifier cannot be fitted.
pub fn run(config: &Config, request: &Request) -> anyhow::Result<()> {
    let cases = Cases::open(request.input("cases")?)?;
    let splits = table::read_rows::<SplitRow>(&request.input("splits")?.join("splits.csv"))?;
    let output = request.output("weights")?;
    let features = FeatureTable::of(&cases)?;
    features.write(&output.join("features.csv"))?;
    let mut rows = Vec::new();
    let mut summaries = Vec::new();
    for ((regime, fold), domains) in domains(&splits, &features)? {
        let found = weigh(&features, &domains.source, &domains.target, config, request.seed)
            .map_err(|reason| ShiftError::NotFitted { regime: regime.name(), fold, reason })?;
        warn_if_few(config, regime, fold, &domains, &found);
        rows.extend(domains.source.iter().zip(&found.weights).map(|(case, weight)| WeightRow {
            regime,
            fold,
            case_id: features.case_ids[*case].clone(),
            weight: *weight,
        }));
        summaries.push(summary(regime, fold, &domains, found));
    }
    table::write_rows(&output.join("weights.csv"), &WeightRow::COLUMNS, &rows)?;
    json::write(&output.join("weights.json"), &summaries)?;
    Ok(())
}

/// The domains of every fold. A case counts once, also where its slices are units of their own.
fn domains(
    splits: &[SplitRow],
    features: &FeatureTable,
) -> Result<BTreeMap<(Regime, usize), Domains>, ShiftError> {
    let mut domains: BTreeMap<(Regime, usize), Domains> = BTreeMap::new();
    for row in splits {
        let case = features
            .position(&row.case_id)
            .ok_or_else(|| ShiftError::UnknownCase { case_id: row.case_id.clone() })?;
        let fold = domains.entry((row.regime, row.fold)).or_default();
        let members = match row.role {
            Role::Train | Role::Calibration => &mut fold.source,
            Role::Target => &mut fold.target,
            Role::Val | Role::Test => continue,
        };
        if !members.contains(&case) {
            members.push(case);
        }
    }
    Ok(domains)
}

fn warn_if_few(
    config: &Config,
    regime: Regime,
    fold: usize,
    domains: &Domains,
    found: &FoldWeights,
) {
    let (n, effective) = (domains.source.len(), found.effective_sample_size);
    if effective < config.min_effective_share * n as f64 {
        warning(format!(
            "regime {}, fold {fold}: the weights leave an effective sample size of {effective:.0} of {n} \
             source cases; the target domain is far from them",
            regime.name()
        ));
    }
}

fn summary(regime: Regime, fold: usize, domains: &Domains, found: FoldWeights) -> WeightSummary {
    WeightSummary {
        regime,
        fold,
        n_train: domains.source.len(),
        n_target: domains.target.len(),
        effective_sample_size: found.effective_sample_size,
        domain_auroc: found.domain_auroc,
        overlap: found.overlap,
        mean_discrepancy: found.mean_discrepancy,
        features: found.features,
        features_reported_only: found.reported_only,
        n_clipped: found.n_clipped,
        most_weight: Some(found.most_weight),
    }
}
