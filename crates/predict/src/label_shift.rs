use hemex_artifacts::{LabelShiftEstimate, ModelCard};
use hemex_metrics::{Bootstrap, Confidence, Strata, prior_by_confusion, prior_by_likelihood};

use crate::PredictError;
use crate::config::LabelShift;

/// Draws of target cases behind the interval.
const N_DRAWS: usize = 1000;

/// How frequent growth is where cases have these logits, and what that adds to a logit. A share of nought or one, which
/// no sample of `n` cases shows, is held `1 / (2n + 2)` away from it. `None` if nothing is asked for.
pub(crate) fn estimate(
    kind: LabelShift,
    card: &ModelCard,
    logits: &[f64],
) -> Result<Option<LabelShiftEstimate>, PredictError> {
    let cannot = |reason: String| PredictError::LabelShift { reason };
    let missing = |what| cannot(format!("the model's card has no `{what}`: train it anew"));
    let sigmoid = |z: f64| 1.0 / (1.0 + (-z).exp());
    if kind == LabelShift::None {
        return Ok(None);
    }
    let prior_logit = card.prior_logit.ok_or_else(|| missing("prior_logit"))?;
    let means = match kind {
        LabelShift::Confusion => {
            Some(card.mean_probabilities.ok_or_else(|| missing("mean_probabilities"))?)
        }
        _ => None,
    };
    let share_of = |logits: &[f64]| match means {
        Some(means) => {
            let probabilities: Vec<f64> = logits.iter().map(|z| sigmoid(*z)).collect();
            prior_by_confusion(means, &probabilities)
        }
        None => prior_by_likelihood(logits, prior_logit),
    };
    let share =
        share_of(logits).map_err(|error| cannot(format!("of the target cases: {error}")))?;
    let least = 0.5 / (logits.len() + 1) as f64;
    let target_share = share.clamp(least, 1.0 - least);
    let draws = Bootstrap { n_draws: N_DRAWS, seed: card.seed };
    let draws = draws.distribution(&Strata::new(&vec![(); logits.len()]), |n_drawn| {
        let drawn = logits.iter().zip(n_drawn);
        let drawn: Vec<f64> =
            drawn.flat_map(|(z, n)| std::iter::repeat_n(*z, *n as usize)).collect();
        share_of(&drawn).ok()
    });
    let interval = draws.interval(Confidence::P95).ok();
    Ok(Some(LabelShiftEstimate {
        n_target: logits.len(),
        training_share: sigmoid(prior_logit),
        target_share,
        target_share_ci95: interval.map(|interval| [interval.low, interval.high]),
        logit_offset: (target_share / (1.0 - target_share)).ln() - prior_logit,
    }))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    /// A card of a model that gave stable cases 0.2 and cases that grew 0.8 on average.
    fn card() -> ModelCard {
        let card = serde_json::json!({
            "format": ModelCard::FORMAT, "arm": "joint", "architecture": null, "decision": null,
            "preparation": {
                "version": "1", "spacing_mm": [5.0, 2.0, 2.0], "window_hu": [-100.0, 200.0],
            },
            "regime": "site", "fold": 0, "seed": 3, "prior_logit_offset": 0.0,
            "calibration": { "intercept": 0.0, "slope": 1.0 }, "prior_logit": 0.0,
            "mean_probabilities": [0.2, 0.8], "n_train": 4, "n_train_growth": 1, "best_epoch": 0,
            "n_parameters": 0, "simd": "any",
        });
        serde_json::from_value(card).unwrap()
    }

    #[test]
    fn the_interval_is_that_of_a_mean_over_target_cases() {
        // Of 200 cases 80 are told 0.9 and the others 0.1: a mean of 0.42, a share of (0.42 − 0.2) / 0.6.
        let odds = 9f64.ln();
        let logits: Vec<f64> = (0..200).map(|i| if i % 5 < 2 { odds } else { -odds }).collect();
        let found = estimate(LabelShift::Confusion, &card(), &logits).unwrap().unwrap();
        let share = (0.42 - 0.2) / 0.6;
        assert!((found.target_share - share).abs() < 1e-12, "{found:?}");
        // A normal interval of that mean; 1,000 draws give its ends within a tenth of its width.
        let half = 1.96 * 0.8 * (0.4f64 * 0.6 / 200.0).sqrt() / 0.6;
        let [low, high] = found.target_share_ci95.unwrap();
        assert!((low - (share - half)).abs() < 0.2 * half, "{found:?}, {half}");
        assert!((high - (share + half)).abs() < 0.2 * half, "{found:?}, {half}");
    }
}
