//! Every figure of the report, computed from the case results.

mod agreement;
mod calibration;
mod cohort;
mod comparators;
mod conformal;
mod cues;
mod decision;
mod definitions;
mod discrimination;
mod estimate;
mod followup;
mod groups;
mod models;
mod oracle;
mod paired;
mod referral;
mod resampling;
mod saliency;
mod signs;
mod subgroups;

pub(crate) use agreement::median_of_sorted;
pub use agreement::{MaskAgreement, VolumeAgreement};
pub use calibration::Calibration;
pub use cohort::{Cohort, FoldCounts, SiteCounts};
pub use comparators::Comparator;
pub use conformal::{Conformal, SetShare};
pub use cues::{Cue, CueFigures, PairShare, TwinFigures};
pub use decision::{Decision, ThresholdBenefit};
pub use definitions::GrowthDefinition;
pub use discrimination::{Difference, MeanRoc};
pub use estimate::{Estimate, MeanEstimate};
pub use followup::FollowupVolume;
pub(crate) use groups::LEAST_CASES;
pub use groups::{GroupAccuracies, GroupAccuracy};
pub use models::ModelFindings;
pub use oracle::OracleFindings;
pub use paired::PairedMean;
pub(crate) use paired::{RunFigures, paired_runs};
pub use referral::Referral;
pub use saliency::SaliencyFigures;
pub use signs::{GrowthCount, SignFindings};
pub use subgroups::{Subgroup, SubgroupFigures};

use std::collections::BTreeMap;

use hemex_artifacts::{Regime, Role};
use hemex_metrics::Bootstrap;
use serde::Serialize;

use crate::signs::Signs;
use crate::{CaseResult, Config, Evaluation, ReportError, Status};
use discrimination::RankedModels;
use resampling::Resampling;

/// All figures of a report.
#[derive(Debug, Clone, PartialEq)]
pub struct Findings {
    /// How the cohort was split.
    pub regime: Regime,
    /// Who was evaluated, and who not.
    pub cohort: Cohort,
    /// The figures of each arm, in the order in which their predictions arrive.
    pub arms: Vec<ArmFindings>,
    /// Each pair of arms, the earlier minus the later one.
    pub differences: Vec<Difference>,
    /// Clinical scores on the same patients.
    pub comparators: Vec<Comparator>,
    /// Signs of growth on the scan.
    pub signs: Vec<SignFindings>,
    /// The ranking under other definitions of growth.
    pub definitions: Vec<GrowthDefinition>,
    /// Figures within groups of test cases.
    pub subgroups: Vec<Subgroup>,
    /// Whether predictions follow how scans were made.
    pub cues: Vec<Cue>,
    /// How right the arms are in the groups that sites and cues make with the outcome.
    pub groups: Vec<GroupAccuracies>,
    /// What the arms say of heads without their hematoma; empty without such scans.
    pub twins: Vec<TwinFigures>,
    /// What the arms say of heads in which the hematoma that they found is filled in; empty without such predictions.
    pub inpainted: Vec<TwinFigures>,
    /// Where what the arms' logits rest on lies; empty without maps of it.
    pub saliency: Vec<SaliencyFigures>,
    /// What the true probabilities reach; `None` where no truth is known.
    pub oracle: Option<OracleFindings>,
    /// Draws behind each interval.
    pub n_bootstrap: usize,
    /// The seed they are drawn under.
    pub seed: u64,
}

/// The figures of one arm over its test cases.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ArmFindings {
    /// Name of the arm.
    #[serde(skip)]
    pub name: String,
    /// AUROC of each model on its own test cases, averaged over folds and seeds.
    pub auroc: Estimate,
    /// Average precision, averaged likewise.
    pub auprc: Estimate,
    /// What a ranking that knows nothing has as average precision: the share of each model's ranked
    /// test cases that grew, averaged likewise.
    pub auprc_of_chance: Option<f64>,
    /// Brier score over all test cases with a probability and a label.
    pub brier: MeanEstimate,
    /// How far probabilities can be taken at their word.
    pub calibration: Calibration,
    /// Whether acting on its probabilities does good.
    pub decision: Decision,
    /// AUROC when the most uncertain cases are referred; empty without a stated uncertainty.
    pub referral: Vec<Referral>,
    /// Sets of labels; missing without calibration cases.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conformal: Option<Conformal>,
    /// Dice over test cases.
    pub dice: MaskAgreement,
    /// 95th percentile Hausdorff distance over test cases, mm.
    pub hd95_mm: MaskAgreement,
    /// Surface Dice over test cases.
    pub surface_dice: MaskAgreement,
    /// F1 of lesion-wise detection over test cases.
    pub lesion_f1: MaskAgreement,
    /// Predicted against reference volume.
    pub volume: VolumeAgreement,
    /// The volume foretold for the follow-up scan; missing where none is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub followup_volume: Option<FollowupVolume>,
    /// Test cases by status.
    pub statuses: BTreeMap<&'static str, usize>,
    /// Labelled `no_lesion` cases, ranked below all others for AUROC and AUPRC.
    pub n_no_lesion_ranked_lowest: usize,
    /// Labelled test cases without a rank: refused, or missing from the predictions.
    pub n_not_ranked: usize,
    /// Test cases whose growth label is undefined.
    pub n_label_undefined: usize,
    /// The figures of each model.
    pub models: Vec<ModelFindings>,
    /// The mean ROC curve.
    #[serde(skip)]
    pub roc: Option<MeanRoc>,
}

/// Computes every figure.
///
/// # Errors
/// If a table holds a value that no figure can take (a probability outside [0, 1]).
pub fn evaluate(
    evaluation: &Evaluation,
    results: &[CaseResult],
    signs: &Signs,
    config: &Config,
    seed: u64,
) -> Result<Findings, ReportError> {
    let tested: Vec<&CaseResult> = results.iter().filter(|row| row.role == Role::Test).collect();
    let bootstrap = Bootstrap { n_draws: config.n_bootstrap, seed };
    let resampling = Resampling::new(&tested, bootstrap);
    let mut by_arm: Vec<discrimination::Arm<'_>> = Vec::new();
    let mut arms = Vec::new();
    for name in evaluation.arms() {
        let rows: Vec<&CaseResult> = tested.iter().filter(|r| r.arm == name).copied().collect();
        arms.push(arm(evaluation, name, &rows, &resampling, config)?);
        by_arm.push((name, rows));
    }
    let mut differences = Vec::new();
    for (i, first) in by_arm.iter().enumerate() {
        for second in &by_arm[i + 1..] {
            differences.push(discrimination::difference(first, second, &resampling)?);
        }
    }
    Ok(Findings {
        regime: evaluation.regime,
        cohort: cohort::cohort(evaluation, &tested),
        comparators: comparators::comparators(evaluation, &tested, signs, &by_arm, &resampling)?,
        signs: signs::signs(evaluation, &tested, signs),
        cues: cues::cues(evaluation, &tested, &by_arm, &resampling)?,
        groups: groups::groups(evaluation, results, &evaluation.arms())?,
        twins: cues::twins(&by_arm, |case_id| evaluation.cases.has_twin(case_id), &resampling)?,
        inpainted: cues::inpainted(
            &by_arm,
            |arm| writes_masks(evaluation, arm),
            |arm| tells_from_masks(evaluation, arm),
            &resampling,
        )?,
        saliency: saliency::saliency(&by_arm),
        arms,
        differences,
        definitions: definitions::definitions(evaluation, &by_arm, bootstrap)?,
        subgroups: subgroups::subgroups(
            evaluation,
            &by_arm,
            |arm| writes_masks(evaluation, arm),
            &resampling,
        )?,
        oracle: oracle::oracle(evaluation, &tested, &resampling)?,
        n_bootstrap: config.n_bootstrap,
        seed,
    })
}

/// Whether the arm writes masks.
fn writes_masks(evaluation: &Evaluation, arm: &str) -> bool {
    evaluation.predictions.iter().any(|p| p.card.arm == arm && p.card.has_masks)
}

/// Whether the arm tells growth from the hematoma that it finds, so that of a head without one it says nothing.
fn tells_from_masks(evaluation: &Evaluation, arm: &str) -> bool {
    let mut models = evaluation.models.iter().filter(|model| model.arm == arm);
    models.any(|model| model.card.get("growth_regression").is_some_and(|found| !found.is_null()))
}

fn arm(
    evaluation: &Evaluation,
    name: &str,
    rows: &[&CaseResult],
    resampling: &Resampling,
    config: &Config,
) -> Result<ArmFindings, ReportError> {
    let ranked = RankedModels::new(rows, &CaseResult::score, resampling)?;
    let has_masks = writes_masks(evaluation, name);
    let mut statuses: BTreeMap<&'static str, usize> =
        [Status::Ok, Status::NoLesion, Status::Refused, Status::Missing]
            .map(|status| (status.name(), 0))
            .into();
    for row in rows {
        *statuses.entry(row.status.name()).or_default() += 1;
    }
    let count = |keep: &dyn Fn(&CaseResult) -> bool| rows.iter().filter(|row| keep(row)).count();
    Ok(ArmFindings {
        name: name.to_owned(),
        auroc: ranked.auroc(resampling),
        auprc: ranked.average_precision(resampling),
        auprc_of_chance: ranked.prevalence(),
        brier: calibration::brier(rows, resampling)?,
        calibration: calibration::calibration(rows, resampling, config.n_calibration_bins)?,
        decision: decision::decision(rows, resampling)?,
        referral: referral::referral(rows, resampling)?,
        conformal: conformal::conformal(rows, resampling, config.conformal_miss),
        dice: agreement::mask_agreement(rows, has_masks, resampling, |row| row.dice)?,
        hd95_mm: agreement::mask_agreement(rows, has_masks, resampling, |row| row.hd95_mm)?,
        surface_dice: agreement::mask_agreement(rows, has_masks, resampling, |r| r.surface_dice)?,
        lesion_f1: agreement::mask_agreement(rows, has_masks, resampling, |row| row.lesion_f1)?,
        volume: agreement::volume_agreement(rows)?,
        followup_volume: followup::followup_volume(rows, resampling),
        statuses,
        n_no_lesion_ranked_lowest: count(&|row| {
            row.status == Status::NoLesion && row.growth.is_some()
        }),
        n_not_ranked: count(&|row| row.score().is_none() && row.growth.is_some()),
        n_label_undefined: count(&|row| row.growth.is_none()),
        models: models::models(evaluation, name, rows)?,
        roc: MeanRoc::new(rows, &CaseResult::score)?,
    })
}

impl Findings {
    /// The result in a few lines for the stage's log.
    pub fn headlines(&self) -> Vec<String> {
        let figure = |value: Option<f64>, interval: Option<[f64; 2]>| match (value, interval) {
            (Some(value), Some([low, high])) => format!("{value:.3} ({low:.3} to {high:.3})"),
            (Some(value), None) => format!("{value:.3}"),
            (None, _) => "not defined".to_owned(),
        };
        let mut lines = Vec::new();
        for arm in &self.arms {
            let auroc = figure(arm.auroc.value, arm.auroc.ci95);
            let mut line = format!(
                "{}: AUROC {auroc}, n = {} ({} grew)",
                arm.name, arm.auroc.n, arm.auroc.n_positive
            );
            if let Some(mean) = arm.dice.mean {
                line += &format!(", mean Dice {}", figure(Some(mean), arm.dice.ci95));
            }
            lines.push(line);
        }
        for difference in &self.differences {
            let figure = figure(difference.auroc, difference.ci95);
            lines.push(format!("{}: AUROC difference {figure}", difference.name()));
        }
        if let Some(oracle) = &self.oracle {
            lines.push(format!("oracle: AUROC {}", figure(oracle.auroc, oracle.ci95)));
        }
        lines
    }
}
