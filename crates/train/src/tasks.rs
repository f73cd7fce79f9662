//! What the mask, the label, the reconstruction, the signs and the mask at follow-up weigh against one another.

use serde::{Deserialize, Serialize};

use crate::config::RawLoss;
use crate::learner::StepLoss;

/// The weight of each task; they outlast an interruption.
///
/// Learnt, a weight is that of homoscedastic uncertainty, `w = 1/σ²` in `Σ w L + log σ` (Kendall et al., CVPR 2018, eq.
/// 10), in steps of `log σ²` down its own gradient, `½ − w L`: it settles where `w L` is one half, so that a task
/// counts the less the worse it can be told.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct TaskWeights {
    pub(crate) mask: f64,
    pub(crate) label: f64,
    pub(crate) reconstruction: f64,
    pub(crate) sign: f64,
    pub(crate) followup: f64,
}

impl TaskWeights {
    /// Those of the config.
    pub(crate) fn new(loss: &RawLoss) -> Self {
        Self {
            mask: loss.mask_weight,
            label: loss.label_weight,
            reconstruction: loss.reconstruction_weight,
            sign: loss.sign_weight,
            followup: loss.followup_weight,
        }
    }

    /// A step at this rate after a batch with these losses; a task that is not there, or of which no window of the batch
    /// tells, keeps its weight.
    pub(crate) fn learn(&mut self, loss: &StepLoss, rate: f64) {
        let step = |weight: &mut f64, loss: Option<f64>| {
            *weight *= loss.map_or(1.0, |loss| (rate * (0.5 - *weight * loss)).exp());
        };
        step(&mut self.mask, loss.mask);
        step(&mut self.label, loss.has_label.then_some(loss.label));
        step(&mut self.reconstruction, loss.reconstruction);
        step(&mut self.sign, loss.sign);
        step(&mut self.followup, loss.followup);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_learnt_weight_settles_where_it_makes_its_loss_one_half() {
        let mut weights =
            TaskWeights { mask: 1.0, label: 1.0, reconstruction: 0.3, sign: 0.1, followup: 0.2 };
        let loss = StepLoss {
            total: 0.0,
            mask: Some(0.2),
            label: 0.7,
            has_label: true,
            reconstruction: None,
            align: None,
            sign: Some(0.4),
            followup: Some(0.8),
        };
        (0..2000).for_each(|_| weights.learn(&loss, 0.05));
        assert!((weights.mask - 2.5).abs() < 1e-6, "{weights:?}");
        assert!((weights.label - 0.5 / 0.7).abs() < 1e-6, "{weights:?}");
        assert_eq!(weights.reconstruction, 0.3);
        assert!((weights.sign - 1.25).abs() < 1e-6, "{weights:?}");
        assert!((weights.followup - 0.625).abs() < 1e-6, "{weights:?}");
        // The first step goes down the gradient of w L + ½ log σ² by log σ², which is −log w.
        let mut stepped =
            TaskWeights { mask: 1.0, label: 0.0, reconstruction: 0.0, sign: 0.0, followup: 0.0 };
        stepped.learn(&loss, 0.05);
        assert!((-stepped.mask.ln() - -0.05 * (0.5 - 0.2)).abs() < 1e-12, "{stepped:?}");
        assert_eq!(stepped.label, 0.0, "a task that is off stays off");
    }
}
