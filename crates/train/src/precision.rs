use burn::tensor::{Device, FloatDType};
use hemex_kernels::is_cpu;
use hemex_model::parse_device;
use serde::Deserialize;

use crate::TrainError;

/// In what the levels of a network are worked out while it learns. Weights, their gradients, normalisations, heads and
/// losses stay in single precision, and so does all that is validated and predicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// 32 bits.
    Single,
    /// 16 bits with the exponent of single precision, so that no loss has to be scaled; on GPUs.
    Bfloat16,
}

impl Precision {
    pub(crate) fn dtype(self) -> FloatDType {
        match self {
            Precision::Single => FloatDType::F32,
            Precision::Bfloat16 => FloatDType::BF16,
        }
    }

    /// The device of this name.
    ///
    /// # Errors
    /// [`TrainError::NoBfloat16`] if it has no kernels for this precision.
    pub(crate) fn device(self, name: &str) -> Result<Device, TrainError> {
        let device = parse_device(name)?;
        match self {
            Precision::Bfloat16 if is_cpu(&device) => Err(TrainError::NoBfloat16),
            _ => Ok(device),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cpu_has_single_precision_alone() {
        assert!(Precision::Single.device("cpu").is_ok());
        let refused = Precision::Bfloat16.device("cpu").map_err(|error| error.to_string());
        assert!(refused.is_err_and(|e| e.contains("precision") && e.contains("--device cuda:0")));
    }
}
