//! What the windows of a batch say together of their cases.

use burn::tensor::Tensor;
use hemex_model::logits_of_cases;

use super::Batch;

impl Batch {
    /// Logits of growth of the cases, `[cases]`, from those of their windows, `[B]`: by attention, or one window a case.
    pub(crate) fn of_cases(&self, logits: Tensor<1>, attention: Option<Tensor<1>>) -> Tensor<1> {
        match attention {
            None => logits,
            Some(attention) => {
                let n_windows = self.seen.len() / self.grows.len();
                logits_of_cases(logits, attention, &self.seen, n_windows)
            }
        }
    }

    /// The same, if none of its windows showed the hematoma.
    #[cfg(test)]
    pub(crate) fn showing_nothing(mut self) -> Self {
        self.shows.fill(false);
        self.seen.fill(0.0);
        self.shows_lesion = self.shows_lesion.mul_scalar(0.0);
        self
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;
    use crate::Config;
    use crate::cohort::Cohort;
    use crate::cohort::tests::{asked, checked, write_cohort};
    use crate::trainer::{Trainer, arm_of};

    /// Batches of cases of three windows each.
    fn config(batch_size: usize) -> Result<Config, String> {
        let attention = "slice_attention = { n_windows = 3, n_hidden = 4 }";
        checked(&format!(
            "batch_size = {batch_size}\n[arm.joint]\n{attention}\n[arm.vgg]\n{attention}"
        ))
    }

    fn values(tensor: Tensor<1>) -> Vec<f64> {
        tensor.into_data().iter::<f64>().collect()
    }

    #[test]
    fn a_batch_holds_whole_cases() {
        let error = config(8).err().unwrap();
        assert!(error.contains("batch_size") && error.contains("multiple of 3"), "{error}");
    }

    /// Cross-entropy of each case from the mean of its windows' logits, by hematoma shown and attention.
    #[test]
    fn a_label_is_learnt_from_the_windows_of_a_case_together() {
        let folder = tempfile::tempdir().unwrap();
        write_cohort(folder.path());
        let config = config(6).unwrap();
        for arm in ["joint", "vgg"] {
            let request = asked(folder.path(), arm);
            let (_, arm, fold) = arm_of(&config, &request).unwrap();
            let cohort = Cohort::read(&request, &fold).unwrap();
            let trainer = Trainer::new(&config, &request, arm, &cohort).unwrap();
            let (learner, _) = trainer.learner().unwrap();
            let (mut n_unseen, mut n_cases) = (0, 0);
            for step in 0..6 {
                let batch = trainer.batch_of(step).unwrap();
                let ids: Vec<&[String]> = batch.case_ids.chunks(3).collect();
                assert!(ids.iter().all(|of_case| of_case.iter().all(|id| *id == of_case[0])));
                let windows: Vec<Vec<f64>> = (0..3)
                    .map(|i| batch.input.clone().narrow(0, i, 1).into_data().iter().collect())
                    .collect();
                assert!(windows[0] != windows[1] && windows[1] != windows[2], "each its own draw");

                let output = learner.network.forward_training(batch.input.clone());
                let logits = values(output.growth_logit.clone().unwrap());
                let attention = values(output.attention.clone().unwrap());
                let presence = output.presence_logit.clone().map(values);
                let growth = values(batch.growth.clone());
                let seen = batch.mask.clone().into_data().iter::<f64>().collect::<Vec<_>>();
                let seen: Vec<f64> = seen.chunks(16 * 16).map(|mask| mask.iter().sum()).collect();
                let mut losses = Vec::new();
                for (case, growth) in growth.iter().enumerate() {
                    let of_case = 3 * case..3 * case + 3;
                    let weights = of_case.clone().map(|i| seen[i] * attention[i].exp());
                    let total: f64 = weights.clone().sum();
                    if total > 0.0 {
                        let sum: f64 = weights.zip(of_case).map(|(w, i)| w * logits[i]).sum();
                        let sign = if *growth == 1.0 { -1.0 } else { 1.0 };
                        losses.push((sign * sum / total).exp().ln_1p());
                    }
                }
                n_cases += losses.len();
                n_unseen += seen.iter().filter(|seen| **seen == 0.0).count();
                let mut expected = losses.iter().sum::<f64>() / losses.len().max(1) as f64;
                if let Some(presence) = presence {
                    let pairs = presence.iter().zip(&seen);
                    let of_window =
                        pairs.map(|(z, seen)| z.exp().ln_1p() - if *seen > 0.0 { *z } else { 0.0 });
                    expected += of_window.sum::<f64>() / 6.0;
                }
                let mut state = learner.state.clone();
                let found = trainer.loss.of(output, &batch, trainer.at(0, 0.1), &mut state).label;
                let found = values(found)[0];
                assert!((found - expected).abs() < 1e-5, "{found} for {expected}");
            }
            assert!(n_unseen > 0 && n_cases > 6, "{n_unseen} {n_cases}");
        }
    }
}
