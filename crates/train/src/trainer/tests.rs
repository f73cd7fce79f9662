#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use hemex_stage::{Kind, OutputArtifact};

use super::*;
use crate::cohort::tests::{asked, config_with, write_calibrated_cohort, write_cohort};

#[test]
fn a_trial_begins_where_the_label_weighs_all_it_will() {
    let folder = tempfile::tempdir().unwrap();
    write_cohort(folder.path());
    let config = config_with("[loss]\nlabel_weight = 0.6\nlabel_warmup_steps = 5");
    // Of a network without a mask the label is all that is learnt.
    let request = asked(folder.path(), "vgg");
    let (_, arm, fold) = arm_of(&config, &request).unwrap();
    let cohort = Cohort::read(&request, &fold).unwrap();
    let trainer = Trainer::new(&config, &request, arm, &cohort).unwrap();
    let (mut learner, _) = trainer.learner().unwrap();
    let batch = trainer.batch_of(0).unwrap();
    let found = learner.learn(&trainer.loss, &batch, trainer.at(0, 0.1)).unwrap();
    assert!(found.label > 0.1 && (found.total - 0.6 * found.label).abs() < 1e-5, "{found:?}");
}

#[test]
fn what_is_said_of_the_prior_is_that_of_the_best_epoch() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write_calibrated_cohort(root);
    std::fs::create_dir(root.join("model")).unwrap();
    let mut request = asked(root, "vgg");
    let output = OutputArtifact { path: root.join("model"), kind: Kind::Model };
    request.outputs.insert("model".to_owned(), output);
    // Class weights count from the second epoch on; a hematoma is found in every case.
    let config = config_with(
        "[sampler]\nkind = \"instance\"\n[loss]\neffective_number_beta = 0.9\nreweight_from_epoch = 1\n\
         [decision]\nmin_presence = 1e-6",
    );
    let (name, arm, fold) = arm_of(&config, &request).unwrap();
    let cohort = Cohort::read(&request, &fold).unwrap();
    let trainer = Trainer::new(&config, &request, arm, &cohort).unwrap();
    let network = trainer.learner().unwrap().0.evaluated();
    trainer.checkpoints.save_best(&network).unwrap();
    let card = |progress: Progress| -> ModelCard {
        trainer.write(name, &fold, &network, &progress).unwrap();
        json::read(&root.join("model/model.json")).unwrap()
    };

    let [before, after] =
        [0, 1].map(|best_epoch| card(Progress { best_epoch, ..Progress::default() }));
    let offset = after.prior_logit_offset;
    assert_eq!(before.prior_logit_offset, 0.0);
    // Two stable and three growing cases train.
    let weights = crate::effective_number_weights([2, 3], 0.9).unwrap();
    assert!((offset + (weights[1] / weights[0]).ln()).abs() < 1e-12, "{offset}");
    assert_eq!([0, 1].map(|epoch| trainer.validator(epoch).prior_logit_offset), [0.0, offset]);
    let logits = |card: &ModelCard| {
        let conformal = card.conformal.as_ref().unwrap();
        [conformal.stable[0][0], conformal.growth[0][0]]
    };
    for (before, after) in logits(&before).into_iter().zip(logits(&after)) {
        assert!((after - before - offset).abs() < 1e-9, "{before} {after}");
    }

    assert_eq!(before.prior_logit, Some(trainer.sampler.prior_logit()));
    let found = Validation {
        loss: 1.0,
        dice: None,
        auroc: None,
        calibration: None,
        fitted_prior_logit: Some(0.7),
        mean_probabilities: None,
    };
    let mut progress = Progress::default();
    trainer.note(&mut progress, &EpochLoss::default(), &found).unwrap();
    assert_eq!(card(progress).prior_logit, Some(0.7));
}
