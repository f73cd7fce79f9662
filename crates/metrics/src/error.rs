use hemex_volume::{LabelMap, VolumeError};

/// Why a figure is not defined for the values it was asked of.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MetricError {
    /// Two slices that must run in parallel do not.
    #[error("{n_values} values stand against {n_labels}: there must be one each a case")]
    LengthMismatch {
        /// Length of the first slice.
        n_values: usize,
        /// Length of the second slice.
        n_labels: usize,
    },
    /// A figure over two classes was asked of one (or of no case at all).
    #[error("needs both classes, found {n_positive} positive and {n_negative} negative cases")]
    OneClass {
        /// Cases of the positive class.
        n_positive: usize,
        /// Cases of the negative class.
        n_negative: usize,
    },
    /// Too few values.
    #[error("needs at least {needed} {what}, found {found}")]
    TooFew {
        /// What there is too little of.
        what: &'static str,
        /// The least number.
        needed: usize,
        /// The number found.
        found: usize,
    },
    /// A value that is not a number.
    #[error("the value of case number {index} is not a number")]
    NotANumber {
        /// Its position in the slice.
        index: usize,
    },
    /// A value that is no probability, or is 0 or 1 where a finite logit is needed.
    #[error("the value of case number {index}, {value}, must lie in {range}")]
    OutOfRange {
        /// Its position in the slice.
        index: usize,
        /// The value.
        value: f64,
        /// The range allowed.
        range: &'static str,
    },
    /// The logits separate the classes, so that a logistic slope grows without bound.
    #[error("the predictions separate the classes: the logistic slope has no finite estimate")]
    Separated,
    /// All values are the same, so that no slope or correlation exists.
    #[error("all values of the {what} are the same")]
    NoSpread {
        /// Which values.
        what: &'static str,
    },
    /// Newton's method did not settle.
    #[error("the logistic fit did not converge in {n_iterations} iterations")]
    NotConverged {
        /// Iterations made.
        n_iterations: usize,
    },
    /// A confidence level outside (0, 1).
    #[error("a confidence level must lie between 0 and 1, found {value}")]
    BadConfidence {
        /// The level that was asked for.
        value: f64,
    },
    /// More successes than trials.
    #[error("{n_successes} successes in {n} trials")]
    BadProportion {
        /// Successes.
        n_successes: usize,
        /// Trials.
        n: usize,
    },
    /// No bootstrap draw gave a value.
    #[error("the statistic is undefined in each of {n_draws} bootstrap draws")]
    NoDefinedDraw {
        /// Draws made.
        n_draws: usize,
    },
    /// All bootstrap draws on one side of the observed value.
    #[error("all of {n_draws} bootstrap draws lie on one side of the observed value")]
    OneSided {
        /// Draws in which the statistic is defined.
        n_draws: usize,
    },
    /// A setting outside its range.
    #[error("{what} must lie in {range}, found {value}")]
    BadParameter {
        /// The setting.
        what: &'static str,
        /// Its value.
        value: f64,
        /// The range allowed.
        range: &'static str,
    },
    /// Masks on different grids.
    #[error(transparent)]
    Grid(#[from] VolumeError),
}

/// Checks that two slices run in parallel.
pub(crate) fn check_lengths(n_values: usize, n_labels: usize) -> Result<(), MetricError> {
    if n_values != n_labels {
        return Err(MetricError::LengthMismatch { n_values, n_labels });
    }
    Ok(())
}

/// Checks that values and labels run in parallel and that no value is NaN; infinities may rank.
pub(crate) fn check_parallel(values: &[f64], n_labels: usize) -> Result<(), MetricError> {
    check_lengths(values.len(), n_labels)?;
    match values.iter().position(|value| value.is_nan()) {
        Some(index) => Err(MetricError::NotANumber { index }),
        None => Ok(()),
    }
}

/// Checks that two masks hold the same voxels.
pub(crate) fn check_grids(prediction: &LabelMap, reference: &LabelMap) -> Result<(), MetricError> {
    if prediction.geometry().is_same_grid(reference.geometry()) {
        return Ok(());
    }
    let (left, right) = (prediction.geometry().shape(), reference.geometry().shape());
    Err(VolumeError::GridMismatch { left, right }.into())
}

/// Checks that a setting lies in a range (NaN lies in none); `named` writes the range out.
pub(crate) fn check_parameter(
    what: &'static str,
    value: f64,
    range: impl std::ops::RangeBounds<f64>,
    named: &'static str,
) -> Result<(), MetricError> {
    if range.contains(&value) {
        return Ok(());
    }
    Err(MetricError::BadParameter { what, value, range: named })
}

/// Checks that both classes occur, and returns how often: `(positive, negative)`.
pub(crate) fn check_classes(labels: &[bool]) -> Result<(usize, usize), MetricError> {
    let n_positive = labels.iter().filter(|label| **label).count();
    let n_negative = labels.len() - n_positive;
    if n_positive == 0 || n_negative == 0 {
        return Err(MetricError::OneClass { n_positive, n_negative });
    }
    Ok((n_positive, n_negative))
}
