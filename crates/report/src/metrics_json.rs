//! `metrics.json`: the findings for machines.

use serde_json::{Map, Value, json};

use crate::{Config, Findings};

/// The document. Figures that are not defined are null, with a `reason` beside them.
pub fn document(findings: &Findings, config: &Config) -> Value {
    let surface_tolerance_mm = config.surface_tolerance_mm;
    let arms: Map<String, Value> =
        findings.arms.iter().map(|arm| (arm.name.clone(), json!(arm))).collect();
    let differences: Map<String, Value> =
        findings.differences.iter().map(|d| (d.name(), json!(d))).collect();
    let comparators: Map<String, Value> = (findings.comparators.iter())
        .map(|comparator| {
            let mut document = json!(comparator);
            let minus = (comparator.differences.iter()).map(|d| (d.first.clone(), json!(d)));
            document["differences"] = Value::Object(minus.collect());
            (comparator.name.to_owned(), document)
        })
        .collect();
    let names: Vec<&str> = findings.arms.iter().map(|arm| arm.name.as_str()).collect();
    let definitions: Map<String, Value> = (findings.definitions.iter())
        .map(|definition| {
            let arms = names.iter().zip(&definition.auroc);
            let arms: Map<String, Value> =
                arms.map(|(arm, auroc)| ((*arm).to_owned(), json!(auroc))).collect();
            (definition.name.to_owned(), Value::Object(arms))
        })
        .collect();
    json!({
        "regime": findings.regime.name(),
        "arms": arms,
        "differences": differences,
        "comparators": comparators,
        "definitions": definitions,
        "subgroups": findings.subgroups,
        "cues": findings.cues,
        "groups": findings.groups,
        "twins": findings.twins,
        "inpainted": findings.inpainted,
        "saliency": findings.saliency,
        "signs": findings.signs,
        "oracle": findings.oracle,
        "cohort": findings.cohort,
        "method": {
            "auroc": "computed for each fold and seed on the model's own test cases, averaged over \
                      the seeds of a fold and then over folds; a case with status no_lesion is \
                      ranked below all others, refused and missing cases are not ranked",
            "auprc_of_chance": "the share of ranked test cases that grew, averaged as the figures are",
            "ci95": "percentile bootstrap over test patients within their fold and class, the same \
                     draws for all arms; none where the draws do not differ; per model DeLong on the \
                     logit scale",
            "differences": "over the cases that every model of both arms ranks",
            "comparators": "clinical scores over the labelled test cases whose inputs are known, once a \
                            fold; differences are an arm's AUROC minus the score's, over the cases that \
                            both rank",
            "models": "n_models: how many models speak as one, by the mean of their calibrated logits; \
                       label_shift: logit_offset is what is added to the logit of each test case, the log-odds of \
                       target_share, which unlabelled target cases tell, minus those of training_share",
            "calibration": "all test cases with a probability, folds and seeds together; in bins each \
                            case once a fold, its probability averaged over the seeds",
            "decision": "net benefit (Vickers and Elkin 2006) over labelled test cases, each once a fold, its \
                         probability averaged over the seeds; a case with status no_lesion is not treated, refused \
                         and missing ones are left out (n_undefined); intervals over test patients as above",
            "conformal": "a set holds every label whose class-conditional p-value (Vovk 2012) is above what may \
                          be missed; p-values from calibration cases that neither trained nor validated",
            "cues": "told: share of pairs of one outcome and different sides of the cue in which the second \
                     side has the higher score; within: share of pairs of one side in which the case that \
                     grew has; pairs of one model alone, each alike",
            "twins": "share of pairs in which the head of the patient who grew has the higher logit without its \
                      hematoma (inpainted: the found one filled in), heads that were read and of which an arm says \
                      nothing rank below all others; n_not_read: refused, missing, without a twin, or nothing filled",
            "saliency": "quartiles over test cases of the shares of |value x gradient| of the growth logit (values \
                         counted from the lower end of the window of HU) in the reference lesion, within 5 mm \
                         around it in the brain, and elsewhere in the brain; even: the lesion's share of voxels",
            "groups": "share of the cases of one side and outcome that are called rightly, from each model's \
                       threshold on, which is Youden's over its own validation cases, label_shift taken off; a \
                       case without a detected lesion is called stable; worst: the least of groups of 10 cases or more; \
                       Wilson's intervals, not corrected for the choice",
            "dice": "canonical grid, predicted masks resampled by nearest neighbour; 0 where one \
                     mask is empty (a missed lesion), undefined where both are",
            "surface_dice": "share of the area of both surfaces within surface_tolerance_mm of the other; \
                             undefined where a mask is empty",
            "lesion_f1": "over 26-connected parts, one voxel in common finds a lesion; averaged over cases",
            "volume": "predicted minus reference, a case's differences averaged over seeds; intervals by \
                       Student's t (mean) and Carkeet 2015 (limits), for normal differences",
            "followup_volume": "foretold minus that of labels.csv, a case's foretold volumes averaged over seeds; unchanged: \
                                the volume found on the baseline scan in its place; intervals over test patients as above",
            "signs": "measured on the reference mask, canonical grid; sensitivity, specificity and kappa \
                      against readings",
            "surface_tolerance_mm": surface_tolerance_mm,
            "n_bootstrap": findings.n_bootstrap,
        },
    })
}
