//! Short trainings that write nothing: which learning rate to begin with, and whether the network learns at all. No
//! domains are aligned in them.

use hemex_stage::{Request, log};

use crate::cohort::{Cohort, Fold};
use crate::learner::At;
use crate::trainer::{Trainer, arm_of};
use crate::{Config, TrainError};

const N_STEPS: usize = 120;
/// The rates of the first and of the last step.
const RATES: [f64; 2] = [1e-6, 1.0];
/// Of the moving average of the loss.
const SMOOTHING: f64 = 0.9;
/// Times the lowest loss so far at which it has left for good.
const LOST: f64 = 4.0;

/// Raises the rate from step to step and prints the loss at each; suggests the one at which it falls most steeply
/// (Smith, WACV 2017, section 3.3).
///
/// # Errors
/// As a training has them; [`TrainError::NoRate`] if the loss never falls.
pub fn find_learning_rate(config: &Config, request: &Request) -> anyhow::Result<()> {
    let (name, arm, fold) = arm_of(config, request)?;
    let cohort = Cohort::read(request, &Fold { targets: false, ..fold })?;
    let trainer = Trainer::new(config, request, arm, &cohort)?;
    let (mut learner, _) = trainer.learner()?;
    let mut curve: Vec<(f64, f64)> = Vec::new();
    let (mut average, mut lowest) = (0.0, f64::INFINITY);
    for step in 0..N_STEPS {
        let rate = RATES[0] * (RATES[1] / RATES[0]).powf(step as f64 / (N_STEPS - 1) as f64);
        let batch = trainer.batch_of(step)?;
        let (next, found) = match learner.step(&trainer.loss, &batch, trainer.at(step, rate)) {
            Ok(next) => next,
            // A rate at which the loss overflows is beyond all that are of use.
            Err(TrainError::NotFinite { .. }) => break,
            Err(error) => return Err(error.into()),
        };
        learner = next;
        average = SMOOTHING * average + (1.0 - SMOOTHING) * found.total;
        let smoothed = average / (1.0 - SMOOTHING.powi(step as i32 + 1));
        log(format_args!(
            "learning rate {rate:.2e}: loss {:.4}, smoothed {smoothed:.4}",
            found.total
        ));
        lowest = smoothed.min(lowest);
        if smoothed > LOST * lowest {
            break;
        }
        curve.push((rate, smoothed));
    }
    let rate = steepest(&curve).ok_or(TrainError::NoRate)?;
    log(format_args!(
        "the loss falls most steeply at {rate:.1e}: begin with optimizer.learning_rate.{name} = {rate:.0e}"
    ));
    Ok(())
}

/// The rate at which the loss falls most a step, the rates being a constant factor apart.
fn steepest(curve: &[(f64, f64)]) -> Option<f64> {
    let slopes = curve.windows(2).map(|pair| (pair[0].0, pair[1].1 - pair[0].1));
    let (rate, slope) = slopes.min_by(|a, b| a.1.total_cmp(&b.1))?;
    (slope < 0.0).then_some(rate)
}

/// Steps on one batch.
const N_REPEATS: usize = 200;
/// Share of the first loss below which the last must lie.
const LEARNT: f64 = 0.2;

/// Learns one batch by heart: a network, a loss or a label that is wired wrongly cannot.
///
/// # Errors
/// As a training has them; [`TrainError::NotLearnt`] if the loss stays above a fifth of what it was.
pub fn overfit(config: &Config, request: &Request) -> anyhow::Result<()> {
    let (_, arm, fold) = arm_of(config, request)?;
    let cohort = Cohort::read(request, &Fold { targets: false, ..fold })?;
    let trainer = Trainer::new(config, request, arm, &cohort)?;
    let (mut learner, _) = trainer.learner()?;
    let batch = trainer.batch_of(0)?;
    let (mut first, mut last) = (None, f64::INFINITY);
    for step in 0..N_REPEATS {
        let at: At = trainer.at(step, arm.learning_rate);
        let (next, found) = learner.step(&trainer.loss, &batch, at)?;
        learner = next;
        first.get_or_insert(found.total);
        last = found.total;
        if step % 20 == 0 || step + 1 == N_REPEATS {
            let mask = found.mask.map_or_else(String::new, |mask| format!(", mask {mask:.4}"));
            log(format_args!("step {}: loss {last:.4}{mask}, label {:.4}", step + 1, found.label));
        }
    }
    let first = first.unwrap_or(last);
    if last < LEARNT * first {
        return Ok(());
    }
    Err(TrainError::NotLearnt { n_steps: N_REPEATS, first, last }.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steepest_fall_is_found_and_none_where_the_loss_rises() {
        let curve = [(1e-3, 1.0), (1e-2, 0.9), (1e-1, 0.4), (1.0, 0.3), (10.0, 2.0)];
        assert_eq!(steepest(&curve), Some(1e-2));
        assert_eq!(steepest(&[(1e-3, 1.0), (1e-2, 1.1)]), None);
        assert_eq!(steepest(&[]), None);
    }
}
