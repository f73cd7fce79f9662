use std::f64::consts::PI;

/// Learning rate by step: linear warm-up, then a cosine from the highest rate to 0 (Loshchilov and
/// Hutter, ICLR 2017, eq. 5, one cycle).
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    /// Highest learning rate.
    pub learning_rate: f64,
    /// Steps of the warm-up.
    pub warmup_steps: usize,
    /// Steps in all.
    pub n_steps: usize,
    /// The step whose rate the later ones keep.
    pub held_from: Option<usize>,
}

impl Schedule {
    /// The rate of step `step`, from 0.
    pub fn at(&self, step: usize) -> f64 {
        let step = self.held_from.map_or(step, |held| step.min(held));
        if step < self.warmup_steps {
            return self.learning_rate * (step + 1) as f64 / (self.warmup_steps + 1) as f64;
        }
        let n_decay = (self.n_steps - self.warmup_steps).max(1);
        let done = (step - self.warmup_steps) as f64 / n_decay as f64;
        self.learning_rate * (1.0 + (PI * done.min(1.0)).cos()) / 2.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rises_to_the_rate_and_falls_toward_zero() {
        let schedule =
            Schedule { learning_rate: 2.0, warmup_steps: 3, n_steps: 13, held_from: None };
        let rates: Vec<f64> = (0..13).map(|step| schedule.at(step)).collect();
        assert_eq!(rates[..4], [0.5, 1.0, 1.5, 2.0]);
        assert!((rates[8] - 1.0).abs() < 1e-12, "half-way down: {}", rates[8]);
        assert!(rates[3..].windows(2).all(|pair| pair[1] < pair[0]));
        assert!(rates[12] > 0.0 && rates[12] < 0.1);
        let held = Schedule { held_from: Some(8), ..schedule };
        assert_eq!([held.at(7), held.at(8), held.at(12)], [rates[7], rates[8], rates[8]]);
    }
}
