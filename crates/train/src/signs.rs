//! Signs of growth that a reader saw, which a second head of a classifier learns.

use burn::tensor::{Device, Tensor, TensorData};
use hemex_artifacts::SignRow;
use hemex_model::Sign;

use crate::cohort::TrainCase;
use crate::{TrainError, bce_with_logits};

/// What a reader saw of a case, a value a sign; `None` where nobody looked.
pub(crate) type Readings = Vec<Option<bool>>;

/// What the row of a case says of these signs; nothing without a row.
pub(crate) fn readings(row: Option<&SignRow>, signs: &[Sign]) -> Readings {
    let read = |row: &SignRow, sign: &Sign| match sign {
        Sign::BlackHole => row.black_hole,
        Sign::Hypodensity => row.hypodensity,
        Sign::Blend => row.blend,
        Sign::FluidLevel => row.fluid_level,
        Sign::Swirl => row.swirl,
        Sign::Satellite => row.satellite,
        Sign::Island => row.island,
        Sign::Irregular => row.irregular,
    };
    signs.iter().map(|sign| row.and_then(|row| read(row, sign))).collect()
}

/// Every sign can be learnt.
///
/// # Errors
/// [`TrainError::NoReading`] with the signs that nobody looked for in any of the cases.
pub(crate) fn check_read(cases: &[TrainCase], signs: &[Sign]) -> Result<(), TrainError> {
    let is_read = |i: usize| cases.iter().any(|case| case.signs[i].is_some());
    let unread: Vec<Sign> = (0..signs.len()).filter(|i| !is_read(*i)).map(|i| signs[i]).collect();
    match unread.is_empty() {
        true => Ok(()),
        false => Err(TrainError::NoReading { signs: Sign::names(&unread) }),
    }
}

/// What is to be told of the windows of a batch.
pub(crate) struct SignTargets {
    /// 1 where the sign was seen, `[B, signs]`.
    seen: Tensor<2>,
    /// What each reading counts, `[B, signs]`: all alike, 1 together.
    shares: Tensor<2>,
}

impl SignTargets {
    /// Of windows whose cases have these readings, as far as they show the hematoma: a window without one shows no sign
    /// of it. `None` if there is no reading.
    pub(crate) fn new(
        readings: &[&[Option<bool>]],
        shows: &[bool],
        device: &Device,
    ) -> Option<Self> {
        let n_signs = readings.first().map_or(0, |of_window| of_window.len());
        let of_window = |(of_window, shows): (&&[Option<bool>], &bool)| {
            let shows = *shows;
            of_window.iter().map(move |reading| reading.filter(|_| shows)).collect::<Readings>()
        };
        let counted: Readings = readings.iter().zip(shows).flat_map(of_window).collect();
        let n_counted = counted.iter().flatten().count();
        let tensor = |value: &dyn Fn(&Option<bool>) -> f32| {
            let values: Vec<f32> = counted.iter().map(value).collect();
            Tensor::from_data(TensorData::new(values, [readings.len(), n_signs]), device)
        };
        let share = 1.0 / n_counted as f32;
        (n_counted > 0).then(|| Self {
            seen: tensor(&|reading| f32::from(u8::from(*reading == Some(true)))),
            shares: tensor(&|reading| if reading.is_some() { share } else { 0.0 }),
        })
    }

    /// Mean cross-entropy of the readings, from logits `[B, signs]`.
    ///
    /// Rare signs count no more than others: what is drawn for growth would be drawn anew for each sign, and their
    /// probabilities are no outcome. Neither do shift weights count here.
    pub(crate) fn loss(&self, logits: Tensor<2>) -> Tensor<1> {
        (bce_with_logits(logits, self.seen.clone()) * self.shares.clone()).sum()
    }
}

#[cfg(test)]
pub(crate) mod tests;
